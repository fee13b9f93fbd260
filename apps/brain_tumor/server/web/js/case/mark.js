/** Draws a measurement over the slices: a circle as wide as it, or the lines that were measured. */

const SVG = "http://www.w3.org/2000/svg";
const NEAR_MM = 4; // a line is shown in slices up to this far from it

export class EvidenceMark {
  /**
   * @param {SVGSVGElement} svg Lies over the views.
   * @param {import("./viewer.js").Viewer} viewer
   */
  constructor(svg, viewer) {
    this.svg = svg;
    this.viewer = viewer;
    /** @type {any} */
    this.item = null;
  }

  /** Show an item of evidence (`ras`, `extent_mm`) or lines (`lines`, pairs of places); or nothing. */
  show(/** @type {any} */ item) {
    this.item = item;
    this.draw();
  }

  /** Draw anew: the views moved. */
  draw() {
    this.svg.replaceChildren();
    if (!this.item) return;
    for (const [one, other] of this.item.lines ?? []) this.line(one, other);
    if (this.item.ras) this.circles(this.item);
  }

  line(/** @type {number[]} */ one, /** @type {number[]} */ other) {
    const ends = this.viewer.spots(other);
    this.viewer.spots(one).forEach((/** @type {any} */ spot, /** @type {number} */ i) => {
      if (Math.max(spot.depthMm, ends[i].depthMm) > NEAR_MM) return;
      this.add("line", { x1: spot.x, y1: spot.y, x2: ends[i].x, y2: ends[i].y });
    });
  }

  circles(/** @type {any} */ item) {
    const radius = Math.max(item.extent_mm ?? 0, 6) / 2;
    for (const spot of this.viewer.spots(item.ras)) {
      if (spot.depthMm > radius) continue;
      const across = Math.sqrt(radius ** 2 - spot.depthMm ** 2);
      this.add("circle", { cx: spot.x, cy: spot.y, r: across * spot.pixelsPerMm });
    }
  }

  add(/** @type {string} */ name, /** @type {Record<string, number>} */ given) {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(given)) made.setAttribute(key, String(value));
    this.svg.append(made);
  }
}
