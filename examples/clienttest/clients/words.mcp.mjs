// An MCP server with one tool, whose result is a text and a picture. An argument is
// added to the tool's name.

import readline from "node:readline";

import { DOT, MCP_TOOL } from "./kai.mjs";

const answers = {
  initialize: ({ protocolVersion }) => ({ protocolVersion, capabilities: { tools: {} }, serverInfo: { name: "words", version: "1.0.0" } }),
  "tools/list": () => ({
    tools: [{
      name: MCP_TOOL + (process.argv[2] ?? ""), description: "What a word means",
      inputSchema: { type: "object", properties: { word: { type: "string" } }, required: ["word"] },
    }],
  }),
  "tools/call": ({ arguments: { word } }) => ({
    content: [{ type: "text", text: `a ${word} is a quay` }, { type: "image", data: DOT.toString("base64"), mimeType: "image/png" }],
  }),
};

for await (const line of readline.createInterface({ input: process.stdin })) {
  const { id, method, params } = JSON.parse(line);
  if (id !== undefined) console.log(JSON.stringify({ jsonrpc: "2.0", id, result: answers[method]?.(params) ?? {} }));
}
