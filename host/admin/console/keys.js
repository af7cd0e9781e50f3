// Clients' keys and their groups, and what is used of limits and budgets.

import { get } from "./api.js";
import { bar, count, empty, h, head, money, panel, pill, replace } from "./dom.js";

const names = { requests: "Requests", tokens: "Tokens", input_tokens: "Input tokens", output_tokens: "Output tokens", concurrent: "At one time", money: "Budget" };
const periods = { day: "today", week: "this week", month: "this month", total: "in all" };

// A budget of which less is left than any answer costs is as good as spent.
const usedUp = (l) => l.used >= (l.what === "money" ? 0.995 : 1) * l.max;
const near = (l) => l.used >= (l.warn || 0.8 * l.max);

// limit is one bound: what it bounds, how much is used, and a bar.
function limit(l) {
  const words = l.what === "money" ? money : count;
  const name = l.what === "money" ? "Spent " + periods[l.per] : (l.name ? l.name + ": " : "") + (names[l.what] ?? l.what) + (l.per ? (l.per === "hour" ? " an " : " a ") + l.per : "");
  return h("div", { class: "limit" },
    h("div", {}, h("span", { class: "wrap" }, name), h("span", { class: "num" }, l.max > 0 ? [h("b", {}, words(l.used)), " of " + words(l.max)] : "none allowed")),
    bar(l.max > 0 ? l.used / l.max : 1, usedUp(l) ? "bad" : near(l) ? "warn" : ""));
}

const limits = (all) => (all.length ? all.map(limit) : h("p", { class: "muted small" }, "No limits or budgets of its own."));

function mark(k) {
  if (k.disabled) return pill("disabled", "bad");
  if (k.expires && Date.parse(k.expires) < Date.now()) return pill("expired", "bad");
  const spent = k.limits.filter(usedUp);
  if (spent.some((l) => l.what === "money")) return pill("budget spent", "bad");
  return spent.length ? pill("at its limit", "warn") : null;
}

export function keys(root) {
  const list = h("div", { class: "stack" });
  const spent = h("div");
  root.append(head("Keys", "Who may call, and what is used of limits and budgets. The keys themselves are nowhere here: the gateway keeps only their digests."), h("div", { class: "stack" }, list, spent));
  let shown = "";

  const key = (k) => panel(k.name, h("div", { class: "body stack" },
    h("div", { class: "tags" }, h("span", { class: "label" }, "Models"), k.models.length ? k.models.map((m) => h("span", { class: "tag wrap" }, m)) : h("span", {}, k.group ? "all of its group" : "all")),
    k.expires && h("div", {}, h("span", { class: "label" }, "Expires "), new Date(k.expires).toLocaleString("en-GB")),
    limits(k.limits)), k.group && h("span", { class: "tag", title: "its group" }, k.group), mark(k));
  const group = (g) => panel(g.name, h("div", { class: "body stack" }, limits(g.limits)), g.parent && h("span", { class: "tag", title: "the group above" }, "of " + g.parent), mark(g));
  // what each key used, by the audit, when the page was opened
  function table(u) {
    const cells = (r) => [count(r.requests), count(r.failed), count(r.input), count(r.output), r.cost ? money(Number(r.cost)) : "–"].map((text) => h("td", { class: "num" }, text));
    return h("div", { class: "scroll" }, h("table", {}, h("thead", {}, h("tr", {}, h("th", {}, "Key"), ["Requests", "Failed", "Input", "Output", "Cost"].map((t) => h("th", { class: "num" }, t)))),
      h("tbody", {}, u.rows.sort((a, b) => Number(b.cost) - Number(a.cost)).map((r) => h("tr", {}, h("td", { class: "mono wrap" }, r.by[0] === "-" ? "no key" : r.by[0]), cells(r))))));
  }
  const about = (...words) => panel("By the audit", h("div", { class: "body muted small" }, words));
  get("admin/v1/usage?by=key", {}, 30000).then(
    (u) => replace(spent, u.missing ? about(u.missing) : panel("Since " + new Date(u.since).toLocaleDateString("en-GB", { day: "numeric", month: "long" }) + ", by the audit",
        u.rows.length ? table(u) : empty("Nothing yet", "The audit has no request since then."), u.partial && pill("not all of it was read", "warn"))),
    (e) => replace(spent, about(e.status ? e.message : "The gateway did not sum it up.")));

  const part = (title, cards) => cards.length > 0 && [h("h2", { class: "part" }, title), h("div", { class: "cards" }, cards)];

  function show(state) {
    const all = state.limits.length > 0 && panel("All callers together", h("div", { class: "body stack" }, state.limits.map(limit)));
    if (!state.auth) {
      return replace(list, h("section", { class: "panel" }, empty("Nobody needs a key", "auth.enabled is false: whoever reaches the API may use every model.")), all);
    }
    replace(list, h("div", { class: "cards" }, state.keys.map(key)),
      state.more_keys > 0 && h("p", { class: "muted" }, count(state.more_keys) + " more keys are not shown; kai keys lists them."),
      part("Groups", state.groups.map(group)), all && [h("h2", { class: "part" }, "Gateway"), h("div", { class: "cards" }, all)]);
  }
  return {
    update(state) {
      const now = JSON.stringify([state.auth, state.keys, state.groups, state.limits]);
      if (now !== shown) {
        shown = now;
        show(state);
      }
    },
  };
}
