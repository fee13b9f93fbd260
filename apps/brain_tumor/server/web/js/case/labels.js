/** Labels, regions and colours: the words and colours of the Slicer extension. */

/** @type {{value: number, name: string, rgb: [number, number, number]}[]} */
export const LABELS = [
  { value: 1, name: "necrotic core", rgb: [51, 115, 230] },
  { value: 2, name: "oedema", rgb: [77, 191, 89] },
  { value: 3, name: "enhancing tumour", rgb: [230, 64, 51] },
  { value: 4, name: "tumour core", rgb: [242, 166, 38] },
];

/** Values of each region, smallest first. */
export const REGIONS = { ET: [3], TC: [1, 3, 4], WT: [1, 2, 3, 4] };

/** Words for the regions. */
export const REGION_NAMES = { WT: "Whole tumour", TC: "Tumour core", ET: "Enhancing tumour" };

/** Labels that a scheme uses. */
export function labelsOf(/** @type {string} */ scheme) {
  return LABELS.filter((l) => (scheme === "core" ? l.value === 4 : l.value < 4));
}

/** Colours of heat, as in the extension: lightness rises steadily. */
export const HEAT = ramp([
  [0, 0, 4], [27, 12, 70], [74, 12, 107], [120, 28, 109], [165, 44, 96], [207, 68, 70],
  [237, 105, 37], [251, 155, 6], [247, 209, 61], [252, 255, 164],
]);
export const UNTRUSTED_HEAT = ramp([38, 72, 106, 140, 165, 191].map((v) => [v, v, v]));
export const DOUBT = ramp([
  [0, 15, 28], [0, 56, 77], [0, 102, 125], [5, 150, 166], [64, 204, 204], [179, 255, 242],
]);

/** Nothing is seen of what lies at the lower end. @param {number[][]} anchors RGB, evenly. */
function ramp(anchors) {
  const at = anchors.map((_, i) => Math.round((255 * i) / (anchors.length - 1)));
  const channel = (/** @type {number} */ c) => anchors.map((a) => a[c]);
  return { R: channel(0), G: channel(1), B: channel(2), A: anchors.map((_, i) => (i ? 255 : 0)), I: at };
}

/** Millilitres of each region and label. */
export function volumesMl(/** @type {Uint8Array} */ bitmap, /** @type {number} */ voxelMl) {
  const counts = new Float64Array(256);
  for (let i = 0; i < bitmap.length; i++) counts[bitmap[i]]++;
  /** @type {Record<string, number>} */
  const found = {};
  for (const { value, name } of LABELS) found[name] = counts[value] * voxelMl;
  for (const [region, values] of Object.entries(REGIONS)) {
    found[region] = values.reduce((sum, v) => sum + counts[v], 0) * voxelMl;
  }
  return found;
}

/** Dice of a region in two labelmaps; null where both are empty. */
export function dice(
  /** @type {Uint8Array} */ one,
  /** @type {Uint8Array} */ other,
  /** @type {number[]} */ values,
) {
  const is = new Uint8Array(256);
  for (const v of values) is[v] = 1;
  let [a, b, both] = [0, 0, 0];
  for (let i = 0; i < one.length; i++) {
    a += is[one[i]];
    b += is[other[i]];
    both += is[one[i]] & is[other[i]];
  }
  return a + b === 0 ? null : (2 * both) / (a + b);
}

/** How many voxels differ. */
export function changedVoxels(/** @type {Uint8Array} */ one, /** @type {Uint8Array} */ other) {
  let count = 0;
  for (let i = 0; i < one.length; i++) if (one[i] !== other[i]) count++;
  return count;
}
