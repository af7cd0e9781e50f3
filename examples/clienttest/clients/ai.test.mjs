// Holds the gateway against the Vercel AI SDK, two majors of it, with its providers
// for OpenAI (in the default mode, which is the Responses API), for Anthropic, and
// for whatever is compatible with OpenAI (chat completions).

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import * as ai7 from "ai";
import { createAnthropic as anthropic4 } from "@ai-sdk/anthropic";
import { createOpenAI as openai4 } from "@ai-sdk/openai";
import { createOpenAICompatible as compatible3 } from "@ai-sdk/openai-compatible";
import * as ai6 from "ai-6";
import { createAnthropic as anthropic3 } from "ai-6-anthropic";
import { createOpenAI as openai3 } from "ai-6-openai";
import { createOpenAICompatible as compatible2 } from "ai-6-openai-compatible";
import { z } from "zod";

import { KAI_OPEN, Mark, SCRIPTED, SIGNED, call } from "./kai.mjs";

const TEXT = "Hello from the mock — grüß dich 👋.";
const settings = { baseURL: KAI_OPEN, apiKey: "not-needed" };
const compatible = { ...settings, name: "kai", includeUsage: true, supportsStructuredOutputs: true };

// "signed" says whether the provider brings signatures back.
const CLIENTS = [
  { name: "ai 7, openai", ...ai7, provider: openai4(settings), signed: true },
  { name: "ai 7, openai, with store: false", ...ai7, provider: openai4(settings), signed: true, providerOptions: { openai: { store: false } } },
  { name: "ai 7, anthropic", ...ai7, provider: anthropic4(settings), signed: true },
  { name: "ai 7, openai-compatible", ...ai7, provider: compatible3(compatible) },
  { name: "ai 6, openai", ...ai6, provider: openai3(settings), signed: true },
  { name: "ai 6, anthropic", ...ai6, provider: anthropic3(settings), signed: true },
  { name: "ai 6, openai-compatible", ...ai6, provider: compatible2(compatible) },
];

for (const { name, generateText, streamText, generateObject, streamObject, stepCountIs, tool, provider, signed, providerOptions } of CLIENTS) {
  describe(name, () => {
    const ask = (model, more) => ({ model: provider(model), maxRetries: 0, providerOptions, ...more });

    // A stream's parts, and what the SDK made of them. Its errors are parts, too.
    const collected = async (result) => {
      const parts = [];
      for await (const part of result.fullStream) parts.push(part);
      const text = (type) => parts.filter((p) => p.type === type).map((p) => p.text).join("");
      return { parts, text: text("text-delta"), reasoning: text("reasoning-delta"), errors: parts.filter((p) => p.type === "error").map((p) => p.error) };
    };

    for (const model of ["demo", ...SCRIPTED]) {
      test(`an answer of ${model}`, async () => {
        const mark = await Mark.play({ reasoning: "I think.", text: TEXT });
        const { text, finishReason, usage } = await generateText(ask(model, { prompt: mark.say() }));
        assert.equal(finishReason, "stop");
        const result = streamText(ask(model, { prompt: mark.say() }));
        const streamed = await collected(result);
        assert.deepEqual(streamed.errors, []);
        assert.equal(await result.finishReason, "stop");
        if (model === "demo") {
          assert.match(text, /Kai/);
          return assert.match(streamed.text, /Kai/);
        }
        assert.equal(text, TEXT);
        assert.equal(streamed.text, TEXT);
        assert.equal(streamed.reasoning, "I think.");
        const cost = [12, 34];
        assert.deepEqual([usage.inputTokens, usage.outputTokens], cost);
        const sum = await result.usage;
        assert.deepEqual([sum.inputTokens, sum.outputTokens], cost);
      });

      if (model === "demo") continue;

      for (const streamed of [false, true]) {
        test(`a tool loop and a second turn with ${model}${streamed ? ", streamed" : ""}`, async () => {
          const mark = await Mark.play(
            { reasoning: "I look.", signature: "c2lnbmF0dXJl", text: "Let me look.", calls: [
              call("call_1", "get_weather", { city: "Paris" }), call("call_2", "get_weather", { city: "Rome" })] },
            { text: "Mild." },
            { text: "You are welcome." },
          );
          const tools = {
            get_weather: tool({ description: "weather", inputSchema: z.object({ city: z.string() }), execute: async ({ city }) => `mild in ${city}` }),
          };
          const messages = [{ role: "user", content: mark.say("Weather?") }];
          const turn = async () => {
            const question = ask(model, { messages, tools, stopWhen: stepCountIs(3) });
            const result = streamed ? streamText(question) : await generateText(question);
            if (streamed) assert.deepEqual((await collected(result)).errors, []);
            messages.push(...(await result.responseMessages ?? (await result.response).messages));
            return result.text;
          };
          assert.equal(await turn(), "Mild.");
          messages.push({ role: "user", content: "Thank you" });
          assert.equal(await turn(), "You are welcome.");
          const bodies = await mark.bodies();
          assert.equal(bodies.length, 3);
          assert.match(bodies[1], /Let me look\..*mild in Paris.*mild in Rome/);
          assert.match(bodies[2], /Let me look\..*mild in Rome.*Mild\..*Thank you/);
          if (signed && SIGNED.includes(model)) assert.match(bodies[1], /c2lnbmF0dXJl/, "the signature did not come back");
        });
      }
    }

    test("objects", async () => {
      for (const model of ["demo", "ollama/json", "router/json"]) {
        const schema = z.object({ name: z.string(), day: z.string(), participants: z.array(z.string()) });
        const question = ask(model, { schema, prompt: "A fair on Friday", system: "Answer in JSON." });
        // Models whose names Anthropic's does not know are otherwise asked to call a tool.
        if (name.includes("anthropic") && model !== "demo") question.providerOptions = { anthropic: { structuredOutputMode: "outputFormat" } };
        assert.ok(schema.parse((await generateObject(question)).object));
        let last;
        for await (const object of streamObject(question).partialObjectStream) last = object;
        assert.ok(schema.parse(last));
      }
    });

    test("errors", async () => {
      await assert.rejects(generateText(ask("no-such-model", { prompt: "Hi" })), /no-such-model/);
      await assert.rejects(generateText(ask("router/400", { prompt: "Hi" })), (error) => error.statusCode === 400 && /the mock says 400/.test(error.message));
      await assert.rejects(generateText(ask("router/429", { prompt: "Hi" })), (error) => error.statusCode === 429 && error.isRetryable);
      for (const model of ["router/broken", "ollama/cut"]) {
        const streamed = await collected(streamText(ask(model, { prompt: "Hi", onError() {} })));
        assert.equal(streamed.text, "Two words");
        assert.equal(streamed.errors.length, 1);
      }
    });

    test("an answer that was cut off", async () => {
      const mark = await Mark.play({ text: "Two words", finish: "length" });
      const { text, finishReason } = await generateText(ask("openai/script", { prompt: mark.say() }));
      assert.deepEqual([text, finishReason], ["Two words", "length"]);
    });
  });
}
