// Holds what passes natively against the SDKs whose API it is: tools that the provider runs,
// sources, stored responses, and what no SDK knows.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";

import { KAI_GUARDED, KAI_OPEN, Mark, root } from "./kai.mjs";

const options = { maxRetries: 0, timeout: 120_000 };
const responses = (apiKey = "not-needed", baseURL = KAI_OPEN) => new OpenAI({ baseURL, apiKey, ...options }).responses;
const messages = (apiKey = "not-needed", baseURL = KAI_OPEN) => new Anthropic({ baseURL: root(baseURL), apiKey, ...options }).messages;

describe("the Responses API", () => {
  const ask = (input = "Hello!", more = {}) => ({ model: "openai/native", input, tools: [{ type: "web_search" }], ...more });

  function check(response) {
    assert.equal(response.model, "openai/native");
    assert.deepEqual(response.output.map((item) => item.type), ["web_search_call", "message"]);
    assert.equal(response.output[1].content[0].annotations[0].url, "https://example.com/");
    assert.deepEqual(response.novel_field, { kept: 1 });
  }

  test("a whole answer", async () => {
    const mark = new Mark();
    const response = await responses().create(ask(mark.say()));
    check(response);
    assert.equal(response.output_text, "Searched.");
    const [sent] = (await mark.bodies()).map((body) => JSON.parse(body));
    assert.equal(sent.model, "gpt");
    assert.deepEqual(sent.tools, [{ type: "web_search" }]);
  });

  test("a stream", async () => {
    const events = [];
    for await (const event of await responses().create(ask("Something novel", { stream: true }))) events.push(event);
    assert.deepEqual(events.map((event) => event.sequence_number), events.map((_, i) => i));
    assert.ok(events.some((event) => event.type === "response.web_search_call.searching"));
    const novel = events.find((event) => event.type === "response.novel_event");
    assert.deepEqual([novel.model, novel.novel], ["kept", [1.5, null]]);
    check(events.at(-1).response);
  });

  test("a stream through the helper", async () => {
    check(await responses().stream(ask()).finalResponse());
  });

  test("stored responses", async () => {
    const api = responses();
    const first = await api.create(ask("My name is Kim."));
    const second = await api.create(ask("And mine?", { previous_response_id: first.id }));
    assert.equal(second.output_text, "Before: My name is Kim.");
    check(await api.retrieve(first.id));
    const items = await api.inputItems.list(first.id);
    assert.equal(items.data[0].content[0].text, "My name is Kim.");
    await api.delete(first.id);
    await assert.rejects(api.retrieve(first.id), OpenAI.NotFoundError);
  });

  test("another caller's responses", async () => {
    const mine = responses("sk-everything", KAI_GUARDED);
    const other = responses("sk-other", KAI_GUARDED);
    const made = await mine.create(ask());
    await assert.rejects(other.retrieve(made.id), OpenAI.NotFoundError);
    await assert.rejects(other.delete(made.id), OpenAI.NotFoundError);
    await assert.rejects(other.create(ask("Hello!", { previous_response_id: made.id })), OpenAI.APIError);
    check(await mine.retrieve(made.id));
  });
});

describe("the Messages API", () => {
  const ask = (text = "Hello!", more = {}) => ({
    model: "anthropic/native", max_tokens: 100, messages: [{ role: "user", content: text }], tools: [{ type: "web_search_20250305", name: "web_search" }], ...more,
  });

  function check(message) {
    assert.equal(message.model, "anthropic/native");
    assert.deepEqual(message.content.map((block) => block.type), ["server_tool_use", "web_search_tool_result", "text", "novel_block"]);
    assert.deepEqual(message.content[0].input, { query: "kai" });
    assert.equal(message.content[2].text, "Found it.");
    assert.equal(message.content[2].citations[0].cited_text, "It is said.");
    assert.equal(message.usage.server_tool_use.web_search_requests, 1);
  }

  test("a whole answer", async () => check(await messages().create(ask())));
  test("a stream", async () => check(await messages().stream(ask()).finalMessage()));

  test("a round sends all back", async () => {
    const mark = new Mark();
    const first = await messages().create(ask(mark.say()));
    const history = [{ role: "user", content: mark.say() }, { role: "assistant", content: first.content }, { role: "user", content: "Go on." }];
    check(await messages().create(ask("", { messages: history })));
    const sent = JSON.parse((await mark.bodies()).at(-1));
    assert.deepEqual(sent.messages[1].content, first.content);
  });

  test("counted tokens", async () => {
    const { max_tokens, ...question } = ask();
    assert.equal((await messages().countTokens(question)).input_tokens, 42);
  });

  test("another caller's container", async () => {
    await messages("sk-everything", KAI_GUARDED).create(ask());
    check(await messages("sk-everything", KAI_GUARDED).create(ask("Hello!", { container: "container_native" })));
    await assert.rejects(messages("sk-other", KAI_GUARDED).create(ask("Hello!", { container: "container_native" })), Anthropic.APIError);
  });
});
