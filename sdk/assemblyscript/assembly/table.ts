/**
 * The emissions of a call are collected, so that one call of the gateway takes them all:
 * crossing the boundary costs more than most emissions do.
 */

import { emit, emitAll } from "./imports";

const RECORDS = 128;
const RECORD = 16; // bytes: kind, at, address and length
const COPIES = 4096;

const records: usize = memory.data(2048); // RECORDS * RECORD
const copies: usize = memory.data(4096); // payloads that may be overwritten
let collected: i32 = 0;
let used: i32 = 0;

/** Where the call's input is, which stays as it is until the call returns. */
let input: usize = 0;
let inputRoom: usize = 0;

/** Says where the calls' input is. */
export function inputAt(at: usize, room: usize): void {
  input = at;
  inputRoom = room;
}

/** States a fact. The payload is copied, unless it is a part of the call's input. */
export function state(kind: i32, at: i32, payload: usize, length: i32): void {
  const copied = length > 0 && payload - input >= inputRoom;
  if (copied && length > COPIES) {
    flush();
    emit(kind, at, payload, length);
    return;
  }
  if (collected == RECORDS || (copied && length > COPIES - used)) flush();
  if (copied) {
    memory.copy(copies + used, payload, length);
    payload = copies + used;
    used += length;
  }
  const record = records + collected * RECORD;
  store<i32>(record, kind);
  store<i32>(record, at, 4);
  store<usize>(record, payload, 8);
  store<i32>(record, length, 12);
  collected++;
}

/**
 * Gives the gateway what was collected. What it refuses fails the call, whatever the
 * adapter does then.
 */
export function flush(): void {
  if (collected) emitAll(records, collected);
  collected = used = 0;
}
