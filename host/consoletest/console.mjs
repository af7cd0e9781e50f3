// Drives the console in headless Chromium. console_test.go starts the gateway, sends it
// requests all the while, and says where things are:
//
//   node console.mjs CONSOLE CONTROL CHROMIUM PICTURES MORE API
//
// POST CONTROL/what changes the gateway's world: see console_test.go. PICTURES gets those
// that docs/console.md shows, and MORE the others.
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { chromium } from "playwright-core";

const [consoleURL, control, executablePath, pictures, more, api] = process.argv.slice(2);
const pages = ["overview", "models", "keys", "requests", "playground", "adapters", "system"];
const token = "the-operators-token";
const shown = ["overview-dark", "requests-360", "playground-360"]; // and those in light colours
mkdirSync(pictures, { recursive: true });
mkdirSync(more, { recursive: true });

async function make(what) {
  const res = await fetch(control + "/" + what, { method: "POST" });
  assert.equal(res.status, 200, what + ": " + (await res.text()));
}
const step = (words) => console.log("· " + words);

const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu", "--disable-component-update", "--disable-background-networking", "--no-proxy-server"] });
const expected = []; // patterns of errors that the step brings about

async function open(options, origin = consoleURL) {
  const context = await browser.newContext({ viewport: { width: 1200, height: 780 }, locale: "en-GB", reducedMotion: "reduce", ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(90000);
  page.on("console", (m) => {
    if (m.type() !== "error" && m.type() !== "warning") return;
    if (!expected.some((e) => e.test(m.text()))) throw new Error("the console of the browser has: " + m.text() + " " + m.location().url);
  });
  page.on("pageerror", (e) => {
    throw e;
  });
  page.on("request", (r) => {
    const u = new URL(r.url());
    assert.ok(u.protocol === "data:" || u.origin === new URL(origin).origin, "a request went to " + r.url());
  });
  page.on("dialog", (d) => {
    throw new Error("a script of a name ran: " + d.message());
  });
  return page;
}
async function login(page) {
  expected.push(/status of 401/);
  await page.goto(consoleURL);
  await page.getByLabel("Token", { exact: true }).fill("wrong");
  await page.getByRole("button", { name: "Open the console" }).click();
  await page.getByText("This was not the token").waitFor();
  await page.getByLabel("Token", { exact: true }).fill(token);
  await page.keyboard.press("Enter");
  await page.getByText("connected", { exact: true }).waitFor();
  expected.pop();
}
const go = async (page, name) => {
  await page.evaluate((n) => (location.hash = n), name);
  await page.locator(`nav [data-page=${name}][aria-current=page]`).waitFor();
};
const picture = async (page, name) => {
  await page.mouse.move(0, 0);
  await page.evaluate(() => {
    document.activeElement.blur();
    scrollTo(0, 0);
  });
  await page.waitForTimeout(400); // so that plots are drawn
  await page.screenshot({ path: `${shown.includes(name) || !/-(dark|light|360)$/.test(name) ? pictures : more}/${name}.png`, animations: "disabled" });
};

const page = await open({ colorScheme: "light" });
step("the token is asked for, and a wrong one refused");
await login(page);

step("overview");
await page.getByText("a minute").waitFor();
assert.equal(await page.locator(".plot canvas").count(), 5);
await page.locator(".tile", { hasText: "Cost" }).getByText(/^€\d+\.\d\d$/).waitFor();
assert.notEqual(await page.locator(".tile dd").first().textContent(), "0");
await page.getByRole("cell", { name: "<img src=x onerror=alert(1)>" }).waitFor();
await picture(page, "overview");
await page.getByLabel("Model", { exact: true }).selectOption("fast");
await page.waitForTimeout(300);

step("names are shown as text");
assert.equal(await page.locator("#page img, #page script").count(), 0);

step("a target cools, is tried again, and recovers");
await go(page, "models");
await page.getByRole("heading", { name: "smart" }).waitFor();
const row = page.getByRole("region", { name: "smart" }).locator(".target", { hasText: "claude/opus" });
await row.getByText("well").waitFor();
await make("embed");
await row.getByText("cooling").waitFor();
await row.getByText("in embeddings only").waitFor();
await make("break");
await row.getByText("in embeddings only").waitFor({ state: "detached" });
await row.getByText(/^p95 \d/).waitFor();
await row.getByText("cooling").waitFor();
await row.getByText("the account is used up").waitFor();
await row.getByText(/for \d+ (s|min)/).waitFor();
await page.locator("nav [data-page=models] .count").waitFor();
await picture(page, "models");
const locked = page.getByRole("region", { name: "locked" });
await locked.getByText("unconfigured").waitFor();
await locked.getByText("THE_KEY_THAT_NOBODY_HAS_SET").waitFor();
assert.equal(await locked.getByText("well", { exact: true }).count(), 0);
await make("mend");
await row.getByRole("button", { name: "Try again now" }).focus();
await page.keyboard.press("Enter");
await row.getByText("well").waitFor();

step("requests, live");
await go(page, "requests");
await page.getByText("live", { exact: true }).waitFor();
const newest = () => page.locator("tbody tr.row").first().getAttribute("data-number");
await page.locator("tbody tr.row").first().waitFor();
const before = await newest();
await page.waitForFunction((b) => document.querySelector("tbody tr.row")?.dataset.number !== b, before);
await page.getByRole("button", { name: "Pause" }).click();
await page.getByText("paused", { exact: true }).waitFor();
await page.getByLabel("Status", { exact: true }).selectOption("more");
// Rows are drawn with the next frame: until then the first one may be one that goes.
await page.waitForFunction(() => [...document.querySelectorAll("tbody tr.row")].every((r) => r.querySelectorAll(".dots i").length > 1));
// The newest of them may be of another failure, such as an upstream that was busy.
const failed = page.locator("tbody tr.row", { hasText: "smart", has: page.locator('.dots[title*="claude/opus: quota"]') }).first();
await failed.getByRole("button").focus();
await page.keyboard.press("Enter");
await page.locator("tr.detail").waitFor();
await page.locator("tr.detail").getByText("claude/opus").first().waitFor();
await page.locator("tr.detail").getByText("quota ·").first().waitFor();
await picture(page, "trail");
await failed.getByRole("button").focus();
await page.keyboard.press("Enter");
await page.getByLabel("Status", { exact: true }).selectOption("");
await picture(page, "requests");
await page.getByRole("button", { name: "Go on" }).click();
await make("spare");
await page.getByLabel("Filter", { exact: true }).fill("saver");
await page.locator("tbody tr.row", { hasText: "smart → granite-local" }).first().getByRole("button").click();
await page.locator("tr.detail").getByText("granite-local, since a budget was spent").waitFor();
await page.locator("tbody tr.row", { hasText: "smart → granite-local" }).first().getByRole("button").click();
await page.getByLabel("Filter", { exact: true }).fill("onerror");
await page.locator("tbody tr.row").first().waitFor();
await page.getByLabel("Filter", { exact: true }).fill("no such thing");
await page.getByText("No request fits the filter").waitFor();

step("playground");
await go(page, "playground");
await page.getByLabel("Model", { exact: true }).selectOption("fast");
await page.getByLabel("Message", { exact: true }).fill("Hello!");
expected.push(/status of 401/);
await page.getByLabel("Message", { exact: true }).press("Enter");
await page.locator(".turn .error", { hasText: "401" }).waitFor();
expected.pop();
await page.getByRole("button", { name: "Clear" }).click();
await page.getByLabel("Client key", { exact: true }).fill("the-app-key");
await page.getByLabel(/^Offer a tool/).check();
await page.getByLabel("Message", { exact: true }).fill("What is the weather in Oslo?");
await page.getByRole("button", { name: "Send" }).click();
await page.locator(".turn.assistant .text", { hasText: "Let me look" }).waitFor();
await page.locator(".turn .call", { hasText: "get_weather" }).waitFor();
await page.locator(".turn details", { hasText: "Oslo" }).waitFor();
await page.locator(".stats", { hasText: "first token" }).waitFor();
for (const [name, has] of [["Python", "from openai import OpenAI"], ["Node", "new OpenAI({"], ["curl", "Authorization: Bearer $KAI_KEY"]]) {
  await page.getByRole("button", { name, exact: true }).click();
  await page.locator(".code pre", { hasText: has }).waitFor();
}
assert.ok(!(await page.locator(".code pre").textContent()).includes("the-app-key"));
await picture(page, "playground");
step("a chat that fails");
expected.push(/status of 5\d\d/);
await page.getByLabel("Model", { exact: true }).selectOption("broken");
await page.getByLabel("Message", { exact: true }).fill("Hello!");
await page.getByLabel("Message", { exact: true }).press("Enter");
await page.locator(".turn .error", { hasText: /^5\d\d: / }).waitFor();
expected.pop();

step("a budget that fills");
await go(page, "keys");
const intern = page.getByRole("region", { name: "intern" });
await intern.getByText("€0.00 of €0.10").waitFor();
await make("spend");
await intern.getByText(/^€0\.0\d+ of €0\.10$/).filter({ hasNotText: "€0.00 of" }).waitFor();
const part = async () => parseFloat(await intern.locator(".bar i").evaluate((e) => e.style.getPropertyValue("--part")));
const first = await part();
assert.ok(first > 0 && first < 60, "after one request the bar is at " + first);
await make("fill");
await intern.getByText("budget spent").waitFor();
await intern.locator(".bar i.bad").waitFor();
assert.ok((await part()) > 99, "when the budget is spent the bar is at " + (await part()));
await page.getByRole("region", { name: "app" }).getByText("Requests an hour").waitFor();
await page.getByRole("region", { name: "team", exact: true }).getByText("Tokens a day").waitFor();
await page.getByRole("region", { name: /by the audit$/ }).getByRole("cell", { name: "batch" }).waitFor();
await page.getByRole("region", { name: "All callers together" }).getByText("fast: Requests a second").waitFor();
await picture(page, "keys");
step("adapters");
await go(page, "adapters");
await page.getByRole("region", { name: "claude" }).getByText("1 KiB").or(page.getByRole("region", { name: "claude" }).getByText("MiB").first()).first().waitFor();
await picture(page, "adapters");

step("a reload that is refused, and one that isn't");
await go(page, "system");
await make("misspell");
expected.push(/status of 409/);
await page.getByRole("button", { name: "Read the configuration again" }).click();
await page.getByText("console.yaml:", { exact: false }).waitFor();
await page.getByText('did you mean "provider"').waitFor();
expected.pop();
const kept = page.getByRole("region", { name: "Cache of answers" });
await kept.getByText("on", { exact: true }).waitFor();
await kept.getByText("Requests that it answered").waitFor();
await page.getByRole("region", { name: "Shared store" }).getByText("off", { exact: true }).waitFor();
await picture(page, "system");
await make("correct");
await page.getByRole("button", { name: "Read the configuration again" }).click();
await page.getByText(/Taken: generation \d/).waitFor();
await page.getByText("Refused at").waitFor({ state: "hidden" });

step("a page that nobody sees asks for nothing");
await go(page, "requests");
await page.getByText("live", { exact: true }).waitFor();
let asked = 0;
const counts = () => asked++;
page.on("request", counts);
const hide = (hidden) => page.evaluate((hidden) => {
  Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
  document.dispatchEvent(new Event("visibilitychange"));
}, hidden);
await hide(true);
await page.waitForTimeout(2000); // for what is on its way
asked = 0;
await page.waitForTimeout(5000);
assert.equal(asked, 0, "a hidden page asked for something");
const last = await newest();
await hide(false);
await page.waitForFunction((b) => document.querySelector("tbody tr.row")?.dataset.number !== b, last);
await page.getByText("live", { exact: true }).waitFor();
assert.ok(asked > 1);
page.off("request", counts);

step("without an audit");
await make("unaudit");
await go(page, "keys");
await page.getByText("With audit.file in the configuration").waitFor();

step("a gateway that hangs");
await go(page, "requests");
await page.getByText("live", { exact: true }).waitFor();
await make("hang");
await page.getByText("The gateway can't be reached").waitFor();
await page.locator(".pill.bad", { hasText: "not connected" }).waitFor();
await make("wake");
await page.getByText("connected", { exact: true }).waitFor();
await page.getByText("live", { exact: true }).waitFor();

step("disconnect and return");
await go(page, "requests");
await page.getByText("live", { exact: true }).waitFor();
expected.push(/ERR_|Failed to load resource/);
await make("down");
await page.getByText("The gateway can't be reached").waitFor();
await page.locator(".pill.bad", { hasText: "not connected" }).waitFor();
await make("up");
await page.getByText("live", { exact: true }).waitFor();
await page.getByText("connected", { exact: true }).waitFor();
assert.equal(await page.locator("#banner").isVisible(), false);
expected.pop();
await page.context().close();

step("dark, and 360 pixels wide");
const dark = await open({ colorScheme: "dark" });
await login(dark);
for (const name of pages) {
  await go(dark, name);
  await picture(dark, name + "-dark");
}
await dark.context().close();
const phone = await open({ viewport: { width: 360, height: 740 }, colorScheme: "light" });
await login(phone);
for (const name of pages) {
  await go(phone, name);
  await picture(phone, name + "-360");
  const wide = await phone.evaluate(() => [document.documentElement.scrollWidth, ...[...document.querySelectorAll("#page *")].filter((e) => e.getBoundingClientRect().right > 361 && !e.closest(".scroll")).map((e) => e.outerHTML.slice(0, 90))]);
  assert.ok(wide[0] <= 360 && wide.length === 1, name + " is too wide: " + wide.join("\n"));
}
step("by keyboard");
await phone.evaluate(() => document.activeElement.blur());
const reached = [];
for (let i = 0; i < 12; i++) {
  await phone.keyboard.press("Tab");
  reached.push(await phone.evaluate(() => document.activeElement.dataset.page ?? document.activeElement.className));
}
for (const name of pages) assert.ok(reached.includes(name), "Tab does not reach " + name + ": " + reached);

step("the API's own pages");
for (const colorScheme of ["light", "dark"]) {
  const page = await open({ colorScheme }, api);
  await page.goto(api);
  await page.getByRole("heading", { name: "A first request" }).waitFor();
  await picture(page, "index-" + colorScheme);
  await page.getByRole("link", { name: "API described" }).click();
  await page.getByText("/v1/chat/completions", { exact: false }).first().waitFor();
  await picture(page, "docs-" + colorScheme);
  await page.context().close();
}
await browser.close();
console.log("done");
