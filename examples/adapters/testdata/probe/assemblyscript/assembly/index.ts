// Is go/probe.go in AssemblyScript.

import {
  Adapter, Bytes, Event, Failure, Fault, Framing, Json, Kind, Level, Manifest, Messages, Op, Out, Parts, Reader, Request, Response,
  ToolCalls, Upstream, Writer, log, register, splitDataURL,
} from "../../../../../../sdk/assemblyscript/assembly";

export * from "../../../../../../sdk/assemblyscript/assembly/exports";

class State {
  small: u8;
  events: u32;
  large: i64;
  half: f64;
  ring0: u16;
  ring1: u16;
  ring2: u16;
  odd: bool;
}

function fault(out: Out, n: i32, f: Fault | null): void {
  if (f) say(out, n, f.toString());
}

function say(out: Out, n: i32, text: string): void {
  out.toolArgs(0, n, Bytes.of(text));
}

function enter(r: Reader): i32 {
  return r.kind == Kind.Object ? r.object() : r.array();
}

function goInto(r: Reader, level: i32, out: Out): void {
  const object = r.kind == Kind.Object;
  let n = 0;
  for (const inside = enter(r); r.next(inside); n++) {
    if (object) out.toolArgs(0, 33, r.key);
    const kind = r.kind;
    say(out, 35, (<i32>kind).toString());
    const nested = kind == Kind.Object || kind == Kind.Array;
    if (n % 3 == 0) {
      if (nested && level < 20) goInto(r, level + 1, out);
      out.toolArgs(0, 34, r.value());
    } else if (n % 3 == 1 && nested) {
      r.next(enter(r));
    }
  }
}

function read(v: Json, out: Out): void {
  const reader = new Reader(v);
  if (reader.kind == Kind.Object || reader.kind == Kind.Array) goInto(reader, 0, out);
  else out.toolArgs(0, 34, reader.value());
  fault(out, 36, reader.fault);
  const strict = new Reader(v);
  for (const top = strict.object(); strict.next(top); ) {
    out.toolArgs(0, 37, strict.key);
    for (const list = strict.array(); strict.next(list); ) {
      const inside = strict.value().checkedInside;
      out.toolArgs(0, 38, inside ? inside : Bytes.of(""));
    }
  }
  fault(out, 39, strict.fault);
}

class Probe extends Adapter<State> {
  manifest(): Manifest {
    return new Manifest("probe", "1.0.0", "probe");
  }

  request(r: Request, s: State, out: Out): Failure | null {
    if (r.op != Op.Chat) {
      out.result(Bytes.of('{"data":[]}'));
      return null;
    }
    if (r.stream) {
      const u = new Upstream("/a?b=c");
      u.method = "PUT";
      u.framing = Framing.SSE;
      u.waitMS = 300;
      u.headers = ["x-a: b", "content-type: text/plain"];
      u.body = Bytes.of("body");
      out.send(u);
      return null;
    }
    const u = new Upstream("/a");
    u.body = r.options;
    out.send(u);
    out.text(1, "text");
    out.textJSON(1, Bytes.of("te\\nxt"));
    out.reasoning(1, "reasoning");
    out.reasoningJSON(1, Bytes.of("reason\\ning"));
    out.refusal(2, "refusal");
    out.refusalJSON(2, Bytes.of("refu\\nsal"));
    out.toolID(0, 3, "id");
    out.toolName(0, 3, "name");
    out.toolArgs(0, 3, Bytes.of("{"));
    out.toolArgsJSON(0, 3, Bytes.of('\\"a\\":1}'));
    out.toolExtra(0, 1, Bytes.of('{"t":0}'));
    out.toolSignature(0, 1, 's"');
    out.toolSignatureJSON(0, 1, Bytes.of('\\"t'));
    out.reasoningDetail(1, Bytes.of('{"type":"reasoning.text"}'));
    out.signature(1, "u");
    out.signatureJSON(1, Bytes.of("\\n"));
    out.citation(1, Bytes.of('{"url":"x"}'));
    out.stopReason(1, "end_turn");
    out.stopReasonJSON(1, Bytes.of("\\t"));
    out.logprobs(1, Bytes.of("[]"));
    out.deltaExtra(1, Bytes.of('{"a":1}'));
    out.choiceExtra(1, Bytes.of('{"b":1}'));
    out.chunkExtra(Bytes.of('{"c":1}'));
    out.usage(Bytes.of('{"total_tokens":1}'));
    out.tokens(-1, i64.MAX_VALUE);
    out.finish(127, "length");
    out.end();
    log(Level.Warn, "logged");
    const f = new Failure(418, 'a"\\\n\x01\u00e9');
    f.type = "t";
    f.code = "c";
    f.param = "p";
    f.retryAfterMS = 1500;
    return f;
  }

