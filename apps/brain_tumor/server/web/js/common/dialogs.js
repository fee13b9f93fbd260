/** Questions that wait for an answer. */

import { button, el } from "./dom.js";
import { t } from "./texts.js";

/**
 * Ask before something is done.
 *
 * @param {string} title
 * @param {(Node | string)[]} content
 * @param {string} [yes] Text of the button that goes on.
 * @param {{cancel?: boolean}} [look] Whether there is something to cancel.
 * @returns {Promise<boolean>}
 */
export function ask(title, content, yes = t("Go on"), { cancel = true } = {}) {
  return new Promise((resolve) => {
    const dialog = el("dialog", { "aria-label": title },
      el("h2", {}, title),
      ...content.map((c) => (typeof c === "string" ? el("p", {}, c) : c)),
      el("div.actions", {},
        button(yes, () => dialog.close("yes"), { className: "primary" }),
        cancel ? button(t("Cancel"), () => dialog.close("")) : "",
      ),
    );
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}
