/** What the gateway calls. The file that the compiler is given exports all of it: export * from "…/exports". */

import "./abort"; // which --use abort=… names
import { Event, Head, Op, Request, Response, plugin } from "./adapter";
import { Bytes, Json } from "./json";
import { flush, inputAt } from "./table";

/** The input of a call. It is outside of what is collected. */
let buffer: usize = 0;
let room: usize = 0;

/** How many calls were made since memory was collected. */
let calls = 0;

/** Where the next section of the call's input begins. */
let place: usize = 0;

function open(): void {
  place = buffer;
}

/** Gives the next section's place. */
function section(length: i32): usize {
  const at = place;
  place += (length + 7) & ~7;
  return at;
}

/**
 * Ends a call. The gateway gets what it stated, and what it made is garbage now. A little of that may wait, since collecting
 * takes longer than a usual call; what a large input made may not.
 */
function close(status: i32, input: i32): i32 {
  flush();
  if (++calls >= 16 || input > 16384) {
    calls = 0;
    __collect();
  }
  return status;
}

/** The minor version of ABI v1 that this package is written for. */
const MINOR = 6;

export function kai_abi_v1(): i32 {
  return MINOR;
}

export function kai_manifest(): i32 {
  return close(plugin().manifest(), 0);
}

export function kai_buffer(min: i32): usize {
  if (<usize>min > room) {
    if (buffer) heap.free(buffer);
    buffer = heap.alloc(min); // a multiple of 16
    room = min;
    inputAt(buffer, room);
  }
  return buffer;
}

export function kai_configure(options: i32): i32 {
  return 0; // what a call needs of the options comes with its request
}

export function kai_request(op: i32, flags: i32, options: i32, body: i32): i32 {
  open();
  const r = new Request(op, (flags & 1) != 0, new Json(section(options), options), new Json(section(body), body));
  return close(plugin().request(r), body);
}

export function kai_response(op: i32, status: i32, state: i32, head: i32, body: i32): i32 {
  open();
  const before = new Bytes(section(state), state);
  const r = new Response(op, status, new Head(section(head), head), new Json(section(body), body));
  return close(plugin().response(r, before), body);
}

export function kai_event(op: i32, flags: i32, state: i32, name: i32, data: i32): i32 {
  open();
  const before = new Bytes(section(state), state);
  const e = new Event(op, new Bytes(section(name), name), new Json(section(data), data), (flags & 1) != 0, (flags & 2) != 0);
  return close(plugin().event(e, before), data);
}

export function kai_events(op: i32, state: i32, frames: i32): i32 {
  open();
  const before = new Bytes(section(state), state);
  return close(plugin().events(op, new Bytes(section(frames), frames), before), frames);
}
