use crate::json::Json;
use crate::scan::push_utf8;

/// Appends `s` as a JSON string literal, quotes included. It escapes only what
/// JSON demands.
pub fn quote(dst: &mut Vec<u8>, s: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    dst.push(b'"');
    let b = s.as_bytes();
    let mut from = 0; // what is before is appended
    for (i, &c) in b.iter().enumerate() {
        if c >= b' ' && c != b'"' && c != b'\\' {
            continue;
        }
        dst.extend_from_slice(&b[from..i]);
        from = i + 1;
        match c {
            b'"' | b'\\' => dst.extend_from_slice(&[b'\\', c]),
            8 => dst.extend_from_slice(b"\\b"),
            12 => dst.extend_from_slice(b"\\f"),
            b'\n' => dst.extend_from_slice(b"\\n"),
            b'\r' => dst.extend_from_slice(b"\\r"),
            b'\t' => dst.extend_from_slice(b"\\t"),
            _ => dst.extend_from_slice(&[b'\\', b'u', b'0', b'0', HEX[usize::from(c >> 4)], HEX[usize::from(c & 15)]]),
        }
    }
    dst.extend_from_slice(&b[from..]);
    dst.push(b'"');
}

/// Builds JSON by appending to one buffer and puts the commas.
///
/// ```
/// let mut w = kai::Writer::new();
/// w.object();
/// w.key("model").string("tiny");
/// w.key("stream").bool(true);
/// w.key("stop").array();
/// w.string("\n");
/// w.end();
/// w.end();
/// assert_eq!(w.bytes(), br#"{"model":"tiny","stream":true,"stop":["\n"]}"#);
/// ```
///
/// It trusts its caller with the shape (a key before each value of an object,
/// one value in all) and panics at 64 open objects and arrays, or at an `end`
/// without a beginning: adapters build requests of a fixed depth, and what is
/// foreign comes in through [`Writer::raw`].
#[derive(Clone, Debug, Default)]
pub struct Writer {
    buf: Vec<u8>,
    objects: u64, // bit n: the nth open bracket is an object's
    open: u32,
    comma: bool, // a value stands before
}

impl Writer {
    /// An empty one.
    pub fn new() -> Writer {
        Writer::default()
    }

    /// One with room for so many bytes.
    pub fn with_capacity(bytes: usize) -> Writer {
        Writer { buf: Vec::with_capacity(bytes), ..Writer::default() }
    }

    /// What was written.
    pub fn bytes(&self) -> &[u8] {
        &self.buf
    }

    /// Begins an object.
    pub fn object(&mut self) {
        self.begin(b'{', 1);
    }

    /// Begins an array.
    pub fn array(&mut self) {
        self.begin(b'[', 0);
    }

    /// Ends what the last `object` or `array` began that is still open.
    pub fn end(&mut self) {
        assert!(self.open > 0, "Writer::end without a beginning");
        self.open -= 1;
        self.buf.push(if self.objects >> self.open & 1 != 0 { b'}' } else { b']' });
        self.comma = true;
    }

    /// Writes a key; its value comes next.
    pub fn key(&mut self, key: &str) -> &mut Writer {
        self.separate();
        quote(&mut self.buf, key);
        self.buf.push(b':');
        self.comma = false;
        self
    }

    /// Writes a string, quoted and escaped.
    pub fn string(&mut self, s: &str) {
        self.separate();
        quote(&mut self.buf, s);
    }

    /// Writes a string given as bytes, each that is not UTF-8 as U+FFFD.
    pub fn bytes_string(&mut self, s: &[u8]) {
        let mut text = String::with_capacity(s.len());
        push_utf8(&mut text, s);
        self.string(&text);
    }

    /// Writes a string given as the inside of its literal
    /// ([`Json::raw_str`](crate::Json::raw_str)).
    pub fn raw_string(&mut self, inside: &[u8]) {
        self.separate();
        self.buf.push(b'"');
        self.buf.extend_from_slice(inside);
        self.buf.push(b'"');
    }

    /// Writes a value as it is; an absent one as null.
    pub fn raw(&mut self, v: Json) {
        self.separate();
        self.buf.extend_from_slice(if v.is_absent() { b"null" } else { v.bytes() });
    }

    /// Writes an integer.
    pub fn int(&mut self, n: i64) {
        self.separate();
        push_int(&mut self.buf, n);
    }

    /// Writes true or false.
    pub fn bool(&mut self, b: bool) {
        self.separate();
        self.buf.extend_from_slice(if b { b"true" } else { b"false" });
    }

    /// Writes null.
    pub fn null(&mut self) {
        self.raw(Json::ABSENT);
    }

    fn begin(&mut self, bracket: u8, object: u64) {
        assert!(self.open < 64, "Writer nests more than 64 deep");
        self.separate();
        self.buf.push(bracket);
        self.objects = self.objects & !(1 << self.open) | object << self.open;
        self.open += 1;
        self.comma = false;
    }

    /// Writes the comma before a key or value that needs one.
    fn separate(&mut self) {
        if self.comma {
            self.buf.push(b',');
        }
        self.comma = true;
    }
}

/// Appends a number in decimal, without the weight of format!.
pub(crate) fn push_int(dst: &mut Vec<u8>, n: i64) {
    if n < 0 {
        dst.push(b'-');
    }
    let (mut digits, mut at, mut left) = ([0; 20], 20, n.unsigned_abs());
    loop {
        at -= 1;
        digits[at] = b'0' + (left % 10) as u8;
        left /= 10;
        if left == 0 {
            return dst.extend_from_slice(&digits[at..]);
        }
    }
}
