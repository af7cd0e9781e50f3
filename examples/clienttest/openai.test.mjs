// Holds the gateway against OpenAI's Node SDK.
//
// `make test-clients` runs this. The servers it talks to are started by main.go,
// which puts their addresses into the environment; what the models named
// ollama/… and router/… do is explained in provider.go.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { describe, test } from "node:test";

import OpenAI from "openai";
import { zodFunction, zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";

const { KAI_OPEN, KAI_GUARDED, KAI_UPSTREAM } = process.env;

const MOCK_TEXT = "Hello from the mock — grüß dich 👋.";
const TEXT_MODELS = ["demo", "ollama/text", "router/text"];

// No repeats unless a test is about them.
const client = (options = {}) =>
  new OpenAI({ baseURL: KAI_OPEN, apiKey: "not-needed", maxRetries: 0, timeout: 120_000, ...options });

const guarded = (apiKey = "sk-everything") => client({ baseURL: KAI_GUARDED, apiKey });

const say = (text = "Hello!") => [{ role: "user", content: text }];

// Marks a test's requests, to see what of them reached the provider.
class Mark {
  id = randomBytes(16).toString("hex");

  say(text = "Hello!") {
    return say(`${text} (mark:${this.id})`);
  }

  async seen(hungUp = 0) {
    const answer = await fetch(`${KAI_UPSTREAM}/seen?mark=${this.id}&hung_up=${hungUp}`);
    return answer.json();
  }

  async release() {
    await fetch(`${KAI_UPSTREAM}/release?mark=${this.id}`, { method: "POST" });
  }
}

// The answer, if it has what OpenAI's answers always have.
function checked(answer) {
  assert.match(answer.id, /^chatcmpl-./);
  assert.equal(answer.object, "chat.completion");
  assert.ok(Number.isInteger(answer.created) && answer.created > 1_700_000_000);
  assert.match(answer._request_id, /^req_/);
  const { usage, choices } = answer;
  assert.equal(usage.total_tokens, usage.prompt_tokens + usage.completion_tokens);
  for (const [index, choice] of choices.entries()) {
    assert.equal(choice.index, index);
    assert.equal(choice.message.role, "assistant");
    for (const field of ["content", "refusal"]) assert.ok(field in choice.message, field);
    assert.ok("logprobs" in choice);
    assert.ok(["stop", "length", "tool_calls", "content_filter"].includes(choice.finish_reason));
  }
  return answer;
}

// The chunks of a stream, each checked.
async function collected(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  for (const chunk of chunks) {
    assert.equal(chunk.object, "chat.completion.chunk");
    for (const field of ["id", "created", "model"]) assert.equal(chunk[field], chunks[0][field]);
  }
  const choices = chunks.flatMap((chunk) => chunk.choices);
  assert.equal(choices[0].delta.role, "assistant");
  for (const choice of choices.slice(0, -1)) assert.equal(choice.finish_reason, null);
  assert.notEqual(choices.at(-1).finish_reason, null);
  return chunks;
}

const textOf = (chunks) => chunks.flatMap((chunk) => chunk.choices.map((choice) => choice.delta.content ?? "")).join("");

const create = (api, body) => api.chat.completions.create(body);

describe("chat", () => {
  for (const model of TEXT_MODELS) {
    test(model, async () => {
      const answer = checked(await create(client(), { model, messages: say() }));
      assert.equal(answer.model, model);
      const { message, finish_reason } = answer.choices[0];
      assert.equal(finish_reason, "stop");
      assert.equal(message.refusal, null);
      assert.equal(message.tool_calls, undefined);
      if (model === "demo") assert.match(message.content, /Kai/);
      else assert.equal(message.content, MOCK_TEXT);
    });
  }

  test("several choices", async () => {
    const answer = checked(await create(client(), { model: "demo", messages: say(), n: 2 }));
    assert.equal(answer.choices.length, 2);
  });

  test("long text", async () => {
    const mark = new Mark();
    const long = 'a long text with "quotes", \\ and 👋; '.repeat(5000);
    await create(client(), { model: "router/text", messages: [{ role: "system", content: long }, ...mark.say()] });
    assert.equal((await mark.seen()).last.messages[0].content, long);
  });
});

describe("streams", () => {
  for (const model of TEXT_MODELS) {
    test(model, async () => {
      const chunks = await collected(await create(client(), { model, messages: say(), stream: true }));
      assert.ok(chunks.length > 5);
      assert.equal(chunks[0].model, model);
      for (const chunk of chunks) {
        assert.ok(!("usage" in chunk));
        assert.equal(chunk.choices.length, 1);
      }
      if (model === "demo") assert.match(textOf(chunks), /Kai/);
      else assert.equal(textOf(chunks), MOCK_TEXT);
    });

    test(`${model} through the helper`, async () => {
      let text = "";
      const stream = client().chat.completions.stream({ model, messages: say() });
      stream.on("content", (delta) => (text += delta));
      const final = await stream.finalChatCompletion();
      assert.equal(final.choices[0].message.content, text);
      assert.equal(final.choices[0].finish_reason, "stop");
      assert.notEqual(text, "");
    });

    test(`${model} with usage`, async () => {
      const body = { model, messages: say(), stream: true, stream_options: { include_usage: true } };
      const chunks = await collected(await create(client(), body));
      const last = chunks.pop();
      assert.deepEqual(last.choices, []);
      for (const chunk of chunks) assert.equal(chunk.usage, null);
      if (model !== "demo") assert.equal(last.usage.completion_tokens, 34);
      assert.equal(last.usage.total_tokens, last.usage.prompt_tokens + last.usage.completion_tokens);
    });
  }

  for (const model of ["ollama/held", "router/held"]) {
    test(`comments mean nothing: ${model}`, async () => {
      const mark = new Mark();
      const stream = await create(guarded(), { model, messages: mark.say(), stream: true });
      await mark.release(); // the head is here, and with it a comment
      assert.equal(textOf(await collected(stream)), MOCK_TEXT);
    });
  }

  test("fifty at once", async () => {
    const one = async (model) => textOf(await collected(await create(client(), { model, messages: say(), stream: true })));
    const texts = await Promise.all(Array.from({ length: 50 }, (_, i) => one(TEXT_MODELS[1 + (i % 2)])));
    assert.deepEqual(new Set(texts), new Set([MOCK_TEXT]));
  });
});

const tool = (name, ...parameters) => ({
  type: "function",
  function: {
    name,
    parameters: {
      type: "object",
      properties: Object.fromEntries(parameters.map((parameter) => [parameter, { type: "string" }])),
      required: parameters,
    },
  },
});

const TOOLS = [tool("get_weather", "city", "unit"), tool("get_time", "zone")];
const ASK = "The weather and the time in Oslo?";

// The mock calls get_weather twice, the demo what the question mentions.
const CALLED = {
  demo: ["get_weather", "get_time"],
  "ollama/tools": ["get_weather", "get_weather"],
  "router/tools": ["get_weather", "get_weather"],
};

function checkCalls(message, names) {
  assert.equal(message.content, null);
  const calls = message.tool_calls;
  assert.deepEqual(calls.map((call) => call.function.name), names);
  assert.equal(new Set(calls.map((call) => call.id)).size, calls.length);
  for (const call of calls) {
    assert.equal(call.type, "function");
    assert.equal(typeof JSON.parse(call.function.arguments), "object");
  }
}

describe("tools", () => {
  test("a single one", async () => {
    const answer = checked(await create(client(), { model: "demo", messages: say("The weather in Oslo?"), tools: TOOLS }));
    checkCalls(answer.choices[0].message, ["get_weather"]);
  });

  for (const [model, names] of Object.entries(CALLED)) {
    test(`${model} in parallel`, async () => {
      const answer = checked(await create(client(), { model, messages: say(ASK), tools: TOOLS }));
      assert.equal(answer.choices[0].finish_reason, "tool_calls");
      checkCalls(answer.choices[0].message, names);
    });

    test(`${model} streamed`, async () => {
      const chunks = await collected(await create(client(), { model, messages: say(ASK), tools: TOOLS, stream: true }));
      const calls = new Map();
      for (const delta of chunks.flatMap((chunk) => chunk.choices[0].delta.tool_calls ?? [])) {
        if (calls.has(delta.index)) {
          assert.deepEqual(Object.keys(delta).sort(), ["function", "index"]);
          assert.deepEqual(Object.keys(delta.function), ["arguments"]);
        } else {
          assert.deepEqual(Object.keys(delta).sort(), ["function", "id", "index", "type"]);
          assert.deepEqual(Object.keys(delta.function).sort(), ["arguments", "name"]);
        }
        calls.set(delta.index, (calls.get(delta.index) ?? "") + delta.function.arguments);
      }
      assert.equal(calls.size, names.length);
      for (const text of calls.values()) assert.equal(typeof JSON.parse(text), "object");
      assert.equal(chunks.at(-1).choices[0].finish_reason, "tool_calls");
    });

    test(`${model} through the helper that streams`, async () => {
      const final = await client().chat.completions.stream({ model, messages: say(ASK), tools: TOOLS }).finalChatCompletion();
      checkCalls(final.choices[0].message, names);
    });

    for (const stream of [false, true]) {
      test(`${model} through the helper that runs them, ${stream ? "streamed" : "whole"}`, async () => {
        const used = [];
        const run = (name) => ({
          ...tool(name, "city"),
          function: {
            ...tool(name, "city").function,
            parse: JSON.parse,
            function: () => `result ${used.push(name) - 1}`,
          },
        });
        const runner = client().chat.completions.runTools({ model, messages: say(ASK), tools: names.map(run), stream });
        const text = await runner.finalContent();
        assert.deepEqual(used.sort(), [...names].sort());
        assert.match(text, /result 0/);
        assert.match(text, /result 1/);
      });
    }
  }
});

const Event = z.object({ name: z.string(), day: z.enum(["Monday", "Friday"]), participants: z.array(z.string()) });

describe("structured output", () => {
  const ask = "Alice and Bob go to a science fair on Friday.";

  for (const model of ["demo", "ollama/json", "router/json"]) {
    const body = { model, messages: say(ask), response_format: zodResponseFormat(Event, "event") };

    test(model, async () => {
      const answer = await client().chat.completions.parse(body);
      Event.parse(answer.choices[0].message.parsed);
    });

    test(`${model} streamed`, async () => {
      const final = await client().chat.completions.stream(body).finalChatCompletion();
      Event.parse(final.choices[0].message.parsed);
    });

    test(`${model} as any object`, async () => {
      const answer = await create(client(), { model, messages: say("Reply in JSON."), response_format: { type: "json_object" } });
      assert.equal(typeof JSON.parse(answer.choices[0].message.content), "object");
    });
  }

  test("the arguments of a tool", async () => {
    const GetWeather = z.object({ city: z.string() });
    const answer = await client().chat.completions.parse({
      model: "demo",
      messages: say("The weather in Oslo?"),
      tools: [zodFunction({ name: "get_weather", parameters: GetWeather })],
    });
    GetWeather.parse(answer.choices[0].message.tool_calls[0].function.parsed_arguments);
  });

  test("the schema reaches the provider", async () => {
    for (const [model, where] of [
      ["ollama/json", (last) => last.format],
      ["router/json", (last) => last.response_format.json_schema.schema],
    ]) {
      const mark = new Mark();
      await client().chat.completions.parse({ model, messages: mark.say(), response_format: zodResponseFormat(Event, "event") });
      assert.deepEqual(Object.keys(where((await mark.seen()).last).properties), ["name", "day", "participants"]);
    }
  });
});

describe("vision", () => {
  const image = randomBytes(20_000).toString("base64");
  const url = `data:image/png;base64,${image}`;
  const ask = async (model, mark) =>
    checked(
      await create(client(), {
        model,
        messages: [{ role: "user", content: [{ type: "text", text: mark.say()[0].content }, { type: "image_url", image_url: { url } }] }],
      }),
    );

  test("demo", async () => assert.match((await ask("demo", new Mark())).choices[0].message.content, /1 image/));

  test("the image reaches the provider", async () => {
    let mark = new Mark();
    await ask("ollama/text", mark);
    assert.deepEqual((await mark.seen()).last.messages[0].images, [image]);
    mark = new Mark();
    await ask("router/text", mark);
    assert.deepEqual((await mark.seen()).last.messages[0].content[1].image_url, { url });
  });
});

describe("reasoning", () => {
  for (const model of ["ollama/reasoning", "router/reasoning"]) {
    test(model, async () => {
      const { message } = checked(await create(client(), { model, messages: say() })).choices[0];
      const chunks = await collected(await create(client(), { model, messages: say(), stream: true }));
      for (const field of ["reasoning_content", "reasoning"]) {
        assert.equal(message[field], "Two and two make four.");
        assert.equal(chunks.map((chunk) => chunk.choices[0].delta[field] ?? "").join(""), message[field]);
      }
      assert.equal(message.content, "It is 4.");
      assert.equal(textOf(chunks), "It is 4.");
    });
  }
});

describe("errors", () => {
  // Asks twice, whole and streamed.
  function fails(name, kind, want, body, api = client()) {
    test(name, async () => {
      for (const stream of [false, true]) {
        const error = await create(api, { model: "demo", messages: say(), stream, ...body }).then(
          () => assert.fail("no error"),
          (error) => error,
        );
        assert.ok(error instanceof kind, `${error.constructor.name}: ${error.message}`);
        assert.deepEqual(Object.keys(error.error).sort(), ["code", "message", "param", "type"]);
        const { message, ...rest } = want;
        const got = { status: error.status, type: error.type, code: error.code, param: error.param };
        assert.deepEqual(got, { code: null, param: null, ...rest });
        assert.match(error.message, message ?? /./);
        assert.match(error.requestID, /^req_/);
      }
    });
  }

  const bad = { status: 400, type: "invalid_request_error" };
  fails("a parameter", OpenAI.BadRequestError, { ...bad, param: "temperature" }, { temperature: 5 });
  fails("no messages", OpenAI.BadRequestError, { ...bad, param: "messages" }, { messages: [] });
  fails("an unknown model", OpenAI.BadRequestError, { ...bad, message: /Model 'nope' not found in configuration/ }, { model: "nope" });
  fails("refused by the provider", OpenAI.BadRequestError, { ...bad, message: /the mock says 400/ }, { model: "router/400" });
  fails("a wrong key", OpenAI.AuthenticationError, { status: 401, type: "authentication_error", code: "invalid_api_key" }, {}, guarded("sk-wrong"));
  fails("a key for another model", OpenAI.PermissionDeniedError, { status: 403, type: "permission_error", code: "model_not_allowed" }, { model: "router/text" }, guarded("sk-demo"));
  fails("a model the provider lacks", OpenAI.NotFoundError, { status: 404, type: "not_found_error", code: "model_not_found", param: "model" }, { model: "ollama/404" });
  fails("too often", OpenAI.RateLimitError, { status: 429, type: "rate_limit_error", code: "rate_limit_exceeded" }, { model: "router/429" });

  const server = { type: "server_error" };
  for (const model of ["router/500", "ollama/500"]) {
    fails(model, OpenAI.InternalServerError, { ...server, status: 502, code: "upstream_error", message: /the mock says 500/ }, { model });
  }
  fails("the gateway's key refused", OpenAI.InternalServerError, { ...server, status: 502, code: "upstream_auth" }, { model: "router/401" });
  fails("no key in the configuration", OpenAI.InternalServerError, { ...server, status: 503, code: "provider_not_configured", message: /KAI_CLIENTTEST_NOT_SET/ }, { model: "locked" });

  for (const model of ["ollama/broken", "router/broken", "ollama/cut", "router/cut"]) {
    test(`within a stream: ${model}`, async () => {
      let text = "";
      const reading = (async () => {
        for await (const chunk of await create(client(), { model, messages: say(), stream: true })) {
          text += chunk.choices[0].delta.content ?? "";
        }
      })();
      await assert.rejects(reading, (error) => error instanceof OpenAI.APIError && error.code === "upstream_error");
      assert.equal(text, "Two words");
    });
  }
});

describe("repeats", () => {
  async function requests(model, maxRetries, fails) {
    const mark = new Mark();
    const asking = create(client({ maxRetries }), { model, messages: mark.say() });
    await (fails ? assert.rejects(asking, OpenAI.APIError) : asking.then(checked));
    return (await mark.seen()).requests;
  }

  test("what may pass is repeated", async () => {
    assert.equal(await requests("router/once-429", 1, false), 2);
    assert.equal(await requests("ollama/once-503", 1, false), 2);
    assert.equal(await requests("router/500", 1, true), 2);
  });

  test("what stays is not", async () => {
    for (const model of ["router/401", "router/400", "ollama/404"]) assert.equal(await requests(model, 2, true), 1, model);
  });
});

describe("hang-ups", () => {
  for (const model of ["ollama/endless", "router/endless"]) {
    test(`within a stream: ${model}`, async () => {
      const mark = new Mark();
      let count = 0;
      for await (const _ of await create(client(), { model, messages: mark.say(), stream: true })) {
        if (++count === 5) break;
      }
      assert.equal((await mark.seen(1)).hung_up, 1);
    });

    test(`by the stream's controller: ${model}`, async () => {
      const mark = new Mark();
      const stream = await create(client(), { model, messages: mark.say(), stream: true });
      for await (const _ of stream) stream.controller.abort();
      assert.equal((await mark.seen(1)).hung_up, 1);
    });
  }

  for (const model of ["ollama/held", "router/held"]) {
    test(`at a timeout: ${model}`, async () => {
      const mark = new Mark();
      const asking = create(client({ timeout: 2000 }), { model, messages: mark.say() });
      await assert.rejects(asking, OpenAI.APIConnectionTimeoutError);
      assert.equal((await mark.seen(1)).hung_up, 1);
    });
  }
});

describe("models", () => {
  test("list", async () => {
    const models = [];
    for await (const model of client().models.list()) models.push(model);
    for (const model of models) {
      assert.deepEqual(Object.keys(model).sort(), ["capabilities", "created", "id", "object", "operations", "owned_by"]);
      assert.equal(model.object, "model");
      assert.ok(Number.isInteger(model.created));
    }
    assert.deepEqual(models.slice(0, 4).map((model) => model.id), ["demo", "locked", "down", "ollama/text"]); // as configured
  });

  test("retrieve", async () => {
    for (const id of ["demo", "router/once-429"]) assert.equal((await client().models.retrieve(id)).id, id);
    await assert.rejects(client().models.retrieve("gpt-9"), (error) => error instanceof OpenAI.NotFoundError && error.code === "model_not_found");
  });
});

describe("keys", () => {
  test("on", async () => {
    checked(await create(guarded(), { model: "demo", messages: say() }));
    const { data } = await guarded("sk-demo").models.list();
    assert.deepEqual(data.map((model) => model.id), ["demo"]);
    await assert.rejects(guarded("sk-wrong").models.list(), OpenAI.AuthenticationError);
  });

  test("off", async () => {
    checked(await create(client({ apiKey: "sk-wrong" }), { model: "demo", messages: say() }));
  });
});
