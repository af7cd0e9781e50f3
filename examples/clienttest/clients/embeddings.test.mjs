// Holds the gateway against clients that ask for embeddings: OpenAI's SDK, which asks for
// base64 unless told otherwise, the Vercel AI SDK, and LangChain. All get the same vectors.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { createOpenAI as openai4 } from "@ai-sdk/openai";
import { createOpenAICompatible as compatible3 } from "@ai-sdk/openai-compatible";
import { OpenAIEmbeddings } from "@langchain/openai";
import { embed, embedMany } from "ai";
import * as ai6 from "ai-6";
import { createOpenAI as openai3 } from "ai-6-openai";
import { createOpenAICompatible as compatible2 } from "ai-6-openai-compatible";
import OpenAI from "openai";

import { EMBEDDING, KAI_OPEN, Mark } from "./kai.mjs";

process.env.LANGSMITH_TRACING = "false";

const settings = { baseURL: KAI_OPEN, apiKey: "not-needed" };
const compatible = { ...settings, name: "kai" };
const openai = new OpenAI({ ...settings, maxRetries: 0, timeout: 120_000 });

const create = async (model, input, more) => (await openai.embeddings.create({ model, input, ...more })).data.map((d) => d.embedding);
const aiSDK = (many, model) => async (values) => (await many({ model, values, maxRetries: 0 })).embeddings;
const langchain = (model) => new OpenAIEmbeddings({ model, apiKey: "not-needed", maxRetries: 0, configuration: { baseURL: KAI_OPEN } });

// Ways to the vectors of texts.
const CLIENTS = {
  "openai, base64, the default": (model) => (texts) => create(model, texts),
  "openai, float": (model) => (texts) => create(model, texts, { encoding_format: "float" }),
  "ai 7, openai": (model) => aiSDK(embedMany, openai4(settings).textEmbeddingModel(model)),
  "ai 7, openai-compatible": (model) => aiSDK(embedMany, compatible3(compatible).textEmbeddingModel(model)),
  "ai 6, openai": (model) => aiSDK(ai6.embedMany, openai3(settings).textEmbeddingModel(model)),
  "ai 6, openai-compatible": (model) => aiSDK(ai6.embedMany, compatible2(compatible).textEmbeddingModel(model)),
  langchain: (model) => (texts) => langchain(model).embedDocuments(texts),
};

// What ../embeddings.go makes of a text.
function expected(text) {
  const sum = Buffer.from(text).reduce((a, b) => a + b, 0);
  const numbers = Array.from({ length: 16 }, (_, i) => Math.sin(sum + i));
  const length = Math.hypot(...numbers);
  return numbers.map((n) => n / length);
}

function assertNear(got, texts) {
  assert.equal(got.length, texts.length);
  for (const [i, text] of texts.entries()) {
    const want = expected(text);
    assert.equal(got[i].length, want.length);
    for (const [k, n] of want.entries()) assert.ok(Math.abs(got[i][k] - n) < 1e-6, `${got[i][k]} is not ${n}`);
  }
}

for (const model of EMBEDDING) {
  describe(model, () => {
    for (const [name, client] of Object.entries(CLIENTS)) {
      test(name, async () => {
        const mark = new Mark();
        const texts = [mark.say("first"), "grüß dich 👋", "third"];
        assertNear(await client(model)(texts), texts);
        assert.equal((await mark.bodies()).length, 1);
      });
    }
  });
}

test("one text", async () => {
  assert.equal((await langchain("demo").embedQuery("a")).length, 8);
  assertNear([await langchain("openai/script").embedQuery("a")], ["a"]);
  const { embedding, usage } = await embed({ model: openai4(settings).textEmbeddingModel("openai/script"), value: "a" });
  assertNear([embedding], ["a"]);
  assert.equal(usage.tokens, 12);
});

test("base64 as it is", async () => {
  const [vector] = await create("openai/script", "a", { encoding_format: "base64" });
  assert.equal(typeof vector, "string");
});

test("errors", async () => {
  const wrong = (error) => error instanceof OpenAI.BadRequestError;
  await assert.rejects(create("ollama/script", ["a", ""]), (error) => wrong(error) && error.param === "input[1]");
  await assert.rejects(create("ollama/script", [[1], [2]]), (error) => wrong(error) && error.param === "input");
  await assert.rejects(create("anthropic/script", "a"), (error) => wrong(error) && /can't make embeddings/.test(error.message));
});
