/** One case on screen: its views, its panels, and what they share. */

import { ServerError, annotator, getBytes, getJson, infer, send } from "./api.js";
import { CorrectPanel } from "./correct.js";
import { ask } from "./dialogs.js";
import { button, el, fill } from "./dom.js";
import { dropDraft, loadDraft, saveDraft } from "./drafts.js";
import { listenToKeys } from "./keys.js";
import { EvidenceMark } from "./mark.js";
import { QuestionPanel } from "./question.js";
import { SeePanel } from "./see.js";
import { during, tell, tellError } from "./status.js";
import { currentLanguage, t, told } from "./texts.js";
import { Viewer } from "./viewer.js";

const AUTOSAVE_MS = 1500;

export class Workspace {
  /**
   * @param {HTMLElement} main
   * @param {"case" | "session"} kind
   * @param {string} id
   */
  constructor(main, kind, id) {
    this.main = main;
    /** What tests and styles see of it. */
    this.state = /** @type {HTMLElement} */ (document.getElementById("main")).dataset;
    this.kind = kind;
    this.id = id;
    this.query = /** @type {Record<string, string>} */ (
      kind === "case" ? { image: id } : { session_id: id }
    );
    /** @type {any} Sequences and what was doubtful about them. */
    this.info = null;
    /** @type {any} The reply of the analysis. */
    this.reply = null;
    /** @type {Record<string, ArrayBuffer>} */
    this.files = {};
    /** @type {Uint8Array | null} */
    this.proposal = null;
    /** Version of the submitted label that is being corrected; 0 is none. */
    this.version = 0;
    this.edited = false;
    this.heatOpen = false;
    this.textOpen = false;
    this.openedAt = Date.now();
    this.models = /** @type {string[]} */ ([]);
    /** @type {AbortController} Ends what listens for this case. */
    this.closing = new AbortController();
  }

  async start() {
    await during(t("Opening {case}", { case: this.id }), () => this.open());
  }

  async open() {
    this.draw();
    await this.viewer.start();
    const [info, server] = await Promise.all([
      getJson("/cases/sequences", this.query),
      getJson("/info/"),
    ]);
    this.info = info;
    this.models = Object.keys(server.models);
    await this.showSequence(info.reference);
    await this.showSubmitted();
    this.tellAll();
    await this.offerDraft();
    if (!this.closing.signal.aborted) this.state.open = this.id;
  }

  draw() {
    const canvas = el("canvas", { id: "views", tabIndex: 0, "aria-label": t("Slices and 3D view") });
    this.place = el("output.place");
    this.marks = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    this.marks.setAttribute("class", "marks");
    this.viewer = new Viewer(canvas);
    this.mark = new EvidenceMark(this.marks, this.viewer);
    this.viewer.onplace = (mm, text) => {
      this.place.textContent = mm ? `${[...mm].slice(0, 3).map((x) => x.toFixed(1)).join("  ")} mm` : text;
      this.mark.draw();
    };
    this.viewer.onedit = () => this.onEdit();
    this.see = new SeePanel(this);
    this.question = new QuestionPanel(this);
    this.correct = new CorrectPanel(this);
    this.warnings = el("div.warnings", { role: "alert" });
    this.analyseButton = button(t("Analyse"), () => this.analyse(), {
      className: "primary",
      title: t("Segment the tumour, name its type and explain (A)."),
    });
    this.title = el("h1", {}, this.id);
    const panels = { See: this.see, Question: this.question, Correct: this.correct };
    this.tabs = Object.entries(panels).map(([name, panel]) =>
      button(t(name), () => this.show(name), {
        role: "tab", id: `tab-${name}`, "data-tab": name, "aria-controls": `panel-${name}`,
      }),
    );
    this.pages = Object.entries(panels).map(([name, panel]) =>
      el("section.panel", { role: "tabpanel", id: `panel-${name}`, "aria-labelledby": `tab-${name}` },
        panel.element),
    );
    fill(this.main, el("div.workspace", {},
      el("div.views", {}, canvas, this.marks, this.place),
      el("aside", {},
        el("div.head", {}, this.title, this.analyseButton),
        this.warnings,
        el("div.tabs", { role: "tablist" }, ...this.tabs),
        ...this.pages,
      ),
    ));
    this.show("See");
    listenToKeys(this, this.closing.signal);
  }

