/** Draws a measurement over the slices: a circle as wide as it, where it was taken. */

const SVG = "http://www.w3.org/2000/svg";

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

  /** Show an item of evidence, or nothing. */
  show(/** @type {any} */ item) {
    this.item = item;
    this.draw();
  }

  /** Draw anew: the views moved. */
  draw() {
    this.svg.replaceChildren();
    if (!this.item?.ras) return;
    const radius = Math.max(this.item.extent_mm ?? 0, 6) / 2;
    for (const spot of this.viewer.spots(this.item.ras)) {
      if (spot.depthMm > radius) continue;
      const across = Math.sqrt(radius ** 2 - spot.depthMm ** 2);
      const circle = document.createElementNS(SVG, "circle");
      circle.setAttribute("cx", String(spot.x));
      circle.setAttribute("cy", String(spot.y));
      circle.setAttribute("r", String(across * spot.pixelsPerMm));
      this.svg.append(circle);
    }
  }
}
