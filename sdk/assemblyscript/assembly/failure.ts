import { Bytes } from "./json";
import { Writer } from "./writer";

/**
 * A failure as a client of the gateway sees it: OpenAI's four fields and the HTTP
 * status. The message is shown to clients, so it never holds an address, a key or
 * anything of other requests.
 */
export class Failure {
  /** For example "invalid_request_error"; "": the type that belongs to the status. */
  type: string = "";
  /** For example "model_not_found"; "": null. */
  code: string = "";
  /** The request's field at fault; "": null. */
  param: string = "";
  /**
   * What the message says in the adapter's own words, with nothing of the upstream's, for the
   * gateway's log; "": the log only says that the provider reported an error.
   */
  own: string = "";
  /** Milliseconds until a repeat may succeed; 0: unknown. */
  retryAfterMS: i64 = 0;
  /** A repeat of the same request can't succeed, whatever the status says. */
  noRetry: bool = false;

  constructor(
    /** An HTTP status from 400 to 599. */
    readonly status: i32,
    readonly message: string,
  ) {}

  /** The client asks for what cannot be done: status 400. */
  static refused(param: string, message: string): Failure {
    const f = new Failure(400, message);
    f.param = param;
    return f;
  }

  /** The upstream failed: status 502, code "upstream_error". */
  static upstream(message: string): Failure {
    const f = new Failure(502, message);
    f.code = "upstream_error";
    return f;
  }

  /** The payload of the emission. */
  json(): Bytes {
    const w = new Writer();
    w.object();
    w.key("status").int(this.status);
    if (this.type.length) w.key("type").string(this.type);
    if (this.code.length) w.key("code").string(this.code);
    if (this.param.length) w.key("param").string(this.param);
    w.key("message").string(this.message);
    if (this.own.length) w.key("own").string(this.own);
    if (this.retryAfterMS > 0) w.key("retry_after_ms").int(this.retryAfterMS);
    if (this.noRetry) w.key("no_retry").bool(true);
    w.end();
    return w.bytes;
  }
}