  /** Bring a tab to the front. */
  show(/** @type {string} */ name) {
    for (const tab of this.tabs) tab.setAttribute("aria-selected", String(tab.dataset.tab === name));
    for (const page of this.pages) page.hidden = page.id !== `panel-${name}`;
    if (name !== "Correct") this.correct?.putDownPen();
  }

  async showSequence(/** @type {string} */ sequence) {
    const bytes = await getBytes("/cases/volume", { ...this.query, sequence });
    await this.viewer.showVolume(bytes, sequence);
    this.sequence = sequence;
  }

  /** The submitted label of a case, if it has one. */
  async showSubmitted() {
    if (this.kind !== "case") return;
    const { versions } = await getJson("/datastore/label/history", { label: this.id, tag: "final" });
    const current = versions.find((/** @type {any} */ v) => v.current);
    if (!current) return;
    const bytes = await getBytes("/cases/label", { image: this.id, tag: "final" });
    await this.viewer.setLabelmap(bytes);
    this.version = current.version;
    this.submittedBy = current.saved_by;
  }

  /** Version that somebody else submitted since this case was opened, if any. */
  async submittedMeanwhile() {
    try {
      const query = { label: this.id, tag: "final" };
      const { versions } = await getJson("/datastore/label/history", query);
      const current = versions.find((/** @type {any} */ v) => v.current);
      return current && current.version > this.version ? current : null;
    } catch {
      return null; // the submission itself will tell
    }
  }

  async analyse() {
    const holds = this.edited && !this.version;
    if (holds && !(await ask(t("Analyse"), [
      t("A new analysis replaces your edits of the segments. Go on?"),
    ]))) return;
    const model = this.models.includes("analysis") ? "analysis" : "segmentation";
    const params = {
      uncertainty: true,
      ...(model === "analysis" ? { language: currentLanguage() } : {}),
      ...(annotator() ? { client_id: annotator() } : {}),
    };
    this.refusal = "";
    const done = await during(t("Analysing {case}", { case: this.id }), (signal) =>
      this.infer(model, params, signal),
    );
    if (!done) return;
    this.reply = done.params;
    this.files = done.files;
    if (this.version || this.edited) {
      this.proposal = await this.viewer.decode(done.files.image);
      if (holds) this.viewer.setBitmap(this.proposal);
    } else {
      await this.viewer.setLabelmap(done.files.image);
      this.proposal = this.viewer.bitmap.slice();
    }
    if (holds) await this.forgetDraft();
    if (done.files.heatmap && this.heatOpen) await this.see.showHeat(true);
    this.goToTumor();
    this.tellAll();
    this.state.analysed = this.id;
  }

  /** Run a model; where the explanation is refused, the outline alone is asked for. */
  async infer(/** @type {string} */ model, /** @type {any} */ params, /** @type {AbortSignal} */ signal) {
    try {
      return await infer(model, this.query, params, { signal });
    } catch (error) {
      const refused = error instanceof ServerError && error.status === 400;
      if (model === "segmentation" || !refused) throw error;
      this.refusal = error.message;
      const { language, ...rest } = params;
      return infer("segmentation", this.query, rest, { signal });
    }
  }

  /** Go to where the tumour is, so that an outline is on screen. */
  goToTumor() {
    const item = this.reply?.evidence?.find((/** @type {any} */ e) => e.ras);
    if (item) this.viewer.jump(item.ras);
    else this.viewer.jumpToLabels();
  }

