use crate::guest;
use crate::writer::push_int;

// The kinds of emission, as docs/abi.md numbers them.
pub(crate) const MANIFEST: i32 = 1;
const REQUEST: i32 = 2;
const BODY: i32 = 3;
pub(crate) const STATE: i32 = 4;
const WAIT: i32 = 5;
pub(crate) const NEXT: i32 = 6;
const TEXT: i32 = 16;
const REASONING: i32 = 17;
const REFUSAL: i32 = 18;
const TOOL_ID: i32 = 19;
const TOOL_NAME: i32 = 20;
const TOOL_ARGS: i32 = 21;
const LOGPROBS: i32 = 22;
const TOOL_EXTRA: i32 = 23;
const DELTA_EXTRA: i32 = 24;
const CHOICE_EXTRA: i32 = 25;
const CHUNK_EXTRA: i32 = 26;
const USAGE: i32 = 27;
const FINISH: i32 = 28;
pub(crate) const ERROR: i32 = 29;
const RESULT: i32 = 30;
const END: i32 = 31;
const REASONING_DETAIL: i32 = 32;
const SIGNATURE: i32 = 33;
const TOOL_SIGNATURE: i32 = 34;
const CITATION: i32 = 35;
const STOP_REASON: i32 = 36;
const PASS: i32 = 37;
const RAW: i32 = 128;

/// How an upstream's answer is cut into events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// One body.
    Whole = 0,
    /// Server-sent events.
    Sse = 1,
    /// One JSON value a line.
    Ndjson = 2,
    /// No JSON, but bytes that the client gets as they come. Since minor version 4.
    Bytes = 3,
}

/// A request to the upstream.
#[derive(Clone, Copy, Debug)]
pub struct Upstream<'a> {
    pub method: &'a str,
    /// Below the provider's base_url, for example `/api/chat`; may have a query.
    pub path: &'a str,
    /// How the answer is framed if its content type doesn't say otherwise.
    pub framing: Framing,
    /// Each `lower-case-name: value`; content-type is application/json if there
    /// is a body and no other.
    pub headers: &'a [&'a str],
    pub body: Option<&'a [u8]>,
    /// Milliseconds to wait before it is sent, for upstreams that are polled.
    pub wait_ms: u32,
}

impl Upstream<'static> {
    /// One to begin with: `Upstream { path: "/chat", ..Upstream::NEW }` is a
    /// POST without a body, answered in one piece.
    pub const NEW: Upstream<'static> =
        Upstream { method: "POST", path: "/", framing: Framing::Whole, headers: &[], body: None, wait_ms: 0 };
}

/// Where an adapter states what it found. What it is given is copied before the
/// method returns. Nothing counts if the adapter's method fails.
///
/// Methods ending in `_json` take the inside of a JSON string literal
/// ([`Json::raw_str`](crate::Json::raw_str)), so that text passes from the
/// upstream to the client without being decoded.
#[derive(Default)]
pub struct Out {
    pub(crate) sink: guest::Sink,
}

impl Out {
    /// Makes `u` the request of this exchange, or its next one when called in
    /// `response`. The gateway adds the secret, the host and everything about
    /// the connection.
    pub fn send(&mut self, u: &Upstream) {
        if u.wait_ms > 0 {
            self.emit(WAIT, u.wait_ms as i32, &[]);
        }
        let mut b = Vec::with_capacity(128);
        for part in [u.method, " ", u.path, "\n"] {
            b.extend_from_slice(part.as_bytes());
        }
        for h in u.headers {
            b.extend_from_slice(h.as_bytes());
            b.push(b'\n');
        }
        if u.body.is_some() && !u.headers.iter().any(|h| h.starts_with("content-type:")) {
            b.extend_from_slice(b"content-type: application/json\n");
        }
        self.emit(REQUEST, u.framing as i32, &b);
        if let Some(body) = u.body.filter(|b| !b.is_empty()) {
            self.emit(BODY, 0, body);
        }
    }

