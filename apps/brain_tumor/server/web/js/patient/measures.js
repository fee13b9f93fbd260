/** Numbers of a follow-up: what changed, and which change is none. */

/**
 * @typedef {object} Measures
 * @property {string} case
 * @property {string} outlined_by
 * @property {Record<string, number>} volumes_ml
 * @property {Record<string, number>} second_reading_ml
 * @property {any[]} lesions
 * @property {number} sum_of_products_mm2
 */

/** How far two readings of one scan differ, in mL; null where the second tells no such region. */
export function spreadMl(/** @type {Measures} */ date, /** @type {string} */ region) {
  const [one, other] = [date.volumes_ml[region], date.second_reading_ml[region]];
  return one === undefined || other === undefined ? null : Math.abs(one - other);
}

/**
 * Change of a region between two dates.
 *
 * @param {Measures} earlier
 * @param {Measures} later
 * @param {string} region
 */
export function changeOf(earlier, later, region) {
  const [before, now] = [earlier.volumes_ml[region], later.volumes_ml[region]];
  if (before === undefined || now === undefined) return null;
  const spreads = [spreadMl(earlier, region), spreadMl(later, region)];
  const known = spreads.every((s) => s !== null);
  const limit = known ? /** @type {number} */ (spreads[0]) + /** @type {number} */ (spreads[1]) : null;
  return {
    before, now, ml: now - before,
    percent: before > 0 ? (100 * (now - before)) / before : null,
    spreads,
    /** A change up to this may be none. */
    limitMl: limit,
    isSure: limit === null ? null : Math.abs(now - before) > limit,
  };
}

/** A place of the earlier date in the space of the later one. */
export function moved(/** @type {number[]} */ ras, /** @type {number[][] | null} */ matrix) {
  if (!matrix) return ras;
  return matrix.slice(0, 3).map((row) => row[0] * ras[0] + row[1] * ras[1] + row[2] * ras[2] + row[3]);
}
