// What a program does with Kai to find the text that answers a question best.
//
//     node examples/rerank_client.mjs --model bge-reranker
//
// The model is one whose provider ranks: vLLM, Cohere, Jina or Text Embeddings Inference
// behind the adapter "openai" (docs/clients.md). OpenAI's SDK has no method for it, but
// sends any request. README.md beside this file says how to install it.

import { parseArgs } from "node:util";

import OpenAI from "openai";

const query = "What is a gateway?";
const documents = ["Bread needs flour, water, salt and time.", "A gateway sends each request to one of several providers."];

const { values } = parseArgs({
  options: {
    model: { type: "string", default: process.env.KAI_MODEL ?? "" },
    "base-url": { type: "string", default: process.env.OPENAI_BASE_URL ?? "http://localhost:9000/v1" },
  },
});
if (values.model === "") {
  console.error("Name a model that ranks: --model NAME.");
  process.exit(2);
}

const client = new OpenAI({ baseURL: values["base-url"], apiKey: process.env.OPENAI_API_KEY ?? "not-needed" });
try {
  const { results } = await client.post("/rerank", { body: { model: values.model, query, documents, top_n: 2 } });
  for (const { index, relevance_score } of results) console.log(`${relevance_score.toFixed(3)}  ${documents[index]}`);
} catch (error) {
  if (error instanceof OpenAI.APIConnectionError) {
    console.error(`Nobody answers at ${values["base-url"]}. Is Kai running? Start it with: make run`);
  } else if (error instanceof OpenAI.APIError) {
    console.error(`Kai answered with an error: ${error.message}`);
  } else {
    throw error;
  }
  process.exitCode = 1;
}
