// The same request as a program would send it. The key is read from the environment.

const indent = (text, by) => text.replaceAll("\n", "\n" + " ".repeat(by));
const shell = (s) => "'" + s.replaceAll("'", "'\\''") + "'";

// python writes a value as Python does.
function python(v, depth = 0) {
  const pad = "    ".repeat(depth + 1);
  const end = "    ".repeat(depth);
  if (v === null) return "None";
  if (v === true) return "True";
  if (v === false) return "False";
  if (Array.isArray(v)) return v.length ? "[\n" + v.map((x) => pad + python(x, depth + 1) + ",\n").join("") + end + "]" : "[]";
  if (typeof v === "object") return "{" + Object.entries(v).map(([k, x]) => JSON.stringify(k) + ": " + python(x, depth)).join(", ") + "}";
  return JSON.stringify(v);
}

export const samples = {
  curl: (b, base) => `curl ${base}/chat/completions \\
  -H "Authorization: Bearer $KAI_KEY" \\
  -H 'Content-Type: application/json' \\
  -d ${shell(JSON.stringify(b, null, 2))}`,

  Python: (b, base) => `import os
from openai import OpenAI

client = OpenAI(base_url=${JSON.stringify(base)}, api_key=os.environ["KAI_KEY"])
answer = client.chat.completions.create(
${Object.entries(b).map(([k, v]) => `    ${k}=${python(v, 1)},`).join("\n")}
)
${b.stream ? `for chunk in answer:
    if chunk.choices:
        print(chunk.choices[0].delta.content or "", end="", flush=True)` : "print(answer.choices[0].message.content)"}`,

  Node: (b, base) => `import OpenAI from "openai";

const client = new OpenAI({ baseURL: ${JSON.stringify(base)}, apiKey: process.env.KAI_KEY });
const answer = await client.chat.completions.create(${indent(JSON.stringify(b, null, 2), 0)});
${b.stream ? `for await (const chunk of answer) {
  process.stdout.write(chunk.choices[0]?.delta?.content ?? "");
}` : "console.log(answer.choices[0].message.content);"}`,
};
