import { Bytes } from "./json";
import { state } from "./table";
import { Text, Writer } from "./writer";

/** The kinds of emission, as docs/abi.md numbers them. */
export const enum Emission {
  Manifest = 1,
  Request = 2,
  Body = 3,
  State = 4,
  Wait = 5,
  Next = 6,
  Text = 16,
  Reasoning = 17,
  Refusal = 18,
  ToolID = 19,
  ToolName = 20,
  ToolArgs = 21,
  Logprobs = 22,
  ToolExtra = 23,
  DeltaExtra = 24,
  ChoiceExtra = 25,
  ChunkExtra = 26,
  Usage = 27,
  Finish = 28,
  Error = 29,
  Result = 30,
  End = 31,
  ReasoningDetail = 32,
  Signature = 33,
  ToolSignature = 34,
  Citation = 35,
  StopReason = 36,
  Pass = 37,
  Raw = 128,
}

/** How an upstream's answer is cut into events. */
export enum Framing {
  /** One body. */
  Whole = 0,
  /** Server-sent events. */
  SSE = 1,
  /** One JSON value a line. */
  NDJSON = 2,
  /** No JSON, but bytes that the client gets as they come. Since minor version 4. */
  Bytes = 3,
}

/** A request to the upstream. */
export class Upstream {
  method: string = "POST";
  /** How the answer is framed if its content type doesn't say otherwise. */
  framing: Framing = Framing.Whole;
  /** Each "lower-case-name: value"; content-type is application/json if there is a body and no other. */
  headers: string[] = [];
  body: Bytes | null = null;
  /** Milliseconds to wait before it is sent, for upstreams that are polled. */
  waitMS: i32 = 0;

  constructor(
    /** Below the provider's base_url, for example "/api/chat"; may have a query. */
    readonly path: string,
  ) {}
}

/**
 * Where an adapter states what it found. What it is given is copied before the method
 * returns. Nothing counts if the adapter's method fails.
 *
 * Methods ending in JSON take the inside of a JSON string literal (Json.inside), so
 * that text passes from the upstream to the client without being decoded.
 */
export class Out {
  /**
   * Makes u the request of this exchange, or its next one when called in response().
   * The gateway adds the secret, the host and everything about the connection.
   */
  send(u: Upstream): void {
    if (u.waitMS > 0) this.wait(u.waitMS);
    const body = u.body;
    let typed = body === null;
    const head = new Text(128).add(u.method).add(" ").add(u.path).add("\n");
    for (let i = 0; i < u.headers.length; i++) {
      const h = u.headers[i];
      typed = typed || h.startsWith("content-type:");
      head.add(h).add("\n");
    }
    if (!typed) head.add("content-type: application/json\n");
    this.emit(Emission.Request, u.framing, head.bytes);
    if (body && body.length) this.emit(Emission.Body, 0, body);
  }

  /**
   * Holds back what follows for so many milliseconds, at most 60,000, in an answer
   * without upstream.
   */
  wait(ms: i32): void {
    state(Emission.Wait, ms, 0, 0);
  }

  /** Adds to what the assistant says in a choice. */
  text(choice: i32, text: string): void {
    this.some(Emission.Text, choice, 0, Bytes.of(text));
  }

  /** Is text() for the inside of a JSON string literal. */
  textJSON(choice: i32, inside: Bytes): void {
    this.some(Emission.Text | Emission.Raw, choice, 0, inside);
  }

  /** Adds to what the model thinks before it answers. */
  reasoning(choice: i32, text: string): void {
    this.some(Emission.Reasoning, choice, 0, Bytes.of(text));
  }

  /** Is reasoning() for the inside of a JSON string literal. */
  reasoningJSON(choice: i32, inside: Bytes): void {
    this.some(Emission.Reasoning | Emission.Raw, choice, 0, inside);
  }

  /** Adds to the text in which the model declines. */
  refusal(choice: i32, text: string): void {
    this.some(Emission.Refusal, choice, 0, Bytes.of(text));
  }

  /** Is refusal() for the inside of a JSON string literal. */
  refusalJSON(choice: i32, inside: Bytes): void {
    this.some(Emission.Refusal | Emission.Raw, choice, 0, inside);
  }

  /**
   * Names tool call n of a choice. Calls are counted from 0 as the upstream counts
   * them; without an id, or with one used before, the gateway makes one.
   */
  toolID(choice: i32, n: i32, id: string): void {
    this.emit(Emission.ToolID, at(choice, n), Bytes.of(id));
  }

  /** Gives the function that tool call n calls. */
  toolName(choice: i32, n: i32, name: string): void {
    this.emit(Emission.ToolName, at(choice, n), Bytes.of(name));
  }

  /** Adds to the JSON text of the arguments of tool call n. */
  toolArgs(choice: i32, n: i32, text: Bytes): void {
    this.some(Emission.ToolArgs, choice, n, text);
  }

  /** Is toolArgs() for the inside of a JSON string literal. */
  toolArgsJSON(choice: i32, n: i32, inside: Bytes): void {
    this.some(Emission.ToolArgs | Emission.Raw, choice, n, inside);
  }