    /// Holds back what follows for so many milliseconds, at most 60,000, in an answer
    /// without upstream.
    pub fn wait(&mut self, ms: u32) {
        self.emit(WAIT, ms as i32, &[]);
    }

    /// Adds to what the assistant says in a choice.
    pub fn text(&mut self, choice: u32, text: &str) {
        self.some(TEXT, at(choice, 0), text.as_bytes());
    }

    /// Is `text` for the inside of a JSON string literal.
    pub fn text_json(&mut self, choice: u32, inside: &[u8]) {
        self.some(TEXT | RAW, at(choice, 0), inside);
    }

    /// Adds to what the model thinks before it answers.
    pub fn reasoning(&mut self, choice: u32, text: &str) {
        self.some(REASONING, at(choice, 0), text.as_bytes());
    }

    /// Is `reasoning` for the inside of a JSON string literal.
    pub fn reasoning_json(&mut self, choice: u32, inside: &[u8]) {
        self.some(REASONING | RAW, at(choice, 0), inside);
    }

    /// Adds to the text in which the model declines.
    pub fn refusal(&mut self, choice: u32, text: &str) {
        self.some(REFUSAL, at(choice, 0), text.as_bytes());
    }

    /// Is `refusal` for the inside of a JSON string literal.
    pub fn refusal_json(&mut self, choice: u32, inside: &[u8]) {
        self.some(REFUSAL | RAW, at(choice, 0), inside);
    }

    /// Names tool call `n` of a choice. Calls are counted from 0 as the upstream
    /// counts them; without an id, or with one used before, the gateway makes
    /// one.
    pub fn tool_id(&mut self, choice: u32, n: u32, id: &str) {
        self.emit(TOOL_ID, at(choice, n), id.as_bytes());
    }

    /// Gives the function that tool call `n` calls.
    pub fn tool_name(&mut self, choice: u32, n: u32, name: &str) {
        self.emit(TOOL_NAME, at(choice, n), name.as_bytes());
    }

    /// Adds to the JSON text of the arguments of tool call `n`.
    pub fn tool_args(&mut self, choice: u32, n: u32, text: &[u8]) {
        self.some(TOOL_ARGS, at(choice, n), text);
    }

    /// Is `tool_args` for the inside of a JSON string literal.
    pub fn tool_args_json(&mut self, choice: u32, n: u32, inside: &[u8]) {
        self.some(TOOL_ARGS | RAW, at(choice, n), inside);
    }

    /// Adds fields that OpenAI doesn't know to tool call `n`.
    pub fn tool_extra(&mut self, choice: u32, n: u32, object: &[u8]) {
        self.emit(TOOL_EXTRA, at(choice, n), object);
    }

    /// Gives the provider's signature of tool call `n`, which it wants back with the
    /// call.
    pub fn tool_signature(&mut self, choice: u32, n: u32, text: &str) {
        self.some(TOOL_SIGNATURE, at(choice, n), text.as_bytes());
    }

    /// Is `tool_signature` for the inside of a JSON string literal.
    pub fn tool_signature_json(&mut self, choice: u32, n: u32, inside: &[u8]) {
        self.some(TOOL_SIGNATURE | RAW, at(choice, n), inside);
    }

    /// Adds a part of the reasoning in the form in which the provider wants it back:
    /// an object with `type` (`reasoning.text`, `reasoning.summary` or
    /// `reasoning.encrypted`), `text`, `summary` or `data`, and as far as there are
    /// such `signature`, `format`, `index` and `id`. What can be read of it is stated
    /// as reasoning besides.
    pub fn reasoning_detail(&mut self, choice: u32, object: &[u8]) {
        self.emit(REASONING_DETAIL, at(choice, 0), object);
    }

    /// Gives the provider's signature of a choice's text, which it wants back with
    /// the message.
    pub fn signature(&mut self, choice: u32, text: &str) {
        self.some(SIGNATURE, at(choice, 0), text.as_bytes());
    }

