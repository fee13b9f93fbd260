/** Elements made in code: what comes from outside is always text, never markup. */

/**
 * Make an element.
 *
 * @param {string} name Tag, with an optional class after a dot: `div.row`.
 * @param {Record<string, any>} [given] Properties; `on*` are listeners, `data-*` and `aria-*`
 *   attributes, `false` and `null` are left out.
 * @param {...(Node | string | number | null | false)} children Text or elements.
 * @returns {any}
 */
export function el(name, given = {}, ...children) {
  const [tag, ...classes] = name.split(".");
  const made = document.createElement(tag);
  if (classes.length) made.className = classes.join(" ");
  for (const [key, value] of Object.entries(given)) {
    if (value === false || value === null || value === undefined) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (key.includes("-") || key === "role" || key === "for") made.setAttribute(key, value);
    else made[key] = value;
  }
  made.append(...children.filter((c) => c !== null && c !== false).map(nodeOf));
  return made;
}

/** @param {Node | string | number} child */
function nodeOf(child) {
  return child instanceof Node ? child : String(child);
}

/**
 * Replace what is in an element.
 *
 * @param {Element} parent
 * @param {...(Node | string | null | false)} children
 */
export function fill(parent, ...children) {
  parent.replaceChildren(...children.filter((c) => c !== null && c !== false));
}

/**
 * A button.
 *
 * @param {string} text
 * @param {() => any} onclick
 * @param {Record<string, any>} [given]
 */
export function button(text, onclick, given = {}) {
  return el("button", { type: "button", onclick, ...given }, text);
}

/**
 * A labelled control on one line.
 *
 * @param {string} text
 * @param {HTMLElement} control
 */
export function field(text, control) {
  return el("label.field", {}, el("span", {}, text), control);
}

/**
 * A choice.
 *
 * @param {[string, string][]} options Value and text.
 * @param {string} value
 * @param {(value: string) => any} onchange
 * @param {Record<string, any>} [given]
 */
export function choice(options, value, onchange, given = {}) {
  const made = el("select", given, ...options.map(([v, text]) => el("option", { value: v }, text)));
  made.value = value;
  made.addEventListener("change", () => onchange(made.value));
  return made;
}
