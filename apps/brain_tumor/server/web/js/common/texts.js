/** Texts of the page: the English sentence is the key, `texts.json` holds the Korean ones. */

import { translator } from "./told.js";

/** @type {Record<string, string>} */
let korean = {};
/** @type {(sentence: string) => string} */
let inKorean = (sentence) => sentence;
let language = "en";

/** Read the catalogue; the language is the one chosen before, else the browser's. */
export async function loadTexts() {
  const { page, server } = await (await fetch(new URL("../../texts.json", import.meta.url))).json();
  korean = page;
  inKorean = translator(page, server);
  const chosen = localStorage.getItem("tumorlens.language");
  useLanguage(chosen ?? (navigator.language.startsWith("ko") ? "ko" : "en"));
}

/** @param {string} chosen `en` or `ko`. */
export function useLanguage(chosen) {
  language = chosen === "ko" ? "ko" : "en";
  document.documentElement.lang = language;
}

/** @param {string} chosen */
export function rememberLanguage(chosen) {
  localStorage.setItem("tumorlens.language", chosen);
  useLanguage(chosen);
}

/** Language of the page and of what the server is asked to write. */
export function currentLanguage() {
  return language;
}

/**
 * A sentence in the language of the page.
 *
 * @param {string} english With `{name}` where a value goes.
 * @param {Record<string, string | number>} [values]
 */
export function t(english, values = {}) {
  const text = language === "ko" ? (korean[english] ?? english) : english;
  return text.replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));
}

/**
 * A sentence or word that the server wrote, in the language of the page.
 *
 * @param {string} english
 */
export function told(english) {
  return language === "ko" ? inKorean(english) : english;
}

/**
 * A number as people read it.
 *
 * @param {number | null | undefined} value
 * @param {number} [digits] Digits after the point.
 */
export function number(value, digits = 1) {
  return value === null || value === undefined ? "–" : value.toFixed(digits);
}

/**
 * A probability in per cent; none is as sure as 100 %.
 *
 * @param {number} p From 0 to 1.
 */
export function share(p) {
  if (p > 0.99) return "> 99 %";
  return p < 0.01 ? "< 1 %" : `${Math.round(100 * p)} %`;
}

/** A difference with its sign. */
export function signed(/** @type {number} */ value, digits = 1) {
  return `${value > 0 ? "+" : ""}${number(value, digits)}`;
}
