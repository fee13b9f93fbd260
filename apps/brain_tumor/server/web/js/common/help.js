/** What each key does, for the dialog that `?` opens. */

import { ask } from "./dialogs.js";
import { el } from "./dom.js";
import { t } from "./texts.js";

const KEYS = [
  ["?", "This list"],
  ["A", "Analyse"],
  ["1 2 3", "Tabs: See, Question, Correct"],
  ["← → ↑ ↓ PgUp PgDn", "Move through the slices"],
  ["T  V", "Next sequence; next view"],
  ["G  H  U  D", "Show segments, heat, doubt, changed voxels"],
  ["J", "Go to the hottest point"],
  ["E", "Show the explanation with its heatmap"],
  [".  ,", "Next and previous measurement that a sentence names"],
  ["P  X", "Paint or erase at the crosshair"],
  ["L  Z", "Next label to paint with; undo"],
  ["Y  N  R", "Point at the crosshair: tumour, no tumour; refine"],
  ["S", "Submit the correction"],
];

/** Listen for `?` on every page. */
export function offerHelp() {
  document.addEventListener("keydown", (event) => {
    const inside = /** @type {HTMLElement} */ (event.target);
    if (event.key !== "?" || inside.closest("input, select, textarea, dialog")) return;
    event.preventDefault();
    showHelp();
  });
}

export function showHelp() {
  const rows = KEYS.map(([keys, what]) => el("tr", {},
    el("th", { scope: "row" }, ...keys.split(" ").filter(Boolean).map((k) => el("kbd", {}, k))),
    el("td", {}, t(what))));
  return ask(t("Keys"), [el("table.keys", {}, el("tbody", {}, ...rows))], t("Close"), { cancel: false });
}
