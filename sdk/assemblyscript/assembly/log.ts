import { writeLog } from "./imports";

/** How much a log line matters. */
export enum Level {
  Debug = -4,
  Info = 0,
  Warn = 4,
  Error = 8,
}

/**
 * Writes a line to the gateway's log, under the adapter's name. The gateway drops
 * what is below the provider's log setting (default: warn) and more than 20 lines a
 * second. Never log prompts.
 */
export function log(level: Level, text: string): void {
  const utf8 = String.UTF8.encode(text, false, String.UTF8.ErrorMode.REPLACE);
  writeLog(level, changetype<usize>(utf8), utf8.byteLength);
}
