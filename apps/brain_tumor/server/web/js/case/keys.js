/** Keyboard: every task of a case without a mouse. */

import { LABELS } from "./labels.js";

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
    d: () => work.correct.toggleOutline(),
    y: () => work.correct.points.add("positive", viewer.place()),
    n: () => work.correct.points.add("negative", viewer.place()),
    r: () => work.correct.points.refine(),
    ".": () => work.question.step(1),
    ",": () => work.question.step(-1),
    t: () => work.see.nextSequence(),
    v: () => work.see.nextView(),
    j: () => work.see.layers.goToHottest(),
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
