// Holds the gateway against Claude Code: `claude -p` with an empty home and a dummy
// key.

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, test } from "node:test";

import {
  CLAUDE, DOT, KAI_GUARDED, KAI_OPEN, MCP, MCP_TOOL, Mark, SCRIPTED, SIGNED, assertNobodyElseAsked, call, folder, root, run, runs,
} from "./kai.mjs";

if (!(await runs(CLAUDE))) process.exit();

// Runs a turn, and gives its exit code, its result and the folder it worked in.
async function claude(t, model, prompt, { env = {}, work = folder(t), home = folder(t), args = [] } = {}) {
  const { code, out, err } = await run(CLAUDE, [
    "-p", "--output-format", "json", "--allowedTools", "Agent,Bash,Read,WebSearch,mcp__words_of_an_island", ...args, "--", prompt,
  ], {
    home, cwd: work, env: {
      ANTHROPIC_BASE_URL: root(KAI_OPEN), ANTHROPIC_AUTH_TOKEN: "sk-dummy", ANTHROPIC_MODEL: model,
      CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1", DISABLE_AUTOUPDATER: "1",
      ...env,
    },
  });
  const log = `${out}\n${err}`;
  assert.match(out, /^\{/, log);
  return { code, work, log, ...JSON.parse(out) };
}

const bash = (id, command) => call(id, "Bash", { command, description: "A test" });

after(assertNobodyElseAsked);

describe("an answer", () => {
  test("of the demo", async (t) => {
    const turn = await claude(t, "demo", "Say hello");
    assert.equal(turn.code, 0, turn.log);
    assert.match(turn.result, /Kai.*You said: “Say hello”/);
  });

  for (const model of ["openai/script", "claude-opus-5-5", "claude-haiku-4-5"]) {
    test(`of ${model}, with reasoning and usage`, async (t) => {
      const mark = await Mark.play({ reasoning: "I think.", signature: "c2ln", text: "Good day.", usage: { prompt: 120, completion: 30 } });
      const turn = await claude(t, model, mark.say());
      assert.equal(turn.result, "Good day.", turn.log);
      assert.equal(turn.stop_reason, "end_turn");
      assert.equal(turn.usage.input_tokens, 120);
      assert.equal(turn.usage.output_tokens, 30);
      assert.equal((await mark.bodies()).length, 1);
    });
  }

  test("in the form of a schema, which is a tool here", async (t) => {
    const schema = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
    const mark = await Mark.play({ calls: [call("call_1", "StructuredOutput", { city: "Oslo" })] }, { text: "There." });
    const turn = await claude(t, "openai/script", mark.say(), { args: ["--json-schema", JSON.stringify(schema)] });
    assert.deepEqual(turn.structured_output, { city: "Oslo" }, turn.log);
  });
});

describe("keys", () => {
  const key = { ANTHROPIC_BASE_URL: root(KAI_GUARDED) };
  for (const [name, env] of Object.entries({
    "as a token": { ANTHROPIC_AUTH_TOKEN: "sk-everything" },
    "as an API key": { ANTHROPIC_AUTH_TOKEN: "", ANTHROPIC_API_KEY: "sk-everything" },
    "one that is right beside one that is not": { ANTHROPIC_AUTH_TOKEN: "sk-wrong", ANTHROPIC_API_KEY: "sk-everything" },
  })) {
    test(name, async (t) => {
      const turn = await claude(t, "demo", "Say hello", { env: { ...key, ...env } });
      assert.equal(turn.is_error, false, turn.log);
    });
  }

  test("a wrong one is refused at once", async (t) => {
    const turn = await claude(t, "demo", "Say hello", { env: { ...key, ANTHROPIC_AUTH_TOKEN: "sk-wrong" } });
    assert.equal(turn.is_error, true);
    assert.match(turn.result, /Failed to authenticate/);
  });
});

describe("a tool round", () => {
  test("of the demo, which calls the tool that is mentioned", async (t) => {
    const turn = await claude(t, "demo", "Please do this in bash: pwd");
    assert.equal(turn.result, `The tool Bash answered: ${turn.work}.`, turn.log);
  });

  test("of the demo, which calls all tools that are mentioned", async (t) => {
    const turn = await claude(t, "demo", "Please do this in bash: pwd. And read a file.");
    assert.match(turn.result, /^The tool Bash answered: .* The tool Read answered: /s, turn.log);
  });

  for (const model of SCRIPTED) {
    test(model, async (t) => {
      const mark = await Mark.play(
        { reasoning: "I look.", signature: "c2lnbmF0dXJl", text: "Let me look.", calls: [bash("call_1", "echo one > a.txt; echo hi-from-tool")] },
        { text: "All done." },
      );
      const turn = await claude(t, model, mark.say("Make a.txt"));
      assert.equal(turn.result, "All done.", turn.log);
      assert.equal(readFileSync(join(turn.work, "a.txt"), "utf8"), "one\n");
      const bodies = await mark.bodies();
      assert.equal(bodies.length, 2);
      assert.match(bodies[1], /hi-from-tool/);
      if (SIGNED.includes(model)) assert.match(bodies[1], /c2lnbmF0dXJl/, "the signature did not come back");
    });
  }

  test("of calls in parallel", async (t) => {
    for (const model of ["openai/script", "anthropic/script"]) {
      const mark = await Mark.play(
        { calls: [bash("call_1", "echo one-from-tool"), bash("call_2", "echo two-from-tool; exit 3")] },
        { text: "Both are done." },
      );
      const turn = await claude(t, model, mark.say());
      assert.equal(turn.result, "Both are done.", turn.log);
      assert.match((await mark.bodies())[1], /one-from-tool.*two-from-tool/);
    }
  });

  test("with ids that the model uses again and again", async (t) => {
    const mark = await Mark.play(
      { calls: [bash("call_0", "echo one-from-tool")] },
      { calls: [bash("call_0", "echo two-from-tool")] },
      { text: "Both are done." },
    );
    const turn = await claude(t, "openai/script", mark.say());
    assert.equal(turn.result, "Both are done.", turn.log);
    assert.match((await mark.bodies())[2], /one-from-tool.*two-from-tool/);
  });

  test("with calls that nobody can run", async (t) => {
    const mark = await Mark.play(
      { calls: [{ id: "call_1", name: "Bash", arguments: '{"command": "ec' }] },
      { calls: [{ id: "call_2", name: "Bash", arguments: "" }] },
      { calls: [call("call_3", "no_such_tool", {})] },
      { text: "Then without." },
    );
    const turn = await claude(t, "openai/script", mark.say());
    assert.equal(turn.result, "Then without.", turn.log);
    assert.match((await mark.bodies())[3], /InputValidationError.*InputValidationError.*No such tool available/);
  });

  test("with an image as the result", async (t) => {
    const work = folder(t);
    writeFileSync(join(work, "dot.png"), DOT);
    const mark = await Mark.play({ calls: [call("call_1", "Read", { file_path: join(work, "dot.png") })] }, { text: "A dot." });
    const turn = await claude(t, "openai/script", mark.say(), { work });
    assert.equal(turn.result, "A dot.", turn.log);
    assert.match((await mark.bodies())[1], /"image_url":\{"url":"data:image\/png;base64,/);
  });

  test("with a tool of an MCP server, loaded when it is needed, whose name is too long for OpenAI", async (t) => {
    const name = `mcp__words_of_an_island__${MCP_TOOL}_in_its_language`;
    const servers = { words_of_an_island: { command: MCP[0], args: [...MCP[1], "_in_its_language"] } };
    const args = ["--mcp-config", JSON.stringify({ mcpServers: servers })];
    const search = { calls: [call("call_1", "ToolSearch", { query: `select:${name}` })] };

    const first = await Mark.play(search, { text: "Loaded." });
    await claude(t, "openai/script", first.say(), { args });
    const names = (await first.bodies()).map((body) => JSON.parse(body).tools.map((tool) => tool.function.name));
    assert.ok(!names[0].includes("DeferredToolPlaceholder"));
    const [short] = names[1].filter((name) => !names[0].includes(name));
    assert.ok(short.length <= 64 && short.startsWith(name.slice(0, 40)), short);

    const mark = await Mark.play(search, { calls: [call("call_2", short, { word: "kai" })] }, { text: "A quay." });
    const turn = await claude(t, "openai/script", mark.say(), { args });
    assert.equal(turn.result, "A quay.", turn.log);
    assert.match((await mark.bodies())[2], /a kai is a quay/);
  });

  test("with a subagent", async (t) => {
    const mark = new Mark();
    const task = { description: "A test", prompt: mark.say("Part of it"), subagent_type: "general-purpose", run_in_background: false };
    await mark.play({ calls: [call("call_1", "Agent", task)] }, { text: "WHAT-IT-FOUND" }, { text: "All of it." });
    const turn = await claude(t, "openai/script", mark.say());
    assert.equal(turn.result, "All of it.", turn.log);
    assert.match((await mark.bodies())[2], /WHAT-IT-FOUND/);
  });

  test("with a search of the web, which fails so that the model knows", async (t) => {
    const mark = await Mark.play(
      { calls: [call("call_1", "ToolSearch", { query: "select:WebSearch" })] },
      { calls: [call("call_2", "WebSearch", { query: "kai" })] },
      { text: "Then without." },
    );
    const turn = await claude(t, "openai/script", mark.say());
    assert.equal(turn.result, "Then without.", turn.log);
    assert.match((await mark.bodies())[2], /server tools are not available/);
  });
});

describe("an error", () => {
  test("of a model that is not there", async (t) => {
    const turn = await claude(t, "no-such-model", "Say hello");
    assert.equal(turn.is_error, true);
    assert.match(turn.result, /There's an issue with the selected model/);
  });

  test("of a request that the provider refuses", async (t) => {
    const mark = await Mark.play({ status: 400, message: "the mock says no" });
    const turn = await claude(t, "openai/script", mark.say());
    assert.equal(turn.is_error, true);
    assert.match(turn.result, /400.*the mock says no/);
  });

  const recovers = (name, ...script) => test(name, async (t) => {
    const mark = await Mark.play(...script, { text: "Better now." });
    const turn = await claude(t, "openai/script", mark.say());
    assert.equal(turn.result, "Better now.", turn.log);
    assert.equal((await mark.bodies()).length, script.length + 1);
  });

  recovers("of a provider that is asked too often is waited out", { status: 429, message: "slow down", retry_after: "1" });
  recovers("of a provider that fails is repeated", { status: 500, message: "the mock fell over" });
  recovers("in the middle of an answer is repeated", { text: "Two words", break: "error" });
  recovers("of a broken connection is repeated", { text: "Two words", break: "cut" });
});

describe("compaction", () => {
  const env = { CLAUDE_CODE_MAX_CONTEXT_TOKENS: "32768", CLAUDE_CODE_MAX_OUTPUT_TOKENS: "4096" };

  // Whether a turn goes on after its conversation was replaced by a summary.
  async function compacts(t, model, first, ...then) {
    const mark = new Mark();
    const script = [
      { text: mark.say("Let me look."), calls: [bash("call_1", `echo hi-from-tool # ${mark.say()}`)], ...first }, ...then,
      { text: `<summary>${mark.say("SUMMARY-OF-IT-ALL")}</summary>` },
      { text: "Going on." },
    ];
    await mark.play(...script);
    const turn = await claude(t, model, mark.say(), { env });
    assert.equal(turn.result, "Going on.", turn.log);
    const bodies = await mark.bodies();
    assert.equal(bodies.length, script.length);
    assert.match(bodies.at(-1), /SUMMARY-OF-IT-ALL/);
    assert.doesNotMatch(bodies.at(-1), /hi-from-tool/);
  }

  test("of the demo", async (t) => {
    const home = folder(t), work = folder(t);
    await claude(t, "demo", "Say hello", { home, work });
    const turn = await claude(t, "demo", "/compact", { home, work, args: ["--continue"] });
    assert.equal(turn.is_error, false, turn.log);
    const next = await claude(t, "demo", "Say more", { home, work, args: ["--continue"] });
    assert.match(next.result, /^This is Kai/, next.log);
  });

  for (const model of ["openai/script", "anthropic/script"]) {
    test(`by what ${model} has used`, (t) => compacts(t, model, { usage: { prompt: 31000, completion: 10 } }));
  }

  test("after OpenAI refused a conversation as too long", (t) => compacts(t, "openai/script", {},
    { status: 400, code: "context_length_exceeded", message: "This model's maximum context length is 32768 tokens. However, your messages resulted in 33000 tokens." }));
  test("after Anthropic refused a conversation as too long", (t) => compacts(t, "anthropic/script", {},
    { status: 400, message: "prompt is too long: 33000 tokens > 32768 maximum" }));
});

test("a session is resumed", async (t) => {
  const home = folder(t), work = folder(t);
  const mark = await Mark.play({ reasoning: "Hm.", signature: "c2lnbmF0dXJl", text: "First." }, { text: "Second." });
  await claude(t, "anthropic/script", mark.say(), { home, work });
  const turn = await claude(t, "anthropic/script", "Go on", { home, work, args: ["--continue"] });
  assert.equal(turn.result, "Second.", turn.log);
  assert.match((await mark.bodies())[1], /c2lnbmF0dXJl.*First\..*Go on/);
});
