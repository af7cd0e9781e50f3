//! Walks over the bytes of JSON, and checks them.

use std::borrow::Cow;
use std::fmt;

/// How many objects and arrays may enclose each other.
pub(crate) const MAX_DEPTH: usize = 512;

/// Where and why bytes are not the JSON they should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyntaxError {
    /// Of the byte at fault, from the start of the value looked at.
    pub offset: usize,
    /// What is wrong there.
    pub message: &'static str,
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "invalid JSON at byte {}: {}", self.offset, self.message)
    }
}

impl std::error::Error for SyntaxError {}

/// What is wrong, and at which byte.
#[derive(Clone, Copy)]
pub(crate) struct Fault(pub usize, pub Wrong);

#[derive(Clone, Copy)]
pub(crate) enum Wrong {
    Value,
    Literal,
    Number,
    Control,
    Escape,
    Key,
    Colon,
    ObjectSeparator,
    ArraySeparator,
    Depth,
    Trailing,
    Object,
    Array,
}

impl Fault {
    pub fn error(self, b: &[u8]) -> SyntaxError {
        // What is wrong behind the last byte is always the same.
        let message = if self.0 >= b.len() {
            "it ends too early"
        } else {
            match self.1 {
                Wrong::Value => "expected a value",
                Wrong::Literal => "expected true, false or null",
                Wrong::Number => "malformed number",
                Wrong::Control => "control character in a string",
                Wrong::Escape => "malformed escape in a string",
                Wrong::Key => "expected a key in quotes",
                Wrong::Colon => "expected a colon after the key",
                Wrong::ObjectSeparator => "expected a comma or the end of the object",
                Wrong::ArraySeparator => "expected a comma or the end of the array",
                Wrong::Depth => "nested more than 512 deep",
                Wrong::Trailing => "something follows the value",
                Wrong::Object => "expected an object",
                Wrong::Array => "expected an array",
            }
        };
        SyntaxError { offset: self.0, message }
    }
}

/// The byte at i, or 0 behind the end: like any other control character, 0 is an
/// error wherever peek is asked.
pub(crate) fn peek(b: &[u8], i: usize) -> u8 {
    b.get(i).copied().unwrap_or(0)
}

/// Skips white space from i on.
pub(crate) fn space(b: &[u8], mut i: usize) -> usize {
    while matches!(b.get(i), Some(b' ' | b'\n' | b'\r' | b'\t')) {
        i += 1;
    }
    i
}

/// Passes the value at i, which depth objects and arrays enclose, and gives where
/// it ends.
pub(crate) fn skip(b: &[u8], i: usize, depth: usize) -> Result<usize, Fault> {
    match peek(b, i) {
        b'{' | b'[' => skip_nested(b, i, depth),
        _ => skip_flat(b, i),
    }
}

/// Is skip for everything but objects and arrays.
fn skip_flat(b: &[u8], i: usize) -> Result<usize, Fault> {
    match peek(b, i) {
        b'"' => scan_string(b, i + 1).map(|(end, _)| end),
        b't' => scan_literal(b, i, b"true"),
        b'f' => scan_literal(b, i, b"false"),
        b'n' => scan_literal(b, i, b"null"),
        b'-' | b'0'..=b'9' => scan_number(b, i),
        _ => Err(Fault(i, Wrong::Value)),
    }
}

