// Holds the gateway's Responses API against OpenAI's Node SDK.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import OpenAI from "openai";
import { zodTextFormat } from "openai/helpers/zod";
import { z } from "zod";

import { KAI_GUARDED, KAI_OPEN, Mark, SCRIPTED, SIGNED, call } from "./kai.mjs";

// No repeats unless a test is about them.
const client = (options = {}) =>
  new OpenAI({ baseURL: KAI_OPEN, apiKey: "not-needed", maxRetries: 0, timeout: 120_000, ...options });

const TEXT = "Hello from the mock — grüß dich 👋.";

const weather = {
  type: "function", name: "get_weather", strict: true,
  parameters: {
    type: "object", additionalProperties: false,
    properties: { city: { type: "string" }, unit: { type: "string" } }, required: ["city", "unit"],
  },
};

// The response, if it has what OpenAI's always have.
function checked(response) {
  assert.match(response.id, /^resp_[A-Za-z0-9_]{20,59}$/);
  assert.equal(response.object, "response");
  assert.ok(Number.isInteger(response.created_at) && response.created_at > 1_700_000_000);
  for (const field of ["error", "incomplete_details", "instructions", "model", "tools", "output", "parallel_tool_calls",
    "metadata", "tool_choice", "temperature", "top_p", "text", "store", "usage"]) assert.ok(field in response, field);
  const ids = response.output.map((item) => item.id);
  assert.equal(new Set(ids).size, ids.length);
  const { usage } = response;
  if (usage) {
    assert.equal(usage.total_tokens, usage.input_tokens + usage.output_tokens);
    assert.ok(Number.isInteger(usage.input_tokens_details.cached_tokens));
    assert.ok(Number.isInteger(usage.output_tokens_details.reasoning_tokens));
  }
  return response;
}

// The events of a stream, numbered from 0, and its last response.
async function collected(stream) {
  const events = [];
  for await (const event of stream) events.push(event);
  assert.deepEqual(events.map((event) => event.sequence_number), events.map((_, i) => i));
  assert.deepEqual(events.slice(0, 2).map((event) => event.type), ["response.created", "response.in_progress"]);
  return { events, types: events.map((event) => event.type), response: events.at(-1).response };
}

describe("an answer", () => {
  for (const model of ["demo", ...SCRIPTED]) {
    test(model, async () => {
      const mark = await Mark.play({ text: TEXT });
      const response = checked(await client().responses.create({ model, input: mark.say() }));
      assert.equal(response.model, model);
      assert.equal(response.status, "completed");
      if (model === "demo") return assert.match(response.output_text, /Kai/);
      assert.equal(response.output_text, TEXT);
      assert.equal(response.usage.input_tokens, 12);
      assert.equal(response.usage.output_tokens, 34);
    });

    test(`${model}, streamed`, async () => {
      const mark = await Mark.play({ text: TEXT });
      const stream = await client().responses.create({ model, input: mark.say(), stream: true });
      const { events, types, response } = await collected(stream);
      assert.equal(types.at(-1), "response.completed");
      assert.deepEqual(types.filter((type, i) => type !== types[i - 1]), [
        "response.created", "response.in_progress", "response.output_item.added", "response.content_part.added",
        "response.output_text.delta", "response.output_text.done", "response.content_part.done",
        "response.output_item.done", "response.completed",
      ]);
      checked(response);
      const text = events.filter((e) => e.type === "response.output_text.delta").map((e) => e.delta).join("");
      assert.equal(text, response.output[0].content[0].text);
      if (model !== "demo") assert.equal(text, TEXT);
    });

    test(`${model}, through the helper`, async () => {
      const mark = await Mark.play({ text: TEXT });
      let text = "";
      const stream = client().responses.stream({ model, input: mark.say() });
      stream.on("response.output_text.delta", (event) => (text += event.delta));
      const response = checked(await stream.finalResponse());
      assert.equal(response.output_text, text);
      assert.equal(response.status, "completed");
    });
  }

  test("to instructions and parameters, of which none is lost", async () => {
    const mark = await Mark.play({ text: TEXT });
    const response = await client().responses.create({
      model: "openai/script", instructions: "Be brief.", max_output_tokens: 99, temperature: 0.5,
      reasoning: { effort: "high" }, text: { verbosity: "low" }, metadata: { a: "b" }, store: false,
      input: [{ role: "user", content: [{ type: "input_text", text: mark.say() }] }],
    });
    assert.deepEqual(response.metadata, { a: "b" });
    const [body] = await mark.bodies();
    const sent = JSON.parse(body);
    assert.deepEqual(sent.messages.map((m) => m.role), ["system", "user"]);
    assert.deepEqual([sent.max_completion_tokens, sent.temperature, sent.reasoning_effort, sent.verbosity], [99, 0.5, "high", "low"]);
    for (const never of ["store", "metadata", "include"]) assert.ok(!(never in sent), never);
  });

  test("that was cut off", async () => {
    const mark = await Mark.play({ text: "Two words", finish: "length" });
    const response = checked(await client().responses.create({ model: "openai/script", input: mark.say() }));
    assert.equal(response.status, "incomplete");
    assert.equal(response.incomplete_details.reason, "max_output_tokens");
    assert.equal(response.output_text, "Two words");
    const { types } = await collected(await client().responses.create({ model: "openai/script", input: mark.say(), stream: true }));
    assert.equal(types.at(-1), "response.incomplete");
  });
});

