// Runs what docs/clients.md says, with the gateway's address in place of the one on
// the page: its programs in JavaScript here, those in Python by test_docs.py, and
// its settings of programs.

import assert from "node:assert/strict";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";

import { CLAUDE, CODEX, assertNobodyElseAsked, documented, folder, run, runs } from "./kai.mjs";

after(assertNobodyElseAsked);

for (const program of documented("js")) {
  test(program.match(/from "(.*)"/)[1], async (t) => {
    const home = folder(t);
    symlinkSync(join(import.meta.dirname, "node_modules"), join(home, "node_modules"));
    writeFileSync(join(home, "program.mjs"), program);
    const { code, out, err } = await run(join(home, "program.mjs"), [], { home, cwd: home });
    assert.equal(code, 0, err);
    assert.match(out, /Kai/);
  });
}

test("codex", { skip: !(await runs(CODEX)) }, async (t) => {
  const home = folder(t);
  mkdirSync(join(home, ".codex"));
  writeFileSync(join(home, ".codex", "config.toml"), documented("toml").join("\n"));
  const args = ["exec", "--skip-git-repo-check", "Say hello"];
  const { code, out, err } = await run(CODEX, args, { home, cwd: home, env: { KAI_KEY: "KEY" } });
  assert.equal(code, 0, err);
  assert.match(out, /Kai/);
});

test("claude", { skip: !(await runs(CLAUDE)) }, async (t) => {
  const home = folder(t);
  const env = Object.fromEntries(documented("sh")[0].split("\n").map((line) => /^export (\w+)=(\S+)$/.exec(line)).filter(Boolean).map(([, name, value]) => [name, value]));
  const { code, out, err } = await run(CLAUDE, ["-p", "Say hello"], { home, cwd: home, env });
  assert.equal(code, 0, err);
  assert.match(out, /Kai/);
});