/// Is skip for objects and arrays. It keeps a bit for each one that is open
/// instead of calling itself: foreign bytes must not decide how deep the stack
/// grows.
fn skip_nested(b: &[u8], mut i: usize, depth: usize) -> Result<usize, Fault> {
    let mut objects = [0u64; MAX_DEPTH / 64];
    let mut open = 0;
    loop {
        // A value begins at i.
        let c = peek(b, i);
        if c == b'{' || c == b'[' {
            if depth + open >= MAX_DEPTH {
                return Err(Fault(i, Wrong::Depth));
            }
            let (word, bit) = (open / 64, 1u64 << (open % 64));
            open += 1;
            i = space(b, i + 1);
            if c == b'{' {
                objects[word] |= bit;
                if peek(b, i) != b'}' {
                    i = skip_key(b, i)?;
                    continue;
                }
            } else {
                objects[word] &= !bit;
                if peek(b, i) != b']' {
                    continue;
                }
            }
        } else {
            i = space(b, skip_flat(b, i)?);
        }
        // A value ended before i, or the bracket at i closes an empty one.
        loop {
            let is_object = objects[(open - 1) / 64] >> ((open - 1) % 64) & 1 != 0;
            match peek(b, i) {
                b'}' if is_object => {}
                b']' if !is_object => {}
                b',' => {
                    i = space(b, i + 1);
                    if is_object {
                        i = skip_key(b, i)?;
                    }
                    break;
                }
                _ if is_object => return Err(Fault(i, Wrong::ObjectSeparator)),
                _ => return Err(Fault(i, Wrong::ArraySeparator)),
            }
            i += 1;
            open -= 1;
            if open == 0 {
                return Ok(i);
            }
            i = space(b, i);
        }
    }
}

/// Passes a key and its colon and gives where the value begins.
fn skip_key(b: &[u8], i: usize) -> Result<usize, Fault> {
    if peek(b, i) != b'"' {
        return Err(Fault(i, Wrong::Key));
    }
    let (end, _) = scan_string(b, i + 1)?;
    let i = space(b, end);
    if peek(b, i) != b':' {
        return Err(Fault(i, Wrong::Colon));
    }
    Ok(space(b, i + 1))
}

/// Reads a key and its colon, and gives the key, decoded if it holds escapes, and
/// where the value begins.
pub(crate) fn scan_key(b: &[u8], i: usize) -> Result<(Cow<'_, [u8]>, usize), Fault> {
    if peek(b, i) != b'"' {
        return Err(Fault(i, Wrong::Key));
    }
    let (end, escaped) = scan_string(b, i + 1)?;
    let inside = &b[i + 1..end - 1];
    let colon = space(b, end);
    if peek(b, colon) != b':' {
        return Err(Fault(colon, Wrong::Colon));
    }
    let key = if escaped { Cow::Owned(unquote(inside).into_bytes()) } else { Cow::Borrowed(inside) };
    Ok((key, space(b, colon + 1)))
}

pub(crate) fn scan_literal(b: &[u8], i: usize, word: &[u8]) -> Result<usize, Fault> {
    for (j, &c) in word.iter().enumerate() {
        match b.get(i + j) {
            Some(&found) if found == c => {}
            Some(_) => return Err(Fault(i, Wrong::Literal)),
            None => return Err(Fault(i + j, Wrong::Literal)),
        }
    }
    Ok(i + word.len())
}

/// Passes a number as RFC 8259 has it.
pub(crate) fn scan_number(b: &[u8], mut i: usize) -> Result<usize, Fault> {
    if peek(b, i) == b'-' {
        i += 1;
    }
    if peek(b, i) == b'0' {
        i += 1;
    } else {
        i = digits(b, i)?;
    }
    if peek(b, i) == b'.' {
        i = digits(b, i + 1)?;
    }
    if let b'e' | b'E' = peek(b, i) {
        i += 1;
        if let b'+' | b'-' = peek(b, i) {
            i += 1;
        }
        i = digits(b, i)?;
    }
    Ok(i)
}

/// Passes one digit or more.
fn digits(b: &[u8], i: usize) -> Result<usize, Fault> {
    let mut end = i;
    while peek(b, end).is_ascii_digit() {
        end += 1;
    }
    if end == i {
        return Err(Fault(i, Wrong::Number));
    }
    Ok(end)
}

/// Reads what follows the e of a checked number and stops counting far beyond any
/// exponent that matters.
pub(crate) fn scan_exponent(b: &[u8]) -> i64 {
    let mut n = 0i64;
    for c in b {
        if c.is_ascii_digit() && n < 1 << 30 {
            n = n * 10 + i64::from(c - b'0');
        }
    }
    if b[0] == b'-' {
        return -n;
    }
    n
}

