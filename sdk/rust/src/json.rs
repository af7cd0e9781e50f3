use std::borrow::Cow;
use std::fmt;

/// How many objects and arrays may enclose each other.
pub(crate) const MAX_DEPTH: usize = 512;

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

fn scan_literal(b: &[u8], i: usize, word: &[u8]) -> Result<usize, Fault> {
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
fn scan_number(b: &[u8], mut i: usize) -> Result<usize, Fault> {
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
fn scan_exponent(b: &[u8]) -> i64 {
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
fn scan_string(b: &[u8], mut i: usize) -> Result<(usize, bool), Fault> {
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
