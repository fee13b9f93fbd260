/** Tab Correct: paint, erase, fill, points, comparison, verdicts and submission. */

import { annotator } from "../common/api.js";
import { ask } from "../common/dialogs.js";
import { button, choice, el, field, fill } from "../common/dom.js";
import { LABELS, REGIONS, REGION_NAMES, changedVoxels, dice, labelsOf, volumesMl } from "./labels.js";
import { tell } from "../common/status.js";
import { showHistory } from "./history.js";
import { number, signed, t } from "../common/texts.js";
import { Points } from "./points.js";

const CHANGE_COLOURS = [[255, 255, 255], [255, 80, 255]]; // added, taken away
const TYPES = ["glioma", "meningioma", "pituitary", "other", "none"];
const VERDICTS = ["right", "wrong", "unclear"];

export class CorrectPanel {
  /** @param {import("./workspace.js").Workspace} work */
  constructor(work) {
    this.work = work;
    this.element = el("div");
    /** @type {number | null} Label being painted, 0 erases. */
    this.pen = null;
    this.label = 3;
    this.filled = false;
    this.size = 3;
    this.type = "";
    this.reason = "";
    /** @type {Record<string, string>} */
    this.verdicts = {};
    this.points = new Points(work);
    this.draft = el("p.faint", { role: "status" });
    this.changes = el("div");
    this.outlines = false;
  }

  get viewer() {
    return this.work.viewer;
  }

  get scheme() {
    const told = this.work.reply?.segmentation?.scheme;
    return told ?? (this.viewer.bitmap?.includes(4) ? "core" : "subregions");
  }

  update() {
    if (!this.work.info) return;
    const labels = labelsOf(this.scheme);
    if (!labels.some((l) => l.value === this.label)) this.label = labels[labels.length - 1].value;
    fill(
      this.element,
      el("h2", {}, t("Paint")),
      this.tools(labels),
      el("h2", {}, t("Refine by points")),
      this.points.tools(labels),
      el("h2", {}, t("Changes")),
      this.changes,
      el("h2", {}, t("Type and sentences")),
      ...this.judgements(),
      el("div.actions", {},
        this.work.kind === "case"
          ? button(t("Submit the correction"), () => this.onSubmit(), {
              className: "primary", title: t("Shows a summary first (S)."), "data-act": "submit",
            })
          : el("p.faint", {}, t("This study is kept for a while only; keep it as a case to submit."))),
      this.draft,
    );
    this.updateChanges();
  }

  tools(/** @type {typeof LABELS} */ labels) {
    const brush = (/** @type {number} */ value, /** @type {string} */ text) =>
      button(text, () => this.takePen(value), {
        "aria-pressed": String(this.pen === value), "data-pen": String(value),
      });
    const size = el("input", {
      type: "range", min: 1, max: 25, step: 2, value: this.size, "aria-label": t("Size"),
    });
    size.addEventListener("input", () => {
      this.size = Number(size.value);
      this.applyPen();
    });
    const fillBox = el("input", { type: "checkbox", checked: this.filled });
    fillBox.addEventListener("change", () => {
      this.filled = fillBox.checked;
      this.applyPen();
    });
    return el("div", {},
      el("div.row", {}, ...labels.map((l) => {
        const made = brush(l.value, t(l.name));
        made.style.borderBottomColor = `rgb(${l.rgb})`;
        return made;
      }), brush(0, t("Erase"))),
      field(t("Size"), size),
      el("label.check", {}, fillBox, t("Fill what is drawn around")),
      el("div.row", {},
        button(t("Undo"), () => this.viewer.undo(), { title: "Z" }),
        button(t("Back to the proposal"), () => this.onProposal(), {
          disabled: !this.work.proposal,
        }),
        this.work.kind === "case"
          ? button(t("Show history"), () => showHistory(this.work), { "data-act": "history" }) : ""),
    );
  }

  takePen(/** @type {number} */ value) {
    this.points.stop();
    this.pen = this.pen === value ? null : value;
    if (this.pen) this.label = this.pen;
    this.applyPen();
    for (const one of this.element.querySelectorAll("[data-pen]")) {
      one.setAttribute("aria-pressed", String(one.dataset.pen === String(this.pen)));
    }
  }

  applyPen() {
    this.viewer.pen(this.pen, { filled: this.filled && this.pen !== 0, size: this.size });
  }

  putDownPen() {
    if (this.pen !== null) this.takePen(this.pen);
    this.points.stop();
  }

  /** Paint or erase at the crosshair: for the keyboard. */
  dab(/** @type {boolean} */ erases) {
    this.viewer.dab(erases ? 0 : this.label, Math.floor(this.size / 2));
  }

  nextLabel() {
    const values = labelsOf(this.scheme).map((l) => l.value);
    this.label = values[(values.indexOf(this.label) + 1) % values.length];
    const name = LABELS.find((l) => l.value === this.label)?.name ?? "";
    tell(`${t("Paint")}: ${t(name)}`);
  }

  async onProposal() {
    const sure = await ask(t("Back to the proposal"), [
      t("Replace the segments by the proposal? Undo brings your edits back."),
    ]);
    if (sure && this.work.proposal) this.viewer.setBitmap(this.work.proposal);
  }

  // What changed.

  updateChanges() {
    const { proposal } = this.work;
    if (!proposal) {
      fill(this.changes, el("p.faint", {}, t("Analyse the case to see it.")));
      return;
    }
    const box = el("input", { type: "checkbox", checked: this.outlines, "data-show": "changes" });
    box.addEventListener("change", () => this.showOutline(box.checked));
    fill(this.changes, this.comparison(), el("label.check", {
      title: t("Added in white, taken away in magenta."),
    }, box, t("Outline changed voxels (D)")));
  }