  response(r: Response, s: State, out: Out): Failure | null {
    const v = r.body;
    say(out, 1, r.head.get("retry-after"));
    say(out, 2, (<i32>v.kind).toString());
    fault(out, 3, v.check());
    if (v.isBool) say(out, 4, v.isTrue.toString());
    if (v.isInt) say(out, 5, v.int().toString());
    const text = v.text;
    if (text !== null) say(out, 6, text + ".");
    const inside = v.inside;
    if (inside) {
      const w = new Writer();
      w.rawString(inside);
      const quoted = w.bytes;
      store<u8>(quoted.at + quoted.length - 1, 0x2e); // a full stop for the closing quote
      out.toolArgs(0, 7, quoted.slice(1, quoted.length));
      const url = splitDataURL(inside);
      if (url) {
        say(out, 8, url.mediaType + ".");
        out.toolArgs(0, 9, url.base64);
      }
    }
    out.toolArgs(0, 10, v.get("key"));
    const fields = v.fields();
    while (fields.next()) {
      out.toolArgs(0, 11, fields.key);
      out.toolArgs(0, 12, fields.value);
    }
    fault(out, 13, fields.fault);
    const items = v.items();
    while (items.next()) out.toolArgs(0, 14, items.value);
    fault(out, 15, items.fault);
    const messages = new Messages(v);
    while (messages.next()) {
      const m = messages.message;
      say(out, 16, m.role);
      const all = [m.content, m.name, m.toolCalls, m.toolCallID, m.reasoning, m.raw];
      for (let i = 0; i < all.length; i++) out.toolArgs(0, 17 + i, all[i]);
      const calls = new ToolCalls(m.toolCalls);
      while (calls.next()) {
        const c = calls.call;
        const all = [c.id, c.name, c.arguments, c.raw];
        for (let i = 0; i < all.length; i++) out.toolArgs(0, 23 + i, all[i]);
      }
    }
    const parts = new Parts(v);
    while (parts.next()) {
      const p = parts.part;
      say(out, 27, p.type);
      const all = [p.text, p.url, p.data, p.raw];
      for (let i = 0; i < all.length; i++) out.toolArgs(0, 28 + i, all[i]);
    }
    const w = new Writer();
    w.array();
    w.raw(Json.absent());
    w.object();
    w.key('te"xt').string(text === null ? "" : text);
    w.key("raw").rawString(inside ? inside : Bytes.of(""));
    w.key("int").int(v.int());
    w.key("list").array();
    w.end();
    w.end();
    w.bool(true);
    w.null();
    w.end();
    out.toolArgs(0, 32, w.bytes);
    read(v, out);
    return null;
  }

  event(e: Event, s: State, out: Out): Failure | null {
    if (e.data.is("panic")) throw new Error("as told");
    if (e.data.is("reset")) {
      s.small = 0;
      s.events = 0;
      s.large = 0;
      s.half = 0;
      s.ring0 = 0;
      s.ring1 = 0;
      s.ring2 = 0;
      s.odd = false;
      return null;
    }
    s.small += 100;
    s.events++;
    s.large -= (<i64>1) << 40;
    s.half += 0.5;
    const n = <u16>s.events;
    switch (s.events % 3) {
      case 0: s.ring0 = n; break;
      case 1: s.ring1 = n; break;
      default: s.ring2 = n;
    }
    s.odd = !s.odd;
    say(out, 1, s.small.toString());
    say(out, 2, s.events.toString());
    say(out, 3, s.large.toString());
    say(out, 4, (<i64>(s.half * 2)).toString());
    say(out, 5, (((<i64>s.ring0) << 32) | ((<i64>s.ring1) << 16) | <i64>s.ring2).toString());
    say(out, 6, s.odd.toString());
    say(out, 7, e.end.toString() + e.done.toString());
    out.toolArgs(0, 8, e.name);
    out.toolArgs(0, 9, e.data);
    return null;
  }
}

register<State>(new Probe());
