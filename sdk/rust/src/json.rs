use std::borrow::Cow;
use std::fmt;

use crate::scan::{
    peek, scan_exponent, scan_key, scan_literal, scan_number, scan_string, skip, space, unquote, Fault, SyntaxError,
    Wrong,
};

/// One raw JSON value, perhaps with white space around it. An empty one is an
/// absent value: every method then answers as for a missing field.
///
/// Nothing here decodes into Rust values: the iterators of [`Json::fields`] and
/// [`Json::items`] walk over the bytes, check the syntax of everything they pass
/// and hand out slices of them. They allocate nothing, except for keys that hold
/// escapes.
///
/// The grammar is RFC 8259's with two additions: values nest at most 512 deep,
/// and invalid UTF-8 within strings is accepted; methods that decode replace
/// each such byte by U+FFFD.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Json<'a>(&'a [u8]);

/// The type of a JSON value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Also that of bytes that begin no value.
    Absent,
    Null,
    Bool,
    Number,
    String,
    Array,
    Object,
}

impl Kind {
    /// The type of a value that begins with c.
    pub(crate) fn of(c: u8) -> Kind {
        match c {
            b'n' => Kind::Null,
            b't' | b'f' => Kind::Bool,
            b'"' => Kind::String,
            b'[' => Kind::Array,
            b'{' => Kind::Object,
            b'-' | b'0'..=b'9' => Kind::Number,
            _ => Kind::Absent,
        }
    }
}

impl<'a> Json<'a> {
    /// The absent value.
    pub const ABSENT: Json<'static> = Json(&[]);

    /// Takes bytes, which are checked by whatever looks at them.
    pub fn new(bytes: &'a [u8]) -> Json<'a> {
        Json(bytes)
    }

    /// The value's bytes.
    pub fn bytes(self) -> &'a [u8] {
        self.0
    }

    /// Whether there is no value.
    pub fn is_absent(self) -> bool {
        self.0.is_empty()
    }

    /// Tells the type of the value by its first byte; the rest is not checked.
    pub fn kind(self) -> Kind {
        Kind::of(peek(self.0, space(self.0, 0)))
    }

    /// Checks the whole value. An absent value is an error, too.
    pub fn valid(self) -> Result<(), SyntaxError> {
        let b = self.0;
        match skip(b, space(b, 0), 0) {
            Err(f) => Err(f.error(b)),
            Ok(end) => {
                let end = space(b, end);
                if end < b.len() {
                    return Err(Fault(end, Wrong::Trailing).error(b));
                }
                Ok(())
            }
        }
    }

    /// The value of true and false.
    pub fn bool(self) -> Option<bool> {
        match self.trim() {
            b"true" => Some(true),
            b"false" => Some(false),
            _ => None,
        }
    }

    /// The value of a number that is an integer of 64 bits, however it is
    /// written: 100, 1e2 and 100.0 are the same.
    pub fn int(self) -> Option<i64> {
        let b = self.trim();
        if scan_number(b, 0).ok() != Some(b.len()) {
            return None;
        }
        let negative = b[0] == b'-';
        // The number is digits × 10^exponent; zeros that end the digits so far
        // are only counted, so that they cannot overflow.
        let (mut digits, mut zeros, mut exponent, mut fraction) = (0u64, 0i64, 0i64, false);
        for (i, &c) in b.iter().enumerate().skip(negative as usize) {
            match c {
                b'.' => {
                    fraction = true;
                    continue;
                }
                b'e' | b'E' => {
                    exponent += scan_exponent(&b[i + 1..]);
                    break;
                }
                b'0' => zeros += 1,
                _ => {
                    if digits > 0 {
                        for _ in 0..zeros {
                            digits = digits.checked_mul(10)?;
                        }
                    }
                    zeros = 0;
                    digits = digits.checked_mul(10)?.checked_add(u64::from(c - b'0'))?;
                }
            }
            if fraction {
                exponent -= 1;
            }
        }
        if digits == 0 {
            return Some(0);
        }
        exponent += zeros;
        if exponent < 0 {
            return None;
        }
        for _ in 0..exponent {
            digits = digits.checked_mul(10)?;
        }
        match (negative, digits) {
            (false, _) => i64::try_from(digits).ok(),
            (true, 0x8000_0000_0000_0000) => Some(i64::MIN),
            (true, _) => i64::try_from(digits).ok().map(|n| -n),
        }
    }

