// The shell: which page is shown, whether the gateway can be reached, light or dark.

import { get } from "./api.js";
import { h, setCurrency } from "./dom.js";
import { overview } from "./overview.js";
import { models } from "./models.js";
import { keys } from "./keys.js";
import { requests } from "./requests.js";
import { playground } from "./playground.js";
import { adapters } from "./adapters.js";
import { system } from "./system.js";

// A page is made once, when it is opened: make(root) returns {update(state), close()}.
const pages = {
  overview: ["Overview", overview, "M3 13h4l3-8 4 14 3-6h4"],
  models: ["Models", models, "M12 3l8 4.5v9L12 21l-8-4.5v-9zM12 12l8-4.5M12 12v9M12 12L4 7.500"],
  keys: ["Keys", keys, "M15 9a5 5 0 1 0-4.600 5L12 16h2v2h2v2h4v-3.500L15 11.500M8 8.500h0"],
  requests: ["Requests", requests, "M4 6h16M4 12h16M4 18h10"],
  playground: ["Playground", playground, "M4 5h16v11H9l-5 4z"],
  adapters: ["Adapters", adapters, "M9 3v4M15 3v4M6 7h12v5a6 6 0 0 1-12 0zM12 18v3"],
  system: ["System", system, "M5 4h14v7H5zM5 13h14v7H5zM8 7.500h0M8 16.500h0"],
};

const root = document.getElementById("page");
const nav = document.getElementById("nav");
const link = document.getElementById("link");
const banner = document.getElementById("banner");
let page = null;
let state = null;

function icon(path) {
  const ns = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(ns, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const p = document.createElementNS(ns, "path");
  p.setAttribute("d", path);
  svg.append(p);
  return svg;
}

for (const [name, [title, , path]] of Object.entries(pages)) {
  nav.append(h("a", { href: "#" + name, "data-page": name }, icon(path), title, h("span", { class: "count", hidden: true })));
}

function badge(name, n, words) {
  const e = nav.querySelector(`[data-page="${name}"] .count`);
  e.hidden = n === 0;
  e.textContent = n;
  e.title = words;
}

function open() {
  const name = location.hash.slice(1).split("?")[0];
  const chosen = name in pages ? name : "overview";
  page?.close?.();
  root.replaceChildren();
  for (const a of nav.children) {
    if (a.dataset.page === chosen) a.setAttribute("aria-current", "page");
    else a.removeAttribute("aria-current");
  }
  nav.querySelector("[aria-current]").scrollIntoView({ block: "nearest", inline: "nearest" });
  document.title = pages[chosen][0] + " · Kai console";
  page = pages[chosen][1](root);
  if (state) page.update?.(state);
}

// connected shows whether what is on the page is true now.
function connected(error) {
  link.dataset.state = error ? "off" : "on";
  link.lastChild.textContent = error ? "not connected" : "connected";
  root.classList.toggle("stale", !!error);
  banner.hidden = !error;
  if (error) banner.textContent = error.status ? error.message : "The gateway can't be reached. What is shown was true at " + (state ? new Date(state.now).toLocaleTimeString("en-GB") : "no time") + "; the page tries again.";
}

// poll asks for the state, and again after a while. A page that nobody sees asks nothing.
const every = 2000;
let timer = 0;
let busy = false;
async function poll() {
  clearTimeout(timer);
  if (busy || document.hidden) return;
  busy = true;
  try {
    state = await get("admin/v1/state");
    setCurrency(state.currency);
    connected(null);
    document.getElementById("version").textContent = state.version;
    badge("models", state.targets.filter((t) => t.state === "cooling").length, "targets that cool");
    badge("system", state.configuration.refused ? 1 : 0, "a configuration was refused");
    page?.update?.(state);
  } catch (e) {
    connected(e);
  }
  busy = false;
  timer = setTimeout(poll, every);
}
document.addEventListener("visibilitychange", poll);

const themes = ["auto", "light", "dark"];
const dark = matchMedia("(prefers-color-scheme: dark)");
let theme = 0;
function show() {
  const now = themes[theme] === "auto" ? (dark.matches ? "dark" : "light") : themes[theme];
  document.documentElement.dataset.theme = now;
  const button = document.getElementById("theme");
  button.textContent = { auto: "◐", light: "☀", dark: "☾" }[themes[theme]];
  button.title = button.ariaLabel = "Colours: " + themes[theme];
  dispatchEvent(new Event("theme"));
}
document.getElementById("theme").addEventListener("click", () => {
  theme = (theme + 1) % themes.length;
  show();
});
dark.addEventListener("change", show);
addEventListener("hashchange", open);
document.querySelector(".skip").addEventListener("click", (e) => {
  e.preventDefault();
  document.getElementById("main").focus();
});
show();
open();
poll();
