// Clients' keys, and what is used of their limits and budgets.

import { count, empty, h, head, panel, pill, replace, use } from "./dom.js";

export function keys(root) {
  const list = h("div");
  root.append(head("Keys", "Who may call. The keys themselves are nowhere here: the gateway keeps only their digests."), list);
  let shown = "";

  function mark(k) {
    if (k.disabled) return pill("disabled", "bad");
    if (k.expires && Date.parse(k.expires) < Date.now()) return pill("expired", "bad");
    if (k.limits.some((l) => l.max > 0 && l.used >= l.max)) return pill("used up", "bad");
    return null;
  }
  const money = (n) => n.toFixed(2);
  const limit = (l) => h("div", { class: "use" }, h("span", { class: "label" }, l.what + (l.window ? " per " + l.window : "") + (l.of ? " · " + l.of : "")), use(l.used, l.max, l.what === "budget" ? money : count));

  function show(state) {
    if (!state.auth) {
      return replace(list, h("section", { class: "panel" }, empty("Nobody needs a key", "auth.enabled is false: whoever reaches the API may use every model, so there are no limits to show.")));
    }
    const some = state.keys.some((k) => k.limits.length > 0);
    replace(list, h("div", { class: "stack" },
      !some && h("p", { class: "muted" }, "There are no limits or budgets to show."),
      h("div", { class: "cards" }, state.keys.map((k) => panel(k.name, h("div", { class: "body stack" },
        h("div", {}, h("span", { class: "label" }, "Models "), k.models.length ? k.models.map((m) => [h("span", { class: "tag wrap" }, m), " "]) : "all"),
        k.expires && h("div", {}, h("span", { class: "label" }, "Expires "), new Date(k.expires).toLocaleString("en-GB")),
        k.limits.map(limit)), k.group && h("span", { class: "tag" }, k.group), mark(k))))));
  }
  return {
    update(state) {
      const now = JSON.stringify([state.auth, state.keys]);
      if (now !== shown) {
        shown = now;
        show(state);
      }
    },
  };
}
