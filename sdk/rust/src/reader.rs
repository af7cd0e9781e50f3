use std::borrow::Cow;

use crate::scan::{peek, scan_key, skip, space, Fault, Wrong, MAX_DEPTH};
use crate::{Json, Kind, SyntaxError};

/// Reads a JSON value from its beginning to its end, every byte of it once.
///
/// A value is taken whole, or gone into, or else passed by [`Reader::next`].
/// Whichever it is, all of it is checked. It is the way to read what is nested
/// and long; [`Json::fields`] and [`Json::items`] are simpler where that does not
/// matter.
///
/// ```
/// # fn main() -> Result<(), kai::SyntaxError> {
/// # let body = kai::Json::new(br#"{"message":{"content":"hi"},"done":true}"#);
/// let (mut text, mut done) = (kai::Json::ABSENT, false);
/// let mut r = kai::Reader::new(body);
/// let top = r.object();
/// while r.next(top) {
///     match r.key() {
///         b"message" => {
///             let message = r.object(); // goes into the value
///             while r.next(message) {
///                 if r.key() == b"content" {
///                     text = r.value();
///                 }
///             }
///         }
///         b"done" => done = r.value().bool().unwrap_or(false), // takes it whole
///         _ => {}
///     }
/// }
/// r.check()?;
/// # assert!(done && text.inside() == Some(b"hi"));
/// # Ok(())
/// # }
/// ```
pub struct Reader<'a> {
    b: &'a [u8],
    key: Cow<'a, [u8]>,
    start: usize, // where the current value begins
    i: usize,     // the next byte to read
    depth: usize, // how many objects and arrays are open
    at: Position,
    is_object: bool, // the innermost of them is an object
    fault: Option<Fault>,
    objects: [u64; MAX_DEPTH / 64], // a bit for each of them: it is an object
}

#[derive(Clone, Copy, PartialEq)]
enum Position {
    Before, // before the current value, which was not read yet
    Behind, // behind the current value
    First,  // behind the opening bracket
    Done,
}

/// Tells the walks over objects and arrays apart that a [`Reader`] is in: it is
/// how many are open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Depth(usize);

impl<'a> Reader<'a> {
    /// A reader that is before v.
    pub fn new(v: Json<'a>) -> Reader<'a> {
        let b = v.bytes();
        Reader {
            b,
            key: Cow::Borrowed(&[]),
            start: space(b, 0),
            i: 0,
            depth: 0,
            at: Position::Before,
            is_object: false,
            fault: None,
            objects: [0; MAX_DEPTH / 64],
        }
    }

    /// Goes into the current value, which must be an object, and [`Reader::next`]
    /// then goes to its fields. Absent and null, and a value that was read before,
    /// have no fields. Anything else is an error.
    pub fn object(&mut self) -> Depth {
        self.enter(b'{', Wrong::Object)
    }

    /// Goes into the current value, which must be an array, and [`Reader::next`]
    /// then goes to its elements. Absent and null, and a value that was read
    /// before, have none. Anything else is an error.
    pub fn array(&mut self) -> Depth {
        self.enter(b'[', Wrong::Array)
    }

    /// Goes to the next field or element of what `inside` stands for. It is false
    /// at the end and at the first error, which may be one of the value before. If
    /// a walk inside of the current value was left early, the rest of it is passed,
    /// and that walk is over.
    pub fn next(&mut self, inside: Depth) -> bool {
        if inside.0 == 0 || self.depth < inside.0 || self.at == Position::Done {
            return false;
        }
        while self.depth > inside.0 {
            while self.step() {}
            if self.at == Position::Done {
                return false;
            }
        }
        self.step()
    }

    /// The key of the field that [`Reader::next`] went to, decoded if it holds
    /// escapes and else as it stands, invalid UTF-8 included.
    pub fn key(&self) -> &[u8] {
        &self.key
    }

    /// The type of the current value by its first byte; the value is not read. One
    /// that was gone into is absent afterwards.
    pub fn kind(&self) -> Kind {
        match self.at {
            Position::Before | Position::Behind => Kind::of(peek(self.b, self.start)),
            _ => Kind::Absent,
        }
    }

    /// The current value, without white space around it. It is absent if its
    /// syntax is broken, which ends the reading, and if it was gone into.
    pub fn value(&mut self) -> Json<'a> {
        if self.at == Position::Before {
            self.pass();
        }
        if self.at != Position::Behind {
            return Json::default();
        }
        Json::new(&self.b[self.start..self.i])
    }

