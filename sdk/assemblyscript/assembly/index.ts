/**
 * What an adapter is written with.
 *
 * An adapter translates between OpenAI's API and one upstream: it turns a
 * client's request into an upstream request, and what the upstream answers into
 * typed facts, which the gateway turns into whatever its client speaks. It is a
 * pure function of its options, the exchange's state and its input; it owns no
 * socket, clock, key or file and remembers nothing between two calls.
 *
 *     import { Adapter, Event, Failure, Manifest, Out, Request, Response, register } from "kai-sdk/assembly";
 *     export * from "kai-sdk/assembly/exports";
 *
 *     class State { calls: u32 }
 *
 *     class Mine extends Adapter<State> {
 *       manifest(): Manifest { … }
 *       request(r: Request, s: State, out: Out): Failure | null { … }
 *       response(r: Response, s: State, out: Out): Failure | null { … }
 *       event(e: Event, s: State, out: Out): Failure | null { … }
 *     }
 *
 *     register<State>(new Mine());
 *
 * A method fails its request by returning a Failure. What aborts (a failed
 * assertion, an index out of range) ends the call and is logged with its place.
 *
 * Memory is collected between calls, never within one. So whatever a call was
 * given or made can be kept in variables until it returns, and nothing longer.
 */

export { Adapter, Event, Head, NoState, Op, Request, Response, register } from "./adapter";
export { Bytes, Fault, Fields, Items, Json, Kind, Reader, unquote } from "./json";
export { Failure } from "./failure";
export { Level, log } from "./log";
export { Auth, Manifest } from "./manifest";
export { Message, Messages, Part, Parts, ToolCall, ToolCalls, splitDataURL, DataURL } from "./openai";
export { Framing, Out, Upstream } from "./out";
export { Text, Writer } from "./writer";
