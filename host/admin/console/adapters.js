// Providers, and the modules that translate for them.

import { bytes, count, h, head, panel, percent, pill, replace, time, use } from "./dom.js";

const kinds = { ready: "good", loading: "info", unconfigured: "", paused: "bad", failed: "bad", unreachable: "bad" };

export function adapters(root) {
  const list = h("div", { class: "cards" });
  root.append(head("Adapters", "Each provider's module runs in a sandbox of its own."), list);
  let shown = "";

  function card(p) {
    const calls = p.calls.ok + p.calls.failed + p.calls.broken;
    const mean = calls ? p.calls.fuel / calls : 0;
    const rows = [
      ["Module", [h("code", {}, p.adapter), p.version && " " + p.version]],
      ["SHA-256", h("span", { class: "digest", title: p.digest }, p.digest.slice(0, 16) + "…", p.pinned && h("span", { class: "tag" }, "pinned"))],
      ["Memory", p.memory.used < 0.01 * p.memory.max ? bytes(p.memory.used) + " of " + bytes(p.memory.max) : use(p.memory.used, p.memory.max, bytes)],
      ["Instances", count(p.instances) + (p.isolation === "request" ? ", one for each request" : "")],
      ["Calls", count(calls) + (p.calls.broken ? ", " + count(p.calls.broken) + " broken" : "") + (p.calls.failed ? ", " + count(p.calls.failed) + " failed" : "")],
      ["Fuel a call", calls ? count(mean) + " (" + (mean / p.calls.max_fuel < 0.001 ? "under 0.1 %" : percent(mean / p.calls.max_fuel)) + " of the most)" : "–"],
      ["Swaps", count(p.swaps)],
      p.needs && ["Needs", h("code", {}, p.needs)],
      p.pause_ms > 0 && ["Paused for", time(p.pause_ms)],
    ].filter(Boolean);
    const c = panel(p.name, h("div", { class: "body" }, h("dl", {}, rows.map(([k, v]) => [h("dt", {}, k), h("dd", {}, v)]))), pill(p.state, kinds[p.state] ?? ""));
    c.classList.add("card");
    return c;
  }
  return {
    update(state) {
      const now = JSON.stringify(state.providers);
      if (now !== shown) {
        shown = now;
        replace(list, state.providers.map(card));
      }
    },
  };
}
