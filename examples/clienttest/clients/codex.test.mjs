// Holds the gateway against Codex CLI: `codex exec` with an empty home and a dummy
// key.

import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, test } from "node:test";

import {
  CODEX, DOT, KAI_GUARDED, KAI_OPEN, MCP, MCP_TOOL, Mark, SCRIPTED, SIGNED, assertNobodyElseAsked, call, folder, run, runs,
} from "./kai.mjs";

if (!(await runs(CODEX))) process.exit();

// Without these it asks GitHub and OpenAI for plugins and updates.
const OFFLINE = `
check_for_update_on_startup = false
[analytics]
enabled = false
[features]
plugins = false
apps = false
`;

// A provider of its own, as docs/clients.md recommends.
const provider = (model, baseURL = KAI_OPEN, more = "") => `
model = "${model}"
model_provider = "kai"
${more}
${OFFLINE}
[model_providers.kai]
name = "Kai"
base_url = "${baseURL}"
wire_api = "responses"
env_key = "KAI_KEY"
`;

// The provider that is built in, with Kai's address.
const builtIn = (model, more = "") => `
model = "${model}"
openai_base_url = "${KAI_OPEN}"
${more}
${OFFLINE}
`;

// Runs a turn, and gives its exit code, its events and the folder it worked in.
async function codex(t, config, prompt, ...args) {
  const home = folder(t);
  const work = folder(t);
  mkdirSync(join(home, ".codex"));
  writeFileSync(join(home, ".codex", "config.toml"), config);
  const { code, out, err } = await run(CODEX, [
    "exec", "--json", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", "-C", work, ...args, prompt,
  ], { home, cwd: work, env: { CODEX_HOME: join(home, ".codex"), KAI_KEY: "sk-dummy", CODEX_API_KEY: "sk-dummy" } });
  const events = out.split("\n").filter(Boolean).map((line) => JSON.parse(line));
  const items = events.filter((e) => e.type === "item.completed").map((e) => e.item);
  return {
    code, work, err, events,
    log: `${out}\n${err}`,
    said: items.filter((i) => i.type === "agent_message").map((i) => i.text),
    thought: items.filter((i) => i.type === "reasoning").map((i) => i.text),
    commands: items.filter((i) => i.type === "command_execution"),
    usage: events.findLast((e) => e.type === "turn.completed")?.usage,
    failure: events.findLast((e) => e.type === "turn.failed")?.error.message,
  };
}

const shell = (id, cmd) => call(id, "exec_command", { cmd });

after(assertNobodyElseAsked);