    /// The value of a number; none if it is beyond the range of `f64`.
    pub fn float(self) -> Option<f64> {
        let b = self.trim();
        if scan_number(b, 0).ok() != Some(b.len()) {
            return None;
        }
        let value: f64 = std::str::from_utf8(b).ok()?.parse().ok()?;
        Some(value).filter(|v| v.is_finite())
    }

    /// The value of a string, decoded.
    pub fn str(self) -> Option<Cow<'a, str>> {
        let (inside, escaped) = self.literal()?;
        if !escaped {
            if let Ok(s) = std::str::from_utf8(inside) {
                return Some(Cow::Borrowed(s));
            }
        }
        Some(Cow::Owned(unquote(inside)))
    }

    /// What stands between the quotes of a string, undecoded.
    pub fn raw_str(self) -> Option<&'a [u8]> {
        self.literal().map(|(inside, _)| inside)
    }

    /// Is [`Json::raw_str`] for a value that a [`Reader`](crate::Reader) or an
    /// iterator gave, which has checked it: it only looks at the first byte.
    pub fn inside(self) -> Option<&'a [u8]> {
        match self.0 {
            [b'"', inside @ .., _] => Some(inside),
            _ => None,
        }
    }

    /// Whether this is the string `s`.
    pub fn is(self, s: &str) -> bool {
        self.str().map_or(false, |t| t == s)
    }

    /// The value of a key of a small object: the first, if there are several. It
    /// is absent if the object has no such key, if this is no object, and if the
    /// syntax is broken before the end of the value looked for. To read more than
    /// two keys, [`Json::fields`] is the better way.
    pub fn get(self, key: &str) -> Json<'a> {
        for (k, value) in self.fields() {
            if *k == *key.as_bytes() {
                return value;
            }
        }
        Json::default()
    }

    /// Walks over the fields of an object, in order. Absent and null have none;
    /// anything but an object is an error of [`Fields::check`].
    ///
    /// ```
    /// # fn main() -> Result<(), kai::SyntaxError> {
    /// # let body = kai::Json::new(b"{\"done\":true}");
    /// let mut done = false;
    /// let mut fields = body.fields();
    /// for (key, value) in &mut fields {
    ///     match &*key {
    ///         b"done" => done = value.bool().unwrap_or(false),
    ///         _ => {}
    ///     }
    /// }
    /// fields.check()?;
    /// # assert!(done);
    /// # Ok(())
    /// # }
    /// ```
    pub fn fields(self) -> Fields<'a> {
        Fields(Cursor::open(self.0, b'{', Wrong::Object))
    }

    /// Walks over the elements of an array as [`Json::fields`] does over an
    /// object's fields. Absent and null have none; anything but an array is an
    /// error of [`Items::check`].
    pub fn items(self) -> Items<'a> {
        Items(Cursor::open(self.0, b'[', Wrong::Array))
    }

    fn trim(self) -> &'a [u8] {
        let mut b = &self.0[space(self.0, 0)..];
        while let [rest @ .., b' ' | b'\n' | b'\r' | b'\t'] = b {
            b = rest;
        }
        b
    }

    /// The inside of a value that is exactly one string, and whether it holds
    /// escapes.
    fn literal(self) -> Option<(&'a [u8], bool)> {
        let b = self.trim();
        if b.len() < 2 || b[0] != b'"' {
            return None;
        }
        match scan_string(b, 1) {
            Ok((end, escaped)) if end == b.len() => Some((&b[1..end - 1], escaped)),
            _ => None,
        }
    }
}

