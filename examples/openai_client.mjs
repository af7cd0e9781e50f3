// What a program does with Kai: exactly what it does with OpenAI.
//
//     make run                                # in another terminal: Kai on port 9000
//     node examples/openai_client.mjs         # everything, with the model "demo"
//     node examples/openai_client.mjs stream tools --model granite-local
//
// The only thing that differs from a program for OpenAI is the base URL. "demo"
// answers from within Kai, without a key or a model; any other model of
// config/api.yaml does as well. README.md beside this file says how to install
// the SDK.

import { parseArgs } from "node:util";

import OpenAI from "openai";

// One question, one answer.
async function chat(client, model) {
  const completion = await client.chat.completions.create({
    model,
    messages: [
      { role: "system", content: "You are a helpful assistant." },
      { role: "user", content: "What is an API gateway, in one sentence?" },
    ],
  });
  console.log(completion.choices[0].message.content);
  console.log(`[${completion.usage.total_tokens} tokens]`);
}

// The answer word by word, and at its end what it cost.
async function stream(client, model) {
  const chunks = await client.chat.completions.create({
    model,
    messages: [{ role: "user", content: "Count from one to five, in words." }],
    stream: true,
    stream_options: { include_usage: true },
  });
  for await (const chunk of chunks) {
    process.stdout.write(chunk.choices[0]?.delta.content ?? ""); // the last chunk has usage instead
    if (chunk.usage) console.log(`\n[${chunk.usage.total_tokens} tokens]`);
  }
}

// A function of this program that the model may call.
const getWeather = ({ city }) => `sunny and 21 °C in ${city}`;

const weatherTool = {
  type: "function",
  function: {
    name: "get_weather",
    description: "The current weather in a city",
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  },
};

// The model asks for a function, the program calls it, the model goes on.
async function tools(client, model) {
  const messages = [{ role: "user", content: "What is the weather in Oslo?" }];
  for (let turn = 0; turn < 5; turn++) {
    const completion = await client.chat.completions.create({ model, messages, tools: [weatherTool] });
    const { message } = completion.choices[0];
    if (!message.tool_calls?.length) {
      console.log(message.content);
      return;
    }
    messages.push(message);
    for (const call of message.tool_calls) {
      const result = getWeather(JSON.parse(call.function.arguments));
      console.log(`${call.function.name}(${call.function.arguments}) gives: ${result}`);
      messages.push({ role: "tool", tool_call_id: call.id, content: result });
    }
  }
  throw new Error("the model kept calling tools");
}

// What goes wrong is one of the SDK's exceptions, with a text for people.
async function errors(client, model) {
  const messages = [{ role: "user", content: "Hello!" }];
  for (const wrong of [
    { model: "no-such-model", messages },
    { model, messages, temperature: 5 },
  ]) {
    try {
      await client.chat.completions.create(wrong);
    } catch (error) {
      if (!(error instanceof OpenAI.BadRequestError)) throw error;
      console.log(`${error.status} ${error.type}: ${error.error.message}`);
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

const parts = { chat, stream, tools, errors, models };

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
