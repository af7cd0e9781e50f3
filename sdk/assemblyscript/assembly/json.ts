/** Some bytes of the call's input, or made in the call. */
export class Bytes {
  constructor(
    /** Their address. */
    readonly at: usize,
    readonly length: i32,
  ) {}

  /** The UTF-8 of a string. */
  static of(s: string): Bytes {
    const utf8 = String.UTF8.encode(s, false, String.UTF8.ErrorMode.REPLACE);
    return new Bytes(changetype<usize>(utf8), utf8.byteLength);
  }

  /** Whether they are the UTF-8 of s. */
  is(s: string): bool {
    const n = this.length;
    if (s.length > n) return false; // UTF-8 has no fewer units than UTF-16
    for (let i = 0; i < s.length; i++) {
      const c = load<u16>(changetype<usize>(s) + ((<usize>i) << 1));
      if (c >= 0x80) {
        const utf8 = Bytes.of(s);
        return utf8.length == n && memory.compare(utf8.at, this.at, n) == 0;
      }
      if (<u16>load<u8>(this.at + i) != c) return false;
    }
    return s.length == n;
  }

  /** The part from one index to before another. */
  slice(from: i32, to: i32): Bytes {
    assert(from >= 0 && from <= to && to <= this.length, "slice out of range");
    return new Bytes(this.at + from, to - from);
  }

  /** The text, in which each byte that is not UTF-8 is U+FFFD. */
  toString(): string {
    return decode(this.at, this.length, false);
  }
}

/** The type of a JSON value. */
export enum Kind {
  /** Also that of bytes that begin no value. */
  Absent,
  Null,
  Bool,
  Number,
  String,
  Array,
  Object,
}

/** Where and why bytes are not the JSON they should be. */
export class Fault {
  constructor(
    /** Of the byte at fault, from the start of the value looked at. */
    readonly offset: i32,
    readonly message: string,
  ) {}

  toString(): string {
    return "invalid JSON at byte " + this.offset.toString() + ": " + this.message;
  }
}

/**
 * One raw JSON value, perhaps with white space around it. An empty one is an absent
 * value: every method then answers as for a missing field.
 *
 * Nothing here decodes into objects: fields() and items() walk over the bytes, check
 * the syntax of everything they pass and hand out slices of them.
 *
 * The grammar is RFC 8259's with two additions: values nest at most 512 deep, and
 * invalid UTF-8 within strings is accepted; methods that decode replace each such
 * byte by U+FFFD.
 */
export class Json extends Bytes {
  constructor(at: usize, length: i32) {
    super(at, length);
  }

  /** The absent value. */
  static absent(): Json {
    return ABSENT;
  }

  /** Takes bytes, which are checked by whatever looks at them. */
  static from(b: Bytes): Json {
    return new Json(b.at, b.length);
  }

  get isAbsent(): bool {
    return this.length == 0;
  }

  /** Tells the type of the value by its first byte; the rest is not checked. */
  get kind(): Kind {
    begin(this);
    space();
    return kindOf(peek());
  }

  /** Checks the whole value; null: it is well formed. An absent one is not. */
  check(): Fault | null {
    begin(this);
    space();
    if (skip(0)) skipEnd();
    return faultOf(this);
  }

  /** Whether this is true. */
  get isTrue(): bool {
    const b = this.trim();
    return b.length == 4 && load<u32>(b.at) == 0x65757274;
  }

  /** Whether this is true or false. */
  get isBool(): bool {
    const b = this.trim();
    return this.isTrue || (b.length == 5 && load<u32>(b.at) == 0x736c6166 && load<u8>(b.at, 4) == 0x65);
  }

  /**
   * Whether this is a number that is an integer of 64 bits, however it is written:
   * 100, 1e2 and 100.0 are the same.
   */
  get isInt(): bool {
    return readInt(this.trim());
  }

  /** The value of such an integer, or otherwise. */
  int(otherwise: i64 = 0): i64 {
    return readInt(this.trim()) ? integer : otherwise;
  }

  /** The value of a number; NaN for anything else. */
  get float(): f64 {
    const b = this.trim();
    begin(b);
    return skipNumber() && cursor == end ? parseFloat(b.toString()) : NaN;
  }

