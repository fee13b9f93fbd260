/** The line at the bottom that says what happens, and how a failure is told. */

import { ServerError } from "./api.js";
import { button, el, fill } from "./dom.js";
import { t, told } from "./texts.js";

const line = /** @type {HTMLElement} */ (document.getElementById("status"));

/** @param {string} sentence */
export function tell(sentence) {
  line.className = "";
  fill(line, el("span", {}, sentence));
}

/** @param {unknown} error */
export function tellError(error) {
  line.className = "problem";
  const message = error instanceof Error ? error.message : String(error);
  const remedy = error instanceof ServerError ? sentence(told(error.remedy)) : "";
  fill(
    line,
    el("span", {}, `${sentence(told(message))} ${remedy}`.trim()),
    button("×", () => tell(""), { "aria-label": t("Close") }),
  );
}

/**
 * Do something long: says what and for how long, offers to cancel, tells failures.
 *
 * @template T
 * @param {string} what
 * @param {(signal: AbortSignal) => Promise<T>} work
 * @returns {Promise<T | undefined>} Nothing where it failed or was cancelled.
 */
export async function during(what, work) {
  const stop = new AbortController();
  const begun = Date.now();
  const text = el("span");
  const show = () => {
    const seconds = Math.round((Date.now() - begun) / 1000);
    text.textContent = t("{what} … {seconds} s", { what, seconds });
  };
  show();
  line.className = "busy";
  fill(line, el("span.spinner"), text, button(t("Cancel"), () => stop.abort()));
  const ticking = setInterval(show, 1000);
  try {
    const result = await work(stop.signal);
    tell("");
    return result;
  } catch (error) {
    if (stop.signal.aborted) tell(t("Cancelled: {what}.", { what }));
    else {
      console.error(error);
      tellError(error);
    }
    return undefined;
  } finally {
    clearInterval(ticking);
  }
}

/** A message as a sentence: begun with a capital, ended with a stop. */
function sentence(/** @type {string} */ text) {
  const isName = /^\S*[._\d]/.test(text); // a file or a sequence keeps its spelling
  const begun = isName ? text : text.charAt(0).toUpperCase() + text.slice(1);
  return !begun || /[.!?]$/.test(begun) ? begun : `${begun}.`;
}