describe("an answer", () => {
  test("of the demo", async (t) => {
    const turn = await codex(t, provider("demo"), "Say hello");
    assert.equal(turn.code, 0, turn.log);
    assert.match(turn.said[0], /Kai.*You said: “Say hello”/);
  });

  test("with reasoning and usage", async (t) => {
    const mark = await Mark.play({ reasoning: "I think.", text: "Good day.", usage: { prompt: 120, completion: 30 } });
    const turn = await codex(t, provider("openai/script"), mark.say());
    assert.equal(turn.code, 0, turn.log);
    assert.deepEqual(turn.said, ["Good day."]);
    assert.deepEqual(turn.thought, ["I think."]);
    assert.equal(turn.usage.input_tokens, 120);
    assert.equal(turn.usage.output_tokens, 30);
  });

  test("in the form of a schema", async (t) => {
    const schema = join(folder(t), "schema.json");
    writeFileSync(schema, JSON.stringify({
      type: "object", properties: { city: { type: "string" } }, required: ["city"], additionalProperties: false,
    }));
    const mark = await Mark.play({ text: '{"city": "Oslo"}' });
    const turn = await codex(t, provider("openai/script"), mark.say(), "--output-schema", schema);
    assert.deepEqual(turn.said, ['{"city": "Oslo"}'], turn.log);
    assert.match((await mark.bodies())[0], /"response_format":\{"type":"json_schema"/);
  });
});

describe("a tool round", () => {
  test("of the demo, which calls the tool that is mentioned", async (t) => {
    const turn = await codex(t, provider("demo"), "Please run the command pwd");
    assert.equal(turn.code, 0, turn.log);
    assert.match(turn.said.at(-1), /The tool exec_command answered: /);
    assert.ok(turn.said.at(-1).includes(turn.work));
  });

  test("of the demo, which calls all tools that are mentioned", async (t) => {
    const turn = await codex(t, provider("demo"), "Please look at an image, and run the command pwd");
    assert.equal(turn.code, 0, turn.log);
    for (const tool of ["view_image", "exec_command"]) assert.ok(turn.said.at(-1).includes(`The tool ${tool} answered: `), turn.log);
  });

  for (const model of SCRIPTED) {
    test(model, async (t) => {
      const mark = await Mark.play(
        { reasoning: "I look.", signature: "c2lnbmF0dXJl", text: "Let me look.", calls: [shell("call_1", "echo one > a.txt; echo hi-from-tool")] },
        { text: "All done." },
      );
      const turn = await codex(t, provider(model), mark.say("Make a.txt"));
      assert.equal(turn.code, 0, turn.log);
      assert.deepEqual(turn.said, ["Let me look.", "All done."]);
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
        { calls: [shell("call_1", "echo one-from-tool"), shell("call_2", "echo two-from-tool")] },
        { text: "Both are done." },
      );
      const turn = await codex(t, provider(model), mark.say());
      assert.equal(turn.code, 0, turn.log);
      assert.deepEqual(turn.commands.map((c) => c.aggregated_output).sort(), ["one-from-tool\n", "two-from-tool\n"]);
      assert.match((await mark.bodies())[1], /one-from-tool.*two-from-tool/);
    }
  });

  const patch = "*** Begin Patch\n*** Add File: new.txt\n+hello\n*** End Patch\n";

  test("of a custom tool, which a model has that Codex knows", async (t) => {
    const mark = await Mark.play({ calls: [call("call_1", "apply_patch", { input: patch })] }, { text: "Patched." });
    const turn = await codex(t, provider("gpt-5.5"), mark.say());
    assert.equal(turn.code, 0, turn.log);
    assert.equal(readFileSync(join(turn.work, "new.txt"), "utf8"), "hello\n");
  });

  test("of code, in which newer models call tools", async (t) => {
    const mark = await Mark.play(
      { calls: [call("call_1", "exec", { input: 'const r = await tools.exec_command({cmd: "echo hi-from-code > code.txt"}); text("code has run");' })] },
      { text: "Ran." },
    );
    const turn = await codex(t, provider("gpt-6-sol"), mark.say());
    assert.equal(turn.code, 0, turn.log);
    assert.equal(readFileSync(join(turn.work, "code.txt"), "utf8"), "hi-from-code\n");
    assert.match((await mark.bodies())[1], /code has run/);
  });

  const server = `
[mcp_servers.words]
command = ${JSON.stringify(MCP[0])}
args = ${JSON.stringify(MCP[1])}
`;

  // The tools of a server are in a namespace. Codex knows that gpt-5.5 can search, so it
  // offers that model none of them at first.
  for (const [model, ...search] of [["anthropic/script"], ["gpt-5.5", { calls: [call("call_0", "tool_search", { query: MCP_TOOL })] }]]) {
    test(`of an MCP server's tool, for ${model}`, async (t) => {
      const mark = await Mark.play(...search, { calls: [call("call_1", `mcp__words__${MCP_TOOL}`, { word: "kai" })] }, { text: "A quay." });
      const turn = await codex(t, provider(model) + server, mark.say());
      assert.deepEqual(turn.said, ["A quay."], turn.log);
      const bodies = await mark.bodies();
      assert.equal(bodies.length, search.length + 2);
      assert.match(bodies.at(-1), /a kai is a quay/);
      assert.ok(bodies.at(-1).includes(DOT.toString("base64")));
    });
  }

  test("of a picture, after another that the user sent", async (t) => {
    const picture = join(folder(t), "dot.png");
    writeFileSync(picture, DOT);
    const mark = await Mark.play({ calls: [call("call_1", "view_image", { path: picture })] }, { text: "Two dots." });
    const turn = await codex(t, provider("gemini/script"), mark.say(), "-i", picture, "--");
    assert.deepEqual(turn.said, ["Two dots."], turn.log);
    assert.deepEqual((await mark.bodies()).map((body) => body.split(DOT.toString("base64")).length - 1), [1, 2]);
  });

  test("of calls that nobody can run goes on", async (t) => {
    const mark = await Mark.play(
      { calls: [{ id: "call_0", name: "exec_command", arguments: '{"cmd": "ec' }] },
      { calls: [{ id: "call_0", name: "exec_command", arguments: "" }] },
      { calls: [call("call_0", "no_such_tool", {})] },
      { text: "Then without." },
    );
    const turn = await codex(t, provider("openai/script"), mark.say());
    assert.deepEqual(turn.said, ["Then without."], turn.log);
    const { messages } = JSON.parse((await mark.bodies())[3]);
    const calls = messages.flatMap((message) => message.tool_calls ?? []);
    assert.equal(new Set(calls.map((made) => made.id)).size, 3, "ids that the model uses again and again");
    for (const made of calls) assert.equal(typeof JSON.parse(made.function.arguments), "object");
  });

  test("of a call that was cut off is none", async (t) => {
    const mark = await Mark.play({ calls: [call("call_1", "apply_patch", { input: patch })], finish: "length" });
    const cut = await Mark.play({ text: "Now.", calls: [shell("call_1", "echo > cut.txt")], break: "error" }, { text: "Again." });
    const whole = await codex(t, provider("gpt-5.5"), mark.say());
    assert.notEqual(whole.code, 0);
    assert.match(whole.failure, /max_output_tokens/);
    const broken = await codex(t, provider("openai/script"), cut.say());
    assert.equal(broken.code, 0, broken.log);
    assert.deepEqual(broken.said.at(-1), "Again.");
    assert.equal(existsSync(join(broken.work, "cut.txt")), false, "a call was run whose answer had failed");
  });
});

