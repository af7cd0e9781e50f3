import { Bytes, Json } from "./json";
import { Failure } from "./failure";
import { Emission, Out } from "./out";
import { Manifest } from "./manifest";

/** The operation a call serves. */
export enum Op {
  Chat = 1,
  Completions = 2,
  Embeddings = 3,
  Models = 4,
  /** How many tokens a chat request has. Since minor version 2. */
  Count = 5,
  /** Since minor version 4. */
  Moderations = 6,
  /** Since minor version 4. */
  Rerank = 7,
  /** Since minor version 4. */
  Images = 8,
  /** Since minor version 4. */
  Speech = 9,
  /** Anthropic's Messages API, passed on as it comes. Since minor version 4. */
  Messages = 10,
  /** Since minor version 4. */
  Transcriptions = 11,
  /** OpenAI's Responses API, passed on as it comes. Since minor version 6. */
  Responses = 12,
  /** A response that the provider keeps. Since minor version 6. */
  Stored = 13,
  /** The tokens of a request of Anthropic's Messages API. Since minor version 6. */
  CountMessages = 14,
  /** The tokens of a request of OpenAI's Responses API. Since minor version 6. */
  CountResponses = 15,
  /** A conversation of OpenAI's Responses API that is made shorter. Since minor version 6. */
  CompactResponses = 16,
}

/** What a client asks. */
export class Request {
  constructor(
    readonly op: Op,
    /** The client wants a stream; the adapter may answer either way. */
    readonly stream: bool,
    /** Of this model: the provider's with the model's laid over, checked, with defaults. */
    readonly options: Json,
    /** The client's body, valid JSON; "model" is the upstream's name. */
    readonly body: Json,
  ) {}
}

/** A whole answer of the upstream. */
export class Response {
  constructor(
    readonly op: Op,
    /** HTTP status. */
    readonly status: i32,
    /** The response headers the gateway lets through. */
    readonly head: Head,
    /** As it came: perhaps not JSON, perhaps empty. */
    readonly body: Json,
  ) {}
}

/** One frame of a streamed answer. */
export class Event {
  constructor(
    readonly op: Op,
    /** The event's name in SSE, else empty. */
    readonly name: Bytes,
    /** One line of NDJSON, the data of an SSE event: as it came. */
    readonly data: Json,
    /** The upstream ended cleanly; there is no data. */
    readonly end: bool,
    /** The upstream said [DONE]; there is no data. */
    readonly done: bool,
  ) {}
}

/** The header lines of an answer: "lower-case-name: value\n" each. */
export class Head extends Bytes {
  /** The value of the first line called name (in lower case), or "". */
  get(name: string): string {
    const lines = this.toString().split("\n");
    for (let i = 0; i < lines.length; i++) {
      const colon = lines[i].indexOf(":");
      if (colon > 0 && lines[i].substring(0, colon) == name) return lines[i].substring(colon + 1).trim();
    }
    return "";
  }
}

/** For an adapter that remembers nothing. */
export class NoState {}

/**
 * Translates for one upstream. S is what must be remembered from one call of an
 * exchange to the next: a class whose fields are numbers and bools, at most 4 KiB. It is zero
 * at the start of an exchange and kept by the gateway between calls; no constructor
 * of it runs.
 *
 * The methods are called for any exchange in any order; an adapter keeps nothing in
 * globals or in itself.
 */
export abstract class Adapter<S> {
  /** What the module says about itself. */
  abstract manifest(): Manifest;

  /** Turns the client's request into an upstream request (Out.send), or answers it without one (Out.text and so on, Out.finish). */
  abstract request(r: Request, s: S, out: Out): Failure | null;

  /** Takes a whole answer: every status outside 2xx, and what is not a stream. */
  abstract response(r: Response, s: S, out: Out): Failure | null;

  /** Takes one event of a streamed answer. */
  abstract event(e: Event, s: S, out: Out): Failure | null;
}

/** Makes a the adapter of this module. Call it once, at the top level. */
export function register<S>(a: Adapter<S>): void {
  registered = new Kept<S>(a);
}

let registered: Plugin | null = null;

/** The adapter of this module. */
export function plugin(): Plugin {
  const p = registered;
  if (!p) throw new Error("no adapter was registered: call register at the top level");
  return p;
}

/** An adapter whose type of state is not known. Each method gives the export's status. */
export abstract class Plugin {
  abstract manifest(): i32;
  abstract request(r: Request): i32;
  abstract response(r: Response, state: Bytes): i32;
  abstract event(e: Event, state: Bytes): i32;
  /** Takes several events, each after its length. */
  abstract events(op: Op, frames: Bytes, state: Bytes): i32;
}

class Kept<S> extends Plugin {
  // One of each is enough, since an instance runs one call at a time.
  private state: S;
  private out: Out = new Out();
  private empty: Bytes = new Bytes(0, 0);

  constructor(private adapter: Adapter<S>) {
    super();
    assert(offsetof<S>() <= 4096, "the state has more than 4 KiB");
    this.state = changetype<S>(__new(offsetof<S>(), idof<S>()));
  }

  manifest(): i32 {
    this.out.emit(Emission.Manifest, 0, this.adapter.manifest().json());
    return 0;
  }

  request(r: Request): i32 {
    this.load(this.empty);
    return this.done(this.empty, this.adapter.request(r, this.state, this.out));
  }

  response(r: Response, state: Bytes): i32 {
    this.load(state);
    return this.done(state, this.adapter.response(r, this.state, this.out));
  }

  event(e: Event, state: Bytes): i32 {
    this.load(state);
    return this.done(state, this.adapter.event(e, this.state, this.out));
  }

  events(op: Op, frames: Bytes, state: Bytes): i32 {
    this.load(state);
    const end = frames.at + frames.length;
    let at = frames.at;
    let failure: Failure | null = null;
    while (true) {
      const n = load<i32>(at);
      failure = this.adapter.event(new Event(op, this.empty, new Json(at + 4, n), false, false), this.state, this.out);
      at += 4 + n;
      if (failure || at >= end) break;
      this.out.emit(Emission.Next, 0, this.empty);
    }
    return this.done(state, failure);
  }

  private load(before: Bytes): void {
    const at = changetype<usize>(this.state);
    memory.fill(at, 0, offsetof<S>());
    memory.copy(at, before.at, min<i32>(before.length, <i32>offsetof<S>()));
  }

  /** Emits what the exchange needs afterwards: the state if it changed, and the error. */
  private done(before: Bytes, failure: Failure | null): i32 {
    const size = <i32>offsetof<S>();
    const after = new Bytes(changetype<usize>(this.state), size);
    const changed = before.length != size || memory.compare(after.at, before.at, size) != 0;
    if (changed && (before.length > 0 || !isZero(after))) this.out.emit(Emission.State, 0, after);
    if (!failure) return 0;
    this.out.emit(Emission.Error, 0, failure.json());
    return 1;
  }
}

function isZero(b: Bytes): bool {
  for (let i = 0; i < b.length; i++) {
    if (load<u8>(b.at + i)) return false;
  }
  return true;
}
