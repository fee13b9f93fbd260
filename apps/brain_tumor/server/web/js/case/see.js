/** Tab See: sequences and how they fit, views, regions with their volumes. */

import { button, choice, el, field, fill } from "../common/dom.js";
import { LABELS, REGION_NAMES, labelsOf, volumesMl } from "./labels.js";
import { Layers, slider } from "./layers.js";
import { during } from "../common/status.js";
import { number, share, t } from "../common/texts.js";

const REMEMBERED = "tumorlens.view";
const VIEWS = [
  ["planes", "Three planes and 3D"],
  ["slices", "Three planes"],
  ["axial", "Axial"],
  ["coronal", "Coronal"],
  ["sagittal", "Sagittal"],
  ["3d", "3D"],
];

export class SeePanel {
  /** @param {import("./workspace.js").Workspace} work */
  constructor(work) {
    this.work = work;
    this.element = el("div");
    this.layers = new Layers(work);
    this.shows = true;
    const last = localStorage.getItem(REMEMBERED) ?? "";
    this.viewer.view = VIEWS.some(([name]) => name === last) ? last : "planes";
  }

  get viewer() {
    return this.work.viewer;
  }

  update() {
    const { info, reply } = this.work;
    if (!info) return;
    this.volumes = el("tbody");
    const views = choice(VIEWS.map(([value, name]) => [value, t(name)]), this.viewer.view, (value) => {
      localStorage.setItem(REMEMBERED, value);
      this.viewer.setView(value);
      this.work.beside.setView(value);
    }, { "data-choose": "view" });
    const others = info.sequences.map((/** @type {string} */ s) => [s, s.toUpperCase()]);
    const beside = choice([["", "–"], ...others], this.work.beside.sequence ?? "", (value) =>
      during(t("Opening {case}", { case: value }), () => this.work.beside.show(value)),
      { "data-choose": "beside" });
    const presence = reply?.segmentation?.presence;
    fill(
      this.element,
      el("h2", {}, t("Sequences")),
      el("div.row", { role: "group", "aria-label": t("Sequences") },
        ...info.sequences.map((/** @type {string} */ s) => this.sequenceButton(s))),
      this.fits(info),
      field(t("Beside it, linked:"), beside),
      field(t("Views:"), views),
      el("h2", {}, t("Segments")),
      el("div.row", {}, this.segmentsCheck(), this.outlineCheck()),
      field(t("Fill:"), slider(this.viewer.fillOpacity, t("Fill:"), (value) => {
        this.viewer.fillOpacity = value;
        this.colour();
      })),
      el("table.volumes", {},
        el("thead", {}, el("tr", {}, el("th", { scope: "col" }, t("Label")),
          el("th", { scope: "col" }, "mL"))),
        this.volumes),
      presence ? el("p.faint", { "data-part": "presence" }, typeof presence.probability === "number"
        ? t("Probability that there is a tumour: {share}", { share: share(presence.probability) })
        : t("These sequences cannot tell whether there is a tumour.")) : "",
      this.layers.element,
    );
    this.layers.update();
    this.updateVolumes();
  }

  sequenceButton(/** @type {string} */ sequence) {
    const made = button(sequence.toUpperCase(), async () => {
      await during(t("Opening {case}", { case: sequence }), () => this.work.showSequence(sequence));
      for (const one of made.parentElement.children) {
        one.setAttribute("aria-pressed", String(one === made));
      }
    }, { "aria-pressed": String(sequence === this.work.sequence), "data-sequence": sequence });
    return made;
  }

  /** For the keyboard. */
  nextSequence() {
    const all = [...this.element.querySelectorAll("[data-sequence]")];
    const at = all.findIndex((one) => one.getAttribute("aria-pressed") === "true");
    all[(at + 1) % all.length]?.click();
  }

  nextView() {
    const choose = this.element.querySelector("[data-choose=view]");
    choose.selectedIndex = (choose.selectedIndex + 1) % choose.options.length;
    choose.dispatchEvent(new Event("change"));
  }

  /** Which sequences are missing, and how those that are there lay on the reference. */
  fits(/** @type {any} */ info) {
    const place = (/** @type {any} */ fit) => {
      const by = { mm: number(fit.shift_mm), degrees: number(fit.angle_degrees) };
      if (fit.status === "fits") return t("lies on it ({mm} mm, {degrees}° off)", by);
      if (fit.status === "registered") return t("lay {mm} mm and {degrees}° off; moved onto it", by);
      return t(fit.status === "left out" ? "left out" : "fit not measured");
    };
    const rows = [
      [info.reference, t("reference")],
      ...(info.registration ?? []).map((/** @type {any} */ fit) => [fit.sequence, place(fit)]),
      ...info.missing.map((/** @type {string} */ name) => [name, t("missing")]),
    ];
    const seen = new Set();
    const told = rows.filter(([name]) => !seen.has(name) && seen.add(name));
    return el("dl.fits", {}, ...told.flatMap(([name, text]) =>
      [el("dt", {}, name.toUpperCase()), el("dd", { "data-fit": name }, text)]));
  }

  segmentsCheck() {
    const box = el("input", { type: "checkbox", checked: this.shows, "data-show": "segments" });
    box.addEventListener("change", () => {
      this.shows = box.checked;
      this.viewer.shown = new Set(box.checked ? LABELS.map((l) => l.value) : []);
      this.colour();
    });
    return el("label.check", {}, box, t("Show the segments (G)"));
  }

  outlineCheck() {
    const box = el("input", { type: "checkbox", checked: this.viewer.outlined });
    box.addEventListener("change", () => {
      this.viewer.outlined = box.checked;
      this.colour();
    });
    return el("label.check", {}, box, t("Outline"));
  }

  colour() {
    this.viewer.colourLabels();
    this.work.beside.colourLabels();
  }

  /** Flip a switch by its name. */
  toggle(/** @type {string} */ name) {
    this.element.querySelector(`[data-show=${name}]`)?.click();
  }

  /** Volumes of what is drawn now. */
  updateVolumes() {
    if (!this.volumes) return;
    const { bitmap } = this.viewer;
    const ml = volumesMl(bitmap, this.viewer.voxelMl);
    const scheme = ml["tumour core"] > 0 ? "core" : "subregions";
    const regions = scheme === "core" ? ["TC"] : ["WT", "TC", "ET"];
    fill(this.volumes,
      ...labelsOf(scheme).map(({ value, name, rgb }) => el("tr", {},
        el("th", { scope: "row" }, this.labelCheck(value, name, rgb)),
        el("td.numbers", {}, number(ml[name])))),
      ...regions.map((r) => el("tr.region", {},
        el("th", { scope: "row" }, t(REGION_NAMES[/** @type {"WT"} */ (r)])),
        el("td.numbers", { "data-volume": r }, number(ml[r])))),
    );
  }

  labelCheck(/** @type {number} */ value, /** @type {string} */ name, /** @type {number[]} */ rgb) {
    const box = el("input", { type: "checkbox", checked: this.viewer.shown.has(value) });
    box.addEventListener("change", () => {
      if (box.checked) this.viewer.shown.add(value);
      else this.viewer.shown.delete(value);
      this.colour();
    });
    const swatch = el("span.swatch");
    swatch.style.background = `rgb(${rgb})`;
    return el("label.check", {}, box, swatch, t(name));
  }
}
