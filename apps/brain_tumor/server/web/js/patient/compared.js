/** Two dates side by side, laid on each other: what grew, what is new, and how sure that is. */

import { getBytes, getParts } from "../common/api.js";
import { button, choice, el, field, fill } from "../common/dom.js";
import { during, tell } from "../common/status.js";
import { number, signed, t } from "../common/texts.js";
import { REGION_NAMES } from "../case/labels.js";
import { EvidenceMark } from "../case/mark.js";
import { Viewer } from "../case/viewer.js";
import { changeOf, moved } from "./measures.js";

const COLOURS = [[255, 221, 64], [255, 90, 255], [90, 220, 255]]; // grown, new, gone
const PARTS = { grown: "grown", new: "new part", gone: "gone" };
const SVG = "http://www.w3.org/2000/svg";

export class ComparedDates {
  /** @param {import("./page.js").PatientPage} page */
  constructor(page) {
    this.page = page;
    this.element = el("section.compared");
    /** @type {Viewer[]} */
    this.viewers = [];
    this.region = "TC";
  }

  /** Offer the last two dates. */
  offer() {
    const { dates } = this.page;
    if (dates.length < 2) {
      fill(this.element, el("p.faint", {}, t("A comparison needs two dates: upload another study with the same patient.")));
      return;
    }
    [this.earlier, this.later] = dates.slice(-2).map((d) => d.id);
    this.draw();
  }

  draw() {
    const options = /** @type {[string, string][]} */ (
      this.page.dates.map((d) => [d.id, `${d.day ?? "–"} · ${d.id}`]));
    const regions = /** @type {[string, string][]} */ (Object.entries(REGION_NAMES).map(([r, n]) => [r, t(n)]));
    this.told = el("div.told");
    this.views = el("div.views.two.hidden");
    fill(this.element,
      el("h2", {}, t("Two dates side by side")),
      el("div.row", {},
        field(t("Earlier"), choice(options, this.earlier ?? "", (v) => (this.earlier = v), { "data-choose": "earlier" })),
        field(t("Later"), choice(options, this.later ?? "", (v) => (this.later = v), { "data-choose": "later" })),
        field(t("Outline the change of"), choice(regions, this.region, (v) => (this.region = v), { "data-choose": "region" })),
        button(t("Compare"), () => this.compare(), { className: "primary", "data-act": "compare" })),
      this.views, this.told);
  }

  /** @returns {any} */
  date(/** @type {string | undefined} */ id) {
    return this.page.dates.find((d) => d.id === id);
  }

  async compare() {
    const [earlier, later] = [this.date(this.earlier), this.date(this.later)];
    if (earlier === later) {
      tell(t("Choose two different dates."));
      return;
    }
    const pair = { earlier: earlier.id, later: later.id };
    const found = await during(t("Laying the two heads on each other"), async (signal) => {
      const changes = await getParts("/follow_up/changes", { ...pair, region: this.region }, signal);
      await this.show(pair, earlier, later, changes, signal);
      return changes.params;
    });
    if (!found || this.page.isLeft) return;
    this.tell(earlier, later, found);
    document.getElementById("main").dataset.compared = `${earlier.id} ${later.id} ${this.region}`;
  }

  /** Both dates on the grid of the later one. */
  async show(
    /** @type {{earlier: string, later: string}} */ pair,
    /** @type {any} */ earlier,
    /** @type {any} */ later,
    /** @type {{files: Record<string, ArrayBuffer>}} */ changes,
    /** @type {AbortSignal} */ signal,
  ) {
    const sequence = [later.reference, ...later.sequences].find((s) => earlier.sequences.includes(s));
    const own = sequence ?? later.reference;
    const theirs = sequence ?? earlier.reference;
    const [before, now, outline, label] = await Promise.all([
      getBytes("/follow_up/volume", { ...pair, sequence: theirs }, signal),
      getBytes("/cases/volume", { image: pair.later, sequence: own }, signal),
      getBytes("/follow_up/label", pair, signal),
      getBytes("/follow_up/outline", { image: pair.later }, signal),
    ]);
    this.close();
    this.views.classList.remove("hidden");
    this.marks = [];
    for (const [name, volume, labels] of /** @type {const} */ ([
      [`${earlier.day ?? earlier.id}`, before, outline], [`${later.day ?? later.id}`, now, label],
    ])) {
      const canvas = el("canvas", { tabIndex: 0, "aria-label": t("Slices of {name}", { name }) });
      const svg = document.createElementNS(SVG, "svg");
      svg.setAttribute("class", "marks");
      this.views.append(el("div.second", {}, canvas, svg, el("output.name", {}, name)));
      const viewer = new Viewer(canvas);
      await viewer.start();
      await viewer.showVolume(volume, name);
      viewer.withRender(false);
      viewer.fillOpacity = 0;
      await viewer.setLabelmap(labels);
      this.viewers.push(viewer);
      const mark = new EvidenceMark(svg, viewer);
      viewer.onplace = () => mark.draw();
      this.marks.push(mark);
    }
    this.viewers[0].linkWith(this.viewers[1]);
    if (changes.files.changes) await this.viewers[1].setOutline(changes.files.changes, COLOURS);
    this.viewers[1].jumpToLabels();
  }

