/** Korean for what the server writes in English: known sentences, with their values filled in. */

const MAX_DEPTH = 4;
const MAX_LENGTH = 2000;
const FIELD = /\{(\w+)\}/g;

/**
 * @param {Record<string, string>} page Texts of the page.
 * @param {Record<string, string>} server Sentences of the server, `{name}` where a value stands.
 * @returns {(sentence: string) => string}
 */
export function translator(page, server) {
  const patterns = Object.entries(server)
    .filter(([english]) => english.includes("{"))
    .sort(([one], [other]) => literal(other) - literal(one)) // the most telling first
    .map(([english, korean]) => ({ pattern: patternOf(english), korean }));

  /** @param {string} text @param {number} depth @returns {string} */
  const tell = (text, depth) => {
    const body = text.replace(/[.!]+$/, "");
    const stop = text.slice(body.length);
    const known = page[text] ?? server[text] ?? server[body] ?? page[body];
    if (known !== undefined) return known;
    if (depth > MAX_DEPTH || !body || body.length > MAX_LENGTH) return text;
    for (const { pattern, korean } of patterns) {
      const found = pattern.exec(body);
      if (!found) continue;
      const values = found.groups ?? {};
      return korean.replace(FIELD, (_, name) => tell(values[name] ?? "", depth + 1)) + stop;
    }
    for (const joint of ["; ", ", ", ": "]) {
      const parts = body.split(joint);
      if (parts.length > 1 && parts.length < 30) {
        return parts.map((part) => tell(part, depth + 1)).join(joint) + stop;
      }
    }
    return text;
  };
  return (sentence) => tell(sentence, 0);
}

/** How much of a sentence is not a value. */
function literal(/** @type {string} */ english) {
  return english.replace(FIELD, "").length;
}

function patternOf(/** @type {string} */ english) {
  /** @type {Set<string>} */
  const seen = new Set();
  const source = english
    .split(/(\{\w+\})/)
    .map((part) => {
      const name = /^\{(\w+)\}$/.exec(part)?.[1];
      if (!name) return part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
      if (seen.has(name)) return `\\k<${name}>`;
      seen.add(name);
      return `(?<${name}>.+?)`;
    })
    .join("");
  return new RegExp(`^${source}$`, "s");
}