  /** The value of a string, decoded; null for anything else. */
  get text(): string | null {
    const b = this.literal();
    if (b === null) return null;
    return decode(b.at, b.length, escaped);
  }

  /** What stands between the quotes of a string, undecoded; null for anything else. */
  get inside(): Bytes | null {
    return this.literal();
  }

  /**
   * Is inside for a string that a reader or a walk gave, which has checked it: it only
   * looks at the first byte.
   */
  get checkedInside(): Bytes | null {
    if (this.length < 2 || load<u8>(this.at) != 0x22) return null;
    return new Bytes(this.at + 1, this.length - 2);
  }

  /**
   * The value of a key of a small object: the first, if there are several. It is
   * absent if the object has no such key, if this is no object, and if the syntax is
   * broken before the end of the value looked for. To read more than two keys,
   * fields() is the better way.
   */
  get(key: string): Json {
    const it = this.fields();
    while (it.next()) {
      if (it.key.is(key)) return it.value;
    }
    return ABSENT;
  }

  /**
   * Walks over the fields of an object, in order. Absent and null have none; anything
   * but an object is a fault.
   *
   *     const it = body.fields();
   *     while (it.next()) {
   *       if (it.key.is("done")) done = it.value.isTrue;
   *     }
   *     if (it.fault) { … }
   */
  fields(): Fields {
    return new Fields(this);
  }

  /**
   * Walks over the elements of an array as fields() does over an object's fields.
   */
  items(): Items {
    return new Items(this);
  }

  private trim(): Bytes {
    let from = this.at, to = from + this.length;
    while (from < to && isSpace(load<u8>(from))) from++;
    while (from < to && isSpace(load<u8>(to - 1))) to--;
    return new Bytes(from, <i32>(to - from));
  }

  /** The inside of a value that is exactly one string. */
  private literal(): Bytes | null {
    const b = this.trim();
    begin(b);
    if (peek() != 0x22 || b.length < 2) return null;
    cursor++;
    if (!skipString() || cursor != end) return null;
    return new Bytes(b.at + 1, b.length - 2);
  }
}

const ABSENT = new Json(0, 0);
const NO_KEY = new Bytes(0, 0);

/** What both walks have in common. */
class Walk {
  /** The current field's or element's value. */
  value: Json = ABSENT;
  /** What ended the walk, if something did. Ask when next() has given false: a walk left early knows nothing of the bytes beyond. */
  fault: Fault | null = null;
  protected place: usize;
  protected within: bool = false;
  protected over: bool = false;

  constructor(protected all: Json, open: u8, why: Wrong) {
    begin(all);
    space();
    const c = peek();
    if (c == open) {
      cursor++;
    } else {
      this.over = true;
      if (cursor < end) {
        if (c != 0x6e) fail(why);
        else if (skipWord(0x6c6c756e, 4)) skipEnd();
      }
      this.fault = faultOf(all);
    }
    this.place = cursor;
  }

  /** Goes to where the next field or element begins. */
  protected advance(close: u8, why: Wrong): bool {
    if (this.over) return false;
    begin(this.all);
    cursor = this.place;
    space();
    const c = peek();
    if (c == close) {
      cursor++;
      skipEnd();
      return this.stop();
    }
    if (this.within) {
      if (c != 0x2c) {
        fail(why);
        return this.stop();
      }
      cursor++;
      space();
    }
    this.within = true;
    return true;
  }

  /** Makes the value at the cursor the current one. */
  protected take(): bool {
    const from = cursor;
    if (!skip(1)) return this.stop();
    this.value = new Json(from, <i32>(cursor - from));
    this.place = cursor;
    return true;
  }

  protected stop(): bool {
    this.over = true;
    this.value = ABSENT;
    this.fault = faultOf(this.all);
    return false;
  }
}

/** Walks over the fields of an object; see Json.fields. */
export class Fields extends Walk {
  /** The current field's key, decoded if it holds escapes and else as it stands. */
  key: Bytes = NO_KEY;

  constructor(v: Json) {
    super(v, 0x7b, Wrong.Object);
  }

