// Plots over the last hour, by uPlot.

import { h } from "./dom.js";

const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// plot makes a panel. lines are {label, color: 1 to 5, bars, fill}; words makes text of a
// value. update(at, values) shows lists, one for each line; null is a gap.
export function plot(title, lines, words) {
  const box = h("div", { class: "plot", role: "img" });
  const none = h("div", { class: "none", hidden: true }, "nothing in the last hour");
  const legend = h("div", { class: "legend" });
  const values = lines.map((l) => {
    const b = h("b");
    legend.append(h("span", { class: "c" + l.color }, h("i"), l.label, b));
    return b;
  });
  const element = h("section", { class: "panel" }, h("header", {}, h("h2", {}, title), h("span", { class: "grow" }), legend), box);
  let drawn = null;
  let data = null;
  let any = false; // there is something to see

  function options() {
    const axis = { stroke: color("--ink-3"), grid: { stroke: color("--plot-grid"), width: 1 }, ticks: { show: false }, font: "11px " + color("--font") };
    return {
      width: Math.max(200, box.clientWidth - 16),
      height: 172,
      legend: { show: false },
      cursor: { y: false, points: { size: 6 }, drag: { x: false, y: false } },
      padding: [8, 18, 0, 0],
      scales: { x: { time: true, range: (_, min, max) => [min, max + 15] }, y: { range: (_, __, max) => [0, max > 0 ? max * 1.15 : 1] } },
      axes: [
        { ...axis, grid: { show: false }, size: 30, space: 70, values: (_, all) => all.map((t) => new Date(t * 1000).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" })) },
        { ...axis, size: 58, space: 34, values: (_, all) => all.map((v) => (any ? words(v) : "")) },
      ],
      series: [
        {},
        ...lines.map((l) => ({
          label: l.label,
          stroke: color("--plot-" + l.color),
          width: l.bars ? 0 : 1.8,
          fill: l.bars ? color("--plot-" + l.color) : l.fill ? color("--plot-" + l.color) + "22" : undefined,
          paths: l.bars ? uPlot.paths.bars({ size: [0.8, 12], align: 1 }) : uPlot.paths.linear(),
          points: { show: false },
          spanGaps: !l.bars,
        })),
      ],
      hooks: {
        setCursor: [(u) => {
          const i = u.cursor.idx;
          values.forEach((b, n) => {
            const v = i === null || i === undefined ? null : u.data[n + 1][i];
            b.textContent = v === null || v === undefined ? "" : words(v);
          });
        }],
      },
    };
  }

  function draw() {
    drawn?.destroy();
    drawn = null;
    box.replaceChildren(none);
    if (data && box.clientWidth > 0) drawn = new uPlot(options(), data, box);
  }
  const resized = new ResizeObserver(() => {
    if (drawn && box.clientWidth > 0) drawn.setSize({ width: Math.max(200, box.clientWidth - 16), height: 172 });
    else draw();
  });
  resized.observe(box);
  addEventListener("theme", draw);

  return {
    element,
    update(at, lists) {
      data = [at, ...lists];
      any = lists.some((l) => l.some((v) => v > 0));
      none.hidden = any;
      const last = (l) => l.findLast((v) => v !== null);
      box.ariaLabel = title + ": " + (any ? lines.map((l, i) => l.label + " " + words(last(lists[i]) ?? 0)).join(", ") : "nothing in the last hour");
      if (drawn) drawn.setData(data);
      else draw();
    },
    close() {
      resized.disconnect();
      removeEventListener("theme", draw);
      drawn?.destroy();
    },
  };
}
