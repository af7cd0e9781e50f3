// The configuration that is served, what was refused and where, and what is held.

import { post } from "./api.js";
import { bytes, clock, count, h, head, panel, pill, replace, time, use } from "./dom.js";

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
  const kinds = { healthy: "good", degraded: "warn", unhealthy: "bad" };

  function show(s) {
    const c = s.configuration;
    const refused = c.refused && panel("Refused at " + clock(c.refused.at), h("div", { class: "body" },
      h("p", { class: "muted" }, "The configuration before keeps serving. Saving a good file ends this."),
      (c.refused.problems ?? []).map((p) => h("div", { class: "problem wrap" }, h("code", {}, p.where), " ", p.path && h("strong", {}, p.path + ": "), p.message))), pill("refused", "bad"));
    const more = ["cache", "shared"].filter((k) => s[k]).map((k) => panel({ cache: "Cache", shared: "Shared store" }[k], list(Object.entries(s[k]).map(([k, v]) => [k, String(v)]))));
    replace(body, refused, h("div", { class: "two" },
      panel("Configuration", list([
        ["File", c.file || "the built-in one"], ["Generation", count(c.generation)], ["Taken at", clock(c.taken)], ["Refused since the start", count(c.refusals)],
        ["Models", count(s.models.length)], ["Providers", count(s.providers.length)],
      ])),
      panel("Process", list([
        ["Version", s.version], ["Runs for", time(Date.parse(s.now) - Date.parse(s.started))], ["Clients need keys", s.auth ? "yes" : "no"],
        ["Memory held", use(s.memory.used, s.memory.max, bytes)], ["Bodies of requests", use(s.bodies.used, s.bodies.max, bytes)],
      ]), pill(s.health, kinds[s.health] ?? "")), more),
    more.length === 0 && h("p", { class: "muted" }, "There is no cache and no shared store in this gateway's configuration."));
  }
  return {
    update(state) {
      const now = JSON.stringify([state.configuration, state.memory, state.bodies, state.health, state.models.length, Math.round(Date.parse(state.now) / 10000)]);
      if (now !== shown) {
        shown = now;
        show(state);
      }
    },
  };
}
