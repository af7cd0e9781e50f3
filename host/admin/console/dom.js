// Makes elements, and words for numbers. Text always becomes a text node, so that what a
// client or an upstream chose is shown and never read as HTML.

export function h(tag, attributes, ...children) {
  const e = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) e.addEventListener(name.slice(2), value);
    else if (name === "vars") for (const [k, v] of Object.entries(value)) e.style.setProperty(k, v);
    else if (name in e && typeof value === "boolean") e[name] = value;
    else e.setAttribute(name, value === true ? "" : value);
  }
  e.append(...children.flat(Infinity).filter((c) => c !== undefined && c !== null && c !== false));
  return e;
}

export const head = (title, about, ...rest) =>
  h("div", { class: "head" }, h("h1", {}, title), h("span", { class: "grow" }), rest, about && h("p", {}, about));

export const panel = (title, body, ...right) =>
  h("section", { class: "panel", "aria-label": title }, h("header", {}, h("h2", {}, title), h("span", { class: "grow" }), right), body);

export const empty = (what, why) => h("div", { class: "empty" }, h("strong", {}, what), why);

export const pill = (text, kind = "") => h("span", { class: "pill " + kind }, text);

export const bar = (part, kind = "") =>
  h("div", { class: "bar" }, h("i", { class: kind, vars: { "--part": (100 * Math.min(1, Math.max(0, part))).toFixed(1) + "%" } }));

// use shows how much of something is used, as words and as a bar.
export function use(used, max, words) {
  const part = max > 0 ? used / max : 0;
  return h("div", { class: "use" }, h("span", {}, words(used), max > 0 ? " of " + words(max) : ""), max > 0 && bar(part, part > 0.95 ? "bad" : part > 0.8 ? "warn" : ""));
}

export function replace(parent, ...children) {
  // What had the focus gets it back, if it is still there.
  const id = document.activeElement?.dataset?.focus;
  parent.replaceChildren(...children.flat(Infinity).filter(Boolean));
  if (id) parent.querySelector(`[data-focus="${CSS.escape(id)}"]`)?.focus();
}

const units = (n, base, names) => {
  let i = 0;
  while (n >= base && i < names.length - 1) {
    n /= base;
    i++;
  }
  return (i > 0 && n < 10 ? n.toFixed(1) : Math.round(n).toString()) + names[i];
};

export const count = (n) => (n < 10000 ? Math.round(n).toLocaleString("en") : units(n, 1000, ["", "k", "M", "G", "T"]));
export const bytes = (n) => units(n, 1024, [" B", " KiB", " MiB", " GiB", " TiB"]);
export const percent = (part) => (part > 0 && part < 0.0995 ? (100 * part).toFixed(1) : Math.round(100 * part)) + " %";

// time is a duration in milliseconds, in words.
export function time(ms) {
  if (ms < 1) return ms > 0 ? ms.toFixed(2) + " ms" : "0 ms";
  if (ms < 1000) return Math.round(ms) + " ms";
  if (ms < 10000) return (ms / 1000).toFixed(1) + " s";
  const s = Math.ceil(ms / 1000);
  if (s < 120) return s + " s";
  if (s < 7200) return Math.floor(s / 60) + " min" + (s % 60 && s < 600 ? " " + (s % 60) + " s" : "");
  return s < 172800 ? Math.floor(s / 3600) + " h" : Math.floor(s / 86400) + " d";
}

let currency = "USD";
export const setCurrency = (code) => (currency = code || currency);

// money is an amount in units of the configured currency. Small ones keep two digits.
export function money(n) {
  const digits = n === 0 || Math.abs(n) >= 0.1 ? { minimumFractionDigits: 2, maximumFractionDigits: 2 } : { maximumSignificantDigits: 2 };
  return new Intl.NumberFormat("en", { style: "currency", currency, currencyDisplay: "narrowSymbol", ...digits }).format(n);
}

export const clock = (when) => new Date(when).toLocaleTimeString("en-GB");
