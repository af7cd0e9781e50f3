// What a program does with Kai to have a model go on with a text.
//
//     make run                                 # in another terminal: Kai on port 9000
//     node examples/completions_client.mjs     # everything, with the model "demo"
//     node examples/completions_client.mjs gap --model qwen-coder
//
// The only thing that differs from a program for OpenAI is the base URL. README.md beside
// this file says how to install the SDK.

import { parseArgs } from "node:util";

import OpenAI from "openai";

// A text, and how it goes on.
async function text(client, model) {
  const { choices, usage } = await client.completions.create({ model, prompt: "Once upon a time", max_tokens: 12, echo: true });
  console.log(choices[0].text);
  console.log(`[${choices[0].finish_reason}, ${usage.total_tokens} tokens]`);
}

// The same word by word.
async function stream(client, model) {
  for await (const { choices } of await client.completions.create({ model, prompt: "Once upon a time", max_tokens: 12, stream: true })) {
    for (const choice of choices) process.stdout.write(choice.text);
  }
  console.log();
}

// What stands between two texts, as editors ask for it.
async function gap(client, model) {
  const prompt = "def add(a, b):\n    return", suffix = "\n\nprint(add(1, 2))";
  const { choices } = await client.completions.create({ model, prompt, suffix, max_tokens: 12 });
  console.log(JSON.stringify(choices[0].text));
}

// Several texts in one request.
async function several(client, model) {
  const { choices } = await client.completions.create({ model, prompt: ["Bread needs", "A gateway is"], max_tokens: 6 });
  for (const { index, text } of choices) console.log(index, text);
}

// What goes wrong is one of the SDK's exceptions, with a text for people.
async function errors(client, model) {
  try {
    await client.completions.create({ model, prompt: [] });
  } catch (error) {
    if (!(error instanceof OpenAI.BadRequestError)) throw error;
    console.log(`${error.status} ${error.param}: ${error.error.message}`);
    return;
  }
  throw new Error("no error for no prompt");
}

const parts = { text, stream, gap, several, errors };

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
