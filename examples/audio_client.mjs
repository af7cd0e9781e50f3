// What a program does with Kai to speak, and to write down what was said.
//
//     node examples/audio_client.mjs --model gpt-4o-mini-tts --transcriber whisper-1
//
// The models are of OpenAI, or of a server like it, behind the adapter "openai"
// (docs/clients.md). README.md beside this file says how to install the SDK.

import { parseArgs } from "node:util";

import OpenAI, { toFile } from "openai";

// The sound, as it is made.
async function speak(client, model) {
  const answer = await client.audio.speech.create({ model, voice: "alloy", input: "Hello from Kai!" });
  const pieces = [];
  for await (const piece of answer.body) pieces.push(piece);
  const sound = Buffer.concat(pieces);
  console.log(`${sound.length} bytes of sound`);
  return sound;
}

// The words, as they are heard.
async function transcribe(client, model, sound) {
  const file = await toFile(sound, "hello.mp3", { type: "audio/mpeg" });
  for await (const event of await client.audio.transcriptions.create({ model, file, stream: true })) {
    if (event.type === "transcript.text.delta") process.stdout.write(event.delta);
  }
  console.log();
}

const { values } = parseArgs({
  options: {
    model: { type: "string", default: process.env.KAI_MODEL ?? "" },
    transcriber: { type: "string" },
    "base-url": { type: "string", default: process.env.OPENAI_BASE_URL ?? "http://localhost:9000/v1" },
  },
});
if (values.model === "") {
  console.error("Name a model that speaks: --model NAME.");
  process.exit(2);
}

const client = new OpenAI({ baseURL: values["base-url"], apiKey: process.env.OPENAI_API_KEY ?? "not-needed" });
try {
  await transcribe(client, values.transcriber ?? values.model, await speak(client, values.model));
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