    /// Fails with the error that ended the reading, if one did. Ask it when
    /// [`Reader::next`] is false for the outermost value: one left early knows
    /// nothing of the bytes beyond.
    pub fn check(&self) -> Result<(), SyntaxError> {
        match self.fault {
            Some(f) => Err(f.error(self.b)),
            None => Ok(()),
        }
    }

    fn enter(&mut self, bracket: u8, wrong: Wrong) -> Depth {
        if self.at != Position::Before {
            return Depth(0);
        }
        match peek(self.b, self.start) {
            c if c == bracket && self.depth < MAX_DEPTH => {
                let (word, bit) = (self.depth / 64, 1u64 << (self.depth % 64));
                self.is_object = c == b'{';
                if self.is_object {
                    self.objects[word] |= bit;
                } else {
                    self.objects[word] &= !bit;
                }
                self.depth += 1;
                self.i = self.start + 1;
                self.at = Position::First;
                return Depth(self.depth);
            }
            c if c == bracket => self.fail(Fault(self.start, Wrong::Depth)),
            b'n' => self.pass(),
            _ if self.start < self.b.len() || self.depth > 0 => self.fail(Fault(self.start, wrong)),
            _ => self.at = Position::Done, // nothing at all
        }
        Depth(0)
    }

    /// Goes to the next field or element of the innermost object or array. At its
    /// end, that is closed.
    fn step(&mut self) -> bool {
        if self.at == Position::Before {
            self.pass();
        }
        if self.at == Position::Done {
            return false;
        }
        let b = self.b;
        let mut i = space(b, self.i);
        match peek(b, i) {
            b'}' if self.is_object => return self.close(i + 1),
            b']' if !self.is_object => return self.close(i + 1),
            _ if self.at == Position::First => {}
            b',' => i = space(b, i + 1),
            _ => {
                let wrong = if self.is_object { Wrong::ObjectSeparator } else { Wrong::ArraySeparator };
                self.fail(Fault(i, wrong));
                return false;
            }
        }
        if self.is_object {
            match scan_key(b, i) {
                Ok((key, value)) => {
                    self.key = key;
                    i = value;
                }
                Err(f) => {
                    self.fail(f);
                    return false;
                }
            }
        }
        self.start = i;
        self.at = Position::Before;
        true
    }

    /// Ends the innermost object or array, whose last bracket is before i.
    fn close(&mut self, i: usize) -> bool {
        self.depth -= 1;
        self.start = i;
        self.i = i;
        self.at = Position::Behind;
        match self.depth {
            0 => self.end(),
            open => self.is_object = self.objects[(open - 1) / 64] >> ((open - 1) % 64) & 1 != 0,
        }
        false
    }

    /// Reads and checks the current value.
    fn pass(&mut self) {
        match skip(self.b, self.start, self.depth) {
            Ok(end) => {
                self.i = end;
                self.at = Position::Behind;
                if self.depth == 0 {
                    self.end();
                }
            }
            Err(f) => self.fail(f),
        }
    }

    /// Checks that only white space follows the outermost value.
    fn end(&mut self) {
        let i = space(self.b, self.i);
        if i < self.b.len() {
            self.fail(Fault(i, Wrong::Trailing));
        }
    }

    fn fail(&mut self, f: Fault) {
        self.at = Position::Done;
        self.fault = Some(f);
    }
}
