/** Tab Question: type, sentences and the measurements behind them. */

import { button, el, fill } from "./dom.js";
import { tell } from "./status.js";
import { number, t, told } from "./texts.js";

export class QuestionPanel {
  /** @param {import("./workspace.js").Workspace} work */
  constructor(work) {
    this.work = work;
    this.element = el("div");
    this.open = false;
  }

  /** Show or hide the explanation; text and heat come together. */
  async toggle() {
    if (!this.work.reply?.rationale) return;
    this.open = !this.open;
    if (this.open) {
      this.work.textOpen = true;
      await this.work.see.showHeat(true);
    }
    this.work.correct.update();
    this.update();
  }

  update() {
    const { reply } = this.work;
    if (!reply) {
      fill(this.element, el("p.faint", {}, t("Analyse the case to see it.")));
      return;
    }
    fill(
      this.element,
      ...this.type(reply.classification),
      reply.rationale
        ? button(
            this.open ? t("Hide the explanation") : t("Show the explanation with its heatmap"),
            () => this.toggle(),
            { className: "primary", "aria-expanded": String(this.open), "data-act": "explain" },
          )
        : el("p.faint", {}, t("This server does not offer a written explanation.")),
      this.open ? "" : el("p.faint", {}, t(
        "Judge the images first. Text and heatmap are shown together, because text alone convinces too easily.",
      )),
      ...(this.open ? this.explanation(reply) : []),
    );
  }

  /** @returns {Node[]} */
  type(/** @type {any} */ found) {
    if (!found) return [el("p.faint", {}, t("This server does not offer a tumour type."))];
    const bars = Object.entries(found.probabilities ?? {}).map(([name, p]) => {
      const bar = el("span.bar");
      bar.style.width = `${Math.round(100 * p)}%`;
      return el("div.probability", {}, el("span", {}, t(name)), el("span.track", {}, bar),
        el("span.numbers", {}, `${Math.round(100 * p)} %`));
    });
    const share = Math.round(100 * (found.coverage ?? 0));
    const types = (found.prediction_set ?? []).map((/** @type {string} */ n) => t(n)).join(", ");
    const scope = (found.prediction_set ?? []).length > 1
      ? t("Cannot be ruled out: {types} ({share} % of such sets hold the right type).", { types, share })
      : types && t("Of these three, the others are ruled out ({share} % of such sets hold the right type).", { share });
    return [
      el("h2.type", {}, t(found.prediction)),
      ...found.reasons.map((/** @type {string} */ r) => el("p.warn", {}, told(r))),
      ...bars,
      el("p", {}, scope || ""),
      el("p.faint.scope", {}, told(found.scope.note)),
    ];
  }

  /** @returns {Node[]} */
  explanation(/** @type {any} */ reply) {
    const { rationale, heatmap } = reply;
    return [
      ...(heatmap ? [this.heat(heatmap)] : []),
      el("ol.sentences", {}, ...rationale.sentences.map((/** @type {any} */ s) =>
        el("li", { "data-sentence": s.id }, s.text, " ",
          ...s.evidence.map((/** @type {string} */ id) => this.link(id))))),
      el("p.faint", {}, t("{supported} of {claims} statements were checked against a measurement.",
        rationale.checks ?? {})),
      el("details", {}, el("summary", {}, t("Measurements")), this.measurements(reply.evidence)),
    ];
  }

  heat(/** @type {any} */ heatmap) {
    const passed = heatmap.faithfulness?.passed;
    const share = Math.round(100 * heatmap.inside_tumor_share);
    return el(passed ? "p" : "p.warn", {},
      t("{share} % of the heat lies inside the tumour", { share }), "; ",
      passed ? t("passed its faithfulness test")
        : t("failed its faithfulness test: shown in grey, do not rely on it"), ".");
  }

  /** A link to the evidence of a sentence. */
  link(/** @type {string} */ id) {
    const item = this.work.reply.evidence.find((/** @type {any} */ e) => e.id === id);
    return button(id, () => this.goTo(item), {
      className: "evidence", title: item ? `${told(item.name)}: ${valueOf(item)}` : id, "data-evidence": id,
    });
  }

  /** Go where a measurement was taken and draw it. */
  goTo(/** @type {any} */ item) {
    if (!item?.ras) {
      tell(t("This measurement has no place in the image."));
      this.work.mark.show(null);
      return;
    }
    this.work.viewer.jump(item.ras);
    this.work.mark.show(item);
    tell(`${told(item.name)}: ${valueOf(item)}`);
  }

  measurements(/** @type {any[]} */ evidence) {
    const heads = ["", "Measurement", "Value", "Usual range (5–95 %)", "Speaks for"];
    return el("table.evidence", {},
      el("thead", {}, el("tr", {}, ...heads.map((h) => el("th", { scope: "col" }, h && t(h))))),
      el("tbody", {}, ...evidence.map((item) => el("tr", {},
        el("td", {}, this.link(item.id)),
        el("td", {}, told(item.name)),
        el("td.numbers", {}, item.measured ? valueOf(item) : t("not measured")),
        el("td", {}, ...Object.entries(item.reference ?? {}).map(([type, range]) =>
          el("div", {}, `${t(type)} ${rangeOf(range)}`))),
        el("td", {}, item.supports ? t(item.supports) : ""),
      ))),
    );
  }
}

/** Value and unit of an item of evidence. */
function valueOf(/** @type {any} */ item) {
  if (typeof item.value !== "number") return String(item.value ?? "–");
  const digits = Math.abs(item.value) >= 100 ? 0 : Math.abs(item.value) >= 1 ? 1 : 2;
  return `${number(item.value, digits)} ${item.unit ?? ""}`.trim();
}

function rangeOf(/** @type {any} */ range) {
  const values = Array.isArray(range) ? range : Object.values(range ?? {});
  return values.length ? `${number(values[0])}–${number(values[values.length - 1])}` : "";
}
