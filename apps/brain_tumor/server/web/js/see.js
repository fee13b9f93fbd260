/** Tab See: sequences, regions with their volumes, heat and doubt. */

import { button, choice, el, field, fill } from "./dom.js";
import { LABELS, REGION_NAMES, labelsOf, volumesMl } from "./labels.js";
import { during } from "./status.js";
import { number, t, told } from "./texts.js";

const VIEWS = [
  ["planes", "Three planes and 3D"],
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
    /** @type {Record<string, {low: number, high: number, opacity: number}>} */
    this.looks = {
      heat: { low: 0.1, high: 1, opacity: 0.5 },
      doubt: { low: 0.2, high: 1, opacity: 0.6 },
    };
    /** @type {Record<string, boolean>} */
    this.visible = { segments: true, heat: false, doubt: false };
  }

  get viewer() {
    return this.work.viewer;
  }

  update() {
    const { info, reply } = this.work;
    if (!info) return;
    this.volumes = el("tbody");
    const views = choice(
      VIEWS.map(([value, name]) => [value, t(name)]),
      this.view ?? "planes",
      (value) => this.viewer.setView((this.view = value)),
    );
    const kinds = reply?.segmentation?.scheme;
    fill(
      this.element,
      el("h2", {}, t("Sequences")),
      el("div.row", { role: "group", "aria-label": t("Sequences") },
        ...info.sequences.map((/** @type {string} */ s) => this.sequenceButton(s))),
      field(t("Views:"), views),
      el("h2", {}, t("Segments")),
      el("div.row", {},
        this.check("segments", t("Show the segments (G)"), (on) => this.showSegments(on)),
        this.outlineCheck(),
      ),
      field(t("Fill:"), this.slider(this.viewer.fillOpacity, t("Fill:"), (value) => {
        this.viewer.fillOpacity = value;
        this.viewer.colourLabels();
      })),
      el("table.volumes", {},
        el("thead", {}, el("tr", {}, el("th", { scope: "col" }, t("Label")),
          el("th", { scope: "col" }, "mL"))),
        this.volumes),
      this.layer("heat", t("Heatmap"), t("Show where the model looked (H)"), t("Heat from – to:")),
      this.layer("doubt", t("Uncertainty"), t("Show where the model doubts its outline (U)"),
        t("Doubt from – to:")),
      kinds ? el("p.faint", {}, reply.models.map((/** @type {any} */ m) => `${m.name} ${m.version}`).join(", ")) : "",
    );
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

  check(/** @type {string} */ name, /** @type {string} */ text, /** @type {(on: boolean) => any} */ act) {
    const box = el("input", { type: "checkbox", checked: this.visible[name], "data-show": name });
    box.addEventListener("change", () => {
      this.visible[name] = box.checked;
      act(box.checked);
    });
    return el("label.check", {}, box, text);
  }

  outlineCheck() {
    const box = el("input", { type: "checkbox", checked: this.viewer.outlined });
    box.addEventListener("change", () => {
      this.viewer.outlined = box.checked;
      this.viewer.colourLabels();
    });
    return el("label.check", {}, box, t("Outline"));
  }

  /** Flip a switch by its name. */
  toggle(/** @type {string} */ name) {
    this.element.querySelector(`[data-show=${name}]`)?.click();
  }

  slider(
    /** @type {number} */ value,
    /** @type {string} */ name,
    /** @type {(value: number) => void} */ act,
  ) {
    const made = el("input", { type: "range", min: 0, max: 1, step: 0.01, value, "aria-label": name });
    made.addEventListener("input", () => act(Number(made.value)));
    return made;
  }

  showSegments(/** @type {boolean} */ on) {
    this.viewer.shown = new Set(on ? LABELS.map((l) => l.value) : []);
    this.viewer.colourLabels();
  }

  /** A map over the image: switch, range and opacity; says why there is none. */
  layer(
    /** @type {"heat" | "doubt"} */ name,
    /** @type {string} */ title,
    /** @type {string} */ text,
    /** @type {string} */ range,
  ) {
    const part = name === "heat" ? "heatmap" : "uncertainty";
    if (!this.work.files[part]) {
      return el("div", {}, el("h2", {}, title), el("p.faint", {}, t("Analyse the case to see it.")));
    }
    const look = this.looks[name];
    const set = (/** @type {"low" | "high" | "opacity"} */ key) => (/** @type {number} */ value) => {
      look[key] = value;
      this.viewer.lookOfLayer(name, look);
    };
    const faith = this.work.reply.heatmap?.faithfulness;
    const untrusted = name === "heat" && faith && !faith.passed;
    return el("div", {},
      el("h2", {}, title),
      this.check(name, text, (on) => (name === "heat" ? this.showHeat(on) : this.showDoubt(on))),
      untrusted
        ? el("p.warn", {}, t("The heatmap failed its faithfulness test and is shown in grey: do not rely on it."),
            " ", faith.reasons.map((/** @type {string} */ r) => told(r)).join("; "))
        : "",
      field(range, el("span.pair", {}, this.slider(look.low, `${range} 0`, set("low")),
        this.slider(look.high, `${range} 1`, set("high")))),
      field(t("Opacity:"), this.slider(look.opacity, t("Opacity:"), set("opacity"))),
      name === "heat"
        ? button(t("Go to the hottest point"), () => this.viewer.jump(this.work.reply.heatmap.peak_ras))
        : "",
    );
  }

  async showHeat(/** @type {boolean} */ on) {
    if (on) this.work.heatOpen = true;
    this.visible.heat = on;
    const box = this.element.querySelector("[data-show=heat]");
    if (box) box.checked = on;
    const trusted = this.work.reply?.heatmap?.faithfulness?.passed ?? false;
    await this.viewer.setLayer("heat", on ? this.work.files.heatmap : null, {
      ...this.looks.heat, trusted,
    });
  }

  showDoubt(/** @type {boolean} */ on) {
    return this.viewer.setLayer("doubt", on ? this.work.files.uncertainty : null, this.looks.doubt);
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
      this.viewer.colourLabels();
    });
    const swatch = el("span.swatch");
    swatch.style.background = `rgb(${rgb})`;
    return el("label.check", {}, box, swatch, t(name));
  }
}
