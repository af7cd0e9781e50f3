import { Level, log } from "./log";

/**
 * Logs what went wrong and where, and ends the call. It takes the place of the
 * compiler's own, which would be an import that the gateway does not have: compile
 * with --use abort=…/kai-sdk/assembly/abort/abort.
 */
export function abort(message: string | null, file: string | null, line: u32, column: u32): void {
  log(
    Level.Error,
    "abort: " + (message ? message : "") + " at " + (file ? file : "?") + ":" + line.toString() + ":" + column.toString(),
  );
  unreachable();
}