  tell(/** @type {any} */ earlier, /** @type {any} */ later, /** @type {any} */ found) {
    const { alignment } = found;
    const lain = {
      fits: t("The two heads lie on each other as they are."),
      registered: t("The earlier head was moved by {mm} mm and turned by {degrees}° onto the later one.", {
        mm: number(alignment.shift_mm), degrees: number(alignment.angle_degrees) }),
      "left out": t("The two heads could not be laid on each other, so only volumes are compared: {why}", { why: alignment.reason }),
      "not measured": t("Whether the two heads lie on each other could not be measured: check the places."),
    }[/** @type {"fits"} */ (alignment.status)];
    const fits = alignment.status === "fits" || alignment.status === "registered";
    const heads = ["mL", "earlier", "later", "change", "two readings differ by", ""];
    const rows = Object.entries(REGION_NAMES).map(([region, name]) => {
      const change = changeOf(earlier.measures, later.measures, region);
      return change && el("tr", { "data-change": region },
        el("th", { scope: "row" }, t(name)),
        el("td.numbers", {}, number(change.before)), el("td.numbers", {}, number(change.now)),
        el("td.numbers", {}, signed(change.ml), change.percent === null ? "" : ` (${signed(change.percent, 0)} %)`),
        el("td.numbers", {}, change.spreads.map((s) => number(s)).join(" / ")),
        el(change.isSure ? "td" : "td.warn", {}, change.isSure === null ? t("not known")
          : change.isSure ? t("more than two readings of one scan differ by")
            : t("may be no change: two readings of one scan differ as much")));
    });
    const one = found.regions.find((/** @type {any} */ r) => r.region === this.region);
    fill(this.told,
      el(fits ? "p.faint" : "p.warn", {}, lain),
      el("table", {},
        el("thead", {}, el("tr", {}, ...heads.map((h) => el("th", { scope: "col" }, h && t(h))))),
        el("tbody", {}, ...rows)),
      ...(one ? this.parts(one) : []),
      ...this.products(earlier, later, alignment.matrix));
  }

  /** Grown, new and gone parts, each a step to its place. @returns {Node[]} */
  parts(/** @type {any} */ change) {
    const swatch = (/** @type {number} */ i) => {
      const made = el("span.swatch");
      made.style.background = `rgb(${COLOURS[i]})`;
      return made;
    };
    const kinds = /** @type {const} */ (["grown", "new", "gone"]);
    return [
      el("h3", {}, t("Change of {region}", { region: t(REGION_NAMES[/** @type {"TC"} */ (change.region)]) })),
      el("p.kinds", {}, ...kinds.map((kind, i) => el("span", { "data-kind": kind }, swatch(i), " ", t(PARTS[kind]), " ",
        number(change.volumes_ml[kind], 2), " mL  "))),
      el("div.row", {}, ...change.parts.map((/** @type {any} */ part) =>
        button(`${t(PARTS[/** @type {"new"} */ (part.change)])} ${number(part.volume_ml, 2)} mL`, () => {
          this.mark([]);
          this.viewers[1]?.jump(part.ras);
        }, { className: "evidence", "data-part": part.change }))),
      el("p.faint", {}, t("What lies within 2 mm of the other outline counts as unchanged.")),
    ];
  }

  /** Products of diameters with their places. @returns {Node[]} */
  products(/** @type {any} */ earlier, /** @type {any} */ later, /** @type {number[][] | null} */ matrix) {
    const [before, now] = [earlier, later].map((d) => d.measures.sum_of_products_mm2);
    const percent = before > 0 ? ` (${signed((100 * (now - before)) / before, 0)} %)` : "";
    const listed = (/** @type {any} */ date, /** @type {number} */ view) => {
      const place = view === 0 ? matrix : null;
      return el("div", {}, el("h3", {}, date.day ?? date.id), ...date.measures.lesions.map((/** @type {any} */ lesion) => {
        const lines = [lesion.longest_ras, lesion.perpendicular_ras].map((ends) =>
          ends.map((/** @type {number[]} */ end) => moved(end, place)));
        const words = `${number(lesion.longest_mm)} × ${number(lesion.perpendicular_mm)} mm = ${number(lesion.product_mm2, 0)} mm²`;
        return button(lesion.is_measurable ? words : `${words} (${t("not measurable")})`, () => {
          const middle = lines[0][0].map((/** @type {number} */ x, /** @type {number} */ i) => (x + lines[0][1][i]) / 2);
          this.viewers[view]?.jump(middle);
          this.mark(lines, view);
        }, { className: "evidence", "data-lesion": date.id });
      }));
    };
    return [
      el("h3", {}, t("Products of perpendicular diameters (RANO 2.0)")),
      el("p", { "data-part": "products" }, t("Sum of the measurable lesions: {before} → {now} mm²{percent}", {
        before: number(before, 0), now: number(now, 0), percent })),
      el("div.row.lesions", {}, listed(earlier, 0), listed(later, 1)),
      el("p.faint", {}, t("RANO 2.0 counts lesions of at least 10 × 10 mm on two slices; progression begins at +25 % of the sum (+40 % of the volume), response at −50 % (−65 %), both confirmed later and read together with the patient's state and steroids. This page judges neither.")),
    ];
  }

  /** Draw lines in one of the views, and none in the other. */
  mark(/** @type {number[][][]} */ lines, /** @type {number} */ view = 1) {
    this.marks?.forEach((mark, i) => mark.show(i === view && lines.length ? { lines } : null));
  }

  close() {
    for (const viewer of this.viewers) viewer.close();
    this.viewers = [];
    this.views?.replaceChildren();
  }
}
