import { Bytes, Json } from "./json";

/** Text of bytes that grows. */
export class Text {
  private buffer: StaticArray<u8>;
  private used: i32 = 0;

  constructor(room: i32 = 64) {
    this.buffer = new StaticArray<u8>(room);
  }

  get length(): i32 {
    return this.used;
  }

  /** What was added; good until more is. */
  get bytes(): Bytes {
    return new Bytes(changetype<usize>(this.buffer), this.used);
  }

  /** Adds a string in UTF-8. */
  add(s: string): Text {
    // Three bytes are the most that a unit of UTF-16 becomes.
    const at = this.room(s.length * 3);
    this.used += <i32>String.UTF8.encodeUnsafe(changetype<usize>(s), s.length, at, false, String.UTF8.ErrorMode.REPLACE);
    return this;
  }

  addBytes(b: Bytes): Text {
    memory.copy(this.room(b.length), b.at, b.length);
    this.used += b.length;
    return this;
  }

  addByte(c: u8): Text {
    store<u8>(this.room(1), c);
    this.used++;
    return this;
  }

  addInt(n: i64): Text {
    return this.add(n.toString());
  }

  /** Adds s as a JSON string literal, quotes included. Escapes only what JSON demands. */
  addQuoted(s: string): Text {
    this.addByte(0x22);
    let from = 0; // what is before is added
    for (let i = 0; i < s.length; i++) {
      const c = load<u16>(changetype<usize>(s) + ((<usize>i) << 1));
      if (c >= 0x20 && c != 0x22 && c != 0x5c) continue;
      if (i > from) this.add(s.substring(from, i));
      from = i + 1;
      this.addByte(0x5c);
      switch (c) {
        case 0x22: case 0x5c: this.addByte(<u8>c); break;
        case 0x08: this.addByte(0x62); break;
        case 0x0c: this.addByte(0x66); break;
        case 0x0a: this.addByte(0x6e); break;
        case 0x0d: this.addByte(0x72); break;
        case 0x09: this.addByte(0x74); break;
        default: this.add("u00").addByte(hex(c >> 4)).addByte(hex(c & 15));
      }
    }
    this.add(from == 0 ? s : s.substring(from));
    return this.addByte(0x22);
  }

  /** Gives the address of n more bytes. */
  private room(n: i32): usize {
    const need = this.used + n;
    if (need > this.buffer.length) {
      const larger = new StaticArray<u8>(max(need, this.buffer.length * 2));
      memory.copy(changetype<usize>(larger), changetype<usize>(this.buffer), this.used);
      this.buffer = larger;
    }
    return changetype<usize>(this.buffer) + this.used;
  }
}

function hex(digit: u16): u8 {
  return <u8>(digit < 10 ? 0x30 + digit : 0x57 + digit);
}

/**
 * Builds JSON by appending to one buffer and puts the commas.
 *
 *     const w = new Writer();
 *     w.object();
 *     w.key("model").string("tiny");
 *     w.key("stop").array();
 *     w.string("\n");
 *     w.end();
 *     w.end();
 *     w.bytes  // {"model":"tiny","stop":["\n"]}
 *
 * It trusts its caller with the shape (a key before each value of an object, one
 * value in all) and aborts at 64 open objects and arrays, or at an end() without a
 * beginning: adapters build requests of a fixed depth, and what is foreign comes in
 * through raw().
 */
export class Writer {
  private text: Text;
  private objects: u64 = 0; // bit n: the nth open bracket is an object's
  private open: i32 = 0;
  private comma: bool = false; // a value stands before

  constructor(room: i32 = 256) {
    this.text = new Text(room);
  }

  /** What was written. */
  get bytes(): Bytes {
    return this.text.bytes;
  }

  /** Begins an object. */
  object(): void {
    this.begin(0x7b, 1);
  }

  /** Begins an array. */
  array(): void {
    this.begin(0x5b, 0);
  }

  /** Ends what the last object() or array() began that is still open. */
  end(): void {
    if (this.open == 0) throw new Error("Writer.end() without a beginning");
    this.open--;
    this.text.addByte((this.objects >> this.open) & 1 ? 0x7d : 0x5d);
    this.comma = true;
  }

  /** Writes a key; its value comes next. */
  key(key: string): Writer {
    this.separate();
    this.text.addQuoted(key).addByte(0x3a);
    this.comma = false;
    return this;
  }

  /** Writes a string, quoted and escaped. */
  string(s: string): void {
    this.separate();
    this.text.addQuoted(s);
  }

  /** Writes a string given as the inside of its literal (Json.inside). */
  rawString(inside: Bytes): void {
    this.separate();
    this.text.addByte(0x22).addBytes(inside).addByte(0x22);
  }

  /** Writes a value as it is; an absent one as null. */
  raw(v: Json): void {
    this.separate();
    if (v.isAbsent) this.text.add("null");
    else this.text.addBytes(v);
  }

  /** Writes an integer. */
  int(n: i64): void {
    this.separate();
    this.text.addInt(n);
  }

  /** Writes true or false. */
  bool(b: bool): void {
    this.separate();
    this.text.add(b ? "true" : "false");
  }

  /** Writes null. */
  null(): void {
    this.separate();
    this.text.add("null");
  }

  private begin(bracket: u8, object: u64): void {
    if (this.open == 64) throw new Error("Writer nests more than 64 deep");
    this.separate();
    this.text.addByte(bracket);
    this.objects = (this.objects & ~((<u64>1) << this.open)) | (object << this.open);
    this.open++;
    this.comma = false;
  }

  /** Writes the comma before a key or value that needs one. */
  private separate(): void {
    if (this.comma) this.text.addByte(0x2c);
    this.comma = true;
  }
}
