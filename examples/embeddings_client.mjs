// What a program does with Kai to compare texts by their meaning.
//
//     make run                                 # in another terminal: Kai on port 9000
//     node examples/embeddings_client.mjs      # everything, with the model "demo"
//     node examples/embeddings_client.mjs search --model nomic
//
// The only thing that differs from a program for OpenAI is the base URL. The vectors of
// "demo" only know which words a text has; a model that is made for it knows what they
// mean. README.md beside this file says how to install the SDK.

import { parseArgs } from "node:util";

import OpenAI from "openai";

const texts = [
  "A gateway sends each request to one of several providers.",
  "Bread needs flour, water, salt and time.",
  "The provider of a model sends its answer to the gateway.",
];

// A vector for each text, in their order.
async function vectors(client, model) {
  const { data, usage } = await client.embeddings.create({ model, input: texts });
  for (const { index, embedding } of data) console.log(`${index}: ${embedding.length} numbers, the first is ${embedding[0].toFixed(4)}`);
  console.log(`[${usage.total_tokens} tokens]`);
}

// Which text is nearest to a question.
async function search(client, model) {
  const question = "Which provider gets a request of the gateway?";
  const { data } = await client.embeddings.create({ model, input: [question, ...texts] });
  const [asked, ...known] = data.map((item) => item.embedding);
  // All have the length 1, so this is the cosine of the angle between them.
  const score = (vector) => vector.reduce((sum, n, i) => sum + n * asked[i], 0);
  const found = known.map((vector, i) => ({ score: score(vector), text: texts[i] }));
  for (const { score, text } of found.sort((a, b) => b.score - a.score)) console.log(`${score.toFixed(3)}  ${text}`);
}

// What goes wrong is one of the SDK's exceptions, with a text for people.
async function errors(client, model) {
  for (const wrong of ["", ["a", ""]]) {
    try {
      await client.embeddings.create({ model, input: wrong });
    } catch (error) {
      if (!(error instanceof OpenAI.BadRequestError)) throw error;
      console.log(`${error.status} ${error.param}: ${error.error.message}`);
      continue;
    }
    throw new Error(`no error for ${JSON.stringify(wrong)}`);
  }
}

const parts = { vectors, search, errors };

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    model: { type: "string", default: process.env.KAI_MODEL ?? "demo" },
    "base-url": { type: "string", default: process.env.OPENAI_BASE_URL ?? "http://localhost:9000/v1" },
  },
});
const names = positionals.length > 0 ? positionals : Object.keys(parts);
for (const name of names) {
  if (!Object.hasOwn(parts, name)) {
    console.error(`There is no part ${name}; there are ${Object.keys(parts).join(", ")}.`);
    process.exit(2);
  }
}

// Without auth in Kai's configuration any key will do, but the SDK wants one.
const client = new OpenAI({ baseURL: values["base-url"], apiKey: process.env.OPENAI_API_KEY ?? "not-needed" });
try {
  for (const name of names) {
    console.log(`--- ${name}`);
    await parts[name](client, values.model);
    console.log();
  }
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
