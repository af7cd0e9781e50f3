// The configuration that is served, what was refused and where, and what is held.

import { post } from "./api.js";
import { bytes, clock, count, h, head, panel, pill, replace, time, use } from "./dom.js";

const results = { hit: "Requests that it answered", miss: "Requests that it could not" };
const outages = { local: "counts alone, with its part of each limit", deny: "refuses requests", allow: "lets all requests in" };

export function system(root) {
  const body = h("div", { class: "stack" });
  const note = h("span", { class: "muted", role: "status" });
  const button = h("button", { type: "button" }, "Read the configuration again");
  root.append(head("System", "", note, button), body);
  let shown = "";

  button.addEventListener("click", async () => {
    button.disabled = true;
    note.textContent = "reading …";
    try {
      const got = await post("admin/v1/reload");
      note.textContent = "Taken: generation " + got.generation + ".";
    } catch (e) {
      note.textContent = e.message;
    }
    button.disabled = false;
  });

  const list = (rows) => h("div", { class: "body" }, h("dl", { class: "list" }, rows.map(([k, v]) => [h("dt", {}, k), h("dd", {}, v)])));
  const off = (why) => h("div", { class: "body muted small" }, why);
  const kinds = { healthy: "good", degraded: "warn", unhealthy: "bad" };

  function cache(c) {
    if (!c) return panel("Cache of answers", off("Every request is answered by a model: the configuration has no cache section."), pill("off"));
    return panel("Cache of answers", list([
      ["Answers kept", count(c.entries)], ["Memory", use(c.memory.used, c.memory.max, bytes)],
      ...Object.entries(c.requests ?? {}).map(([what, n]) => [results[what] ?? "Requests: " + what, count(n)]),
    ]), pill("on", "good"));
  }
  function shared(s) {
    if (!s) return panel("Shared store", off("This gateway counts limits and cooldowns alone: the configuration has no shared section."), pill("off"));
    return panel("Shared store", list([
      ["Gateways seen", count(s.replicas)], ["While it is away, Kai", outages[s.on_outage] ?? s.on_outage], ["Failures since the start", count(s.errors)],
    ]), s.up ? pill("connected", "good") : pill("away", "bad"));
  }

  function show(s) {
    const c = s.configuration;
    const refused = c.refused && panel("Refused at " + clock(c.refused.at), h("div", { class: "body" },
      h("p", { class: "muted" }, "The configuration before keeps serving. Saving a good file ends this."),
      (c.refused.problems ?? []).map((p) => h("div", { class: "problem wrap" }, h("code", {}, p.where), " ", p.path && h("strong", {}, p.path + ": "), p.message))), pill("refused", "bad"));
    replace(body, refused, h("div", { class: "two" },
      panel("Configuration", list([
        ["File", c.file || "the built-in one"], ["Generation", count(c.generation)], ["Taken at", clock(c.taken)], ["Refused since the start", count(c.refusals)],
        ["Models", count(s.models.length)], ["Providers", count(s.providers.length)],
      ])),
      panel("Process", list([
        ["Version", s.version], ["Runs for", time(Date.parse(s.now) - Date.parse(s.started))], ["Clients need keys", s.auth ? "yes" : "no"],
        ["Memory held", use(s.memory.used, s.memory.max, bytes)], ["Bodies of requests", use(s.bodies.used, s.bodies.max, bytes)],
      ]), pill(s.health, kinds[s.health] ?? "")),
      cache(s.cache), shared(s.shared)));
  }
  return {
    update(state) {
      const now = JSON.stringify([state.configuration, state.memory, state.bodies, state.health, state.cache, state.shared, state.models.length, Math.round(Date.parse(state.now) / 10000)]);
      if (now !== shown) {
        shown = now;
        show(state);
      }
    },
  };
}
