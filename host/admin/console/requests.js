// The last 500 requests with their trail, live.

import { events, request } from "./api.js";
import { clock, count, empty, h, head, money, pill, replace, time } from "./dom.js";

const most = 500;
const silence = 15000; // milliseconds after which a live answer counts as gone
const kind = (r) => (r.status === 499 ? "" : r.status >= 500 || (r.status < 400 && r.class) ? "bad" : r.status >= 400 ? "warn" : "good");

export function requests(root) {
  let all = [];
  let opened = null; // the number of the request whose detail is shown
  let paused = false;
  let waiting = 0; // that came while paused
  let lost = 0; // that came faster than they could be told
  let limit = 200; // of rows that are drawn
  const closed = new AbortController();
  let stream = new AbortController(); // of the live answer; ended while nobody sees the page
  document.addEventListener("visibilitychange", () => document.hidden && stream.abort(), { signal: closed.signal });

  const search = h("input", { type: "search", placeholder: "model, target, key or id", "aria-label": "Filter", oninput: draw });
  const status = h("select", { "aria-label": "Status", onchange: draw }, h("option", { value: "" }, "Any status"), h("option", { value: "ok" }, "Answered"), h("option", { value: "failed" }, "Not answered"), h("option", { value: "more" }, "Several attempts"));
  const live = h("span", { class: "pill" }, "connecting");
  const pause = h("button", { type: "button", onclick: () => { paused = !paused; waiting = 0; mark(); draw(); } }, "Pause");
  const rows = h("tbody");
  const none = h("div");
  const table = h("div", { class: "scroll" }, h("table", {},
    h("thead", {}, h("tr", {}, h("th", {}, "Time"), h("th", {}, "Status"), h("th", {}, "Model"), h("th", { class: "optional" }, "Target"), h("th", { class: "optional" }, "Trail"), h("th", { class: "optional" }, "Key"),
      h("th", { class: "num optional" }, "First token"), h("th", { class: "num" }, "Duration"), h("th", { class: "num optional" }, "Tokens"))), rows));
  root.append(head("Requests", "The last 500, without what was asked or answered.", live, pause),
    h("div", { class: "stack" }, h("div", { class: "filters" }, search, status), h("section", { class: "panel", "aria-label": "Requests" }, table, none)));

  // mark says whether what is shown is true now.
  let link = ["connecting", "", ""];
  function mark(text = link[0], kind = link[1], title = link[2]) {
    link = [text, kind, title];
    if (paused && kind === "good live") [text, kind] = ["paused", ""];
    live.textContent = text;
    live.className = "pill " + kind;
    live.title = title;
  }

  const words = (r) => [r.model, r.target, r.key, r.id, r.class, String(r.status)].join(" ").toLowerCase();
  function chosen(r) {
    if (status.value === "ok" && kind(r) !== "good") return false;
    if (status.value === "failed" && kind(r) === "good") return false;
    if (status.value === "more" && r.trail.length < 2) return false;
    return words(r).includes(search.value.trim().toLowerCase());
  }

  function detail(r) {
    const step = (s) => h("div", { class: "step" },
      h("code", { class: "wrap" }, s.target),
      h("div", { class: "lane" }, h("i", { class: s.class ? "failed" : "", vars: { "--from": (100 * s.at_ms) / (r.ms || 1) + "%", "--len": (100 * s.ms) / (r.ms || 1) + "%" } }),
        s.first_ms > 0 && h("b", { title: "first token", vars: { "--first": (100 * (s.at_ms + s.first_ms)) / (r.ms || 1) + "%" } })),
      h("span", { class: "num" }, s.class ? s.class + " · " : "", time(s.ms), s.cooled ? " · cooled" : ""));
    const facts = [
      ["Request", r.id], ["Endpoint", r.endpoint || "–"], ["Key", (r.key || "none") + (r.group ? " of " + r.group : "")], ["Form", (r.stream ? "streamed" : "whole") + (r.cache === "hit" ? ", from the cache" : "")], ["Ended as", (r.class || "answered") + (r.code ? " · " + r.code : "")],
      ["Input", count(r.usage.input) + (r.usage.cached ? ", " + count(r.usage.cached) + " cached" : "")],
      ["Output", count(r.usage.output) + (r.usage.reasoning ? ", " + count(r.usage.reasoning) + " reasoning" : "") + (r.usage.estimated ? " (estimated)" : "")],
      ["First token", r.first_ms ? time(r.first_ms) : "–"],
    ];
    if (r.instead) facts.push(["Served as", r.instead + ", since a budget was spent"]);
    if (r.cost !== null) facts.push(["Cost", money(r.cost / 1e9)]);
    return h("tr", { class: "detail" }, h("td", { colspan: 9 }, h("dl", { class: "facts" }, facts.map(([k, v]) => h("div", {}, h("dt", {}, k), h("dd", {}, v)))),
      r.trail.length ? h("div", { class: "fall" }, r.trail.map(step)) : h("p", { class: "muted" }, r.cache === "hit" ? "The answer was kept: no target was asked." : "No target was asked.")));
  }

  function row(r) {
    const toggle = () => {
      opened = opened === r.number ? null : r.number;
      draw();
    };
    const e = h("tr", { class: "row", "data-number": r.number, onclick: toggle },
    h("td", { class: "mono" }, h("button", { type: "button", "aria-expanded": String(opened === r.number), "data-focus": "request " + r.number, title: "what became of it" }, clock(r.began))), h("td", {}, pill(r.status, kind(r))), h("td", { class: "mono wrap" }, r.model || h("span", { class: "muted" }, "–"), r.instead && h("span", { class: "muted", title: "a budget was spent" }, " → " + r.instead)), h("td", { class: "mono wrap optional" }, r.target || "–"),
    h("td", { class: "optional" }, r.cache === "hit" && h("span", { class: "tag", title: "the answer was kept" }, "cache"), h("span", { class: "dots", title: r.trail.map((s) => s.target + ": " + (s.class || "answered")).join("\n") }, r.trail.map((s) => h("i", { class: s.class ? "failed" : "" })))),
    h("td", { class: "optional" }, r.key || h("span", { class: "muted" }, "none")), h("td", { class: "num optional" }, r.first_ms ? time(r.first_ms) : "–"), h("td", { class: "num" }, time(r.ms)),
    h("td", { class: "num optional" }, r.usage.input + r.usage.output ? count(r.usage.input) + " → " + count(r.usage.output) : "–"));
    return opened === r.number ? [e, detail(r)] : [e];
  }

  let due = 0;
  function draw() {
    if (due) return;
    // Under load many come at once: they are drawn together.
    due = requestAnimationFrame(() => {
      due = 0;
      const shown = all.filter(chosen);
      replace(rows, shown.slice(0, limit).flatMap(row));
      table.hidden = shown.length === 0;
      replace(none, shown.length ? [lost > 0 && h("p", { class: "older muted" }, count(lost) + " came too fast to be shown"), shown.length > limit && h("p", { class: "older" }, h("button", { type: "button", "data-focus": "older", onclick: () => { limit = most; draw(); } }, "Show " + (shown.length - limit) + " older ones"))]
        : empty(all.length ? "No request fits the filter" : "No requests yet", all.length ? "It looks at models, targets, keys, ids and classes." : "They appear here as soon as they have ended."));
      pause.textContent = paused ? "Go on" + (waiting ? " (" + waiting + ")" : "") : "Pause";
    });
  }

  let held = [];
  function take(name, data) {
    if (name === "before") {
      all = JSON.parse(data);
      held = [];
      lost = 0;
    } else if (name === "request") {
      const r = JSON.parse(data);
      const before = (held[0] ?? all[0])?.number ?? r.number - 1;
      lost += Math.max(0, r.number - before - 1);
      held.unshift(r);
      waiting = held.length;
    }
    if (!paused) {
      all = [...held, ...all].slice(0, most);
      held = [];
    }
    held.length = Math.min(held.length, most);
    draw();
  }

  async function follow() {
    for (let wait = 500; !closed.signal.aborted; wait = Math.min(8000, 2 * wait)) {
      if (document.hidden) {
        await new Promise((done) => document.addEventListener("visibilitychange", done, { once: true }));
        continue;
      }
      stream = new AbortController();
      // The gateway says every five seconds that it is there, so one that hangs is noticed.
      let heard = Date.now();
      const watch = setInterval(() => Date.now() - heard > silence && stream.abort(), 1000);
      let [why, title] = ["not connected", ""];
      try {
        const res = await request("admin/v1/requests?live=1", { signal: AbortSignal.any([closed.signal, stream.signal]) });
        heard = Date.now();
        if (res.ok) {
          mark("live", "good live", "");
          wait = 500;
          await events(res.body, (name, data) => {
            heard = Date.now();
            if (name !== "alive") take(name, data);
          });
        } else if (res.status === 503) [why, title] = ["too many consoles", (await res.json()).error.message];
      } catch {
        // The gateway is gone or hangs, or the page was left.
      } finally {
        clearInterval(watch);
      }
      if (document.hidden) continue;
      mark(why, "bad", title);
      await new Promise((done) => setTimeout(done, wait));
    }
  }
  follow();
  draw();
  return { close: () => closed.abort() };
}
