/** One case on screen: its views, its panels, and what they share. */

import { ServerError, annotator, getBytes, getJson, infer, send } from "../common/api.js";
import { Beside } from "./beside.js";
import { CorrectPanel } from "./correct.js";
import { ask } from "../common/dialogs.js";
import { button, el, fill } from "../common/dom.js";
import { listenToKeys } from "./keys.js";
import { EvidenceMark } from "./mark.js";
import { QuestionPanel } from "./question.js";
import { SeePanel } from "./see.js";
import { sessionTools } from "./session.js";
import { Unsent } from "./unsent.js";
import { during, tell } from "../common/status.js";
import { currentLanguage, t, told } from "../common/texts.js";
import { Viewer, placeText } from "./viewer.js";

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
    this.unsent = new Unsent(this);
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
    await Promise.all([this.see.layers.learn(), this.question.learn()]);
    await this.showSequence(info.reference);
    await this.showSubmitted();
    this.tellAll();
    await this.unsent.offer();
    if (!this.closing.signal.aborted) this.state.open = this.id;
  }

  draw() {
    const canvas = el("canvas", { id: "views", tabIndex: 0, "aria-label": t("Slices and 3D view") });
    this.place = el("output.place");
    this.marks = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    this.marks.setAttribute("class", "marks");
    this.viewer = new Viewer(canvas);
    this.mark = new EvidenceMark(this.marks, this.viewer);
    this.views = el("div.views");
    this.beside = new Beside(this.viewer, this.views, (sequence) => this.volume(sequence));
    this.viewer.onplace = (mm, text) => {
      this.place.textContent = mm ? placeText(mm) : text;
      this.mark.draw();
    };
    this.viewer.onedit = () => this.onEdit();
    this.views.append(el("div.first", {}, canvas, this.marks, this.place));
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
      this.views,
      el("aside", {},
        el("div.head", {}, this.title, this.analyseButton),
        ...(this.kind === "session" ? [sessionTools(this.id)] : []),
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
    await this.viewer.showVolume(await this.volume(sequence), sequence);
    this.sequence = sequence;
  }

  volume(/** @type {string} */ sequence) {
    return getBytes("/cases/volume", { ...this.query, sequence });
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
    const holds = this.unsent.edited && !this.version;
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
    if (this.version || this.unsent.edited) {
      this.proposal = await this.viewer.decode(done.files.image);
      if (holds) this.viewer.setBitmap(this.proposal);
    } else {
      await this.viewer.setLabelmap(done.files.image);
      this.proposal = this.viewer.bitmap.slice();
    }
    if (holds) await this.unsent.forget();
    await this.showLayersAgain();
    this.goToTumor();
    this.tellAll();
    this.state.analysed = this.id;
  }

  /** Layers that are switched on show what came last. */
  async showLayersAgain() {
    const { layers } = this.see;
    for (const name of /** @type {const} */ (["heat", "doubt"])) {
      if (layers.visible[name]) await layers.show(name, true);
    }
    if (this.correct.outlines) await this.correct.showOutline(true);
    await this.beside.copyLabels();
  }

  /** Ask for another heat or wording of the same case; the outline stays. */
  async explain(/** @type {string} */ what, /** @type {Record<string, any>} */ more) {
    const params = {
      language: currentLanguage(), ...more, ...(annotator() ? { client_id: annotator() } : {}),
    };
    const done = await during(what, (signal) => infer("explanation", this.query, params, { signal }));
    if (!done) return;
    const { segmentation, ...told } = done.params;
    this.reply = { ...this.reply, ...told };
    if (done.files.heatmap) this.files.heatmap = done.files.heatmap;
    await this.showLayersAgain();
    this.tellAll();
    this.state.explained = `${this.reply.heatmap?.method} ${this.reply.heatmap?.target}`;
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
    const faith = this.reply?.heatmap?.faithfulness;
    if (faith && !faith.passed) {
      found.push(t("The heatmap failed its faithfulness test and is shown in grey: do not rely on it."));
    }
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

  /** Something was drawn or judged. */
  onEdit() {
    this.see.updateVolumes();
    this.correct.updateChanges();
    this.unsent.note();
  }

  /** What is done once the pen rests. */
  async settle() {
    if (this.closing.signal.aborted) return;
    if (this.correct.outlines) await this.correct.showOutline(true);
    await this.beside.copyLabels();
  }

  /** Leave the case; unsent work is kept in this browser. */
  async leave() {
    this.closing.abort();
    for (const key of ["open", "analysed", "submitted", "draft", "explained", "refined", "outlined"]) delete this.state[key];
    await this.unsent.keep();
    this.beside.close();
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
    await this.unsent.forget();
    this.openedAt = Date.now();
    tell(t("Submitted as version {version}.", { version: done.version }));
    this.state.submitted = String(done.version);
    this.tellAll();
  }
}
