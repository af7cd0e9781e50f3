// Holds the gateway against OpenAI's SDK for everything but chats and embeddings:
// completions, moderations, pictures, speech and transcriptions.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import OpenAI, { toFile } from "openai";

import { KAI_OPEN, Mark } from "./kai.mjs";

const client = new OpenAI({ baseURL: KAI_OPEN, apiKey: "not-needed", maxRetries: 0, timeout: 120_000 });

// What ../openaimore.go goes on with.
const COMPLETED = " return a + b";
const SOUND = "ID3\0 this stands for sound";

const read = async (stream) => {
  const all = [];
  for await (const event of stream) all.push(event);
  return all;
};

for (const model of ["openai/script", "router/script", "ollama/script"]) {
  describe(`completions of ${model}`, () => {
    test("whole", async () => {
      const mark = new Mark();
      const answer = await client.completions.create({ model, prompt: mark.say("def f(a, b):"), max_tokens: 16, stop: ["\n\n"], seed: 7 });
      assert.match(answer.id, /^cmpl-./);
      assert.equal(answer.object, "text_completion");
      assert.equal(answer.model, model);
      assert.deepEqual(answer.choices, [{ index: 0, text: COMPLETED, logprobs: null, finish_reason: "stop" }]);
      assert.deepEqual(answer.usage, { prompt_tokens: 12, completion_tokens: 4, total_tokens: 16 });
      assert.equal((await mark.bodies()).length, 1);
    });

    test("streamed", async () => {
      const chunks = await read(await client.completions.create({ model, prompt: "a", stream: true, stream_options: { include_usage: true } }));
      assert.equal(chunks.flatMap((c) => c.choices).map((c) => c.text).join(""), COMPLETED);
      assert.equal(chunks.at(-2).choices[0].finish_reason, "stop");
      assert.deepEqual(chunks.at(-1).choices, []);
      assert.equal(chunks.at(-1).usage.total_tokens, 16);
      assert.ok(chunks.slice(0, -1).every((c) => c.usage === null));
    });

    test("several prompts", async () => {
      const asked = { model, prompt: ["a", "b"], echo: true };
      const want = [`a${COMPLETED}`, `b${COMPLETED}`];
      assert.deepEqual((await client.completions.create(asked)).choices.map((c) => c.text), want);
      const texts = ["", ""];
      for await (const { choices } of await client.completions.create({ ...asked, stream: true })) for (const c of choices) texts[c.index] += c.text;
      assert.deepEqual(texts, want);
    });
  });
}

test("completions of models that only chat", async () => {
  for (const model of ["anthropic/script", "gemini/script"]) {
    await assert.rejects(client.completions.create({ model, prompt: "a" }), (e) => e instanceof OpenAI.BadRequestError && e.param === "model");
  }
});

test("moderations", async () => {
  const answer = await client.moderations.create({ model: "openai/script", input: "a" });
  assert.equal(answer.model, "openai/script");
  assert.equal(answer.results[0].categories.violence, true);
});

test("pictures", async () => {
  const answer = await client.images.generate({ model: "openai/script", prompt: "An otter" });
  assert.match(answer.data[0].b64_json, /^iVBOR/);
  const events = await read(await client.images.generate({ model: "openai/script", prompt: "An otter", stream: true, partial_images: 1 }));
  assert.deepEqual(events.map((e) => e.type), ["image_generation.partial_image", "image_generation.completed"]);
});

test("speech", async () => {
  const asked = { model: "openai/script", voice: "alloy", input: "Hello!" };
  const answer = await client.audio.speech.create(asked);
  assert.equal(answer.headers.get("content-type"), "audio/mpeg");
  assert.equal(Buffer.from(await answer.arrayBuffer()).toString(), SOUND);
  const streamed = await client.audio.speech.create(asked);
  let text = "";
  for await (const piece of streamed.body) text += Buffer.from(piece).toString();
  assert.equal(text, SOUND);
  const events = await (await client.audio.speech.create({ ...asked, stream_format: "sse" })).text();
  assert.match(events, /^data: \{.*"type":"speech.audio.delta".*\}\n\ndata: \{.*"type":"speech.audio.done".*\}\n\n$/);
});

test("transcriptions", async () => {
  const file = () => toFile(Buffer.alloc(70_000, "x"), "grüß.mp3", { type: "audio/mpeg" });
  const model = "openai/script", want = "grüß.mp3 has 70000 bytes.";
  const answer = await client.audio.transcriptions.create({ model, file: await file(), timestamp_granularities: ["word", "segment"] });
  assert.equal(answer.text, want);
  assert.equal(answer.usage.seconds, 3);
  assert.ok((await client.audio.transcriptions.create({ model, file: await file(), response_format: "vtt" })).includes(want));
  const events = await read(await client.audio.transcriptions.create({ model, file: await file(), stream: true }));
  assert.equal(events.filter((e) => e.type === "transcript.text.delta").map((e) => e.delta).join(""), want);
  assert.equal(events.at(-1).text, want);
});

test("models that cannot", async () => {
  for (const ask of [
    () => client.moderations.create({ model: "demo", input: "a" }),
    () => client.images.generate({ model: "demo", prompt: "a" }),
    () => client.audio.speech.create({ model: "demo", voice: "alloy", input: "a" }),
    async () => client.audio.transcriptions.create({ model: "demo", file: await toFile(Buffer.from("x"), "a.mp3") }),
  ]) {
    await assert.rejects(ask, (e) => e instanceof OpenAI.BadRequestError && e.code === "unsupported_operation");
  }
});
