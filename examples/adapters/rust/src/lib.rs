//! An adapter for Parrot, the small upstream that README.md in the folder above
//! describes. It is the example of docs/sdk-rust.md.

use kai::{
    messages, parts, Adapter, Auth, Error, Event, Framing, Json, Kind, Manifest, Out, Request, Response, Upstream, Writer,
};

kai::adapter!(Parrot);

pub struct Parrot;

kai::state! {
    /// What one call of an exchange leaves for the next.
    pub struct State {
        calls: u32,  // tool calls so far, which is the number of the next one
        spoke: bool, // a word was said
        ended: bool, // the parrot said how it ended
    }
}

impl Adapter for Parrot {
    type State = State;

    const MANIFEST: Manifest<'static> = Manifest {
        name: "parrot",
        version: "1.0.0",
        license: "Apache-2.0",
        provider: "parrot",
        capabilities: &["tools"],
        default_base_url: "http://localhost:7777",
        auth: Some(Auth { secret: "api_key", header: "authorization", format: "Bearer {}" }),
        options: "// How high the parrot speaks.\npitch?: int & >=1 & <=9",
        ..Manifest::NEW
    };

    /// Turns a chat completion into POST /v1/squawk.
    fn request(r: &Request, _: &mut State, out: &mut Out) -> Result<(), Error> {
        let [mut model, mut conversation, mut tools, mut limit] = [Json::ABSENT; 4];
        let mut fields = r.body.fields();
        for (key, value) in &mut fields {
            match &*key {
                b"model" => model = value,
                b"messages" => conversation = value,
                b"tools" => tools = value,
                b"max_tokens" => limit = value,
                _ => {}
            }
        }
        if fields.check().is_err() {
            return Err(Error::new(400, "The request is not valid JSON."));
        }
        let mut w = Writer::new();
        w.object();
        w.key("model").raw(model);
        w.key("prompt").raw_string(&prompt(conversation)?);
        w.key("stream").bool(r.stream);
        if limit.kind() == Kind::Number {
            w.key("words").raw(limit);
        }
        let pitch = r.options.get("pitch");
        if !pitch.is_absent() {
            w.key("pitch").raw(pitch);
        }
        if tools.kind() == Kind::Array {
            w.key("tricks").array();
            for tool in tools.items() {
                w.raw(tool.get("function"));
            }
            w.end();
        }
        w.end();

        let framing = if r.stream { Framing::Ndjson } else { Framing::Whole };
        out.send(&Upstream { path: "/v1/squawk", framing, body: Some(w.bytes()), ..Upstream::NEW });
        Ok(())
    }

    /// Takes an answer that came in one piece: one object with everything, or an
    /// error.
    fn response(r: &Response, s: &mut State, out: &mut Out) -> Result<(), Error> {
        let body = Json::new(r.body);
        if !(200..=299).contains(&r.status) {
            return Err(failed(r.status.into(), body.get("oops"), r.head.get("retry-after").unwrap_or("")));
        }
        take(body, s, out)?;
        if !s.ended {
            return Err(Error::upstream("The parrot's answer is not complete."));
        }
        Ok(())
    }

    /// Takes one line of a streamed answer.
    fn event(e: &Event, s: &mut State, out: &mut Out) -> Result<(), Error> {
        if e.end || e.done || s.ended {
            return Ok(()); // without the line that says how it ended, the gateway reports an error
        }
        take(e.data, s, out)
    }
}

/// Writes a conversation as one text, a line for each message. The texts are
/// copied as they stand between their quotes: a long one is the gateway's
/// reference to it.
fn prompt(conversation: Json) -> Result<Vec<u8>, Error> {
    let mut prompt = Vec::new();
    for (i, m) in messages(conversation).enumerate() {
        if i > 0 {
            prompt.extend_from_slice(b"\\n");
        }
        prompt.extend_from_slice(speaker(&m.role));
        for p in parts(m.content) {
            let text = p
                .text
                .raw_str()
                .ok_or_else(|| Error::refused(format!("messages[{}].content", i), "Parrots understand text only."))?;
            prompt.push(b' ');
            prompt.extend_from_slice(text);
        }
    }
    Ok(prompt)
}

fn speaker(role: &str) -> &'static [u8] {
    match role {
        "user" => b"Human:",
        "assistant" => b"Parrot:",
        "tool" => b"Trick:",
        _ => b"Keeper:",
    }
}

/// States what one object of an answer says.
fn take(data: Json, s: &mut State, out: &mut Out) -> Result<(), Error> {
    let [mut word, mut tool, mut end, mut heard, mut spoken, mut oops, mut code] = [Json::ABSENT; 7];
    let mut fields = data.fields();
    for (key, value) in &mut fields {
        match &*key {
            b"t" => word = value,
            b"tool" => tool = value,
            b"end" => end = value,
            b"in" => heard = value,
            b"out" => spoken = value,
            b"oops" => oops = value,
            b"code" => code = value,
            _ => {}
        }
    }
    if data.kind() != Kind::Object || fields.check().is_err() {
        return Err(Error::upstream("The answer is not what Parrot sends. Does base_url lead to it?"));
    }
    if !oops.is_absent() {
        return Err(failed(code.int().unwrap_or(0), oops, ""));
    }
    if let Some(text) = word.raw_str() {
        if s.spoke {
            out.text(0, " "); // each line is a word
        }
        out.text_json(0, text);
        s.spoke = true;
    }
    if let Some(name) = tool.get("name").str() {
        out.tool_name(0, s.calls, &name);
        out.tool_args(0, s.calls, tool.get("args").bytes());
        s.calls += 1;
    }
    if let Some(reason) = end.str() {
        s.ended = true;
        if let (Some(prompt), Some(completion)) = (heard.int(), spoken.int()) {
            out.tokens(prompt, completion);
        }
        // Of stop the gateway makes tool_calls where a tool was called.
        out.finish(0, if reason == "length" { "length" } else { "stop" });
    }
    Ok(())
}

/// Maps an error of Parrot: the status of its answer, or the code it gives in the
/// middle of a stream, and its words.
fn failed(status: i64, oops: Json, retry_after: &str) -> Error {
    let text = oops.str().unwrap_or("it did not say why".into());
    match status {
        400 | 422 => Error::new(400, format!("Parrot refuses the request: {}", text)),
        401 | 403 => Error { code: "upstream_auth".into(), ..Error::new(502, "Parrot refuses the gateway's key.") },
        404 => Error {
            code: "model_not_found".into(),
            param: "model".into(),
            ..Error::new(404, format!("Parrot has no such bird: {}", text))
        },
        429 => {
            let seconds = Json::new(retry_after.as_bytes()).int().unwrap_or(0).clamp(0, 3600);
            Error {
                retry_after_ms: seconds as u32 * 1000,
                ..Error::new(429, format!("The parrot needs a rest: {}", text))
            }
        }
        _ => Error::upstream(format!("Parrot failed: {}", text)),
    }
}
