// Holds the gateway against OpenAI's Agents SDK for TypeScript, which speaks the
// Responses API, and chat completions when it is told to.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { Agent, OpenAIProvider, Runner, tool } from "@openai/agents";
import OpenAI from "openai";
import { z } from "zod";

import { KAI_OPEN, Mark, SCRIPTED, SIGNED, call } from "./kai.mjs";

const openAIClient = new OpenAI({ baseURL: KAI_OPEN, apiKey: "not-needed", maxRetries: 0 });

const get_weather = tool({
  name: "get_weather", description: "weather", parameters: z.object({ city: z.string() }), execute: async ({ city }) => `mild in ${city}`,
});

for (const useResponses of [true, false]) {
  describe(useResponses ? "the Responses API" : "chat completions", () => {
    const runner = new Runner({ modelProvider: new OpenAIProvider({ openAIClient, useResponses }), tracingDisabled: true });

    // Runs an agent, whole or streamed, and gives what came of it.
    async function run(agent, input, streamed, more) {
      const result = await runner.run(agent, input, { stream: streamed, maxTurns: 4, ...more });
      if (!streamed) return result;
      let text = "";
      for await (const event of result) if (event.type === "raw_model_stream_event" && event.data.type === "output_text_delta") text += event.data.delta;
      await result.completed;
      assert.ok(text.includes(result.finalOutput) || typeof result.finalOutput !== "string", `${text} lacks ${result.finalOutput}`);
      return result;
    }

    for (const streamed of [false, true]) {
      const how = streamed ? ", streamed" : "";

      test(`a tool round with demo${how}`, async () => {
        const agent = new Agent({ name: "a", instructions: "Be brief.", model: "demo", tools: [get_weather] });
        const { finalOutput } = await run(agent, "What is the weather in Oslo?", streamed);
        assert.match(finalOutput, /get_weather answered: mild in/);
      });

      for (const model of SCRIPTED) {
        test(`a tool round and a second turn with ${model}${how}`, async () => {
          const mark = await Mark.play(
            { reasoning: "I look.", signature: "c2lnbmF0dXJl", text: "Let me look.", calls: [
              call("call_1", "get_weather", { city: "Paris" }), call("call_2", "get_weather", { city: "Rome" })] },
            { text: "Mild." },
            { text: "You are welcome." },
          );
          const agent = new Agent({ name: "a", instructions: "Be brief.", model, tools: [get_weather] });
          const first = await run(agent, mark.say("Weather?"), streamed);
          assert.equal(first.finalOutput, "Mild.");
          const second = await run(agent, [...first.history, { role: "user", content: "Thank you" }], streamed);
          assert.equal(second.finalOutput, "You are welcome.");
          const bodies = await mark.bodies();
          assert.equal(bodies.length, 3);
          assert.match(bodies[1], /mild in Paris.*mild in Rome/);
          assert.match(bodies[2], /mild in Rome.*Mild\..*Thank you/);
          if (useResponses && SIGNED.includes(model)) {
            assert.match(bodies[1], /c2lnbmF0dXJl/, "the signature did not come back");
            assert.match(bodies[2], /c2lnbmF0dXJl/, "the signature did not come back in the second turn");
          }
        });
      }

      test(`structured output${how}`, async () => {
        const outputType = z.object({ name: z.string(), day: z.string(), participants: z.array(z.string()) });
        for (const model of ["demo", "router/json"]) {
          const { finalOutput } = await run(new Agent({ name: "a", model, outputType }), "A fair on Friday", streamed);
          assert.ok(outputType.parse(finalOutput));
        }
      });

      test(`errors${how}`, async () => {
        await assert.rejects(run(new Agent({ name: "a", model: "no-such-model" }), "Hi", streamed), /no-such-model/);
        if (streamed) await assert.rejects(run(new Agent({ name: "a", model: "router/broken" }), "Hi", true), /the mock broke off/);
      });
    }

    if (useResponses) test("a second turn with the id of the response before", async () => {
      const mark = await Mark.play({ text: "First." }, { text: "Second." });
      const agent = new Agent({ name: "a", model: "openai/script" });
      const first = await run(agent, mark.say(), false);
      const second = await run(agent, "Go on", false, { previousResponseId: first.lastResponseId });
      assert.equal(second.finalOutput, "Second.");
      assert.match((await mark.bodies())[1], /First\..*Go on/);
    });

    test("an answer without anything ends the run", async () => {
      const mark = await Mark.play({ text: "" });
      await run(new Agent({ name: "a", model: "openai/script" }), mark.say(), false);
      assert.equal((await mark.bodies()).length, 1);
    });
  });
}
