// What the tests of the clients share: the gateways' addresses, the mock of the
// providers, and a way to run programs. See ../main.go and ../provider.go.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";

export const { KAI_OPEN, KAI_GUARDED, KAI_UPSTREAM } = process.env;

// Anthropic's clients want addresses without /v1.
export const root = (url) => url.replace(/\/v1$/, "");

// What the models named PROVIDER/script say is a script: the answers to the first,
// second … request that has the mark in one of its messages.
export class Mark {
  id = randomBytes(16).toString("hex");

  static async play(...script) {
    const mark = new Mark();
    await mark.play(...script);
    return mark;
  }

  async play(...script) {
    const set = await fetch(`${KAI_UPSTREAM}/script?mark=${this.id}`, { method: "POST", body: JSON.stringify(script) });
    assert.equal(set.status, 200, await set.text());
  }

  say(text = "Hello!") {
    return `${text} (mark:${this.id})`;
  }

  // The bodies of the requests that reached the provider, as text.
  async bodies() {
    const answer = await fetch(`${KAI_UPSTREAM}/seen?mark=${this.id}`);
    return (await answer.json()).bodies.map((body) => JSON.stringify(body));
  }

  // How many of them were given up, once one was.
  async hungUp() {
    const answer = await fetch(`${KAI_UPSTREAM}/seen?mark=${this.id}&hung_up=1`);
    return (await answer.json()).hung_up;
  }

  // Lets the models named PROVIDER/held speak.
  async release() {
    await fetch(`${KAI_UPSTREAM}/release?mark=${this.id}`, { method: "POST" });
  }
}

// A tool call as scripts have it.
export const call = (id, name, args) => ({ id, name, arguments: JSON.stringify(args) });

// The models that play scripts, one of each shipped adapter.
export const SCRIPTED = ["ollama/script", "router/script", "openai/script", "anthropic/script", "gemini/script"];

// Those that make embeddings.
export const EMBEDDING = ["ollama/script", "router/script", "openai/script", "gemini/script"];

// What a provider signs and wants back: the model, and where its mock puts it.
export const SIGNED = ["router/script", "anthropic/script", "gemini/script"];

// Fails if a client wanted to reach anybody but the gateway. Programs are given
// the mock as their proxy, which refuses and takes notes.
export async function assertNobodyElseAsked() {
  const answer = await fetch(`${KAI_UPSTREAM}/outside`);
  assert.deepEqual(await answer.json(), []);
}

// An empty folder that is gone after the test.
export function folder(t) {
  const dir = mkdtempSync(join(tmpdir(), "kai-client-"));
  t.after(() => rmSync(dir, { recursive: true, force: true, maxRetries: 5 }));
  return dir;
}

// Runs a program with Node, one of npm's or the one at a path, in an empty
// environment with a home of its own, and gives its exit code and what it printed.
// It has three minutes.
export function run(script, args, { home, cwd, env = {} }) {
  const child = spawn(process.execPath, [resolve(import.meta.dirname, "node_modules", script), ...args], {
    cwd,
    detached: true, // a group of its own, so that its children end with it
    stdio: ["ignore", "pipe", "pipe"],
    env: {
      PATH: `${dirname(process.execPath)}:${process.env.PATH}`,
      HOME: home, TMPDIR: home, LANG: "C.UTF-8", TERM: "dumb",
      HTTP_PROXY: KAI_UPSTREAM, HTTPS_PROXY: KAI_UPSTREAM, NO_PROXY: "127.0.0.1,localhost", NODE_USE_ENV_PROXY: "1", NODE_NO_WARNINGS: "1",
      ...env,
    },
  });
  let out = "", err = "";
  child.stdout.on("data", (text) => (out += text));
  child.stderr.on("data", (text) => (err += text));
  const timer = setTimeout(() => {
    err += "\nended after three minutes";
    process.kill(-child.pid, "SIGKILL");
  }, 180_000);
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => {
      clearTimeout(timer);
      resolve({ code, out, err });
    });
  });
}

// An MCP server, as a command and its arguments, and the name of its one tool.
export const MCP = [process.execPath, [join(import.meta.dirname, "words.mcp.mjs")]];
export const MCP_TOOL = "look_up_what_a_word_means";

// A picture of one grey dot.
export const DOT = Buffer.from("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg==", "base64");

export const CODEX = "@openai/codex/bin/codex.js";
export const CLAUDE = "@anthropic-ai/claude-code/cli-wrapper.cjs";

// Whether a program runs on this machine, for which npm may have no build. It says
// so, but in CI that is a failure.
export async function runs(script) {
  const { code, err } = await run(script, ["--version"], { home: tmpdir(), cwd: tmpdir() });
  if (code !== 0) {
    console.log(`skipped ${script}, which does not run here: ${err}`);
    assert.notEqual(process.env.CI, "true");
  }
  return code === 0;
}

// The blocks of docs/clients.md in a language, with the gateway's address.
export function documented(language) {
  const page = readFileSync(join(import.meta.dirname, "../../../docs/clients.md"), "utf8");
  const blocks = [...page.matchAll(/^```(\w+)\n(.*?)^```$/gms)].filter((m) => m[1] === language).map((m) => m[2]);
  assert.ok(blocks.length > 0, language);
  return blocks.map((block) => block.replaceAll("http://localhost:9000", root(KAI_OPEN)));
}
