// What a program does with Kai through Anthropic's Messages API.
//
//     make run                                # in another terminal: Kai on port 9000
//     node examples/messages_client.mjs       # everything, with the model "demo"
//     node examples/messages_client.mjs stream tools --model granite-local
//
// The only thing that differs from a program for Anthropic is the base URL, which
// has no /v1 here. Kai answers in this API whatever the model's provider speaks.
// README.md beside this file says how to install the SDK.

import { parseArgs } from "node:util";

import Anthropic from "@anthropic-ai/sdk";

// A message may have thoughts and calls beside its text.
const textOf = (message) => message.content.filter((block) => block.type === "text").map((block) => block.text).join("");

// One question, one answer.
async function answer(client, model) {
  const message = await client.messages.create({
    model,
    max_tokens: 1000,
    system: "You are a helpful assistant.",
    messages: [{ role: "user", content: "What is an API gateway, in one sentence?" }],
  });
  console.log(textOf(message));
  console.log(`[${message.usage.input_tokens} + ${message.usage.output_tokens} tokens]`);
}

// The answer word by word, and at its end what it cost.
async function stream(client, model) {
  const events = client.messages.stream({
    model,
    max_tokens: 1000,
    messages: [{ role: "user", content: "Count from one to five, in words." }],
  });
  events.on("text", (text) => process.stdout.write(text));
  const message = await events.finalMessage();
  console.log(`\n[${message.usage.output_tokens} tokens]`);
}

// A function of this program that the model may call.
const getWeather = ({ city }) => `sunny and 21 °C in ${city}`;

const weatherTool = {
  name: "get_weather",
  description: "The current weather in a city",
  input_schema: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
};

// The model asks for a function, the program calls it, the model goes on.
async function tools(client, model) {
  const messages = [{ role: "user", content: "What is the weather in Oslo?" }];
  for (let turn = 0; turn < 5; turn++) {
    const message = await client.messages.create({ model, max_tokens: 1000, messages, tools: [weatherTool] });
    if (message.stop_reason !== "tool_use") {
      console.log(textOf(message));
      return;
    }
    const results = [];
    for (const block of message.content) {
      if (block.type !== "tool_use") continue;
      const content = getWeather(block.input);
      console.log(`${block.name}(${JSON.stringify(block.input)}) gives: ${content}`);
      results.push({ type: "tool_result", tool_use_id: block.id, content });
    }
    // Thoughts go back as they came: they have what the provider wants back.
    messages.push({ role: "assistant", content: message.content }, { role: "user", content: results });
  }
  throw new Error("the model kept calling tools");
}

// What goes wrong is one of the SDK's exceptions, with a text for people.
async function errors(client, model) {
  const messages = [{ role: "user", content: "Hello!" }];
  for (const wrong of [
    { model: "no-such-model", messages },
    { model, messages: [] },
  ]) {
    try {
      await client.messages.create({ max_tokens: 1000, ...wrong });
    } catch (error) {
      if (!(error instanceof Anthropic.NotFoundError || error instanceof Anthropic.BadRequestError)) throw error;
      console.log(`${error.status}: ${error.error.error.message}`);
      continue;
    }
    throw new Error(`no error for ${JSON.stringify(wrong)}`);
  }
}

// What there is to ask.
async function models(client, model) {
  for await (const entry of client.models.list()) console.log(entry.id);
  await client.models.retrieve(model); // an exception if there is no such model
}

const parts = { answer, stream, tools, errors, models };

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    model: { type: "string", default: process.env.KAI_MODEL ?? "demo" },
    "base-url": { type: "string", default: process.env.ANTHROPIC_BASE_URL ?? "http://localhost:9000" },
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
const client = new Anthropic({ baseURL: values["base-url"], apiKey: process.env.ANTHROPIC_API_KEY ?? "not-needed" });
try {
  for (const name of names) {
    console.log(`--- ${name}`);
    await parts[name](client, values.model);
    console.log();
  }
} catch (error) {
  if (error instanceof Anthropic.APIConnectionError) {
    console.error(`Nobody answers at ${values["base-url"]}. Is Kai running? Start it with: make run`);
  } else if (error instanceof Anthropic.APIError) {
    console.error(`Kai answered with an error: ${error.message}`);
  } else {
    throw error;
  }
  process.exitCode = 1;
}
