/** Follow-up: the dates of a patient, their volumes over time, and two of them compared. */

import { getJson, send } from "../common/api.js";
import { el, fill } from "../common/dom.js";
import { during } from "../common/status.js";
import { number, t } from "../common/texts.js";
import { ComparedDates } from "./compared.js";
import { spreadMl } from "./measures.js";
import { plotOf } from "./plot.js";

const REGIONS = ["WT", "TC", "ET"];

export class PatientPage {
  /** @param {HTMLElement} main @param {string} patient */
  constructor(main, patient) {
    this.main = main;
    this.patient = patient;
    /** @type {any[]} */
    this.dates = [];
    this.isLeft = false;
  }

  async start() {
    const rows = await during(t("Listing the cases"), () => getJson("/cases/overview"));
    if (!rows) return;
    this.dates = rows.filter((/** @type {any} */ row) => row.patient === this.patient)
      .map((/** @type {any} */ row) => ({ ...row, day: row.study_date }));
    this.sort();
    this.table = el("tbody");
    this.plot = el("div");
    this.compared = new ComparedDates(this);
    const heads = ["Day", "Case", "Sequences", "Outlined by", "WT mL", "TC mL", "ET mL", "Sum of products"];
    fill(this.main, el("div.start.patient", {},
      el("h1", {}, t("Patient {name}", { name: this.patient })),
      el("table.dates", {},
        el("thead", {}, el("tr", {}, ...heads.map((h) => el("th", { scope: "col" }, t(h))))),
        this.table),
      el("p.faint", {}, t("± is how far two readings of one scan differ: the model's outline and that of the mirrored scan, or a submitted label and the model's outline.")),
      this.plot,
      this.compared.element));
    this.show();
    await this.measure();
  }

  sort() {
    this.dates.sort((one, other) =>
      (one.day ?? "").localeCompare(other.day ?? "") || one.id.localeCompare(other.id));
  }

  /** Measure each date in turn; the model outlines those that nobody did. */
  async measure() {
    for (const date of [...this.dates]) {
      if (this.isLeft) return;
      date.measures = await during(t("Measuring {case}", { case: date.id }), (signal) =>
        getJson("/follow_up/measures", { image: date.id }, signal));
      if (!date.measures) return; // told, or cancelled
      this.show();
    }
    document.body.dataset.measured = this.patient;
    this.compared.offer();
  }

  show() {
    fill(this.table, ...this.dates.map((date) => this.row(date)));
    const measured = this.dates.filter((date) => date.measures);
    fill(this.plot, measured.length > 1 ? plotOf(measured) : "");
  }

  row(/** @type {any} */ date) {
    const day = el("input", { type: "date", value: date.day ?? "", "aria-label": `${t("Day")} ${date.id}` });
    day.addEventListener("change", async () => {
      const info = JSON.stringify({ study_date: day.value });
      const kept = await during(t("Saving"), () =>
        send("PUT", "/datastore/image/info", { query: { image: date.id }, form: { info } }));
      if (!kept) return;
      date.day = day.value || null;
      this.sort();
      this.show();
      this.compared.offer();
    });
    const { measures } = date;
    const by = measures?.outlined_by === "final" ? t("submitted label") : measures && t("model");
    return el("tr", { "data-date": date.id },
      el("td", {}, day),
      el("td", {}, el("a", { href: `#/case/${encodeURIComponent(date.id)}` }, date.id)),
      el("td", {}, ...date.sequences.map((/** @type {string} */ s) => el("span.tag", {}, s))),
      el("td", {}, by ?? "–"),
      ...REGIONS.map((region) => el("td.numbers", {}, volume(measures, region))),
      el("td.numbers", {}, !measures ? "–" : measures.sum_of_products_mm2
        ? `${number(measures.sum_of_products_mm2, 0)} mm²` : t("not measurable")));
  }

  async leave() {
    this.isLeft = true;
    delete document.body.dataset.measured;
    this.compared?.close();
  }
}

function volume(/** @type {any} */ measures, /** @type {string} */ region) {
  const ml = measures?.volumes_ml[region];
  if (ml === undefined) return "–";
  const spread = spreadMl(measures, region);
  return spread === null ? number(ml) : `${number(ml)} ± ${number(spread)}`;
}