  /** Every panel shows what there is now. */
  tellAll() {
    const found = [...(this.info?.warnings ?? []), ...(this.reply?.warnings ?? [])];
    const out = this.reply?.classification?.out_of_distribution?.is_out;
    if (out) found.unshift(t("This case is unlike those the model learned from; expect it to be wrong."));
    if (this.refusal) {
      const why = told(this.refusal);
      found.unshift(t("Only the segments are shown, without explanation: {why}", { why }));
    }
    if (this.info?.missing.length) {
      found.push(t("missing: {names}", { names: this.info.missing.join(", ") }));
    }
    fill(this.warnings, ...[...new Set(found)].map((w) => el("p", {}, told(w))));
    this.see.update();
    this.question.update();
    this.correct.update();
  }

  // Unsent work.

  onEdit() {
    this.edited = true;
    this.state.draft = "pending";
    this.see.updateVolumes();
    this.correct.updateChanges();
    clearTimeout(this.saving);
    this.saving = setTimeout(() => this.keepDraft(), AUTOSAVE_MS);
  }

  get draftKey() {
    return `${this.kind}/${this.id}`;
  }

  async keepDraft() {
    clearTimeout(this.saving);
    if (!this.edited) return;
    try {
      await saveDraft(this.draftKey, {
        bitmap: this.viewer.bitmap.slice(),
        proposal: this.proposal,
        when: Date.now(),
        notes: this.correct.notes(),
      });
      if (!this.closing.signal.aborted) this.state.draft = "kept";
      this.correct.tellDraft(t("Unsent changes, saved in this browser."));
    } catch (error) {
      this.correct.tellDraft(t("This browser does not keep unsent changes: submit before you leave."));
      tellError(error);
    }
  }

  async forgetDraft() {
    clearTimeout(this.saving);
    this.edited = false;
    this.state.draft = "";
    this.correct.tellDraft("");
    await dropDraft(this.draftKey).catch(() => {});
  }

  async offerDraft() {
    const draft = await loadDraft(this.draftKey).catch(() => undefined);
    if (!draft || draft.bitmap.length !== this.viewer.bitmap.length) return;
    const when = new Date(draft.when).toLocaleString();
    const taken = await ask(t("Unsent correction"), [
      t("An unsent correction of this case was saved on {when}. Bring it back?", { when }),
    ], t("Bring back"));
    if (!taken) return;
    this.proposal = draft.proposal;
    this.viewer.setBitmap(draft.bitmap);
    this.correct.setNotes(draft.notes);
    this.viewer.jumpToLabels();
    this.tellAll();
  }

  /** Leave the case; unsent work is kept in this browser. */
  async leave() {
    this.closing.abort();
    for (const key of ["open", "analysed", "submitted", "draft"]) delete this.state[key];
    if (this.edited) await this.keepDraft();
    this.viewer.close();
  }

  /**
   * Submit what there is; everything that belongs to it goes with it.
   *
   * @param {[string, any][]} notes Routes and bodies of the judgements.
   * @param {boolean} force Also over a version that came in between; both are kept.
   */
  async submit(notes, force) {
    const params = {
      client_id: annotator(),
      seconds_spent: Math.round((Date.now() - this.openedAt) / 1000),
      heat_open: this.heatOpen,
      text_open: this.textOpen,
      base_version: this.version,
      force,
      numbering: "tumorlens", // a lone value 4 would mean something else to BraTS
    };
    const label = await this.viewer.labelmapFile();
    const done = await during(t("Submitting {case}", { case: this.id }), async () => {
      const reply = await send("PUT", "/datastore/label", {
        query: { image: this.id, tag: "final" },
        form: {
          label: new File([label], `${this.id}.nii.gz`),
          params: JSON.stringify(params),
        },
      });
      const stored = await reply.json();
      this.version = stored.version;
      for (const [path, body] of notes) {
        await send("POST", path, { json: { image: this.id, client_id: annotator(), ...body } });
      }
      return stored;
    });
    if (!done) return;
    await this.forgetDraft();
    this.openedAt = Date.now();
    tell(t("Submitted as version {version}.", { version: done.version }));
    this.state.submitted = String(done.version);
    this.tellAll();
  }
}
