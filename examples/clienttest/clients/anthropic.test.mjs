// Holds the gateway's Messages API against Anthropic's TypeScript SDK: the current
// major, which sends its key as a token, and the one before, which sends x-api-key.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import Anthropic from "@anthropic-ai/sdk";
import Anthropic0 from "anthropic-0";

import { KAI_GUARDED, KAI_OPEN, Mark, SCRIPTED, SIGNED, call, root } from "./kai.mjs";

const TEXT = "Hello from the mock — grüß dich 👋.";
const user = (content) => [{ role: "user", content }];

const weather = {
  name: "get_weather", description: "weather",
  input_schema: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
};

for (const [name, SDK] of [["@anthropic-ai/sdk 1", Anthropic], ["@anthropic-ai/sdk 0", Anthropic0]]) {
  // No repeats unless a test is about them.
  const client = (options = {}) => new SDK({ baseURL: root(KAI_OPEN), apiKey: "not-needed", authToken: null, maxRetries: 0, timeout: 120_000, ...options });
  const ask = (model, more) => ({ model, max_tokens: 1000, ...more });

  // The message, if it has what Anthropic's always have.
  const checked = (message) => {
    assert.match(message.id, /^msg_./);
    assert.deepEqual([message.type, message.role, message.stop_sequence], ["message", "assistant", null]);
    assert.ok(Array.isArray(message.content));
    for (const count of ["input_tokens", "output_tokens"]) assert.ok(Number.isInteger(message.usage[count]), count);
    return message;
  };
  const textOf = (message) => message.content.filter((block) => block.type === "text").map((block) => block.text).join("");

  describe(name, () => {
    for (const model of ["demo", ...SCRIPTED]) {
      test(`an answer of ${model}`, async () => {
        const mark = await Mark.play({ reasoning: "I think.", text: TEXT });
        const question = ask(model, { messages: user(mark.say()), thinking: { type: "adaptive" } });
        const whole = checked(await client().messages.create(question));
        assert.match(whole._request_id, /^req_/);
        assert.deepEqual([whole.model, whole.stop_reason], [model, "end_turn"]);
        let text = "", thinking = "";
        const stream = client().messages.stream(question);
        stream.on("text", (delta) => (text += delta)).on("thinking", (delta) => (thinking += delta));
        const final = checked(await stream.finalMessage());
        assert.equal(final.stop_reason, "end_turn");
        assert.equal(textOf(final), text);
        if (model === "demo") {
          assert.match(text, /Kai/);
          return assert.match(textOf(whole), /Kai/);
        }
        for (const message of [whole, final]) {
          assert.deepEqual(message.content.map((block) => block.type), ["thinking", "text"]);
          assert.equal(message.content[0].thinking, "I think.");
          assert.equal(typeof message.content[0].signature, "string");
          assert.equal(textOf(message), TEXT);
          assert.deepEqual([message.usage.input_tokens, message.usage.output_tokens], [12, 34]);
        }
        assert.equal(thinking, "I think.");
      });

      if (model === "demo") continue;

      for (const streamed of [false, true]) {
        test(`a tool round with ${model}${streamed ? ", streamed" : ""}`, async () => {
          const mark = await Mark.play(
            { reasoning: "I look.", signature: "c2lnbmF0dXJl", text: "Let me look.", calls: [
              call("call_1", "get_weather", { city: "Paris" }), call("call_2", "get_weather", { city: "Rome" })] },
            { text: "Mild." },
          );
          const messages = user(mark.say("Weather?"));
          const turn = async () => {
            const question = ask(model, { messages, tools: [weather], thinking: { type: "adaptive" } });
            const message = checked(await (streamed ? client().messages.stream(question).finalMessage() : client().messages.create(question)));
            messages.push({ role: "assistant", content: message.content });
            return message;
          };
          const first = await turn();
          assert.equal(first.stop_reason, "tool_use");
          const uses = first.content.filter((block) => block.type === "tool_use");
          assert.deepEqual(uses.map((use) => [use.name, use.input]), [["get_weather", { city: "Paris" }], ["get_weather", { city: "Rome" }]]);
          messages.push({ role: "user", content: uses.map((use) => ({ type: "tool_result", tool_use_id: use.id, content: `mild in ${use.input.city}` })) });
          assert.equal(textOf(await turn()), "Mild.");
          const bodies = await mark.bodies();
          assert.match(bodies[1], /Let me look\..*mild in Paris.*mild in Rome/);
          if (SIGNED.includes(model)) assert.match(bodies[1], /c2lnbmF0dXJl/, "the signature did not come back");
        });
      }
    }

    test("the tool runner", async () => {
      const mark = await Mark.play({ calls: [call("call_1", "get_weather", { city: "Oslo" })] }, { text: "Mild." });
      const final = await client().beta.messages.toolRunner(ask("anthropic/script", {
        messages: user(mark.say()), tools: [{ ...weather, run: ({ city }) => `mild in ${city}`, parse: (input) => input }],
      }));
      assert.equal(textOf(final), "Mild.");
      assert.match((await mark.bodies())[1], /mild in Oslo/);
    });

    test("the events of a stream, in their order", async () => {
      const mark = await Mark.play({ reasoning: "Hm.", text: "Yes.", calls: [call("call_1", "get_weather", { city: "Oslo" })] });
      const types = [];
      for await (const event of await client().messages.create(ask("openai/script", { messages: user(mark.say()), tools: [weather], stream: true }))) {
        types.push(event.type.startsWith("content_block") ? `${event.type} ${event.index}` : event.type);
      }
      const block = (n) => ["start", "delta", "stop"].map((part) => `content_block_${part} ${n}`);
      assert.deepEqual(types.filter((type, i) => type !== types[i - 1]), ["message_start", ...block(0), ...block(1), ...block(2), "message_delta", "message_stop"]);
    });

    test("what is sent on, and what is not", async () => {
      const mark = await Mark.play({ text: TEXT, finish: "length" });
      const message = await client().messages.create(ask("openai/script", {
        system: [{ type: "text", text: "Be brief." }], stop_sequences: ["END"], metadata: { user_id: "somebody" },
        tools: [weather], tool_choice: { type: "any", disable_parallel_tool_use: true },
        messages: user([{ type: "text", text: mark.say() }, { type: "image", source: { type: "base64", media_type: "image/png", data: "iVBORw0KGgo=" } }]),
      }));
      assert.equal(message.stop_reason, "max_tokens");
      const sent = JSON.parse((await mark.bodies())[0]);
      assert.deepEqual(sent.messages.map((m) => m.role), ["system", "user"]);
      assert.equal(sent.messages[1].content[1].image_url.url, "data:image/png;base64,iVBORw0KGgo=");
      assert.deepEqual([sent.max_completion_tokens, sent.stop, sent.tool_choice, sent.parallel_tool_calls], [1000, ["END"], "required", false]);
      assert.doesNotMatch(JSON.stringify(sent), /somebody/);
    });

    test("structured output", async () => {
      const schema = { type: "object", properties: { name: { type: "string" } }, required: ["name"], additionalProperties: false };
      for (const model of ["demo", "ollama/json", "router/json"]) {
        const message = await client().messages.create(ask(model, { messages: user("A fair"), output_config: { format: { type: "json_schema", schema } } }));
        assert.equal(typeof JSON.parse(textOf(message)).name, "string");
      }
    });

    test("errors before the answer", async () => {
      const create = (model, more) => client().messages.create(ask(model, { messages: user("Hi"), ...more }));
      for (const stream of [false, true]) {
        await assert.rejects(create("no-such-model", { stream }), (e) => e instanceof SDK.NotFoundError && e.error.error.type === "not_found_error" && /^req_/.test(e.requestID));
        await assert.rejects(create("router/400", { stream }), (e) => e instanceof SDK.BadRequestError && /the mock says 400/.test(e.message));
        await assert.rejects(create("router/429", { stream }), (e) => e instanceof SDK.RateLimitError && e.error.error.type === "rate_limit_error" && e.headers.get("retry-after") === "1");
        await assert.rejects(create("router/500", { stream }), (e) => e instanceof SDK.InternalServerError && e.error.error.type === "api_error");
      }
      await assert.rejects(create("demo", { messages: [] }), SDK.BadRequestError);
      const long = await Mark.play({ status: 400, code: "context_length_exceeded", message: "This model's maximum context length is 100 tokens." });
      await assert.rejects(create("openai/script", { messages: user(long.say()) }), (e) => e.error.error.message.startsWith("prompt is too long"));
    });

    test("errors within the answer", async () => {
      for (const model of ["ollama/broken", "router/broken", "ollama/cut", "router/cut"]) {
        let text = "";
        const stream = client().messages.stream(ask(model, { messages: user("Hi") }));
        stream.on("text", (delta) => (text += delta));
        await assert.rejects(stream.finalMessage(), SDK.APIError);
        assert.equal(text, "Two words");
      }
    });

    test("repeats", async () => {
      for (const model of ["router/once-429", "ollama/once-503"]) {
        const mark = new Mark();
        checked(await client({ maxRetries: 1 }).messages.create(ask(model, { messages: user(mark.say()) })));
        assert.equal((await mark.bodies()).length, 2);
      }
    });

    test("keys", async () => {
      const guarded = (apiKey) => client({ baseURL: root(KAI_GUARDED), apiKey }).messages.create(ask("demo", { messages: user("Hi") }));
      checked(await guarded("sk-everything"));
      await assert.rejects(guarded("sk-wrong"), (e) => e instanceof SDK.AuthenticationError && e.error.error.type === "authentication_error");
    });

    test("counts of tokens, exact or none", async () => {
      const count = (model) => client().messages.countTokens({ model, messages: user("Hi"), tools: [weather] });
      for (const model of ["anthropic/script", "gemini/script"]) assert.equal((await count(model)).input_tokens, 42);
      await assert.rejects(count("ollama/script"), SDK.NotFoundError);
    });

    test("models", async () => {
      const models = [];
      for await (const model of client().models.list()) models.push(model);
      assert.ok(models.length > 20);
      assert.deepEqual([models[0].type, models[0].id, models[0].display_name], ["model", "demo", "demo"]);
      assert.equal((await client().models.retrieve("demo")).id, "demo");
      await assert.rejects(client().models.retrieve("gpt-9"), SDK.NotFoundError);
    });

    test("a stream that is given up ends upstream, too", async () => {
      const mark = new Mark();
      for await (const event of await client().messages.create(ask("ollama/endless", { messages: user(mark.say()), stream: true }))) {
        if (event.type === "content_block_delta") break;
      }
      assert.equal(await mark.hungUp(), 1);
    });

    test("pings while nothing comes", async () => {
      const mark = new Mark();
      const stream = await client({ baseURL: root(KAI_GUARDED), apiKey: "sk-everything" })
        .messages.create(ask("router/held", { messages: user(mark.say()), stream: true })).asResponse();
      const body = stream.body.pipeThrough(new TextDecoderStream())[Symbol.asyncIterator]();
      assert.match((await body.next()).value, /^event: ping\n/);
      await mark.release();
      let rest = "";
      for (let part = await body.next(); !part.done; part = await body.next()) rest += part.value;
      assert.match(rest, /event: message_stop\n/);
    });
  });
}
