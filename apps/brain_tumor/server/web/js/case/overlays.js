/** What lies over the volume of a view: maps of values, and outlines. */

import { NVImage } from "../../vendor/niivue.js";

const LABEL_INTENT = 1002; // NIFTI_INTENT_LABEL: NiiVue draws it as an outline

export class Overlays {
  constructor() {
    /** @type {any} The viewer. */
    this.nv = null;
    /** @type {Record<string, any>} */
    this.layers = {};
  }

  /** Show a map of values from 0 to 1 over the volume; null takes it away. */
  async setLayer(
    /** @type {"heat" | "doubt"} */ name,
    /** @type {ArrayBuffer | null} */ bytes,
    /** @type {{low: number, high: number, opacity: number, trusted?: boolean}} */ look,
  ) {
    if (this.layers[name]) {
      this.nv.removeVolume(this.layers[name]);
      delete this.layers[name];
    }
    if (!bytes) return;
    const image = await read(bytes, name);
    image.colormap = name === "doubt" ? "tl-doubt" : look.trusted ? "tl-heat" : "tl-grey";
    image.cal_min = look.low;
    image.cal_max = look.high;
    image.opacity = look.opacity;
    this.nv.addVolume(image);
    this.layers[name] = image;
  }

  /** Change range or opacity of a layer. */
  lookOfLayer(
    /** @type {string} */ name,
    /** @type {{low: number, high: number, opacity: number}} */ look,
  ) {
    const image = this.layers[name];
    if (!image) return;
    Object.assign(image, { cal_min: look.low, cal_max: look.high, opacity: look.opacity });
    this.nv.updateGLVolume();
  }

  /** Outline the labels of a file over everything else; null takes that away. */
  async setOutline(/** @type {ArrayBuffer | null} */ bytes, /** @type {number[][]} */ colours = []) {
    if (this.layers.outline) {
      this.nv.removeVolume(this.layers.outline);
      delete this.layers.outline;
    }
    if (!bytes) return;
    const image = await read(bytes, "outline");
    image.hdr.intent_code = LABEL_INTENT;
    const rows = [[0, 0, 0], ...colours];
    image.setColormapLabel({
      R: rows.map((c) => c[0]), G: rows.map((c) => c[1]), B: rows.map((c) => c[2]),
      A: rows.map((_, i) => (i ? 50 : 0)), I: rows.map((_, i) => i), labels: rows.map(String),
    });
    this.nv.opts.atlasOutline = 1;
    this.nv.addVolume(image);
    this.layers.outline = image;
  }
}

/** Read a NIfTI file. */
export async function read(/** @type {ArrayBuffer} */ bytes, /** @type {string} */ name) {
  const packed = new Uint8Array(bytes)[0] === 0x1f;
  const file = new File([bytes], packed ? `${name}.nii.gz` : `${name}.nii`);
  return NVImage.loadFromFile({ file, name: file.name });
}