/// Passes the rest of a string whose opening quote is before i and gives where it
/// ends, behind the closing quote, and whether it holds escapes.
///
/// It looks at 8 bytes at a time. In stop, the highest bit of a byte is set where
/// the byte is a quote, a backslash or a control character; the borrow of a
/// subtraction can set bits too many, but only above the first right one.
pub(crate) fn scan_string(b: &[u8], mut i: usize) -> Result<(usize, bool), Fault> {
    const LOW: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let mut escaped = false;
    loop {
        while let Some(eight) = b.get(i..i + 8) {
            let w = u64::from_le_bytes(eight.try_into().unwrap());
            let (quote, backslash) = (w ^ (LOW * b'"' as u64), w ^ (LOW * b'\\' as u64));
            let stop = HIGH
                & ((quote.wrapping_sub(LOW) & !quote)
                    | (backslash.wrapping_sub(LOW) & !backslash)
                    | (w.wrapping_sub(LOW * b' ' as u64) & !w));
            if stop != 0 {
                i += stop.trailing_zeros() as usize / 8;
                break;
            }
            i += 8;
        }
        match b.get(i) {
            None => return Err(Fault(b.len(), Wrong::Control)),
            Some(b'"') => return Ok((i + 1, escaped)),
            Some(b'\\') => {
                escaped = true;
                i = scan_escape(b, i)?;
            }
            Some(0..=0x1f) => return Err(Fault(i, Wrong::Control)),
            Some(_) => i += 1, // one of the last seven bytes
        }
    }
}

/// Passes the escape that begins at i.
fn scan_escape(b: &[u8], i: usize) -> Result<usize, Fault> {
    match peek(b, i + 1) {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Ok(i + 2),
        b'u' => {
            for j in i + 2..i + 6 {
                if !peek(b, j).is_ascii_hexdigit() {
                    return Err(Fault(j, Wrong::Escape));
                }
            }
            Ok(i + 6)
        }
        _ => Err(Fault(i + 1, Wrong::Escape)),
    }
}

/// Gives the text that the inside of a JSON string literal ([`Json::raw_str`])
/// stands for. Lone surrogates and each byte of invalid UTF-8 become U+FFFD. If
/// inside is malformed, a backslash that begins no escape stands for itself.
pub fn unquote(inside: &[u8]) -> String {
    let mut text = String::with_capacity(inside.len());
    let mut from = 0; // what is before is in text
    let mut i = 0;
    while i < inside.len() {
        if inside[i] != b'\\' {
            i += 1;
            continue;
        }
        let mut end = match scan_escape(inside, i) {
            Ok(end) => end,
            Err(_) => {
                i += 1;
                continue;
            }
        };
        push_utf8(&mut text, &inside[from..i]);
        text.push(match inside[i + 1] {
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let mut unit = code_unit(inside, i).unwrap_or(0);
                if let 0xd800..=0xdbff = unit {
                    if let Some(low @ 0xdc00..=0xdfff) = code_unit(inside, end) {
                        unit = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
                        end += 6;
                    }
                }
                char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER)
            }
            c => char::from(c),
        });
        i = end;
        from = end;
    }
    push_utf8(&mut text, &inside[from..]);
    text
}

/// The value of the \uXXXX at i, if there is one.
fn code_unit(b: &[u8], i: usize) -> Option<u32> {
    if peek(b, i) != b'\\' || peek(b, i + 1) != b'u' {
        return None;
    }
    let mut unit = 0;
    for &c in b.get(i + 2..i + 6)? {
        unit = unit << 4 | char::from(c).to_digit(16)?;
    }
    Some(unit)
}

/// Appends bytes, each that is not UTF-8 as U+FFFD.
pub(crate) fn push_utf8(text: &mut String, mut bytes: &[u8]) {
    loop {
        let error = match std::str::from_utf8(bytes) {
            Ok(s) => return text.push_str(s),
            Err(e) => e,
        };
        let (good, rest) = bytes.split_at(error.valid_up_to());
        text.push_str(&String::from_utf8_lossy(good));
        let bad = error.error_len().unwrap_or(rest.len());
        for _ in 0..bad {
            text.push(char::REPLACEMENT_CHARACTER);
        }
        bytes = &rest[bad..];
    }
}