  /** Adds fields that OpenAI doesn't know to tool call n. */
  toolExtra(choice: i32, n: i32, object: Bytes): void {
    this.emit(Emission.ToolExtra, at(choice, n), object);
  }

  /** Gives the provider's signature of tool call n, which it wants back with the call. */
  toolSignature(choice: i32, n: i32, text: string): void {
    this.some(Emission.ToolSignature, choice, n, Bytes.of(text));
  }

  /** Is toolSignature() for the inside of a JSON string literal. */
  toolSignatureJSON(choice: i32, n: i32, inside: Bytes): void {
    this.some(Emission.ToolSignature | Emission.Raw, choice, n, inside);
  }

  /**
   * Adds a part of the reasoning in the form in which the provider wants it back: an
   * object with "type" ("reasoning.text", "reasoning.summary" or "reasoning.encrypted"),
   * "text", "summary" or "data", and as far as there are such "signature", "format",
   * "index" and "id". What can be read of it is stated as reasoning besides.
   */
  reasoningDetail(choice: i32, object: Bytes): void {
    this.emit(Emission.ReasoningDetail, at(choice, 0), object);
  }

  /** Gives the provider's signature of a choice's text, which it wants back with the message. */
  signature(choice: i32, text: string): void {
    this.some(Emission.Signature, choice, 0, Bytes.of(text));
  }

  /** Is signature() for the inside of a JSON string literal. */
  signatureJSON(choice: i32, inside: Bytes): void {
    this.some(Emission.Signature | Emission.Raw, choice, 0, inside);
  }

  /** Adds a source of a choice's text, an object as the provider states it. */
  citation(choice: i32, object: Bytes): void {
    this.emit(Emission.Citation, at(choice, 0), object);
  }

  /** Gives the provider's own word for why a choice ends, beside finish(). */
  stopReason(choice: i32, word: string): void {
    this.some(Emission.StopReason, choice, 0, Bytes.of(word));
  }

  /** Is stopReason() for the inside of a JSON string literal. */
  stopReasonJSON(choice: i32, inside: Bytes): void {
    this.some(Emission.StopReason | Emission.Raw, choice, 0, inside);
  }

  /** Gives an array of OpenAI's token objects for the choice's text. */
  logprobs(choice: i32, array: Bytes): void {
    this.emit(Emission.Logprobs, at(choice, 0), array);
  }

  /** Adds fields that OpenAI doesn't know to the message or delta. */
  deltaExtra(choice: i32, object: Bytes): void {
    this.emit(Emission.DeltaExtra, at(choice, 0), object);
  }

  /** Adds fields that OpenAI doesn't know to the choice. */
  choiceExtra(choice: i32, object: Bytes): void {
    this.emit(Emission.ChoiceExtra, at(choice, 0), object);
  }

  /** Adds fields that OpenAI doesn't know to the answer or chunk. */
  chunkExtra(object: Bytes): void {
    this.emit(Emission.ChunkExtra, 0, object);
  }

  /**
   * Gives a usage object in OpenAI's shape, or a part of one: objects are merged leaf
   * by leaf and the last one wins.
   */
  usage(object: Bytes): void {
    this.emit(Emission.Usage, 0, object);
  }

  /** Gives the usage an upstream counts as two numbers. */
  tokens(prompt: i64, completion: i64): void {
    const w = new Writer(64);
    w.object();
    w.key("prompt_tokens").int(prompt);
    w.key("completion_tokens").int(completion);
    w.end();
    this.usage(w.bytes);
  }

  /** Ends a choice: "stop", "length", "tool_calls", "content_filter" or "function_call". */
  finish(choice: i32, reason: string): void {
    this.emit(Emission.Finish, at(choice, 0), Bytes.of(reason));
  }

  /** Says that the answer is complete by the upstream's own protocol, as [DONE] does: nothing more is read, though the connection may stay open. */
  end(): void {
    this.emit(Emission.End, 0, Bytes.of(""));
  }

  /**
   * Passes the upstream's event, or its whole answer, on to the client as it came: once a
   * call, for Op.Messages, Op.Responses, Op.Stored, Op.CountMessages, Op.CountResponses and
   * Op.CompactResponses, and for events of Op.Images, Op.Speech and Op.Transcriptions. content says that it is a part of what the
   * assistant says or does.
   */
  pass(content: bool): void {
    this.emit(Emission.Pass, content ? 1 : 0, Bytes.of(""));
  }

  /** Gives the whole answer of an operation other than chat. */
  result(json: Bytes): void {
    this.emit(Emission.Result, 0, json);
  }

  /** Emits text unless it is empty. */
  private some(kind: i32, choice: i32, item: i32, payload: Bytes): void {
    if (payload.length) this.emit(kind, at(choice, item), payload);
  }

  /** States a fact by the ABI's number. What the gateway refuses fails the call, whatever the adapter does then. */
  emit(kind: i32, at: i32, payload: Bytes): void {
    state(kind, at, payload.at, payload.length);
  }
}

function at(choice: i32, item: i32): i32 {
  return (choice << 16) | (item & 0xffff);
}
