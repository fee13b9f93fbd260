/** Unsent work of a case: kept in this browser while it is done, and offered again. */

import { ask } from "../common/dialogs.js";
import { tellError } from "../common/status.js";
import { t } from "../common/texts.js";
import { dropDraft, loadDraft, saveDraft } from "./drafts.js";

const AUTOSAVE_MS = 1500;

export class Unsent {
  /** @param {import("./workspace.js").Workspace} work */
  constructor(work) {
    this.work = work;
    this.edited = false;
  }

  get key() {
    return `${this.work.kind}/${this.work.id}`;
  }

  /** Something changed: keep it once the pen rests. */
  note() {
    this.edited = true;
    this.work.state.draft = "pending";
    clearTimeout(this.saving);
    this.saving = setTimeout(async () => {
      await this.keep();
      await this.work.settle();
    }, AUTOSAVE_MS);
  }

  async keep() {
    clearTimeout(this.saving);
    if (!this.edited) return;
    const { work } = this;
    try {
      await saveDraft(this.key, {
        bitmap: work.viewer.bitmap.slice(),
        proposal: work.proposal,
        when: Date.now(),
        notes: work.correct.notes(),
      });
      if (!work.closing.signal.aborted) work.state.draft = "kept";
      work.correct.tellDraft(t("Unsent changes, saved in this browser."));
    } catch (error) {
      work.correct.tellDraft(t("This browser does not keep unsent changes: submit before you leave."));
      tellError(error);
    }
  }

  async forget() {
    clearTimeout(this.saving);
    this.edited = false;
    this.work.state.draft = "";
    this.work.correct.tellDraft("");
    await dropDraft(this.key).catch(() => {});
  }

  /** Offer what was left unsent the last time. */
  async offer() {
    const { work } = this;
    const draft = await loadDraft(this.key).catch(() => undefined);
    if (!draft || draft.bitmap.length !== work.viewer.bitmap.length) return;
    const when = new Date(draft.when).toLocaleString();
    const taken = await ask(t("Unsent correction"), [
      t("An unsent correction of this case was saved on {when}. Bring it back?", { when }),
    ], t("Bring back"));
    if (!taken) return;
    work.proposal = draft.proposal;
    work.viewer.setBitmap(draft.bitmap);
    work.correct.setNotes(draft.notes);
    work.viewer.jumpToLabels();
    work.tellAll();
  }
}
