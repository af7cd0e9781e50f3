/** The gateway's side of the boundary. */

// @ts-ignore: decorator
@external("kai_v1", "emit")
export declare function emit(kind: i32, at: i32, ptr: usize, len: i32): i32;

// @ts-ignore: decorator
@external("kai_v1", "emit_all")
export declare function emitAll(records: usize, n: i32): i32;

// @ts-ignore: decorator
@external("kai_v1", "log")
export declare function writeLog(level: i32, ptr: usize, len: i32): void;
