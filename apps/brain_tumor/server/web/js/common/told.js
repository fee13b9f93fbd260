/**
 * Korean for what the server writes in English: known sentences, with their values filled in.
 * Follows the rules of the Slicer extension (TumorLensLib/told.py); a test holds the two together.
 */

const MAX_DEPTH = 4;
const MAX_LENGTH = 2000;
const FIELD = /\{(\w+)\}/g;
/** Fields that hold words or sentences, which are translated in turn. */
const TOLD = new Set(["name", "names", "what", "why", "reason", "reasons", "numbers", "type", "metric"]);
/** Fields that hold one word without comma, mostly a number. */
const NUMBERS = new Set(["current", "candidate", "mean", "low", "high", "p", "n"]);

/**
 * @param {Record<string, string>} page Texts of the page.
 * @param {Record<string, string>} server Sentences of the server, `{name}` where a value stands.
 * @returns {(sentence: string) => string}
 */
export function translator(page, server) {
  const patterns = Object.entries(server)
    .map(([english, korean]) => ({ pattern: patternOf(english), korean, own: english.replace(FIELD, "").length }))
    .sort((one, other) => other.own - one.own); // the most telling first

  /** @param {string} text @param {number} depth @returns {string} */
  const tell = (text, depth) => {
    const body = text.replace(/[.!]+$/, "");
    const stop = text.slice(body.length);
    const known = page[text] ?? server[body] ?? page[body];
    if (known !== undefined) return known + (page[text] === undefined && /[.!]$/.test(text) ? stop : "");
    if (depth > MAX_DEPTH || !body || body.length > MAX_LENGTH) return text;
    for (const { pattern, korean } of patterns) {
      const found = pattern.exec(body);
      if (!found) continue;
      const values = found.groups ?? {};
      return korean.replace(FIELD, (_, name) =>
        TOLD.has(name) ? tell(values[name] ?? "", depth + 1) : (values[name] ?? "")) + stop;
    }
    return (headed(body, depth, /^([^\s:]+): (.+)$/s) || listed(body, depth)
      || headed(body, depth, /^(.+?): (.+)$/s) || body) + stop;
  };

  /** A side with its region, or a sentence after a head and a colon; empty if it is neither. */
  const headed = (/** @type {string} */ body, /** @type {number} */ depth, /** @type {RegExp} */ heads) => {
    const place = /^(left|right|midline) (.+)$/.exec(body);
    if (place) return `${server[place[1]] ?? place[1]} ${tell(place[2], depth + 1)}`;
    const found = heads.exec(body);
    const told = found ? tell(found[2], depth + 1) : "";
    return found && told && told !== found[2] ? `${found[1]}: ${told}` : "";
  };

  /** Sentences in a row, or names in a row that are all known; empty if it is neither. */
  const listed = (/** @type {string} */ body, /** @type {number} */ depth) => {
    for (const [separator, joined] of [["; ", "; "], [" and ", ", "], [", ", ", "]]) {
      const parts = body.split(separator);
      if (parts.length < 2) continue;
      const told = parts.map((part) => tell(part, depth + 1));
      const changed = told.map((one, i) => one !== parts[i]);
      if (changed.every(Boolean) || (separator === "; " && changed.some(Boolean))) return told.join(joined);
    }
    return "";
  };
  return (sentence) => tell(sentence, 0);
}

/** The first letter may be a capital or not: sentences of errors begin with a capital. */
function patternOf(/** @type {string} */ english) {
  /** @type {Set<string>} */
  const seen = new Set();
  const source = english
    .split(/(\{\w+\})/)
    .map((part, i) => {
      const name = /^\{(\w+)\}$/.exec(part)?.[1];
      if (name) {
        if (seen.has(name)) return `\\k<${name}>`;
        seen.add(name);
        return `(?<${name}>${NUMBERS.has(name) ? "[^\\s,;]+" : ".+?"})`;
      }
      const plain = part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
      return i === 0 && /^[a-z]/i.test(part) ? `[${part[0].toLowerCase()}${part[0].toUpperCase()}]${plain.slice(1)}` : plain;
    })
    .join("");
  return new RegExp(`^${source}$`, "s");
}
