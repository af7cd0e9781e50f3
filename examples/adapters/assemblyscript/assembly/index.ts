// An adapter for Parrot, the small upstream that README.md in the folder above
// describes. It is the example of docs/sdk-assemblyscript.md.

import {
  Adapter, Auth, Bytes, Event, Failure, Framing, Json, Kind, Manifest, Messages, Out, Parts, Request, Response, Text, Upstream,
  Writer, register,
} from "../../../../sdk/assemblyscript/assembly";

export * from "../../../../sdk/assemblyscript/assembly/exports";

/** What one call of an exchange leaves for the next. */
class State {
  calls: u32; // tool calls so far, which is the number of the next one
  spoke: bool; // a word was said
  ended: bool; // the parrot said how it ended
}

class Parrot extends Adapter<State> {
  manifest(): Manifest {
    const m = new Manifest("parrot", "1.0.0", "parrot");
    m.license = "Apache-2.0";
    m.capabilities = ["tools"];
    m.defaultBaseURL = "http://localhost:7777";
    m.auth = new Auth("authorization", "Bearer {}");
    m.options = "// How high the parrot speaks.\npitch?: int & >=1 & <=9";
    return m;
  }

  /** Turns a chat completion into POST /v1/squawk. */
  request(r: Request, s: State, out: Out): Failure | null {
    let model = Json.absent(), messages = Json.absent(), tools = Json.absent(), limit = Json.absent();
    const it = r.body.fields();
    while (it.next()) {
      if (it.key.is("model")) model = it.value;
      else if (it.key.is("messages")) messages = it.value;
      else if (it.key.is("tools")) tools = it.value;
      else if (it.key.is("max_tokens")) limit = it.value;
    }
    if (it.fault) return new Failure(400, "The request is not valid JSON.");
    const prompt = new Text();
    const refused = writePrompt(messages, prompt);
    if (refused) return refused;

    const w = new Writer();
    w.object();
    w.key("model").raw(model);
    w.key("prompt").rawString(prompt.bytes);
    w.key("stream").bool(r.stream);
    if (limit.kind == Kind.Number) w.key("words").raw(limit);
    const pitch = r.options.get("pitch");
    if (!pitch.isAbsent) w.key("pitch").raw(pitch);
    if (tools.kind == Kind.Array) {
      w.key("tricks").array();
      const it = tools.items();
      while (it.next()) w.raw(it.value.get("function"));
      w.end();
    }
    w.end();

    const u = new Upstream("/v1/squawk");
    u.framing = r.stream ? Framing.NDJSON : Framing.Whole;
    u.body = w.bytes;
    out.send(u);
    return null;
  }

  /** Takes an answer that came in one piece: one object with everything, or an error. */
  response(r: Response, s: State, out: Out): Failure | null {
    if (r.status < 200 || r.status > 299) return failed(r.status, r.body.get("oops"), r.head.get("retry-after"));
    const failure = take(r.body, s, out);
    if (failure) return failure;
    return s.ended ? null : Failure.upstream("The parrot's answer is not complete.");
  }

  /** Takes one line of a streamed answer. */
  event(e: Event, s: State, out: Out): Failure | null {
    if (e.end || e.done || s.ended) return null; // without the line that says how it ended, the gateway reports an error
    return take(e.data, s, out);
  }
}

/**
 * Writes a conversation as one text, a line for each message. The texts are copied as
 * they stand between their quotes: a long one is the gateway's reference to it.
 */
function writePrompt(messages: Json, prompt: Text): Failure | null {
  const it = new Messages(messages);
  for (let i = 0; it.next(); i++) {
    if (i > 0) prompt.add("\\n");
    const m = it.message;
    prompt.add(speaker(m.role));
    const parts = new Parts(m.content);
    while (parts.next()) {
      const text = parts.part.text.inside;
      if (!text) return Failure.refused("messages[" + i.toString() + "].content", "Parrots understand text only.");
      prompt.add(" ").addBytes(text);
    }
  }
  return null;
}

function speaker(role: string): string {
  if (role == "user") return "Human:";
  if (role == "assistant") return "Parrot:";
  if (role == "tool") return "Trick:";
  return "Keeper:";
}

/** States what one object of an answer says. */
function take(data: Json, s: State, out: Out): Failure | null {
  const none = Json.absent();
  let word = none, tool = none, end = none, heard = none, spoken = none, oops = none, code = none;
  const it = data.fields();
  while (it.next()) {
    const key = it.key, value = it.value;
    if (key.is("t")) word = value;
    else if (key.is("tool")) tool = value;
    else if (key.is("end")) end = value;
    else if (key.is("in")) heard = value;
    else if (key.is("out")) spoken = value;
    else if (key.is("oops")) oops = value;
    else if (key.is("code")) code = value;
  }
  if (data.kind != Kind.Object || it.fault) {
    return Failure.upstream("The answer is not what Parrot sends. Does base_url lead to it?");
  }
  if (!oops.isAbsent) return failed(code.int(), oops, "");

  const text = word.inside;
  if (text) {
    if (s.spoke) out.text(0, " "); // each line is a word
    out.textJSON(0, text);
    s.spoke = true;
  }
  const name = tool.get("name").text;
  if (name !== null) {
    out.toolName(0, s.calls, name);
    out.toolArgs(0, s.calls, tool.get("args"));
    s.calls++;
  }
  const reason = end.text;
  if (reason !== null) {
    s.ended = true;
    if (heard.isInt && spoken.isInt) out.tokens(heard.int(), spoken.int());
    // Of stop the gateway makes tool_calls where a tool was called.
    out.finish(0, reason == "length" ? "length" : "stop");
  }
  return null;
}

/**
 * Maps an error of Parrot: the status of its answer, or the code it gives in the middle
 * of a stream, and its words.
 */
function failed(status: i64, oops: Json, retryAfter: string): Failure {
  const said = oops.text;
  const text = said === null ? "it did not say why" : said;
  switch (<i32>status) {
    case 400:
    case 422:
      return new Failure(400, "Parrot refuses the request: " + text);
    case 401:
    case 403: {
      const f = new Failure(502, "Parrot refuses the gateway's key.");
      f.code = "upstream_auth";
      return f;
    }
    case 404: {
      const f = new Failure(404, "Parrot has no such bird: " + text);
      f.code = "model_not_found";
      f.param = "model";
      return f;
    }
    case 429: {
      const f = new Failure(429, "The parrot needs a rest: " + text);
      f.retryAfterMS = min(max(Json.from(Bytes.of(retryAfter)).int(), 0), 3600) * 1000;
      return f;
    }
  }
  return Failure.upstream("Parrot failed: " + text);
}

register<State>(new Parrot());