  /** Goes to the next field, whose key and value are then known to be well formed. */
  next(): bool {
    if (!this.advance(0x7d, Wrong.ObjectSeparator)) return false;
    const from = cursor + 1;
    if (!skipKey()) return this.stop();
    this.key = new Bytes(from, <i32>(keyEnd - from));
    if (escaped) this.key = Bytes.of(this.unescaped());
    return this.take();
  }

  private unescaped(): string {
    const at = cursor;
    const text = unquote(this.key);
    begin(this.all);
    cursor = at;
    return text;
  }
}

/** Walks over the elements of an array; see Json.items. */
export class Items extends Walk {
  constructor(v: Json) {
    super(v, 0x5b, Wrong.Array);
  }

  /** Goes to the next element, which is then known to be well formed. */
  next(): bool {
    return this.advance(0x5d, Wrong.ArraySeparator) && this.take();
  }
}

/**
 * Reads a JSON value from its beginning to its end, every byte of it once:
 *
 *     const r = new Reader(body);
 *     for (const top = r.object(); r.next(top); ) {
 *       if (r.key.is("message")) {
 *         for (const m = r.object(); r.next(m); ) { … } // goes into the value
 *       } else if (r.key.is("done")) {
 *         done = r.value().isTrue; // takes it whole
 *       }
 *     }
 *     if (r.fault) { … }
 *
 * A value is taken whole, or gone into, or else passed by next(). Whichever it is, all
 * of it is checked. It is the way to read what is nested and long; fields() and items()
 * are simpler where that does not matter.
 */
export class Reader {
  /** The key of the field that next() went to, decoded if it holds escapes and else as it stands. */
  key: Bytes = NO_KEY;
  /** What ended the reading, if something did. Ask when next() has given false for the outermost value. */
  fault: Fault | null = null;
  private start: usize; // where the current value begins
  private place: usize; // of the next byte to read
  private depth: i32 = 0; // how many objects and arrays are open
  private at: Position = Position.Before;
  private isObject: bool = false; // the innermost of them is an object
  private kinds: StaticArray<u64> = new StaticArray<u64>(MAX_DEPTH / 64); // a bit for each of them: it is an object

  /** A reader that is before a value. */
  constructor(private all: Json) {
    begin(all);
    space();
    this.start = cursor;
    this.place = cursor;
  }

  /**
   * Goes into the current value, which must be an object, and next() then goes to its
   * fields: it takes what this returns. Absent and null, and a value that was read
   * before, have none. Anything else is a fault.
   */
  object(): i32 {
    return this.enter(0x7b, Wrong.Object);
  }

  /** Goes into the current value, which must be an array, as object() does. */
  array(): i32 {
    return this.enter(0x5b, Wrong.Array);
  }

  /**
   * Goes to the next field or element of what inside stands for; false at the end and at
   * a fault, which may be one of the value before. If a walk inside of the current value
   * was left early, the rest of it is passed, and that walk is over.
   */
  next(inside: i32): bool {
    if (inside == 0 || this.depth < inside || this.at == Position.Done) return false;
    while (this.depth > inside) {
      while (this.step()) {}
      if (this.at == Position.Done) return false;
    }
    return this.step();
  }

  /** The type of the current value by its first byte; the value is not read. One that was gone into is absent afterwards. */
  get kind(): Kind {
    if (this.at > Position.Behind || this.start >= this.all.at + this.all.length) return Kind.Absent;
    return kindOf(load<u8>(this.start));
  }

  /** The current value. It is absent if its syntax is broken, which ends the reading, and if it was gone into. */
  value(): Json {
    if (this.at == Position.Before) this.pass();
    if (this.at != Position.Behind || this.place == this.start) return ABSENT;
    return new Json(this.start, <i32>(this.place - this.start));
  }

  private go(to: usize): void {
    begin(this.all);
    cursor = to;
  }

