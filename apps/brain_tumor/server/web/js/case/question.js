/** Tab Question: type with its scope, summary, sentences and the measurements behind them. */

import { getJson } from "../common/api.js";
import { button, choice, el, fill } from "../common/dom.js";
import { tell } from "../common/status.js";
import { number, share, t, told } from "../common/texts.js";

export class QuestionPanel {
  /** @param {import("./workspace.js").Workspace} work */
  constructor(work) {
    this.work = work;
    this.element = el("div");
    this.open = false;
    this.unfolded = false;
    /** @type {string[]} Who can phrase the explanation. */
    this.providers = ["composer"];
    this.provider = "composer";
  }

  /** Ask what the server offers; a server without explanations offers nothing. */
  async learn() {
    if (!this.work.models.includes("explanation")) return;
    const { providers } = await getJson("/model/info/explanation");
    const names = (providers ?? []).map((/** @type {any} */ p) => p.name ?? p);
    this.providers = [...new Set(["composer", ...names])];
  }

  /** Show or hide the explanation; text and heat come together. */
  async toggle() {
    if (!this.work.reply?.rationale) return;
    this.open = !this.open;
    if (this.open) {
      this.work.textOpen = true;
      await this.work.see.layers.show("heat", true);
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

  /** The type, what it is told among, and what cannot be ruled out. @returns {Node[]} */
  type(/** @type {any} */ found) {
    if (!found) return [el("p.faint", {}, t("This server does not offer a tumour type."))];
    const set = found.prediction_set ?? [];
    const ranked = Object.entries(found.probabilities ?? {}).sort(([, one], [, other]) => other - one);
    const bars = ranked.map(([name, p]) => {
      const bar = el("span.bar");
      bar.style.width = `${Math.round(100 * p)}%`;
      return el(set.includes(name) ? "div.probability.held" : "div.probability", {},
        el("span", {}, t(name)), el("span.track", {}, bar), el("span.numbers", {}, share(p)));
    });
    const covered = Math.round(100 * (found.coverage ?? 0));
    const types = set.map((/** @type {string} */ n) => t(n)).join(", ");
    const ruled = set.length > 1
      ? t("Cannot be ruled out: {types} ({share} % of such sets hold the right type).", { types, share: covered })
      : types && t("Of these three, the others are ruled out ({share} % of such sets hold the right type).", { share: covered });
    return [
      el("h2.type", {}, t(found.prediction)),
      el("p.scope", {}, told(found.scope.note)),
      ...(ruled ? [el("p", { "data-part": "set" }, ruled)] : []),
      ...found.reasons.map((/** @type {string} */ r) => el("p.warn", {}, told(r))),
      ...bars,
    ];
  }

  /** @returns {Node[]} */
  explanation(/** @type {any} */ reply) {
    const { rationale, heatmap } = reply;
    const rest = rationale.sentences.filter((/** @type {any} */ s) => s.part === "detail");
    const summary = rationale.sentences.filter((/** @type {any} */ s) => s.part !== "detail");
    const folded = el("details", { open: this.unfolded, "data-part": "details" },
      el("summary", {}, t("Show {count} more sentences", { count: rest.length })),
      this.sentences(rest));
    folded.addEventListener("toggle", () => (this.unfolded = folded.open));
    const checks = rationale.checks ?? {};
    return [
      ...(heatmap ? [this.heat(heatmap)] : []),
      this.sentences(summary, "summary"),
      ...(rest.length ? [folded] : []),
      ...(checks.problems ?? []).map((/** @type {string} */ p) => el("p.warn", {}, told(p))),
      el("p.faint", {}, t("{supported} of {claims} statements were checked against a measurement.", checks)),
      el("details", { "data-part": "measurements" },
        el("summary", {}, t("Measurements")), this.measurements(reply.evidence)),
      ...this.more(reply),
      this.again(),
    ];
  }

  sentences(/** @type {any[]} */ listed, /** @type {string} */ part = "") {
    return el("ol.sentences", part ? { "data-part": part } : {}, ...listed.map((s) => {
      const unsure = s.kind === "uncertainty" || s.kind === "conflict";
      return el("li", { "data-sentence": s.id }, el(unsure ? "em" : "span", {}, s.text), " ",
        ...s.evidence.map((/** @type {string} */ id) => this.link(id)));
    }));
  }

  heat(/** @type {any} */ heatmap) {
    const passed = heatmap.faithfulness?.passed;
    const inside = Math.round(100 * heatmap.inside_tumor_share);
    return el(passed ? "p" : "p.warn", { "data-part": "heat" },
      t("{share} % of the heat lies inside the tumour", { share: inside }), "; ",
      passed ? t("passed its faithfulness test")
        : t("failed its faithfulness test: shown in grey, do not rely on it"), ".");
  }

  /** Other wording, or the language that the page has now. */
  again() {
    const { work } = this;
    const ask = () => work.explain(t("Explaining"), {
      ...(this.provider === "composer" ? {} : { provider: this.provider }),
    });
    return el("div.row", {},
      this.providers.length > 1
        ? choice(this.providers.map((p) => [p, p]), this.provider, (p) => (this.provider = p),
            { "aria-label": t("Wording:") })
        : "",
      button(t("Explain again"), ask, { "data-act": "again" }));
  }

  /** What would change the answer, visual symptoms, similar cases, models. @returns {Node[]} */
  more(/** @type {any} */ reply) {
    const lines = [];
    const change = reply.counterfactual;
    if (change) {
      const item = reply.evidence.find((/** @type {any} */ e) => e.id === change.evidence);
      lines.push(t("With {name} at {to} instead of {value}, the type would be {type}.", {
        name: told(item?.name ?? change.feature), to: short(change.to), value: short(change.from),
        type: t(change.class),
      }));
    }
    const symptoms = (reply.symptoms ?? []).map((/** @type {any} */ s) => this.symptom(s));
    for (const similar of reply.similar_cases ?? []) {
      lines.push(t("Similar training case: {type} (distance {distance}; alike in {names})", {
        type: t(similar.type), distance: short(similar.distance),
        names: (similar.agrees ?? []).map(told).join(", ") || "–",
      }));
    }
    const names = reply.models.map((/** @type {any} */ m) => `${m.name} ${m.version}`).join(", ");
    return [
      ...(symptoms.length ? [el("ul.symptoms", {}, ...symptoms)] : []),
      ...lines.map((line) => el("p.faint", {}, line)),
      el("p.faint", {}, t("Models: {names}", { names })),
    ];
  }

  symptom(/** @type {any} */ s) {
    const conflict = typeof s.present === "boolean" && s.present !== s.matched;
    return el("li", {}, s.matched ? "✓ " : "✗ ", told(s.text), s.class ? ` (${t(s.class)}) ` : " ",
      short(s.score), " ", s.evidence ? this.link(s.evidence) : "",
      conflict ? el("span.warn", {}, " ", s.matched ? t("The picture says yes, the measurement says no.")
        : t("The picture says no, the measurement says yes.")) : "");
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

  /** Go to the next place that a sentence names, or the one before: for the keyboard. */
  async step(/** @type {1 | -1} */ by) {
    if (!this.work.reply?.rationale) return;
    if (!this.open) await this.toggle();
    const { evidence, rationale } = this.work.reply;
    const named = new Set(rationale.sentences.flatMap((/** @type {any} */ s) => s.evidence));
    const placed = evidence.filter((/** @type {any} */ e) => named.has(e.id) && e.ras);
    if (!placed.length) return;
    this.at = ((this.at ?? (by > 0 ? -1 : 0)) + by + placed.length) % placed.length;
    this.goTo(placed[this.at]);
  }

  measurements(/** @type {any[]} */ evidence) {
    const heads = ["", "Measurement", "Value", "Usual range (5–95 %)", "Speaks for"];
    return el("table.evidence", {},
      el("thead", {}, el("tr", {}, ...heads.map((h) => el("th", { scope: "col" }, h && t(h))))),
      el("tbody", {}, ...evidence.map((item) => el("tr", {},
        el("td", {}, this.link(item.id)),
        el("td", {}, told(item.name)),
        el("td.numbers", {}, item.measured ? valueOf(item)
          : [t("not measured"), item.reason && told(item.reason)].filter(Boolean).join(": ")),
        el("td", {}, ...Object.entries(item.reference ?? {}).map(([type, range]) =>
          el("div", {}, `${t(type)} ${rangeOf(range)}`))),
        el("td", {}, item.supports ? t(item.supports) : "",
          typeof item.contribution === "number"
            ? el("small", {}, ` ${item.contribution > 0 ? "+" : ""}${number(item.contribution, 2)}`) : ""),
      ))),
    );
  }
}

/** Value and unit of an item of evidence. */
function valueOf(/** @type {any} */ item) {
  if (typeof item.value !== "number") return String(item.value ?? "–");
  return `${short(item.value)} ${item.unit === "1" ? "" : (item.unit ?? "")}`.trim();
}

function short(/** @type {unknown} */ value) {
  if (typeof value !== "number") return "–";
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 1 ? 1 : 2;
  return number(value, digits);
}

function rangeOf(/** @type {any} */ range) {
  const values = Array.isArray(range) ? range : Object.values(range ?? {});
  return values.length ? `${number(values[0])}–${number(values[values.length - 1])}` : "";
}
