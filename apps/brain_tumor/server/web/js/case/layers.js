/** Heat and doubt over the image: switch, range, opacity, and which heat is asked for. */

import { button, choice, el, field } from "../common/dom.js";
import { getJson } from "../common/api.js";
import { t, told } from "../common/texts.js";

const METHODS = {
  "gradcam++": "Grad-CAM++",
  gradcam: "Grad-CAM",
  layercam: "Layer-CAM",
  integrated_gradients: "integrated gradients",
  occlusion: "occlusion",
  guided_gradcam: "guided Grad-CAM",
  guided_backpropagation: "guided backpropagation",
};
const REGIONS = ["WT", "TC", "ET"];
const REGION_METHOD = "layercam"; // the one method that explains the outline of a region

/** @typedef {{low: number, high: number, opacity: number}} Look */

export class Layers {
  /** @param {import("./workspace.js").Workspace} work */
  constructor(work) {
    this.work = work;
    /** @type {Record<string, Look>} */
    this.looks = {
      heat: { low: 0.1, high: 1, opacity: 0.5 },
      doubt: { low: 0.2, high: 1, opacity: 0.6 },
    };
    /** @type {Record<string, boolean>} */
    this.visible = { heat: false, doubt: false };
    this.element = el("div");
    /** @type {string[]} */
    this.methods = [];
    /** @type {string[]} */
    this.targets = [];
  }

  get viewer() {
    return this.work.viewer;
  }

  /** Ask what heat the server makes. */
  async learn() {
    if (!this.work.models.includes("explanation")) return;
    const { methods, targets } = await getJson("/model/info/explanation");
    this.methods = methods ?? [];
    this.targets = targets ?? [];
    [this.method, this.target] = [this.methods[0], this.targets[0]];
  }

  update() {
    this.element.replaceChildren(
      this.layer("heat", t("Heatmap"), t("Show where the model looked (H)"), t("Heat from – to:")),
      this.layer("doubt", t("Uncertainty"), t("Show where the model doubts its outline (U)"),
        t("Doubt from – to:")),
    );
  }

  /** A map over the image; says why there is none. */
  layer(
    /** @type {"heat" | "doubt"} */ name,
    /** @type {string} */ title,
    /** @type {string} */ text,
    /** @type {string} */ range,
  ) {
    const part = name === "heat" ? "heatmap" : "uncertainty";
    if (!this.work.files[part]) {
      const why = name === "heat" && this.work.reply
        ? t("This server sent no heatmap for this case.") : t("Analyse the case to see it.");
      return el("div", {}, el("h2", {}, title), el("p.faint", {}, why));
    }
    const look = this.looks[name];
    const set = (/** @type {keyof Look} */ key) => (/** @type {number} */ value) => {
      look[key] = value;
      this.viewer.lookOfLayer(name, look);
    };
    const box = el("input", { type: "checkbox", checked: this.visible[name], "data-show": name });
    box.addEventListener("change", () => this.show(name, box.checked));
    return el("div", {},
      el("h2", {}, title),
      el("label.check", {}, box, text),
      ...(name === "heat" ? this.aboutHeat() : []),
      field(range, el("span.pair", {}, slider(look.low, `${range} 0`, set("low")),
        slider(look.high, `${range} 1`, set("high")))),
      field(t("Opacity:"), slider(look.opacity, t("Opacity:"), set("opacity"))),
      ...(name === "heat" ? this.otherHeat() : []),
    );
  }

  goToHottest() {
    const peak = this.work.reply?.heatmap?.peak_ras;
    if (peak) this.viewer.jump(peak);
  }

  get isTrusted() {
    return this.work.reply?.heatmap?.faithfulness?.passed ?? false;
  }

  /** Which heat is shown and whether it can be relied on. @returns {Node[]} */
  aboutHeat() {
    const { heatmap } = this.work.reply;
    const faith = heatmap.faithfulness;
    const method = t(METHODS[/** @type {"gradcam"} */ (heatmap.method)] ?? heatmap.method);
    const bar = el(this.isTrusted ? "span.legend" : "span.legend.grey", { "aria-hidden": "true" });
    return [
      el("p.faint", { "data-part": "method" },
        t("{method} for {type}", { method, type: nameOf(heatmap.target) })),
      bar,
      this.isTrusted ? "" : el("p.warn", { "data-part": "grey" },
        t("The heatmap failed its faithfulness test and is shown in grey: do not rely on it."), " ",
        (faith?.reasons ?? []).map((/** @type {string} */ r) => told(r)).join("; ")),
      button(t("Go to the hottest point"), () => this.goToHottest(),
        { disabled: !heatmap.peak_ras, title: "J" }),
    ].filter((node) => node !== "");
  }

  /** Heat of another method, type or region. @returns {Node[]} */
  otherHeat() {
    if (!this.methods.length) return [];
    const target = choice(this.targets.map((name) => [name, nameOf(name)]), this.target ?? "", (name) => {
      this.target = name;
      method.disabled = REGIONS.includes(name);
    }, { "data-choose": "target" });
    const method = choice(
      this.methods.map((name) => [name, t(METHODS[/** @type {"gradcam"} */ (name)] ?? name)]),
      this.method ?? "", (name) => (this.method = name),
      { "data-choose": "method", disabled: REGIONS.includes(this.target ?? "") });
    const ask = () => this.work.explain(t("Computing the heatmap"), {
      method: REGIONS.includes(this.target ?? "") ? REGION_METHOD : this.method,
      target: this.target,
    });
    return [
      field(t("Method:"), method),
      field(t("For the type:"), target),
      button(t("Compute"), ask, {
        title: t("Ask the server for the heatmap of this method and type."), "data-act": "heat",
      }),
    ];
  }

  async show(/** @type {"heat" | "doubt"} */ name, /** @type {boolean} */ on) {
    if (on && name === "heat") this.work.heatOpen = true;
    this.visible[name] = on;
    const box = this.element.querySelector(`[data-show=${name}]`);
    if (box) box.checked = on;
    const bytes = this.work.files[name === "heat" ? "heatmap" : "uncertainty"] ?? null;
    await this.viewer.setLayer(name, on ? bytes : null, {
      ...this.looks[name], trusted: this.isTrusted,
    });
  }
}

function nameOf(/** @type {string} */ target) {
  return REGIONS.includes(target) ? t("outline of {region}", { region: target }) : t(target);
}

/** A slider from 0 to 1. */
export function slider(
  /** @type {number} */ value,
  /** @type {string} */ name,
  /** @type {(value: number) => void} */ act,
) {
  const made = el("input", { type: "range", min: 0, max: 1, step: 0.01, value, "aria-label": name });
  made.addEventListener("input", () => act(Number(made.value)));
  return made;
}
