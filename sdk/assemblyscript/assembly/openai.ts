import { Bytes, Items, Json, Kind } from "./json";

/** One message of a chat request. Its fields are raw JSON and absent when the client left them away or sent null. */
export class Message {
  /** As OpenAI has it, in lower case. */
  role: string = "";
  /** A string or an array of parts. */
  content: Json = Json.absent();
  name: Json = Json.absent();
  /** An array, of assistants. */
  toolCalls: Json = Json.absent();
  /** Of tool results. */
  toolCallID: Json = Json.absent();
  /** "reasoning", else "reasoning_content": what a model thought in an earlier turn. */
  reasoning: Json = Json.absent();

  constructor(
    /** The whole object. */
    readonly raw: Json,
  ) {
    let second = Json.absent();
    const it = raw.fields();
    while (it.next()) {
      const key = it.key, value = it.value;
      if (value.kind == Kind.Null) continue;
      if (key.is("role")) this.role = textOf(value);
      else if (key.is("content")) this.content = value;
      else if (key.is("name")) this.name = value;
      else if (key.is("tool_calls")) this.toolCalls = value;
      else if (key.is("tool_call_id")) this.toolCallID = value;
      else if (key.is("reasoning")) this.reasoning = value;
      else if (key.is("reasoning_content")) second = value;
    }
    if (this.reasoning.isAbsent) this.reasoning = second;
  }
}

function textOf(v: Json): string {
  const text = v.text;
  return text === null ? "" : text;
}

/**
 * Walks over the messages of a chat request's "messages":
 *
 *     const it = new Messages(messages);
 *     while (it.next()) { const m = it.message; … }
 */
export class Messages {
  private items: Items;

  constructor(array: Json) {
    this.items = array.items();
  }

  next(): bool {
    return this.items.next();
  }

  get message(): Message {
    return new Message(this.items.value);
  }
}

/** One part of a message's content. */
export class Part {
  /** "text", "image_url", "input_audio", "file", "refusal" or whatever the client sent. */
  type: string = "";
  /** Of "text" (and of "refusal": its text): a string. */
  text: Json = Json.absent();
  /** Of "image_url": a string, perhaps a data: URL. */
  url: Json = Json.absent();
  /** Of "input_audio" and "file": a string of base64 (a file's is a data: URL). */
  data: Json = Json.absent();

  constructor(
    /** The whole part. */
    readonly raw: Json,
  ) {
    const it = raw.fields();
    while (it.next()) {
      const key = it.key, value = it.value;
      if (key.is("type")) this.type = textOf(value);
      else if (key.is("text") || key.is("refusal")) this.text = value;
      else if (key.is("image_url")) this.url = value.kind == Kind.Object ? value.get("url") : value;
      else if (key.is("input_audio")) this.data = value.get("data");
      else if (key.is("file")) this.data = value.get("file_data");
    }
  }
}

/** Walks over the parts of a message's content, as Messages does; a string is one part of text. */
export class Parts {
  private items: Items;
  private text: bool;

  constructor(private content: Json) {
    const text = content.kind == Kind.String;
    this.text = text;
    this.items = (text ? Json.absent() : content).items();
  }

  next(): bool {
    if (!this.text) return this.items.next();
    this.text = false;
    return true;
  }

  get part(): Part {
    if (this.content.kind != Kind.String) return new Part(this.items.value);
    const p = new Part(this.content);
    p.type = "text";
    p.text = this.content;
    return p;
  }
}

/** One tool call in an assistant's message. */
export class ToolCall {
  /** A string. */
  readonly id: Json;
  /** A string: the function's name. */
  readonly name: Json;
  /** A string that holds JSON text. */
  readonly arguments: Json;

  constructor(readonly raw: Json) {
    const f = raw.get("function");
    this.id = raw.get("id");
    this.name = f.get("name");
    this.arguments = f.get("arguments");
  }
}

/** Walks over the calls of a message's "tool_calls", as Messages does. */
export class ToolCalls {
  private items: Items;

  constructor(array: Json) {
    this.items = array.items();
  }

  next(): bool {
    return this.items.next();
  }

  get call(): ToolCall {
    return new ToolCall(this.items.value);
  }
}

/** What splitDataURL gives. */
export class DataURL {
  constructor(
    readonly mediaType: string,
    readonly base64: Bytes,
  ) {}
}

/**
 * Takes apart the inside of a JSON string that holds a data: URL of base64:
 * "data:image/png;base64,iVBOR…" gives "image/png" and "iVBOR…". What follows the
 * comma may be a reference to content the gateway holds back; it is passed on as it
 * is. Null for any other URL.
 */
export function splitDataURL(inside: Bytes): DataURL | null {
  const scheme = 5, marker = 8;
  if (!hasAt(inside, 0, "data:")) return null;
  for (let i = scheme; i < inside.length && i < scheme + 256; i++) {
    if (!hasAt(inside, i, ";base64,")) continue;
    // Of the escapes of JSON, media types meet only one: image\/png.
    const type = inside.slice(scheme, i).toString().replaceAll("\\/", "/").toLowerCase();
    return new DataURL(type, inside.slice(i + marker, inside.length));
  }
  return null;
}

/** Whether ASCII in lower case stands at i, in either case. */
function hasAt(b: Bytes, i: i32, lower: string): bool {
  if (i + lower.length > b.length) return false;
  for (let k = 0; k < lower.length; k++) {
    let c = load<u8>(b.at + i + k);
    if (c >= 0x41 && c <= 0x5a) c |= 0x20;
    if (<i32>c != lower.charCodeAt(k)) return false;
  }
  return true;
}
