/** Volumes over time, with what two readings of one scan differ by as bars. */

import { el } from "../common/dom.js";
import { number, t } from "../common/texts.js";
import { spreadMl } from "./measures.js";

const SVG = "http://www.w3.org/2000/svg";
const [WIDTH, HEIGHT, LEFT, BOTTOM, TOP] = [640, 220, 62, 34, 12];
const LOOKS = { WT: ["#4dbf59", ""], TC: ["#f2a626", "6 3"], ET: ["#ff6b5e", "2 3"] };

/**
 * @param {{id: string, day: string | null, measures: import("./measures.js").Measures}[]} dates In
 *   their order.
 * @returns {Element}
 */
export function plotOf(dates) {
  const regions = /** @type {const} */ (["WT", "TC", "ET"])
    .filter((r) => dates.some((d) => d.measures.volumes_ml[r] !== undefined));
  const most = Math.max(1, ...dates.flatMap((d) => regions.map((r) =>
    (d.measures.volumes_ml[r] ?? 0) + (spreadMl(d.measures, r) ?? 0))));
  const days = dates.map((d) => (d.day ? Date.parse(d.day) : NaN));
  const timed = days.every(Number.isFinite) && new Set(days).size === days.length;
  const at = timed ? days : dates.map((_, i) => i); // without days: in their order
  const span = at[at.length - 1] - at[0] || 1;
  const x = (/** @type {number} */ i) => LEFT + 20 + ((at[i] - at[0]) / span) * (WIDTH - LEFT - 90);
  const y = (/** @type {number} */ ml) => TOP + (1 - ml / most) * (HEIGHT - TOP - BOTTOM);
  const svg = shape("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", class: "plot",
    "aria-label": t("Volumes over time") });
  for (const share of [0, 0.5, 1]) {
    const ml = most * share;
    svg.append(shape("line", { x1: LEFT, x2: WIDTH - 10, y1: y(ml), y2: y(ml), class: "grid" }),
      text(LEFT - 6, y(ml) + 4, `${number(ml, most < 10 ? 1 : 0)}${share === 1 ? " mL" : ""}`, "end"));
  }
  dates.forEach((date, i) => svg.append(text(x(i), HEIGHT - 12, date.day ?? date.id, "middle")));
  for (const region of regions) {
    const [colour, dashes] = LOOKS[region];
    const told = dates.map((d, i) => ({ i, ml: d.measures.volumes_ml[region], of: d }))
      .filter(({ ml }) => ml !== undefined);
    const points = told.map(({ i, ml }) => `${x(i)},${y(ml)}`).join(" ");
    svg.append(shape("polyline", { points, fill: "none", stroke: colour, "stroke-width": 2,
      "stroke-dasharray": dashes }));
    for (const { i, ml, of } of told) {
      const spread = spreadMl(of.measures, region) ?? 0;
      const title = shape("title", {});
      title.textContent = `${region} ${of.id}: ${number(ml)} mL ± ${number(spread)}`;
      const dot = shape("circle", { cx: x(i), cy: y(ml), r: 4, fill: colour });
      dot.append(title);
      svg.append(shape("line", { x1: x(i), x2: x(i), y1: y(Math.min(most, ml + spread)),
        y2: y(Math.max(0, ml - spread)), stroke: colour, "stroke-width": 1.5 }), dot);
    }
  }
  const legend = el("p.faint.keys-of-plot", {}, ...regions.map((r) => {
    const line = shape("svg", { width: 28, height: 8, "aria-hidden": "true" });
    line.append(shape("line", { x1: 0, x2: 28, y1: 4, y2: 4, stroke: LOOKS[r][0],
      "stroke-width": 2, "stroke-dasharray": LOOKS[r][1] }));
    return el("span", {}, line, ` ${r} `);
  }), timed ? "" : t("Not all dates have a day of their own: they stand in their order."));
  return el("figure.volumes-over-time", {}, svg, legend);
}

function shape(/** @type {string} */ name, /** @type {Record<string, any>} */ given) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(given)) made.setAttribute(key, String(value));
  return made;
}

function text(/** @type {number} */ x, /** @type {number} */ y, /** @type {string} */ words, /** @type {string} */ anchor) {
  const made = shape("text", { x, y, "text-anchor": anchor });
  made.textContent = words;
  return made;
}