describe("structured output", () => {
  const Event = z.object({ name: z.string(), day: z.enum(["Monday", "Friday"]), participants: z.array(z.string()) });

  for (const model of ["demo", "ollama/json", "router/json"]) {
    test(model, async () => {
      const ask = { model, input: "A fair on Friday", text: { format: zodTextFormat(Event, "event") } };
      assert.ok(Event.parse((await client().responses.parse(ask)).output_parsed));
      assert.ok(Event.parse((await client().responses.stream(ask).finalResponse()).output_parsed));
    });
  }
});

describe("a tool round", () => {
  const calls = [call("call_1", "get_weather", { city: "Paris", unit: "C" }), call("call_2", "get_weather", { city: "Rome", unit: "C" })];
  const play = () => Mark.play({ reasoning: "I look.", signature: "c2lnbmF0dXJl", text: "Let me look.", calls }, { text: "Mild." });

  const results = (response) => response.output.filter((item) => item.type === "function_call")
    .map((item) => ({ type: "function_call_output", call_id: item.call_id, output: `mild in ${JSON.parse(item.arguments).city}` }));

  // Whether the provider got its own answer back, and the results.
  async function cameBack(mark, model) {
    const bodies = await mark.bodies();
    assert.equal(bodies.length, 2);
    assert.match(bodies[1], /Let me look\..*mild in Paris.*mild in Rome/);
    if (SIGNED.includes(model)) assert.match(bodies[1], /c2lnbmF0dXJl/, "the signature did not come back");
  }

  for (const model of SCRIPTED) {
    test(`${model}, the conversation sent again`, async () => {
      const mark = await play();
      const ask = { model, tools: [weather], store: false, input: [{ role: "user", content: mark.say() }] };
      const first = checked(await client().responses.create(ask));
      // Gemini's signature is in a call, and has an item of its own.
      const types = first.output.map((item) => item.type);
      assert.deepEqual([types[0], ...types.filter((type) => type !== "reasoning")], ["reasoning", "message", "function_call", "function_call"]);
      assert.equal(first.output[0].summary.map((part) => part.text).join(""), "I look.");
      ask.input.push(...first.output, ...results(first));
      const second = await client().responses.create(ask);
      assert.equal(second.output_text, "Mild.");
      await cameBack(mark, model);
    });

    test(`${model}, streamed, with the id of the response before`, async () => {
      const mark = await play();
      const ask = { model, tools: [weather] };
      const stream = client().responses.stream({ ...ask, input: mark.say() });
      const first = checked(await stream.finalResponse());
      assert.equal(first.store, true);
      const second = await client().responses.stream({ ...ask, previous_response_id: first.id, input: results(first) }).finalResponse();
      assert.equal(second.output_text, "Mild.");
      assert.equal(second.previous_response_id, first.id);
      await cameBack(mark, model);
    });
  }

  test("with a custom tool", async () => {
    const mark = await Mark.play({ calls: [call("call_1", "run", { input: "print(1)" })] }, { text: "1" });
    const ask = { model: "anthropic/script", tools: [{ type: "custom", name: "run" }], input: [{ role: "user", content: mark.say() }] };
    const first = await client().responses.create(ask);
    const made = first.output.find((item) => item.type === "custom_tool_call");
    assert.deepEqual([made.name, made.input], ["run", "print(1)"]);
    ask.input.push(...first.output, { type: "custom_tool_call_output", call_id: made.call_id, output: "one" });
    assert.equal((await client().responses.create(ask)).output_text, "1");
    assert.match((await mark.bodies())[1], /print\(1\).*one/);
  });
});

