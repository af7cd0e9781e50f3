use std::borrow::Cow;

use crate::json::{Items, Json, Kind};

/// One message of a chat request. Its fields are raw JSON and absent when the
/// client left them away or sent null.
#[derive(Clone, Debug, Default)]
pub struct Message<'a> {
    /// As OpenAI has it, in lower case.
    pub role: Cow<'a, str>,
    /// A string or an array of parts.
    pub content: Json<'a>,
    pub name: Json<'a>,
    /// An array, of assistants.
    pub tool_calls: Json<'a>,
    /// Of tool results.
    pub tool_call_id: Json<'a>,
    /// `reasoning`, else `reasoning_content`: what a model thought in an earlier
    /// turn.
    pub reasoning: Json<'a>,
    /// The whole object.
    pub raw: Json<'a>,
}

/// Gives the messages of a chat request's `messages`.
pub fn messages(array: Json) -> Messages {
    Messages(array.items())
}

/// Walks over messages; see [`messages`].
#[derive(Clone)]
pub struct Messages<'a>(Items<'a>);

impl<'a> Iterator for Messages<'a> {
    type Item = Message<'a>;

    fn next(&mut self) -> Option<Message<'a>> {
        let raw = self.0.next()?;
        let mut m = Message { raw, ..Message::default() };
        let mut content = Json::ABSENT;
        for (key, value) in raw.fields() {
            if value.kind() == Kind::Null {
                continue;
            }
            match &*key {
                b"role" => m.role = value.str().unwrap_or_default(),
                b"content" => m.content = value,
                b"name" => m.name = value,
                b"tool_calls" => m.tool_calls = value,
                b"tool_call_id" => m.tool_call_id = value,
                b"reasoning" => m.reasoning = value,
                b"reasoning_content" => content = value,
                _ => {}
            }
        }
        if m.reasoning.is_absent() {
            m.reasoning = content;
        }
        Some(m)
    }
}

/// One part of a message's content.
#[derive(Clone, Debug, Default)]
pub struct Part<'a> {
    /// `text`, `image_url`, `input_audio`, `file`, `refusal` or whatever the client
    /// sent.
    pub kind: Cow<'a, str>,
    /// Of `text` (and of `refusal`: its text): a string.
    pub text: Json<'a>,
    /// Of `image_url`: a string, perhaps a data: URL.
    pub url: Json<'a>,
    /// Of `input_audio` and `file`: a string of base64 (a file's is a data: URL).
    pub data: Json<'a>,
    /// The whole part.
    pub raw: Json<'a>,
}

/// Gives the parts of a message's content; a string is one part of text.
pub fn parts(content: Json) -> Parts {
    match content.kind() {
        Kind::String => Parts { text: Some(content), items: Json::ABSENT.items() },
        _ => Parts { text: None, items: content.items() },
    }
}

/// Walks over parts; see [`parts`].
#[derive(Clone)]
pub struct Parts<'a> {
    text: Option<Json<'a>>,
    items: Items<'a>,
}

impl<'a> Iterator for Parts<'a> {
    type Item = Part<'a>;

    fn next(&mut self) -> Option<Part<'a>> {
        if let Some(text) = self.text.take() {
            return Some(Part { kind: Cow::Borrowed("text"), text, raw: text, ..Part::default() });
        }
        let raw = self.items.next()?;
        let mut p = Part { raw, ..Part::default() };
        for (key, value) in raw.fields() {
            match &*key {
                b"type" => p.kind = value.str().unwrap_or_default(),
                b"text" | b"refusal" => p.text = value,
                b"image_url" if value.kind() == Kind::Object => p.url = value.get("url"),
                b"image_url" => p.url = value,
                b"input_audio" => p.data = value.get("data"),
                b"file" => p.data = value.get("file_data"),
                _ => {}
            }
        }
        Some(p)
    }
}

/// One tool call in an assistant's message.
#[derive(Clone, Copy, Debug, Default)]
pub struct ToolCall<'a> {
    /// A string.
    pub id: Json<'a>,
    /// A string: the function's name.
    pub name: Json<'a>,
    /// A string that holds JSON text.
    pub arguments: Json<'a>,
    pub raw: Json<'a>,
}

/// Gives the calls of a message's `tool_calls`.
pub fn tool_calls(array: Json) -> ToolCalls {
    ToolCalls(array.items())
}

/// Walks over tool calls; see [`tool_calls`].
#[derive(Clone)]
pub struct ToolCalls<'a>(Items<'a>);

impl<'a> Iterator for ToolCalls<'a> {
    type Item = ToolCall<'a>;

    fn next(&mut self) -> Option<ToolCall<'a>> {
        let raw = self.0.next()?;
        let function = raw.get("function");
        Some(ToolCall { id: raw.get("id"), name: function.get("name"), arguments: function.get("arguments"), raw })
    }
}

/// Takes apart the inside of a JSON string that holds a data: URL of base64:
/// `data:image/png;base64,iVBOR…` gives `image/png` and `iVBOR…`. What follows the
/// comma may be a reference to content the gateway holds back; it is passed on as
/// it is. None for any other URL.
pub fn split_data_url(inside: &[u8]) -> Option<(String, &[u8])> {
    const SCHEME: &[u8] = b"data:";
    const MARKER: &[u8] = b";base64,";
    if !inside.get(..SCHEME.len())?.eq_ignore_ascii_case(SCHEME) {
        return None;
    }
    let rest = &inside[SCHEME.len()..];
    let at = rest.windows(MARKER.len()).take(256).position(|w| w.eq_ignore_ascii_case(MARKER))?;
    // Of the escapes of JSON, media types meet only one: image\/png.
    let media_type = String::from_utf8_lossy(&rest[..at]).replace("\\/", "/").to_ascii_lowercase();
    Some((media_type, &rest[at + MARKER.len()..]))
}
