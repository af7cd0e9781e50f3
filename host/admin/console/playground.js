// A chat with any model, by the API, with a client's key and that key's limits.

import { playHeaders, events } from "./api.js";
import { count, empty, h, head, pill, replace, time } from "./dom.js";
import { samples } from "./samples.js";

let key = ""; // kept in memory while the page is open
const tools = [{ type: "function", function: { name: "get_weather", description: "The weather of a city", parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] } } }];

export function playground(root) {
  let turns = []; // {role, content, reasoning, calls, error, stats}
  let running = null;
  let language = "curl";
  let base = location.origin + "/v1"; // where programs find the API

  const model = h("select", { id: "p-model", onchange: code });
  const keyField = h("input", { id: "p-key", type: "password", autocomplete: "off", spellcheck: "false", placeholder: "sk-kai-…", oninput: (e) => { key = e.target.value.trim(); } });
  keyField.value = key;
  const keyHelp = h("small");
  const systemField = h("textarea", { id: "p-system", rows: 3, placeholder: "none", oninput: code });
  const temperature = h("input", { id: "p-temperature", type: "number", min: 0, max: 2, step: 0.1, placeholder: "the model's own", oninput: code });
  const limit = h("input", { id: "p-max", type: "number", min: 1, step: 1, placeholder: "no limit", oninput: code });
  const effort = h("select", { id: "p-effort", onchange: code }, ["", "low", "medium", "high"].map((v) => h("option", { value: v }, v || "the model's own")));
  const stream = h("input", { type: "checkbox", checked: true, onchange: code });
  const withTools = h("input", { type: "checkbox", onchange: code });
  const talk = h("div", { class: "talk", "aria-live": "polite" });
  const input = h("textarea", { rows: 2, placeholder: "Ask something", "aria-label": "Message", oninput: code, onkeydown: (e) => {
    if (e.key === "Enter" && !e.shiftKey && !e.isComposing) {
      e.preventDefault();
      send();
    }
  } });
  const button = h("button", { class: "primary", type: "button", onclick: () => (running ? running.abort() : send()) }, "Send");
  const source = h("pre");
  const copied = h("span", { class: "muted", role: "status" });
  const languages = h("span", { class: "segments", role: "group", "aria-label": "Language" }, Object.keys(samples).map((name) => h("button", { type: "button", "aria-pressed": String(name === language), onclick: (e) => {
    language = name;
    for (const b of languages.children) b.setAttribute("aria-pressed", String(b === e.currentTarget));
    code();
  } }, name)));
  const field = (label, id, control, help) => h("div", { class: "field" }, h("label", { for: id }, label), control, help);

  root.append(head("Playground", "Requests go to the gateway's API and count like any client's.", h("button", { type: "button", onclick: () => { running?.abort(); turns = []; draw(); code(); } }, "Clear")),
    h("div", { class: "play" },
      h("section", { class: "panel settings", "aria-label": "Settings" },
        field("Model", "p-model", model), field("Client key", "p-key", keyField, keyHelp), field("System prompt", "p-system", systemField),
        field("Temperature", "p-temperature", temperature), field("Most tokens", "p-max", limit), field("Reasoning", "p-effort", effort),
        h("label", { class: "check" }, stream, "Stream the answer"), h("label", { class: "check" }, withTools, "Offer a tool, get_weather")),
      h("div", { class: "stack" },
        h("section", { class: "panel chat", "aria-label": "Chat" }, talk, h("div", { class: "composer" }, input, button)),
        h("section", { class: "panel code", "aria-label": "Code" }, h("header", {}, h("h2", {}, "The same request"), h("span", { class: "grow" }), copied, languages, h("button", { type: "button", class: "small", onclick: copy }, "Copy")), source))));

  function body(next) {
    const messages = [];
    if (systemField.value.trim()) messages.push({ role: "system", content: systemField.value });
    for (const t of turns) if (t.role === "user" || t.content) messages.push({ role: t.role, content: t.content });
    if (next) messages.push({ role: "user", content: next });
    const b = { model: model.value, messages };
    if (temperature.value !== "") b.temperature = Number(temperature.value);
    if (limit.value !== "") b.max_completion_tokens = Number(limit.value);
    if (effort.value) b.reasoning_effort = effort.value;
    if (withTools.checked) b.tools = tools;
    if (stream.checked) Object.assign(b, { stream: true, stream_options: { include_usage: true } });
    return b;
  }

  function code() {
    source.textContent = samples[language](body(input.value.trim() || (turns.length ? "" : "Hello!")), base);
  }

  async function copy() {
    try {
      await navigator.clipboard.writeText(source.textContent);
      copied.textContent = "copied";
    } catch {
      copied.textContent = "the browser doesn't allow it: select the text";
    }
    setTimeout(() => (copied.textContent = ""), 2000);
  }

  function turn(t) {
    return h("div", { class: "turn " + t.role }, h("span", { class: "who" }, t.role === "user" ? "You" : t.model),
      t.reasoning && h("details", { open: !t.content }, h("summary", {}, "Reasoning"), h("div", { class: "text" }, t.reasoning)),
      t.content && h("div", { class: "text" }, t.content),
      t.calls?.map((c) => h("div", { class: "call" }, h("strong", {}, "calls "), h("code", {}, c.name), h("pre", {}, c.arguments))),
      t.error && h("div", { class: "error", role: "alert" }, t.error),
      t.role === "assistant" && !t.done && !t.content && !t.reasoning && h("span", { class: "muted" }, "waiting …"),
      t.stats && h("span", { class: "stats" }, t.stats));
  }
  let due = 0;
  function draw() {
    button.textContent = running ? "Stop" : "Send";
    if (due) return;
    due = requestAnimationFrame(() => {
      due = 0;
      replace(talk, turns.length ? turns.map(turn) : empty("Nothing was asked yet", "Enter sends, Shift and Enter begins a new line."));
      talk.scrollTop = talk.scrollHeight;
    });
  }

  // apply adds a chunk, or a whole answer, to a turn.
  function apply(t, o) {
    if (o.error) throw new Error(o.error.message ?? "The answer broke off.");
    const c = o.choices?.[0];
    const d = c?.delta ?? c?.message ?? {};
    t.content += d.content ?? "";
    t.content += d.refusal ?? "";
    t.reasoning += d.reasoning_content ?? d.reasoning ?? "";
    for (const [i, call] of (d.tool_calls ?? []).entries()) {
      const at = (t.calls[call.index ?? i] ??= { name: "", arguments: "" });
      at.name += call.function?.name ?? "";
      at.arguments += call.function?.arguments ?? "";
    }
    if (c?.finish_reason) t.finish = c.finish_reason;
    if (o.usage) t.usage = o.usage;
  }

  async function send() {
    const text = input.value.trim();
    if (!text || running || !model.value) return;
    const sent = body(text);
    const t = { role: "assistant", model: sent.model, content: "", reasoning: "", calls: [], done: false };
    turns.push({ role: "user", content: text }, t);
    input.value = "";
    running = new AbortController();
    const began = performance.now();
    let first = 0;
    draw();
    try {
      const res = await fetch("v1/chat/completions", { method: "POST", signal: running.signal, headers: { "Content-Type": "application/json", ...playHeaders(key) }, body: JSON.stringify(sent) });
      if (!res.ok) {
        const e = await res.json().catch(() => ({}));
        throw new Error(res.status + ": " + (e.error?.message ?? "no answer"));
      }
      if (sent.stream) {
        await events(res.body, (_, data) => {
          if (data === "[DONE]") return;
          apply(t, JSON.parse(data));
          if (!first && (t.content || t.reasoning || t.calls.length)) first = performance.now();
          draw();
        });
      } else {
        apply(t, await res.json());
      }
    } catch (e) {
      t.error = e.name === "AbortError" ? "Stopped." : e instanceof TypeError ? "The gateway can't be reached." : e.message;
    }
    t.done = true;
    const took = performance.now() - began;
    t.stats = [first && "first token " + time(first - began), time(took), t.usage && count(t.usage.prompt_tokens) + " in, " + count(t.usage.completion_tokens) + " out", t.finish].filter(Boolean).join(" · ");
    running = null;
    draw();
    code();
    input.focus();
  }

  let known = "";
  draw();
  return {
    update(state) {
      const names = state.models.map((m) => m.alias).filter((n) => !n.endsWith("*"));
      if (state.port) base = location.protocol + "//" + location.hostname + ":" + state.port + "/v1";
      keyHelp.textContent = state.auth ? "One of the gateway's keys. It is kept in memory only." : "This gateway asks for none.";
      if (known === names.join("\n")) return;
      known = names.join("\n");
      const before = model.value || state.example;
      model.replaceChildren(...names.map((n) => h("option", { value: n }, n)));
      model.value = names.includes(before) ? before : (names[0] ?? "");
      code();
    },
    close: () => running?.abort(),
  };
}
