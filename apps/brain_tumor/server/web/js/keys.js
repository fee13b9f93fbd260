/** Keyboard: every task of a case without a mouse. */

import { LABELS } from "./labels.js";

/** Keys and what they do, for the help. */
export const KEYS = [
  ["A", "Analyse"],
  ["1 2 3", "See, Question, Correct"],
  ["← → ↑ ↓ PgUp PgDn", "Move through the slices"],
  ["G", "Show the segments"],
  ["H", "Show where the model looked"],
  ["U", "Show where the model doubts its outline"],
  ["E", "Show the explanation with its heatmap"],
  ["P", "Paint at the crosshair"],
  ["X", "Erase at the crosshair"],
  ["L", "Next label to paint with"],
  ["Z", "Undo"],
  ["S", "Submit the correction"],
];

/**
 * @param {import("./workspace.js").Workspace} work
 * @param {AbortSignal} signal Ends it.
 */
export function listenToKeys(work, signal) {
  const { viewer } = work;
  /** @type {Record<string, () => any>} */
  const actions = {
    a: () => work.analyse(),
    1: () => work.show("See"),
    2: () => work.show("Question"),
    3: () => work.show("Correct"),
    arrowleft: () => viewer.step(1, 0, 0), // as seen: the patient's right is on the left
    arrowright: () => viewer.step(-1, 0, 0),
    arrowup: () => viewer.step(0, 1, 0),
    arrowdown: () => viewer.step(0, -1, 0),
    pageup: () => viewer.step(0, 0, 1),
    pagedown: () => viewer.step(0, 0, -1),
    g: () => work.see.toggle("segments"),
    h: () => work.see.toggle("heat"),
    u: () => work.see.toggle("doubt"),
    e: () => work.question.toggle(),
    p: () => work.correct.dab(false),
    x: () => work.correct.dab(true),
    l: () => work.correct.nextLabel(LABELS.length),
    z: () => viewer.undo(),
    s: () => work.correct.onSubmit(),
  };
  document.addEventListener("keydown", (event) => {
    const inside = /** @type {HTMLElement} */ (event.target);
    const typing = inside.closest("input, select, textarea, dialog");
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
    const key = event.key.toLowerCase();
    const onTab = inside.getAttribute("role") === "tab" && key.startsWith("arrow");
    const act = actions[key];
    if (!act || onTab) return;
    event.preventDefault();
    act();
  }, { signal });
}
