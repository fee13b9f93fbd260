/** Points that say where tumour is and where not, and what the server makes of them. */

import { infer } from "../common/api.js";
import { button, choice, el, field } from "../common/dom.js";
import { during, tell } from "../common/status.js";
import { t } from "../common/texts.js";

const BACKGROUND = 255; // of a stroke that erases

/** @typedef {"positive" | "negative"} Kind */

export class Points {
  /** @param {import("./workspace.js").Workspace} work */
  constructor(work) {
    this.work = work;
    this.element = el("div");
    /** @type {{kind: Kind, ras: number[], label?: number}[]} */
    this.points = [];
    /** @type {Kind | undefined} What a click means now. */
    this.placing = undefined;
    this.count = el("span.faint", { role: "status" });
    /** @type {Uint8Array | null} What was drawn before the first stroke, while strokes are drawn. */
    this.before = null;
  }

  tools(/** @type {{value: number, name: string}[]} */ labels) {
    const { correct } = this.work;
    const place = (/** @type {Kind} */ kind, /** @type {string} */ text, /** @type {string} */ key) =>
      button(text, () => this.take(kind), {
        "aria-pressed": String(this.placing === kind), "data-points": kind,
        title: t("At the crosshair: {key}", { key }),
      });
    const options = labels.map((l) => [String(l.value), t(l.name)]);
    this.tellCount();
    this.element.replaceChildren(
      field(t("Points are:"), choice(/** @type {any} */ (options), String(correct.label), (value) => {
        correct.label = Number(value);
      })),
      el("div.row", {}, place("positive", t("Tumour here"), "Y"),
        place("negative", t("No tumour here"), "N"),
        button(t("Clear"), () => { this.points = []; this.tellCount(); }),
        button(t("Refine"), () => this.refine(), { "data-act": "refine", title: "R" })),
      this.strokesCheck(),
      this.count,
    );
    return this.element;
  }

  /** What is painted or erased meanwhile is a stroke for the server, no correction. */
  strokesCheck() {
    const box = el("input", { type: "checkbox", checked: this.before !== null, "data-show": "strokes" });
    box.addEventListener("change", () => {
      const { viewer } = this.work;
      if (box.checked) this.before = viewer.bitmap.slice();
      else if (this.before) {
        viewer.setBitmap(this.before); // strokes that nobody asked about go
        this.before = null;
      }
    });
    return el("label.check", {}, box, t("What I paint or erase are strokes for it"));
  }

  /** Each click into the slices is a point until the button is pressed again. */
  take(/** @type {Kind} */ kind) {
    const again = this.placing === kind;
    this.work.correct.putDownPen();
    if (again) return;
    this.placing = kind;
    this.work.viewer.onpoint = (ras) => this.add(kind, ras);
    tell(t("Click into the slices; press the button again to end."));
    this.press();
  }

  add(/** @type {Kind} */ kind, /** @type {number[]} */ ras) {
    const label = kind === "positive" ? { label: this.work.correct.label } : {};
    this.points.push({ kind, ras, ...label });
    this.tellCount();
  }

  stop() {
    this.placing = undefined;
    this.work.viewer.onpoint = null;
    this.press();
  }

  press() {
    for (const one of this.element.querySelectorAll("[data-points]")) {
      one.setAttribute("aria-pressed", String(one.dataset.points === this.placing));
    }
  }

  tellCount() {
    const count = (/** @type {Kind} */ k) => this.points.filter((p) => p.kind === k).length;
    this.count.textContent = t("{yes} tumour, {no} not", {
      yes: count("positive"), no: count("negative"),
    });
  }

  async refine() {
    const of = (/** @type {Kind} */ kind) => this.points.filter((p) => p.kind === kind)
      .map(({ ras, label }) => ({ ras, ...(label ? { label } : {}) }));
    const { viewer, query } = this.work;
    const { before } = this;
    const strokes = before && viewer.bitmap.map((v, i) => (v === before[i] ? 0 : v || BACKGROUND));
    if (!this.points.length && !strokes?.some(Boolean)) {
      tell(t("Set points first: Tumour here, or No tumour here."));
      return;
    }
    const clicks = { positive: of("positive"), negative: of("negative") };
    const label = await viewer.fileOf(before ?? viewer.bitmap);
    const scribbles = strokes?.some(Boolean) ? await viewer.fileOf(strokes) : undefined;
    const done = await during(t("Refining"), (signal) =>
      infer("refine", query, { clicks }, { label, scribbles, signal }));
    if (!done) return;
    await viewer.changeLabelmap(done.files.image);
    if (before) this.before = viewer.bitmap.slice();
    this.points = [];
    this.tellCount();
    tell(t("The segments were refined; check them."));
    this.work.state.refined = String(Number(this.work.state.refined ?? 0) + 1);
  }
}
