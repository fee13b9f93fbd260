/** The views: NiiVue with what this page needs of it. Places are RAS mm. */

import { DRAG_MODE, Niivue, SLICE_TYPE } from "../../vendor/niivue.js";
import { DOUBT, HEAT, LABELS, UNTRUSTED_HEAT } from "./labels.js";
import { Overlays, read } from "./overlays.js";

/** @typedef {[number, number, number]} Place */

export class Viewer extends Overlays {
  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    super();
    this.canvas = canvas;
    /** @type {(mm: Place, text: string) => void} */
    this.onplace = () => {};
    /** @type {() => void} */
    this.onedit = () => {};
    /** @type {((mm: Place) => void) | null} Takes clicks while points are placed. */
    this.onpoint = null;
    this.view = "planes";
    this.rendersToo = true;
    this.fillOpacity = 0.25;
    this.outlined = true;
    this.shown = new Set(LABELS.map((l) => l.value));
    this.nv = new Niivue({
      backColor: [0.06, 0.07, 0.085, 1],
      crosshairColor: [0.95, 0.75, 0.2, 0.8],
      crosshairGap: 6,
      crosshairWidthUnit: "mm",
      crosshairWidth: 0.6,
      fontColor: [0.85, 0.87, 0.9, 1],
      isRadiologicalConvention: true,
      show3Dcrosshair: true,
      dragMode: DRAG_MODE.windowing,
      dragAndDropEnabled: false,
      multiplanarPadPixels: 4,
      multiplanarShowRender: 1,
      multiplanarEqualSize: false,
      loadingText: "",
      viewModeHotKey: "",
      clipPlaneHotKey: "",
      cycleClipPlaneHotKey: "",
      logLevel: "error",
    });
  }

  /** Get the canvas going; throws where the browser has no WebGL 2. */
  async start() {
    await this.nv.attachToCanvas(this.canvas);
    this.setView(this.view);
    this.nv.addColormap("tl-heat", HEAT);
    this.nv.addColormap("tl-grey", UNTRUSTED_HEAT);
    this.nv.addColormap("tl-doubt", DOUBT);
    this.nv.onLocationChange = (/** @type {any} */ d) => {
      this.onplace(d.mm, d.string);
      this.tellLinked();
    };
    this.nv.onDrawingChanged = () => this.onedit();
    this.nv.onMouseUp = (/** @type {any} */ data) => {
      if (this.onpoint && !data.mouseButtonRightDown) this.onpoint(this.place());
    };
  }

  /** Show a volume; what is drawn over it stays if there is something. */
  async showVolume(/** @type {ArrayBuffer} */ bytes, /** @type {string} */ name) {
    const image = await read(bytes, name);
    const first = this.nv.volumes.length === 0;
    if (first) this.nv.addVolume(image);
    else {
      const at = [...this.nv.scene.crosshairPos];
      const old = this.nv.volumes[0];
      this.nv.volumes[0] = image;
      this.nv.back = image;
      this.nv.updateGLVolume();
      this.nv.mediaUrlMap?.delete(old);
      this.nv.scene.crosshairPos = at;
      this.nv.drawScene();
    }
    if (first) {
      this.nv.createEmptyDrawing();
      this.nv.setDrawingEnabled(false);
      this.colourLabels();
    }
    this.name = name;
  }

  /** Whether the 3-D view stands beside the planes; two views side by side do without. */
  withRender(/** @type {boolean} */ on) {
    this.rendersToo = on;
    this.setView(this.view);
  }

  /** Move another view with this one, and this one with it; null ends that. */
  linkWith(/** @type {Viewer | null} */ other) {
    const turn = { "2d": true, "3d": true }; // zoom, pan and the turn of the 3-D view
    this.linked = other;
    this.nv.broadcastTo(other ? [other.nv] : [], turn);
    if (!other) return;
    other.linked = this;
    other.nv.broadcastTo([this.nv], turn);
    this.telling = other.telling = { now: false };
  }

  /** The linked view goes where this one is; what it says of that is not sent back. */
  tellLinked() {
    if (!this.linked || this.telling.now) return;
    this.telling.now = true;
    try {
      const { nv } = this.linked;
      const mm = this.place();
      nv.scene.crosshairPos = nv.mm2frac(mm, 0, true);
      nv.drawScene();
      this.linked.onplace(mm, "");
    } finally {
      this.telling.now = false;
    }
  }

  /** Labels of another view on the same grid. */
  copyLabels(/** @type {Viewer} */ other) {
    this.bitmap.set(other.bitmap);
    this.nv.refreshDrawing(true);
    this.copyLook(other);
  }

  /** Colours of the labels as in another view. */
  copyLook(/** @type {Viewer} */ other) {
    const { fillOpacity, outlined, shown } = other;
    Object.assign(this, { fillOpacity, outlined, shown });
    this.colourLabels();
  }

  /** Volume of a voxel in mL. */
  get voxelMl() {
    const d = this.nv.volumes[0].pixDimsRAS;
    return (d[1] * d[2] * d[3]) / 1000;
  }

  /** The labelmap as it is now; voxels in RAS order. */
  get bitmap() {
    return /** @type {Uint8Array} */ (this.nv.drawBitmap);
  }

  /** Show a labelmap file in place of the one there; undo begins anew. */
  async setLabelmap(/** @type {ArrayBuffer} */ bytes) {
    if (!this.nv.loadDrawing(await read(bytes, "label"))) {
      throw new Error("The labelmap lies on another grid.");
    }
    this.colourLabels();
  }

  /** Replace the labelmap so that undo brings the old one back. */
  async changeLabelmap(/** @type {ArrayBuffer} */ bytes) {
    const file = await read(bytes, "label");
    const { drawUndoBitmaps, currentDrawUndoBitmap } = this.nv;
    const kept = [...drawUndoBitmaps];
    if (!this.nv.loadDrawing(file)) {
      throw new Error("The labelmap lies on another grid.");
    }
    this.nv.drawUndoBitmaps = kept;
    this.nv.currentDrawUndoBitmap = currentDrawUndoBitmap;
    this.nv.drawAddUndoBitmap();
    this.nv.refreshDrawing(true);
    this.onedit();
  }

  /** Voxels of a labelmap file in RAS order; what is shown stays. */
  async decode(/** @type {ArrayBuffer} */ bytes) {
    const file = await read(bytes, "label"); // first: what is drawn meanwhile stays
    const { drawBitmap, drawUndoBitmaps, currentDrawUndoBitmap } = this.nv;
    const kept = drawBitmap.slice();
    const undo = [...drawUndoBitmaps];
    if (!this.nv.loadDrawing(file)) {
      throw new Error("The labelmap lies on another grid.");
    }
    const found = this.bitmap.slice();
    this.bitmap.set(kept);
    this.nv.drawUndoBitmaps = undo;
    this.nv.currentDrawUndoBitmap = currentDrawUndoBitmap;
    this.nv.refreshDrawing(true);
    return found;
  }

  /** Set every voxel, so that undo brings the old ones back. */
  setBitmap(/** @type {Uint8Array} */ voxels) {
    this.bitmap.set(voxels);
    this.nv.drawAddUndoBitmap();
    this.nv.refreshDrawing(true);
    this.onedit();
  }

  /** The labelmap as NIfTI on the grid of the volume. */
  labelmapFile() {
    return this.fileOf(this.bitmap);
  }

  /** What differs from a proposal, as NIfTI: 1 added or changed, 2 taken away. */
  changesFile(/** @type {Uint8Array} */ proposal) {
    return this.fileOf(this.bitmap.map((v, i) => (v === proposal[i] ? 0 : v ? 1 : 2)));
  }

  /** Voxels in RAS order as NIfTI on the grid of the volume. */
  async fileOf(/** @type {Uint8Array} */ voxels) {
    const bytes = await this.nv.volumes[0].saveToDisk("", voxels);
    if (!(bytes instanceof Uint8Array)) throw new Error("The labelmap could not be written.");
    return new Blob([bytes]);
  }

  undo() {
    this.nv.drawUndo();
  }

  /** Colours, fill and outline of the labels. */
  colourLabels() {
    const rows = [{ value: 0, name: "", rgb: [0, 0, 0] }, ...LABELS];
    const column = (/** @type {number} */ c) => rows.map((l) => l.rgb[c]);
    this.nv.drawOpacity = Math.max(this.fillOpacity, 0.001);
    this.nv.drawRimOpacity = this.outlined ? 1 : -1;
    this.nv.setDrawColormap({
      R: column(0),
      G: column(1),
      B: column(2),
      A: rows.map((l) => (l.value && this.shown.has(l.value) ? 255 : 0)),
      I: rows.map((l) => l.value),
      labels: rows.map((l) => l.name),
    });
  }

  /** Go to a place. */
  jump(/** @type {number[]} */ mm) {
    this.nv.scene.crosshairPos = this.nv.mm2frac([mm[0], mm[1], mm[2]], 0, true);
    this.nv.drawScene();
    this.nv.createOnLocationChange();
  }

  /** Go to the middle of what is labelled, if anything is. */
  jumpToLabels() {
    const [, nx, ny] = this.nv.volumes[0].dimsRAS;
    const { bitmap } = this;
    const sum = [0, 0, 0];
    let count = 0;
    for (let i = 0; i < bitmap.length; i++) {
      if (!bitmap[i]) continue;
      sum[0] += i % nx;
      sum[1] += Math.floor(i / nx) % ny;
      sum[2] += Math.floor(i / (nx * ny));
      count++;
    }
    if (!count) return;
    const voxel = sum.map((s) => Math.round(s / count));
    this.nv.scene.crosshairPos = this.nv.vox2frac(voxel);
    this.nv.drawScene();
    this.nv.createOnLocationChange();
  }

  /** Set a ball of voxels around the crosshair. */
  dab(/** @type {number} */ value, /** @type {number} */ radius) {
    const [, nx, ny, nz] = this.nv.volumes[0].dimsRAS;
    const [x, y, z] = this.nv.frac2vox(this.nv.scene.crosshairPos);
    for (let k = Math.max(0, z - radius); k <= Math.min(nz - 1, z + radius); k++) {
      for (let j = Math.max(0, y - radius); j <= Math.min(ny - 1, y + radius); j++) {
        for (let i = Math.max(0, x - radius); i <= Math.min(nx - 1, x + radius); i++) {
          const far = (i - x) ** 2 + (j - y) ** 2 + (k - z) ** 2 > radius ** 2;
          if (!far) this.bitmap[i + nx * (j + ny * k)] = value;
        }
      }
    }
    this.nv.drawAddUndoBitmap();
    this.nv.refreshDrawing(true);
    this.onedit();
  }

  /** Where a place lies on each slice on screen, in CSS pixels, and how far off the slice. */
  spots(/** @type {number[]} */ mm) {
    const { nv } = this;
    const frac = nv.mm2frac([mm[0], mm[1], mm[2]], 0, true);
    const at = nv.frac2mm(frac, 0, false); // along the axes of the grid, as slices are drawn
    const crosshair = nv.frac2mm(nv.scene.crosshairPos, 0, false);
    const scale = this.canvas.clientWidth / this.canvas.width;
    const axes = [[0, 1, 2], [0, 2, 1], [1, 2, 0]]; // across, up, into: axial, coronal, sagittal
    return nv.screenSlices
      .filter((/** @type {any} */ s) => s.axCorSag <= 2)
      .map((/** @type {any} */ s) => {
        const [across, up, into] = axes[s.axCorSag];
        const [left, top, width, height] = s.leftTopWidthHeight;
        return {
          x: (left + ((at[across] - s.leftTopMM[0]) / s.fovMM[0]) * width) * scale,
          y: (top + (1 - (at[up] - s.leftTopMM[1]) / s.fovMM[1]) * height) * scale,
          pixelsPerMm: Math.abs(width / s.fovMM[0]) * scale,
          depthMm: Math.abs(at[into] - crosshair[into]),
        };
      });
  }

  /** Where the crosshair is. */
  place() {
    const mm = this.nv.frac2mm(this.nv.scene.crosshairPos, 0, true);
    return /** @type {Place} */ ([mm[0], mm[1], mm[2]]);
  }

  /** Move the crosshair by voxels. */
  step(/** @type {number} */ x, /** @type {number} */ y, /** @type {number} */ z) {
    this.nv.moveCrosshairInVox(x, y, z);
  }

  /** Paint with a label, 0 erases, null stops painting. */
  pen(
    /** @type {number | null} */ value,
    /** @type {{filled?: boolean, size?: number}} */ look = {},
  ) {
    this.nv.opts.penSize = look.size ?? this.nv.opts.penSize;
    this.nv.setDrawingEnabled(value !== null);
    if (value !== null) this.nv.setPenValue(value, look.filled ?? false);
  }

  /** @param {string} view `planes` (with 3-D), `slices`, `axial`, `coronal`, `sagittal` or `3d`. */
  setView(view) {
    const types = {
      planes: SLICE_TYPE.MULTIPLANAR,
      slices: SLICE_TYPE.MULTIPLANAR,
      axial: SLICE_TYPE.AXIAL,
      coronal: SLICE_TYPE.CORONAL,
      sagittal: SLICE_TYPE.SAGITTAL,
      "3d": SLICE_TYPE.RENDER,
    };
    this.view = view;
    this.nv.opts.multiplanarShowRender = view === "planes" && this.rendersToo ? 1 : 0;
    this.nv.setSliceType(types[/** @type {keyof typeof types} */ (view)]);
  }

  /** Give memory and graphics context back. */
  close() {
    this.nv.cleanup?.();
    this.nv.gl?.getExtension("WEBGL_lose_context")?.loseContext();
  }
}

/** A place as people read it. */
export function placeText(/** @type {ArrayLike<number>} */ mm) {
  return `${Array.from(mm).slice(0, 3).map((x) => x.toFixed(1)).join("  ")} mm`;
}