    /// Is `signature` for the inside of a JSON string literal.
    pub fn signature_json(&mut self, choice: u32, inside: &[u8]) {
        self.some(SIGNATURE | RAW, at(choice, 0), inside);
    }

    /// Adds a source of a choice's text, an object as the provider states it.
    pub fn citation(&mut self, choice: u32, object: &[u8]) {
        self.emit(CITATION, at(choice, 0), object);
    }

    /// Gives the provider's own word for why a choice ends, beside `finish`.
    pub fn stop_reason(&mut self, choice: u32, word: &str) {
        self.some(STOP_REASON, at(choice, 0), word.as_bytes());
    }

    /// Is `stop_reason` for the inside of a JSON string literal.
    pub fn stop_reason_json(&mut self, choice: u32, inside: &[u8]) {
        self.some(STOP_REASON | RAW, at(choice, 0), inside);
    }

    /// Gives an array of OpenAI's token objects for the choice's text.
    pub fn logprobs(&mut self, choice: u32, array: &[u8]) {
        self.emit(LOGPROBS, at(choice, 0), array);
    }

    /// Adds fields that OpenAI doesn't know to the message or delta.
    pub fn delta_extra(&mut self, choice: u32, object: &[u8]) {
        self.emit(DELTA_EXTRA, at(choice, 0), object);
    }

    /// Adds fields that OpenAI doesn't know to the choice.
    pub fn choice_extra(&mut self, choice: u32, object: &[u8]) {
        self.emit(CHOICE_EXTRA, at(choice, 0), object);
    }

    /// Adds fields that OpenAI doesn't know to the answer or chunk.
    pub fn chunk_extra(&mut self, object: &[u8]) {
        self.emit(CHUNK_EXTRA, 0, object);
    }

    /// Gives a usage object in OpenAI's shape, or a part of one: objects are
    /// merged leaf by leaf and the last one wins.
    pub fn usage(&mut self, object: &[u8]) {
        self.emit(USAGE, 0, object);
    }

    /// Gives the usage an upstream counts as two numbers.
    pub fn tokens(&mut self, prompt: i64, completion: i64) {
        let mut b = b"{\"prompt_tokens\":".to_vec();
        push_int(&mut b, prompt);
        b.extend_from_slice(b",\"completion_tokens\":");
        push_int(&mut b, completion);
        b.push(b'}');
        self.emit(USAGE, 0, &b);
    }

    /// Ends a choice: `stop`, `length`, `tool_calls`, `content_filter` or
    /// `function_call`.
    pub fn finish(&mut self, choice: u32, reason: &str) {
        self.emit(FINISH, at(choice, 0), reason.as_bytes());
    }

    /// Says that the answer is complete by the upstream's own protocol, as `[DONE]`
    /// does: nothing more is read, though the connection may stay open.
    pub fn end(&mut self) {
        self.emit(END, 0, &[]);
    }

    /// Passes the upstream's event, or its whole answer, on to the client as it came: once a
    /// call, for `Op::Messages`, `Op::Responses`, `Op::Stored`, `Op::CountMessages`, `Op::CountResponses` and
    /// `Op::CompactResponses`, and for events of `Op::Images`, `Op::Speech` and `Op::Transcriptions`. `content` says that it is
    /// a part of what the assistant says or does.
    pub fn pass(&mut self, content: bool) {
        self.emit(PASS, content as i32, &[]);
    }

    /// Gives the whole answer of an operation other than chat.
    pub fn result(&mut self, json: &[u8]) {
        self.emit(RESULT, 0, json);
    }

    pub(crate) fn emit(&mut self, kind: i32, at: i32, payload: &[u8]) {
        self.sink.emit(kind, at, payload);
    }

    /// Emits text unless it is empty.
    fn some(&mut self, kind: i32, at: i32, payload: &[u8]) {
        if !payload.is_empty() {
            self.emit(kind, at, payload);
        }
    }
}

fn at(choice: u32, item: u32) -> i32 {
    (choice << 16 | item & 0xffff) as i32
}
