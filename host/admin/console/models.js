// Aliases with their targets, and how those do.

import { post } from "./api.js";
import { bar, count, empty, h, head, percent, pill, replace, time } from "./dom.js";

const states = { well: ["well", "good"], trying: ["trying", "info"], cooling: ["cooling", "bad"] };
// Those of a provider because of which none of its targets can answer.
const useless = { unconfigured: "warn", failed: "bad", paused: "bad", unreachable: "bad" };
const reasons = {
  auth: "the provider refuses the key", quota: "the account is used up", missing: "the provider has no such model", rate: "its rate limit is reached",
  busy: "the provider has no room", server: "the provider failed", slow: "it was too slow", unsent: "no connection",
};

export function models(root) {
  const list = h("div", { class: "stack" });
  const note = h("span", { class: "muted", role: "status" });
  root.append(head("Models", "What clients may ask for, and where it goes.", note), list);
  let ends = []; // [element, when the cooldown ends]
  let shown = "";

  async function reset(name, button) {
    button.disabled = true;
    try {
      await post("admin/v1/targets/" + name.split("/").map(encodeURIComponent).join("/") + "/reset");
      note.textContent = name + " is asked again.";
      shown = "";
    } catch (e) {
      note.textContent = e.message;
      button.disabled = false;
    }
  }

  // lately says how fast a target was, and how often it failed.
  function lately(r) {
    if (!r?.attempts) return h("span", { class: "lately muted" }, "not asked lately");
    const [what, p50, p95] = r.first_p50 ? ["first token", r.first_p50, r.first_p95] : ["answer", r.took_p50, r.took_p95];
    return h("span", { class: "lately", title: count(r.attempts) + " attempts in the last half hour or so" },
      p50 > 0 && [h("span", {}, what + " ", h("b", {}, time(p50))), h("span", {}, "p95 " + time(p95))], r.failed > 0 && h("span", { class: "failed" }, percent(r.failed / r.attempts) + " failed"));
  }

  function target(entry, m, state, tiers) {
    if (entry.alias) {
      return h("div", { class: "target" }, h("span", { class: "tag tier" }, "tier " + entry.tier), h("span", { class: "wrap" }, "all targets of ", h("code", {}, entry.alias)));
    }
    const t = state.targets.find((t) => t.name === entry.target) ?? { state: "well", wait_ms: 0 };
    const provider = state.providers.find((p) => p.name === entry.target.split("/")[0]);
    const [word, kind] = t.state === "well" && useless[provider?.state] ? [provider.state, useless[provider.state]] : states[t.state] ?? [t.state, ""];
    const until = h("span");
    if (t.state === "cooling") ends.push([until, Date.now() + t.wait_ms]);
    const share = tiers[entry.tier] > 0 ? entry.weight / tiers[entry.tier] : 0;
    return h("div", { class: "target" },
      h("span", { class: "tag tier" }, "tier " + entry.tier),
      h("code", { class: "wrap" }, entry.target),
      h("span", { class: "share", title: "share within its tier" }, m.sole ? "only target" : [bar(share), entry.weight ? Math.round(100 * share) + " %" : "drained"]),
      lately(t.recent),
      h("span", { class: "state" }, pill(word, kind), t.state !== "well" && t.only && h("span", {}, "in " + t.only + " only"), t.but?.length > 0 && h("span", { class: "wrap" }, "but not " + t.but.join(", ")), t.state === "cooling" && [until, h("span", {}, reasons[t.class] ?? t.class)], t.state === "cooling" && t.always && h("span", {}, "asked nevertheless")),
      h("span", { class: "act" }, (t.state !== "well" || t.but?.length > 0) && h("button", { class: "small", type: "button", "data-focus": m.alias + " " + entry.target, onclick: (e) => reset(entry.target, e.currentTarget) }, "Try again now")));
  }

  function show(state) {
    ends = [];
    if (state.models.length === 0) return replace(list, empty("No models", "model_mapping of the configuration has them."));
    replace(list, state.models.map((m) => {
      const tiers = {};
      for (const e of m.entries) tiers[e.tier] = (tiers[e.tier] ?? 0) + e.weight;
      return h("section", { class: "panel model", "aria-label": m.alias },
        h("header", {}, h("h2", { class: "wrap" }, m.alias), m.default && h("span", { class: "tag" }, "default"), m.hidden && h("span", { class: "tag" }, "hidden"),
          m.sticky && m.sticky !== "none" && h("span", { class: "tag" }, "sticky by " + m.sticky), h("span", { class: "grow" }), m.needs && pill(m.needs, "warn")),
        m.entries.map((e) => target(e, m, state, tiers)));
    }));
    tick();
  }
  function tick() {
    for (const [e, end] of ends) e.textContent = "for " + time(Math.max(0, end - Date.now()));
  }
  const clock = setInterval(tick, 1000);

  return {
    update(state) {
      // Only what has changed is drawn anew, so that nothing moves under a pointer.
      const now = JSON.stringify([state.models, state.providers.map((p) => p.state), state.targets.map((t) => ({ ...t, recent: { ...t.recent, attempts: t.recent.attempts > 0 }, wait_ms: Math.round((t.wait_ms + Date.parse(state.now)) / 3000) * (t.wait_ms > 0) }))]);
      if (now !== shown) {
        shown = now;
        show(state);
      }
    },
    close: () => clearInterval(clock),
  };
}
