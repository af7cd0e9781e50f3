// What a program does with Kai through OpenAI's Responses API.
//
//     make run                                # in another terminal: Kai on port 9000
//     node examples/responses_client.mjs      # everything, with the model "demo"
//     node examples/responses_client.mjs stream tools --model granite-local
//
// The only thing that differs from a program for OpenAI is the base URL. Kai answers
// in this API whatever the model's provider speaks. README.md beside this file says
// how to install the SDK.

import { parseArgs } from "node:util";

import OpenAI from "openai";

// One question, one answer.
async function answer(client, model) {
  const response = await client.responses.create({
    model,
    instructions: "You are a helpful assistant.",
    input: "What is an API gateway, in one sentence?",
  });
  console.log(response.output_text);
  console.log(`[${response.usage.total_tokens} tokens]`);
}

// The answer word by word, and at its end what it cost.
async function stream(client, model) {
  const events = await client.responses.create({ model, input: "Count from one to five, in words.", stream: true });
  for await (const event of events) {
    if (event.type === "response.output_text.delta") process.stdout.write(event.delta);
    if (event.type === "response.completed") console.log(`\n[${event.response.usage.total_tokens} tokens]`);
  }
}

// A function of this program that the model may call.
const getWeather = ({ city }) => `sunny and 21 °C in ${city}`;

const weatherTool = {
  type: "function",
  name: "get_weather",
  description: "The current weather in a city",
  parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
};

// The model asks for a function, the program calls it, the model goes on.
async function tools(client, model) {
  const input = [{ role: "user", content: "What is the weather in Oslo?" }];
  for (let turn = 0; turn < 5; turn++) {
    const response = await client.responses.create({ model, input, tools: [weatherTool], store: false });
    input.push(...response.output); // reasoning too: it has what the provider wants back
    const calls = response.output.filter((item) => item.type === "function_call");
    if (calls.length === 0) {
      console.log(response.output_text);
      return;
    }
    for (const call of calls) {
      const output = getWeather(JSON.parse(call.arguments));
      console.log(`${call.name}(${call.arguments}) gives: ${output}`);
      input.push({ type: "function_call_output", call_id: call.call_id, output });
    }
  }
  throw new Error("the model kept calling tools");
}

// Kai remembers the conversation, for a while and within bounds.
async function memory(client, model) {
  const first = await client.responses.create({ model, input: "My name is Ada." });
  try {
    const second = await client.responses.create({ model, input: "What is my name?", previous_response_id: first.id });
    console.log(second.output_text);
  } catch (error) {
    if (error.code !== "previous_response_not_found") throw error;
    console.log("Kai has forgotten it, or was told to remember nothing. Then send the whole conversation.");
    return;
  }
  await client.responses.delete(first.id);
}

// What goes wrong is one of the SDK's exceptions, with a text for people.
async function errors(client, model) {
  for (const wrong of [{ model: "no-such-model" }, { model, temperature: 5 }]) {
    try {
      await client.responses.create({ input: "Hello!", ...wrong });
    } catch (error) {
      if (!(error instanceof OpenAI.BadRequestError)) throw error;
      console.log(`${error.status} ${error.type}: ${error.error.message}`);
      continue;
    }
    throw new Error(`no error for ${JSON.stringify(wrong)}`);
  }
}

const parts = { answer, stream, tools, memory, errors };

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