impl fmt::Debug for Json<'_> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(self.0))
    }
}

/// Walks over the fields of an object; see [`Json::fields`]. A key is decoded if
/// it holds escapes and else as it stands, invalid UTF-8 included.
#[derive(Clone)]
pub struct Fields<'a>(Cursor<'a>);

impl Fields<'_> {
    /// Fails with the error that ended the walk, if one did. Ask it when the walk
    /// is over: one left early knows nothing of the bytes beyond.
    pub fn check(&self) -> Result<(), SyntaxError> {
        self.0.check()
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = (Cow<'a, [u8]>, Json<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let c = &mut self.0;
        if !c.next(b'}', Wrong::ObjectSeparator) {
            return None;
        }
        match scan_key(c.b, c.i) {
            Ok((key, i)) => Some((key, c.take(i)?)),
            Err(f) => c.fail(f),
        }
    }
}

/// Walks over the elements of an array; see [`Json::items`].
#[derive(Clone)]
pub struct Items<'a>(Cursor<'a>);

impl Items<'_> {
    /// Fails with the error that ended the walk, if one did.
    pub fn check(&self) -> Result<(), SyntaxError> {
        self.0.check()
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = Json<'a>;

    fn next(&mut self) -> Option<Json<'a>> {
        if !self.0.next(b']', Wrong::ArraySeparator) {
            return None;
        }
        self.0.take(self.0.i)
    }
}

/// What both iterators have in common.
#[derive(Clone)]
struct Cursor<'a> {
    b: &'a [u8],
    i: usize, // the next byte to read
    at: Position,
    fault: Option<Fault>,
}

#[derive(Clone, Copy, PartialEq)]
enum Position {
    First,  // behind the opening bracket
    Within, // behind a value
    Done,
}

impl<'a> Cursor<'a> {
    fn open(b: &'a [u8], bracket: u8, wrong: Wrong) -> Cursor<'a> {
        let i = space(b, 0);
        let mut c = Cursor { b, i: i + 1, at: Position::First, fault: None };
        if peek(b, i) == bracket {
            return c;
        }
        c.at = Position::Done;
        if i == b.len() {
            return c;
        }
        if b[i] != b'n' {
            c.fault = Some(Fault(i, wrong));
            return c;
        }
        match scan_literal(b, i, b"null") {
            Ok(end) => c.end(end),
            Err(f) => c.fault = Some(f),
        }
        c
    }

    /// Goes to where the next field or element begins.
    fn next(&mut self, bracket: u8, wrong: Wrong) -> bool {
        if self.at == Position::Done {
            return false;
        }
        let mut i = space(self.b, self.i);
        let c = peek(self.b, i);
        if c == bracket {
            self.end(i + 1);
            return false;
        }
        if self.at == Position::First {
            self.at = Position::Within;
        } else if c == b',' {
            i = space(self.b, i + 1);
        } else {
            self.at = Position::Done;
            self.fault = Some(Fault(i, wrong));
            return false;
        }
        self.i = i;
        true
    }

    /// Gives the value at i.
    fn take(&mut self, i: usize) -> Option<Json<'a>> {
        match skip(self.b, i, 1) {
            Ok(end) => {
                self.i = end;
                Some(Json(&self.b[i..end]))
            }
            Err(f) => self.fail(f),
        }
    }

    /// Checks that only white space is left.
    fn end(&mut self, i: usize) {
        self.at = Position::Done;
        let i = space(self.b, i);
        if i < self.b.len() {
            self.fault = Some(Fault(i, Wrong::Trailing));
        }
    }

    fn fail<T>(&mut self, f: Fault) -> Option<T> {
        self.at = Position::Done;
        self.fault = Some(f);
        None
    }

    fn check(&self) -> Result<(), SyntaxError> {
        match self.fault {
            Some(f) => Err(f.error(self.b)),
            None => Ok(()),
        }
    }
}