  private enter(bracket: u8, why: Wrong): i32 {
    if (this.at != Position.Before) return 0;
    this.go(this.start);
    const c = peek();
    if (c == bracket && this.depth < MAX_DEPTH) {
      const word = this.depth >> 6, bit = (<u64>1) << (this.depth & 63);
      this.isObject = c == 0x7b;
      this.kinds[word] = this.isObject ? this.kinds[word] | bit : this.kinds[word] & ~bit;
      this.place = this.start + 1;
      this.at = Position.First;
      return ++this.depth;
    }
    if (c == 0x6e) {
      this.pass();
      return 0;
    }
    if (cursor < end || this.depth > 0) fail(c == bracket ? Wrong.Depth : why);
    this.stop();
    return 0;
  }

  /** Goes to the next field or element of the innermost object or array. At its end, that is closed. */
  private step(): bool {
    if (this.at == Position.Before && !this.pass()) return false;
    this.go(this.place);
    space();
    const c = peek();
    if (c == (this.isObject ? 0x7d : 0x5d)) {
      const left = --this.depth;
      if (left > 0) this.isObject = ((this.kinds[(left - 1) >> 6] >> ((left - 1) & 63)) & 1) != 0;
      this.start = ++cursor;
      this.behind();
      return false;
    }
    if (this.at != Position.First) {
      if (c != 0x2c) {
        fail(this.isObject ? Wrong.ObjectSeparator : Wrong.ArraySeparator);
        return this.stop();
      }
      cursor++;
      space();
    }
    if (this.isObject) {
      const from = cursor + 1;
      if (!skipKey()) return this.stop();
      this.start = cursor;
      this.key = new Bytes(from, <i32>(keyEnd - from));
      if (escaped) this.key = Bytes.of(unquote(this.key));
    } else {
      this.start = cursor;
    }
    this.at = Position.Before;
    return true;
  }

  /** Reads and checks the current value. */
  private pass(): bool {
    this.go(this.start);
    return skip(this.depth) ? this.behind() : this.stop();
  }

  /** Goes behind what was read up to the cursor, and checks that only white space follows the outermost value. */
  private behind(): bool {
    this.place = cursor;
    this.at = Position.Behind;
    if (this.depth > 0) return true;
    skipEnd();
    return wrong == Wrong.Nothing || this.stop();
  }

  private stop(): bool {
    this.at = Position.Done;
    this.fault = faultOf(this.all);
    return false;
  }
}

/** Where a reader is. */
enum Position {
  /** Before the current value, which was not read yet. */
  Before,
  /** Behind the current value. */
  Behind,
  /** Behind the opening bracket. */
  First,
  Done,
}

/** The kind of a value that begins with c. */
function kindOf(c: u8): Kind {
  if (c == 0x22) return Kind.String;
  if (c == 0x7b) return Kind.Object;
  if (c == 0x5b) return Kind.Array;
  if (c == 0x6e) return Kind.Null;
  if (c == 0x74 || c == 0x66) return Kind.Bool;
  return c == 0x2d || isDigit(c) ? Kind.Number : Kind.Absent;
}

// What is below goes over bytes from cursor to end. A module has one thread and
// nothing here calls back, so one cursor is enough; what AssemblyScript lacks are
// functions with two results.

let cursor: usize = 0;
let end: usize = 0;
let wrong: Wrong = Wrong.Nothing;
let escaped: bool = false; // the string or key passed last holds escapes
let keyEnd: usize = 0; // where the inside of the key passed last ends
let integer: i64 = 0; // what readInt read