describe("an error", () => {
  const fails = (name, script, config, message, requests) => test(name, async (t) => {
    const mark = await Mark.play(...script);
    const turn = await codex(t, config, mark.say());
    assert.notEqual(turn.code, 0);
    assert.match(turn.failure, message, turn.log);
    assert.equal((await mark.bodies()).length, requests);
  });

  fails("of a model that is not there", [{ text: "" }], provider("no-such-model"), /no-such-model/, 0);
  fails("of a request that the provider refuses", [{ status: 400, message: "the mock says no" }], provider("openai/script"), /the mock says no/, 1);
  fails("of a full context window",
    [{ status: 400, code: "context_length_exceeded", message: "This model's maximum context length is 100 tokens." }],
    provider("openai/script"), /ran out of room/, 1);
  fails("of a wrong key", [{ text: "" }], provider("demo", KAI_GUARDED, ""), /[Kk]ey|401/, 0);

  const recovers = (name, ...script) => test(name, async (t) => {
    const mark = await Mark.play(...script, { text: "Better now." });
    const turn = await codex(t, provider("openai/script"), mark.say());
    assert.equal(turn.code, 0, turn.log);
    assert.equal(turn.said.at(-1), "Better now.");
    assert.equal((await mark.bodies()).length, 2);
  });

  recovers("of a provider that is asked too often is waited out", { status: 429, message: "slow down", retry_after: "1" });
  recovers("of a provider that is asked too often and does not say how long", { status: 429, message: "slow down" });
  recovers("of a provider that fails is repeated", { status: 500, message: "the mock fell over" });
  recovers("in the middle of an answer is repeated", { text: "Two words", break: "error" });
  recovers("of a broken connection is repeated", { text: "Two words", break: "cut" });
});

describe("compaction", () => {
  const LIMIT = "model_auto_compact_token_limit = 1000";

  test("of the demo", async (t) => {
    const turn = await codex(t, provider("demo", KAI_OPEN, LIMIT), "Please run the command pwd");
    assert.equal(turn.code, 0, turn.log);
    assert.match(turn.said.at(-1), /This is Kai/, "the summary is the last that it was asked");
  });

  test("by a request like any other", async (t) => {
    await compacts(t, provider("openai/script", KAI_OPEN, LIMIT));
  });

  test("by the API, which the provider that is built in asks for", async (t) => {
    await compacts(t, builtIn("gpt-5.5", LIMIT));
  });

  async function compacts(t, config) {
    const mark = await Mark.play(
      { calls: [shell("call_1", "echo hi-from-tool")], usage: { prompt: 5000, completion: 10 } },
      { text: "SUMMARY-OF-IT-ALL" },
      { text: "Going on." },
    );
    const turn = await codex(t, config, mark.say());
    assert.equal(turn.code, 0, turn.log);
    assert.deepEqual(turn.said, ["Going on."]);
    const bodies = await mark.bodies();
    assert.equal(bodies.length, 3);
    assert.match(bodies[2], /SUMMARY-OF-IT-ALL/);
    assert.doesNotMatch(bodies[2], /hi-from-tool/);
  }
});

test("a session is resumed", async (t) => {
  const mark = await Mark.play({ reasoning: "Hm.", signature: "c2lnbmF0dXJl", text: "First." }, { text: "Second." });
  const home = folder(t), work = folder(t);
  mkdirSync(join(home, ".codex"));
  writeFileSync(join(home, ".codex", "config.toml"), provider("anthropic/script"));
  const env = { CODEX_HOME: join(home, ".codex"), KAI_KEY: "sk-dummy" };
  const flags = ["--json", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox"];
  const first = await run(CODEX, ["exec", ...flags, mark.say()], { home, cwd: work, env });
  assert.equal(first.code, 0, first.err);
  const second = await run(CODEX, ["exec", "resume", "--last", ...flags, "Go on"], { home, cwd: work, env });
  assert.match(second.out, /"Second\."/, second.err);
  assert.match((await mark.bodies())[1], /First\..*Go on/);
});
