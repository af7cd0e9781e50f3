// What the tests of the clients share: the gateway's address and the mock of the
// providers. See ../main.go and ../provider.go.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";

export const { KAI_OPEN, KAI_UPSTREAM } = process.env;

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
}

// A tool call as scripts have it.
export const call = (id, name, args) => ({ id, name, arguments: JSON.stringify(args) });

// The models that play scripts, one of each shipped adapter.
export const SCRIPTED = ["ollama/script", "router/script", "openai/script", "anthropic/script", "gemini/script"];