describe("what is remembered", () => {
  test("is found, and forgotten on demand", async () => {
    const api = client().responses;
    const made = await api.create({ model: "demo", input: "Hello!" });
    assert.equal(made.store, true);
    const found = await api.retrieve(made.id);
    assert.deepEqual([found.id, found.output_text], [made.id, made.output_text]);
    await api.delete(made.id);
    await assert.rejects(api.retrieve(made.id), OpenAI.NotFoundError);
    await assert.rejects(api.create({ model: "demo", input: "And?", previous_response_id: made.id }), { status: 400, code: "previous_response_not_found" });
  });

  test("is not what a client does not want to be", async () => {
    const api = client().responses;
    const made = await api.create({ model: "demo", input: "Hello!", store: false });
    assert.equal(made.store, false);
    await assert.rejects(api.retrieve(made.id), OpenAI.NotFoundError);
  });

  test("is each key's own", async () => {
    const mine = client({ baseURL: KAI_GUARDED, apiKey: "sk-everything" }).responses;
    const theirs = client({ baseURL: KAI_GUARDED, apiKey: "sk-demo" }).responses;
    const made = await mine.create({ model: "demo", input: "Hello!" });
    assert.equal((await mine.retrieve(made.id)).id, made.id);
    await assert.rejects(theirs.retrieve(made.id), OpenAI.NotFoundError);
  });
});

describe("errors", () => {
  const ask = async (model, more = {}) => {
    const mark = await Mark.play({ text: TEXT });
    return client().responses.create({ model, input: mark.say(), ...more });
  };

  test("of requests that are wrong", async () => {
    await assert.rejects(ask("no-such-model"), { status: 400, type: "invalid_request_error" });
    await assert.rejects(ask("demo", { background: true }), { status: 400, param: "background" });
    await assert.rejects(ask("demo", { tools: [{ type: "file_search", vector_store_ids: ["v"] }] }), { status: 400, param: "tools[0].type" });
    await assert.rejects(ask("demo", { input: [{ role: "user", content: "Hi" }, { type: "foo" }] }), { status: 400, param: "input[1].type" });
    await assert.rejects(client({ baseURL: KAI_GUARDED, apiKey: "sk-wrong" }).responses.create({ model: "demo", input: "Hi" }), OpenAI.AuthenticationError);
  });

  test("of the provider, before the answer", async () => {
    for (const stream of [false, true]) {
      await assert.rejects(ask("router/429", { stream }), (error) => error instanceof OpenAI.RateLimitError && error.headers.get("retry-after") === "1");
      await assert.rejects(ask("router/400", { stream }), { status: 400, message: /the mock says 400/ });
      await assert.rejects(ask("router/500", { stream }), OpenAI.InternalServerError);
    }
  });

  test("of the provider, within the answer", async () => {
    for (const model of ["ollama/broken", "router/broken", "ollama/cut", "router/cut"]) {
      let text = "";
      const stream = await ask(model, { stream: true });
      await assert.rejects(async () => {
        for await (const event of stream) text += event.type === "response.output_text.delta" ? event.delta : "";
      }, OpenAI.APIError);
      assert.equal(text, "Two words");
      await assert.rejects(client().responses.stream({ model, input: "Hi" }).finalResponse(), OpenAI.APIError);
    }
  });
});

test("a stream that is given up ends upstream, too", async () => {
  const mark = new Mark();
  const stream = await client().responses.create({ model: "ollama/endless", input: mark.say(), stream: true });
  for await (const event of stream) if (event.type === "response.output_text.delta") break;
  assert.equal(await mark.hungUp(), 1);
});

test("what takes long begins before there is anything to say", async () => {
  const mark = new Mark();
  const stream = await client({ baseURL: KAI_GUARDED, apiKey: "sk-everything" })
    .responses.create({ model: "router/held", input: mark.say(), stream: true });
  const events = stream[Symbol.asyncIterator]();
  assert.equal((await events.next()).value.type, "response.created");
  await mark.release();
  let last;
  for (let e = await events.next(); !e.done; e = await events.next()) last = e.value;
  assert.equal(last.type, "response.completed");
});