  /** Outline what differs from the proposal. */
  async showOutline(/** @type {boolean} */ on) {
    this.outlines = on;
    const { proposal } = this.work;
    await this.outlineAgainst(on ? proposal : null);
  }

  /** Outline what differs from a labelmap. */
  async outlineAgainst(/** @type {Uint8Array | null} */ other) {
    const file = other && (await this.viewer.changesFile(other));
    await this.viewer.setOutline(file && (await file.arrayBuffer()), CHANGE_COLOURS);
  }

  /** Proposal and labelmap side by side. */
  comparison() {
    const { proposal, viewer } = this.work;
    const now = viewer.bitmap;
    const voxels = changedVoxels(proposal, now);
    if (!voxels) return el("p.faint", {}, t("The segments are as proposed."));
    const before = volumesMl(proposal, viewer.voxelMl);
    const after = volumesMl(now, viewer.voxelMl);
    const regions = this.scheme === "core" ? ["TC"] : ["WT", "TC", "ET"];
    const heads = ["mL", "proposed", "now", "change", "Dice"];
    return el("div", {},
      el("p", {}, t("{voxels} voxels changed ({ml} mL).", {
        voxels, ml: number(voxels * viewer.voxelMl, 2),
      })),
      el("table", {},
        el("thead", {}, el("tr", {}, ...heads.map((h) => el("th", { scope: "col" }, t(h))))),
        el("tbody", {}, ...regions.map((/** @type {any} */ r) => el("tr", {},
          el("th", { scope: "row" }, t(REGION_NAMES[/** @type {"WT"} */ (r)])),
          el("td.numbers", {}, number(before[r])),
          el("td.numbers", {}, number(after[r])),
          el("td.numbers", {}, signed(after[r] - before[r])),
          el("td.numbers", {}, number(dice(proposal, now, REGIONS[/** @type {"WT"} */ (r)]), 3)),
        ))),
      ),
    );
  }

  /** Outline the changes or no longer: for the keyboard. */
  toggleOutline() {
    if (this.work.proposal) this.element.querySelector("[data-show=changes]")?.click();
  }

  // Judgements.

  /** @returns {Node[]} */
  judgements() {
    const options = [["", t("as predicted")], ...TYPES.map((name) => [name, t(name)])];
    const reason = el("input", {
      value: this.reason, placeholder: t("what shows it"), oninput: () => {
        this.reason = reason.value;
        this.work.onEdit();
      },
    });
    const sentences = this.work.textOpen ? (this.work.reply?.rationale?.sentences ?? []) : [];
    return [
      field(t("Right type:"), choice(/** @type {any} */ (options), this.type, (value) => {
        this.type = value;
        this.work.onEdit();
      }, { "data-choose": "type" })),
      field(t("Because:"), reason),
      sentences.length
        ? el("ol.verdicts", {}, ...sentences.map((/** @type {any} */ s) => el("li", {}, s.text,
            choice([["", "–"], ...VERDICTS.map((v) => [v, t(v)])], this.verdicts[s.id] ?? "", (v) => {
              this.verdicts[s.id] = v;
              this.work.onEdit();
            }, { "aria-label": `${t("Verdict")} ${s.id}` }))))
        : el("p.faint", {}, t("Open the explanation to judge its sentences.")),
    ];
  }

  notes() {
    return { type: this.type, reason: this.reason, verdicts: this.verdicts };
  }

  setNotes(/** @type {any} */ notes) {
    Object.assign(this, notes);
  }

  tellDraft(/** @type {string} */ sentence) {
    this.draft.textContent = sentence;
  }

  // Submission.

  async onSubmit() {
    const { work } = this;
    if (work.kind !== "case") return;
    if (!annotator()) {
      tell(t("Write your name at the top first: it stands beside the correction."));
      document.querySelector("#bar input")?.focus();
      return;
    }
    if (this.type && !this.reason.trim()) {
      tell(t("Say what shows the type (field Because)."));
      return;
    }
    const judged = Object.entries(this.verdicts).filter(([, v]) => v);
    const meanwhile = await work.submittedMeanwhile();
    const sure = await ask(t("Submit '{case}'?", { case: work.id }), [
      t("As {name}.", { name: annotator() }),
      work.version
        ? t("Started from version {version}.", { version: work.version })
        : t("Started from the proposal of the model."),
      ...(meanwhile ? [el("p.warn", {}, t(
        "{name} submitted version {version} meanwhile; yours becomes the newest, both are kept.",
        { name: meanwhile.saved_by ?? "?", version: meanwhile.version }))] : []),
      ...(work.proposal ? [this.comparison()] : []),
      ...(this.type ? [t("Type: {type}", { type: t(this.type) })] : []),
      ...(judged.length ? [t("{count} sentences are judged.", { count: judged.length })] : []),
    ], t("Submit the correction"));
    if (!sure) {
      tell(t("Not submitted; your changes are kept."));
      return;
    }
    /** @type {[string, any][]} */
    const notes = [];
    if (this.type) notes.push(["/corrections/type", { type: this.type, reason: this.reason }]);
    if (judged.length) {
      const all = work.reply.rationale.sentences;
      notes.push(["/corrections/sentences", {
        sentences: judged.map(([id, verdict]) => {
          const { text, evidence } = all.find((/** @type {any} */ s) => s.id === id);
          return { text, verdict, evidence };
        }),
      }]);
    }
    await work.submit(notes, Boolean(meanwhile));
  }
}
