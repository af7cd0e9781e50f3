// The last hour: requests, failures, times, tokens, money.

import { get } from "./api.js";
import { count, empty, h, head, money, panel, percent, replace, time } from "./dom.js";
import { plot } from "./plot.js";

const sum = (list) => list.reduce((a, b) => a + b, 0);
const gap = (list) => list.map((v) => (v > 0 ? v : null));

export function overview(root) {
  const choice = h("select", { "aria-label": "Model" }, h("option", { value: "" }, "All models"));
  const tiles = h("dl", { class: "tiles" });
  const made = {
    requests: plot("Requests", [{ label: "all", color: 1, bars: true }, { label: "not answered", color: 2, bars: true }, { label: "failed", color: 3, bars: true }], count),
    first: plot("Time to the first token", [{ label: "p95", color: 2 }, { label: "p50", color: 1, fill: true }], time),
    tokens: plot("Tokens", [{ label: "all", color: 1, bars: true }, { label: "output", color: 4, bars: true }], count),
    took: plot("Time to the end", [{ label: "p95", color: 2 }, { label: "p50", color: 1, fill: true }], time),
    cost: plot("Cost", [{ label: "of answers with a price", color: 5, bars: true }], money),
  };
  const top = h("div", { class: "fill" });
  const unknown = h("div", { class: "banner", role: "status", hidden: true }, "The console keeps numbers of the 32 models that were asked last, and this one is none of them. /metrics counts all.");
  root.append(
    head("Overview", "The last hour, in steps of 15 seconds.", choice),
    h("div", { class: "stack" }, unknown, tiles, h("div", { class: "two" }, Object.values(made).map((p) => p.element), top)),
  );

  const tile = (label, value, unit, about) => h("div", { class: "panel tile" }, h("dt", {}, label), h("dd", {}, value, unit && h("small", {}, unit)), h("p", {}, about));
  let busy = false;
  async function load() {
    if (busy) return;
    busy = true;
    try {
      show(await get("admin/v1/series?model=" + encodeURIComponent(choice.value)));
    } catch {
      // The shell says that the gateway can't be reached.
    } finally {
      busy = false;
    }
  }

  function show(s) {
    const n = sum(s.requests);
    const failed = sum(s.failed);
    const refused = sum(s.refused);
    const input = sum(s.input);
    const output = sum(s.output);
    const cost = sum(s.cost) / 1e9;
    const [value, unit] = s.whole.first_p50 ? time(s.whole.first_p50).split(" ") : ["–", ""];
    replace(
      tiles,
      tile("Requests", count(n), "", n ? (n / 60).toFixed(1) + " a minute" : "none in the last hour"),
      tile("Failed", n ? percent(failed / n) : "–", "", failed + " failed, " + refused + " refused"),
      tile("First token", value, unit, s.whole.first_p95 ? "p50; p95 is " + time(s.whole.first_p95) : "of streams; there was none"),
      tile("Tokens", count(input + output), "", count(input) + " in, " + count(output) + " out"),
      tile("Cost", cost ? money(cost) : "–", "", cost ? "of priced answers" : "no answer had a price"),
    );
    made.requests.update(s.at, [s.requests, s.refused.map((v, i) => v + s.failed[i]), s.failed]);
    made.first.update(s.at, [gap(s.first_p95), gap(s.first_p50)]);
    made.tokens.update(s.at, [s.input.map((v, i) => v + s.output[i]), s.output]);
    made.took.update(s.at, [gap(s.took_p95), gap(s.took_p50)]);
    made.cost.update(s.at, [s.cost.map((v) => v / 1e9)]);
    const rows = s.models.map((m) => h("tr", {},
      h("td", { class: "mono wrap" }, m.alias), h("td", { class: "num" }, count(m.requests)),
      h("td", { class: "num" }, m.failed ? count(m.failed) : h("span", { class: "muted" }, "0")),
      h("td", { class: "num" }, m.first_p50 ? time(m.first_p50) : "–"), h("td", { class: "num" }, count(m.tokens))));
    replace(top, panel("Models by requests", rows.length
      ? h("div", { class: "scroll" }, h("table", {}, h("thead", {}, h("tr", {}, h("th", {}, "Model"), ["Requests", "Failed", "First token", "Tokens"].map((t) => h("th", { class: "num" }, t)))), h("tbody", {}, rows)))
      : empty("No requests in the last hour", "They appear here as soon as a client asks for a model."),
    s.more > 0 && h("span", { class: "muted small" }, "and " + count(s.more) + " that were asked less lately")));
    unknown.hidden = s.kept;
  }
  choice.addEventListener("change", load);
  load();

  let known = "";
  return {
    update(state) {
      const names = state.models.map((m) => m.alias);
      if (known !== names.join("\n")) {
        known = names.join("\n");
        const before = choice.value;
        choice.replaceChildren(h("option", { value: "" }, "All models"), ...names.map((n) => h("option", { value: n }, n)));
        choice.value = names.includes(before) ? before : "";
      }
      load();
    },
    close() {
      for (const p of Object.values(made)) p.close();
    },
  };
}