enum Wrong {
  Nothing,
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

const wrongTexts: StaticArray<string> = [
  "",
  "expected a value",
  "expected true, false or null",
  "malformed number",
  "control character in a string",
  "malformed escape in a string",
  "expected a key in quotes",
  "expected a colon after the key",
  "expected a comma or the end of the object",
  "expected a comma or the end of the array",
  "nested more than 512 deep",
  "something follows the value",
  "expected an object",
  "expected an array",
];

/** How many objects and arrays may enclose each other. */
const MAX_DEPTH = 512;

/** A bit for each object or array that is open: whether it is an object. */
const objects = new StaticArray<u64>(MAX_DEPTH / 64);

function begin(b: Bytes): void {
  cursor = b.at;
  end = b.at + b.length;
  wrong = Wrong.Nothing;
}

function fail(why: Wrong): bool {
  wrong = why;
  return false;
}

function faultOf(b: Bytes): Fault | null {
  if (wrong == Wrong.Nothing) return null;
  // What is wrong behind the last byte is always the same.
  return new Fault(<i32>(cursor - b.at), cursor >= end ? "it ends too early" : wrongTexts[wrong]);
}

/** The byte at the cursor, or 0 behind the end: like any other control character, 0 is an error wherever peek is asked. */
// @ts-ignore: decorator
@inline
function peek(): u8 {
  return cursor < end ? load<u8>(cursor) : 0;
}

// @ts-ignore: decorator
@inline
function isSpace(c: u8): bool {
  return c == 0x20 || c == 0x0a || c == 0x0d || c == 0x09;
}

// @ts-ignore: decorator
@inline
function isDigit(c: u8): bool {
  return <u8>(c - 0x30) <= 9;
}

function space(): void {
  while (cursor < end && isSpace(load<u8>(cursor))) cursor++;
}

/** Checks that only white space is left. */
function skipEnd(): void {
  space();
  if (cursor < end) fail(Wrong.Trailing);
}

/**
 * Passes the value at the cursor, which depth objects and arrays enclose. It keeps a
 * bit for each one that is open instead of calling itself: foreign bytes must not
 * decide how deep the stack grows.
 */
function skip(depth: i32): bool {
  let c = peek();
  if (c != 0x7b && c != 0x5b) return skipFlat();
  let open = 0;
  while (true) {
    c = peek();
    if (c == 0x7b || c == 0x5b) {
      if (depth + open >= MAX_DEPTH) return fail(Wrong.Depth);
      const word = open >> 6, bit = (<u64>1) << (open & 63);
      open++;
      cursor++;
      space();
      if (c == 0x7b) {
        unchecked((objects[word] = objects[word] | bit));
        if (peek() != 0x7d) {
          if (!skipKey()) return false;
          continue;
        }
      } else {
        unchecked((objects[word] = objects[word] & ~bit));
        if (peek() != 0x5d) continue;
      }
    } else {
      if (!skipFlat()) return false;
      space();
    }
    // A value ended before, or the bracket at the cursor closes an empty one.
    while (true) {
      const last = open - 1;
      const isObject = ((unchecked(objects[last >> 6]) >> (last & 63)) & 1) != 0;
      c = peek();
      if (c == (isObject ? 0x7d : 0x5d)) {
        cursor++;
        if (--open == 0) return true;
        space();
        continue;
      }
      if (c != 0x2c) return fail(isObject ? Wrong.ObjectSeparator : Wrong.ArraySeparator);
      cursor++;
      space();
      if (isObject && !skipKey()) return false;
      break;
    }
  }
}

/** Passes a value that is neither an object nor an array. */
function skipFlat(): bool {
  const c = peek();
  switch (c) {
    case 0x22: {
      cursor++;
      return skipString();
    }
    case 0x74: return skipWord(0x65757274, 4);
    case 0x6e: return skipWord(0x6c6c756e, 4);
    case 0x66: return skipWord(0x65736c6166, 5);
  }
  return c == 0x2d || isDigit(c) ? skipNumber() : fail(Wrong.Value);
}

/** Passes a key and its colon, up to where the value begins. */
function skipKey(): bool {
  if (peek() != 0x22) return fail(Wrong.Key);
  cursor++;
  if (!skipString()) return false;
  keyEnd = cursor - 1;
  space();
  if (peek() != 0x3a) return fail(Wrong.Colon);
  cursor++;
  space();
  return true;
}

/** Passes a word, given as its bytes from the lowest on. */
function skipWord(word: u64, length: i32): bool {
  for (let i = 0; i < length; i++) {
    const at = cursor + i;
    if (at >= end) {
      cursor = at;
      return fail(Wrong.Literal);
    }
    if (load<u8>(at) != <u8>(word >> (i << 3))) return fail(Wrong.Literal);
  }
  cursor += length;
  return true;
}

/** Passes one digit or more. */
function skipDigits(): bool {
  if (!isDigit(peek())) return fail(Wrong.Number);
  while (isDigit(peek())) cursor++;
  return true;
}

/** Passes a number as RFC 8259 has it. */
function skipNumber(): bool {
  if (peek() == 0x2d) cursor++;
  if (peek() == 0x30) cursor++;
  else if (!skipDigits()) return false;
  if (peek() == 0x2e) {
    cursor++;
    if (!skipDigits()) return false;
  }
  if ((peek() | 0x20) == 0x65) {
    cursor++;
    if (peek() == 0x2b || peek() == 0x2d) cursor++;
    if (!skipDigits()) return false;
  }
  return true;
}

/** Passes the rest of a string behind its opening quote. */
function skipString(): bool {
  escaped = false;
  while (true) {
    skipPlain();
    if (cursor >= end) return fail(Wrong.Control);
    const c = load<u8>(cursor);
    if (c == 0x22) {
      cursor++;
      return true;
    }
    if (c == 0x5c) {
      escaped = true;
      if (!skipEscape()) return false;
    } else if (c < 0x20) {
      return fail(Wrong.Control);
    } else {
      cursor++; // one of the last seven bytes
    }
  }
}

/**
 * Goes to the next quote, backslash or control character, or to within 8 bytes of the end.
 *
 * It looks at 8 bytes at a time. In stop, the highest bit of a byte is set where the
 * byte is one of those; the borrow of a subtraction can set bits too many, but only
 * above the first right one.
 */
function skipPlain(): void {
  const low: u64 = 0x0101010101010101, high: u64 = 0x8080808080808080;
  while (end - cursor >= 8) {
    const w = load<u64>(cursor);
    const quote = w ^ (low * 0x22), backslash = w ^ (low * 0x5c);
    const stop = high & (((quote - low) & ~quote) | ((backslash - low) & ~backslash) | ((w - low * 0x20) & ~w));
    if (stop) {
      cursor += <usize>(ctz(stop) >> 3);
      return;
    }
    cursor += 8;
  }
}

/** Passes the escape that begins at the cursor. */
function skipEscape(): bool {
  cursor++;
  switch (peek()) {
    case 0x22: case 0x5c: case 0x2f: case 0x62: case 0x66: case 0x6e: case 0x72: case 0x74: {
      cursor++;
      return true;
    }
    case 0x75: {
      cursor++;
      for (let i = 0; i < 4; i++) {
        if (hexDigit(peek()) < 0) return fail(Wrong.Escape);
        cursor++;
      }
      return true;
    }
  }
  return fail(Wrong.Escape);
}

function hexDigit(c: u8): i32 {
  if (isDigit(c)) return c - 0x30;
  c |= 0x20;
  return c >= 0x61 && c <= 0x66 ? c - 0x61 + 10 : -1;
}

let product: u64 = 0;

/** Makes product ten times itself and adds a digit; false if that is too much. */
function timesTen(digit: u64): bool {
  if (product > (u64.MAX_VALUE - digit) / 10) return false;
  product = product * 10 + digit;
  return true;
}

/** Reads an integer into integer. */
function readInt(b: Bytes): bool {
  begin(b);
  if (!skipNumber() || cursor != end) return false;
  // The number is product × 10^exponent; zeros that end the digits so far are only
  // counted, so that they cannot overflow.
  let at = b.at;
  const negative = load<u8>(at) == 0x2d;
  if (negative) at++;
  product = 0;
  let zeros: i64 = 0, exponent: i64 = 0, fraction = false;
  for (; at < end; at++) {
    const c = load<u8>(at);
    if (c == 0x2e) {
      fraction = true;
      continue;
    }
    if ((c | 0x20) == 0x65) {
      let n: i64 = 0; // counted not far beyond any exponent that matters
      const below = load<u8>(++at) == 0x2d;
      for (; at < end; at++) {
        const d = load<u8>(at);
        if (isDigit(d) && n < 1 << 30) n = n * 10 + (d - 0x30);
      }
      exponent += below ? -n : n;
      break;
    }
    if (c == 0x30) {
      zeros++;
    } else {
      for (; zeros > 0 && product > 0; zeros--) {
        if (!timesTen(0)) return false;
      }
      zeros = 0;
      if (!timesTen(c - 0x30)) return false;
    }
    if (fraction) exponent--;
  }
  exponent += zeros;
  if (product > 0) {
    if (exponent < 0) return false;
    for (; exponent > 0; exponent--) {
      if (!timesTen(0)) return false;
    }
  }
  if (product > <u64>i64.MAX_VALUE + <u64>negative) return false;
  integer = negative ? <i64>(0 - product) : <i64>product;
  return true;
}

/**
 * Gives the text that the inside of a JSON string literal (Json.inside) stands for.
 * Lone surrogates and each byte of invalid UTF-8 become U+FFFD. If inside is
 * malformed, a backslash that begins no escape stands for itself.
 */
export function unquote(inside: Bytes): string {
  return decode(inside.at, inside.length, true);
}

/** Decodes UTF-8, and JSON's escapes if there may be some. */
function decode(at: usize, length: i32, escapes: bool): string {
  // No character has more units of UTF-16 than it has bytes.
  const buffer = new StaticArray<u16>(length);
  let to = changetype<usize>(buffer);
  const start = to, stop = at + length;
  while (at < stop) {
    let c: u32 = load<u8>(at);
    if (c < 0x80 && (c != 0x5c || !escapes)) {
      store<u16>(to, <u16>c);
      to += 2;
      at++;
      continue;
    }
    if (c == 0x5c) {
      cursor = at;
      end = stop;
      if (!skipEscape()) {
        store<u16>(to, 0x5c);
        to += 2;
        at++;
        continue;
      }
      c = unescape(load<u8>(at, 1));
      if (c == 0x75) {
        c = <u32>codeUnit(at, stop);
        if (c >= 0xd800 && c < 0xe000) {
          const second = codeUnit(cursor, stop);
          if (c < 0xdc00 && second >= 0xdc00 && second < 0xe000) {
            store<u16>(to, <u16>c);
            to += 2;
            c = <u32>second;
            cursor += 6;
          } else {
            c = 0xfffd;
          }
        }
      }
      at = cursor;
      store<u16>(to, <u16>c);
      to += 2;
      continue;
    }
    const n = characterLength(at, stop);
    if (n == 0) {
      c = 0xfffd;
      at++;
    } else {
      c &= 0x7f >> <u32>n;
      for (let i: usize = 1; i < n; i++) c = (c << 6) | (load<u8>(at + i) & 0x3f);
      at += n;
    }
    if (c >= 0x10000) {
      c -= 0x10000;
      store<u16>(to, <u16>(0xd800 | (c >> 10)));
      to += 2;
      c = 0xdc00 | (c & 0x3ff);
    }
    store<u16>(to, <u16>c);
    to += 2;
  }
  return String.UTF16.decodeUnsafe(start, to - start);
}

/** The byte that an escape of one letter stands for; u for itself. */
function unescape(letter: u8): u32 {
  switch (letter) {
    case 0x62: return 0x08;
    case 0x66: return 0x0c;
    case 0x6e: return 0x0a;
    case 0x72: return 0x0d;
    case 0x74: return 0x09;
  }
  return letter;
}

/** The value of the \uXXXX at an address, or -1. */
function codeUnit(at: usize, stop: usize): i32 {
  if (stop - at < 6 || load<u8>(at) != 0x5c || load<u8>(at, 1) != 0x75) return -1;
  let unit = 0;
  for (let i: usize = 2; i < 6; i++) {
    const digit = hexDigit(load<u8>(at + i));
    if (digit < 0) return -1;
    unit = (unit << 4) | digit;
  }
  return unit;
}

/** How many bytes the UTF-8 character at an address has, of which the first is not ASCII; 0 if there is none. */
function characterLength(at: usize, stop: usize): usize {
  const c = load<u8>(at);
  const n: usize = c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 0;
  if (n > stop - at) return 0;
  let low: u8 = 0x80, high: u8 = 0xbf;
  if (c == 0xe0) low = 0xa0;
  else if (c == 0xed) high = 0x9f; // no surrogates
  else if (c == 0xf0) low = 0x90;
  else if (c == 0xf4) high = 0x8f;
  for (let i: usize = 1; i < n; i++) {
    const next = load<u8>(at + i);
    if (next < low || next > high) return 0;
    low = 0x80;
    high = 0xbf;
  }
  return n;
}
