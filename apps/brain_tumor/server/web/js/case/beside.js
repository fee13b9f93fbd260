/** A second view of the case, linked to the first: another sequence at the same place. */

import { el } from "../common/dom.js";
import { t } from "../common/texts.js";
import { Viewer, placeText } from "./viewer.js";

export class Beside {
  /**
   * @param {Viewer} first
   * @param {HTMLElement} place Where both views are.
   * @param {(name: string) => Promise<ArrayBuffer>} fetchVolume
   */
  constructor(first, place, fetchVolume) {
    this.first = first;
    this.place = place;
    this.fetchVolume = fetchVolume;
    /** @type {Viewer | null} */
    this.viewer = null;
    /** @type {string | null} */
    this.sequence = null;
  }

  /** Show a sequence beside the first view; none takes the second view away. */
  async show(/** @type {string} */ sequence) {
    if (!sequence) {
      this.close();
      return;
    }
    const bytes = await this.fetchVolume(sequence);
    if (!this.viewer) {
      const canvas = el("canvas", { id: "beside", tabIndex: 0, "aria-label": t("The sequence beside it") });
      const place = el("output.place");
      this.box = el("div.second", {}, canvas, el("output.name"), place);
      this.place.append(this.box);
      this.place.classList.add("two");
      this.viewer = new Viewer(canvas);
      this.viewer.onplace = (mm) => (place.textContent = mm ? placeText(mm) : "");
      await this.viewer.start();
      this.first.linkWith(this.viewer);
      this.viewer.withRender(false);
      this.first.withRender(false);
    }
    await this.viewer.showVolume(bytes, sequence);
    this.sequence = sequence;
    this.box.querySelector("output").textContent = sequence.toUpperCase();
    this.viewer.setView(this.first.view);
    await this.copyLabels();
    this.first.tellLinked();
  }

  setView(/** @type {string} */ view) {
    this.viewer?.setView(view);
  }

  /** Labels as they are in the first view. */
  async copyLabels() {
    if (!this.viewer) return;
    this.viewer.copyLabels(this.first);
  }

  colourLabels() {
    this.viewer?.copyLook(this.first);
  }

  close() {
    if (!this.viewer) return;
    this.first.linkWith(null);
    this.first.withRender(true);
    this.viewer.close();
    this.box.remove();
    this.place.classList.remove("two");
    this.viewer = this.sequence = null;
  }
}
