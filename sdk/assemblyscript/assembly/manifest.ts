import { Op } from "./adapter";
import { Bytes } from "./json";
import { Writer } from "./writer";

/** Where the gateway puts a provider's secret. The adapter sees neither. */
export class Auth {
  constructor(
    /** In lower case: "authorization". */
    readonly header: string,
    /** With one {} for the secret: "Bearer {}". */
    readonly format: string,
    /** The configuration's name for it. */
    readonly secret: string = "api_key",
  ) {}
}

/** What a module is. docs/abi.md has its JSON form. */
export class Manifest {
  /** An SPDX expression. */
  license: string = "";
  /** Where its documentation is. */
  homepage: string = "";
  /** What it serves. */
  ops: Op[] = [Op.Chat];
  /** What it serves only where an option is set: a server that can do it can't be told
   * from one that can't. By the option's name. */
  optionalOps: Map<string, Op> = new Map<string, Op>();
  /** How many inputs a request for an operation may have at most; the gateway cuts those
   * with more. Since minor version 3. */
  maxInputs: Map<Op, i32> = new Map<Op, i32>();
  /** For example "tools", "vision", "reasoning": for people. */
  capabilities: string[] = [];
  /** A hint for whoever configures it. */
  defaultBaseURL: string = "";
  /** What somebody has to do before a model answers; {model} is the upstream's name. */
  setup: string = "";
  /** Where the gateway puts the provider's secret; null: it has none. */
  auth: Auth | null = null;
  /** CUE for the options of the provider and of a model; "" allows none. */
  options: string = "";
  /** The adapter wants to see long content instead of references to it. */
  plainContent: bool = false;
  /** For an adapter without upstream: its options get a member "models". */
  knowsModels: bool = false;
  /** By what a client's request that the adapter passes on would choose the model,
   * the provider or the account that serves it: fields at its top, none of OpenAI's
   * own ("models"). The gateway refuses these unless the client's key may choose. */
  routingFields: string[] = [];
  /** The same of tools: how the type of one begins ("openrouter:"). */
  routingTools: string[] = [];
  /** What it takes beyond chat completions (docs/abi.md): "cache_control". */
  extensions: string[] = [];

  constructor(
    /** The adapter's name, for people. */
    readonly name: string,
    /** For example "1.2.0". */
    readonly version: string,
    /** The upstream it speaks to. */
    readonly provider: string,
  ) {}

  /** The payload of the emission. */
  json(): Bytes {
    const w = new Writer();
    w.object();
    field(w, "name", this.name);
    field(w, "version", this.version);
    field(w, "license", this.license);
    field(w, "homepage", this.homepage);
    w.key("adapters").array();
    w.object();
    field(w, "provider", this.provider);
    w.key("ops").array();
    for (let i = 0; i < this.ops.length; i++) w.string(opName(this.ops[i]));
    w.end();
    const options = this.optionalOps.keys();
    if (options.length) {
      w.key("optional_ops").object();
      for (let i = 0; i < options.length; i++) field(w, opName(this.optionalOps.get(options[i])), options[i]);
      w.end();
    }
    const limited = this.maxInputs.keys();
    if (limited.length) {
      w.key("max_inputs").object();
      for (let i = 0; i < limited.length; i++) w.key(opName(limited[i])).int(this.maxInputs.get(limited[i]));
      w.end();
    }
    w.key("capabilities").array();
    for (let i = 0; i < this.capabilities.length; i++) w.string(this.capabilities[i]);
    w.end();
    field(w, "default_base_url", this.defaultBaseURL);
    field(w, "setup", this.setup);
    const auth = this.auth;
    if (auth) {
      w.key("auth").object();
      field(w, "secret", auth.secret);
      field(w, "header", auth.header);
      field(w, "format", auth.format);
      w.end();
    }
    field(w, "options", this.options);
    w.key("plain_content").bool(this.plainContent);
    if (this.knowsModels) w.key("knows_models").bool(true);
    if (this.routingFields.length || this.routingTools.length) {
      w.key("routing").object();
      w.key("fields").array();
      for (let i = 0; i < this.routingFields.length; i++) w.string(this.routingFields[i]);
      w.end();
      w.key("tools").array();
      for (let i = 0; i < this.routingTools.length; i++) w.string(this.routingTools[i]);
      w.end();
      w.end();
    }
    if (this.extensions.length) {
      w.key("extensions").array();
      for (let i = 0; i < this.extensions.length; i++) w.string(this.extensions[i]);
      w.end();
    }
    w.end();
    w.end();
    w.end();
    return w.bytes;
  }
}

function field(w: Writer, key: string, value: string): void {
  if (value.length) w.key(key).string(value);
}

function opName(op: Op): string {
  switch (op) {
    case Op.Completions: return "completions";
    case Op.Embeddings: return "embeddings";
    case Op.Models: return "models";
    case Op.Count: return "count";
    case Op.Moderations: return "moderations";
    case Op.Rerank: return "rerank";
    case Op.Images: return "images";
    case Op.Speech: return "speech";
    case Op.Messages: return "messages";
    case Op.Transcriptions: return "transcriptions";
    case Op.Responses: return "responses";
    case Op.Stored: return "stored";
    case Op.CountMessages: return "count_messages";
    case Op.CountResponses: return "count_responses";
    case Op.CompactResponses: return "compact_responses";
  }
  return "chat";
}
