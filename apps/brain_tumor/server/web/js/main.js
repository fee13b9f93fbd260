/** Entry: the bar at the top, and which page is shown. */

import { address, annotator, rememberAnnotator, useTokenQuestion } from "./common/api.js";
import { showCases } from "./pages/cases.js";
import { button, choice, el, field, fill } from "./common/dom.js";
import { PatientPage } from "./patient/page.js";
import { showTeach } from "./pages/teach.js";
import { currentLanguage, loadTexts, rememberLanguage, t } from "./common/texts.js";
import { offerHelp, showHelp } from "./common/help.js";
import { tellError } from "./common/status.js";
import { showUpload } from "./pages/upload.js";
import { Workspace } from "./case/workspace.js";

const main = /** @type {HTMLElement} */ (document.getElementById("main"));
/** @type {Workspace | PatientPage | null} */
let open = null;

await loadTexts();
useTokenQuestion(askForToken);
offerHelp();
drawBar();
window.addEventListener("hashchange", route);
await route();

async function route() {
  const left = open;
  open = null;
  const place = el("div.page"); // a page that comes late fills what is no longer shown
  main.replaceChildren(place);
  if (left) left.leave();
  const [page, id] = location.hash.replace(/^#\/?/, "").split("/");
  delete document.body.dataset.ready;
  document.body.dataset.page = page || "cases";
  for (const link of document.querySelectorAll("#bar nav a")) {
    const own = link.getAttribute("href") === `#/${page || ""}`;
    if (own) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  try {
    if (page === "case" || page === "session") {
      open = new Workspace(place, page, decodeURIComponent(id));
      await open.start();
    } else if (page === "patient") {
      open = new PatientPage(place, decodeURIComponent(id));
      await open.start();
    } else if (page === "upload") await showUpload(place);
    else if (page === "teach") await showTeach(place);
    else await showCases(place);
  } catch (error) {
    console.error(error);
    tellError(error);
  }
  if (place.isConnected) document.body.dataset.ready = location.hash;
}

function drawBar() {
  const name = el("input", {
    value: annotator(),
    autocomplete: "off",
    placeholder: t("your name"),
    "aria-label": t("Your name:"),
    title: t("Stands beside your corrections, so that others know whom to ask."),
    onchange: () => rememberAnnotator(name.value),
  });
  const languages = choice([["en", "English"], ["ko", "한국어"]], currentLanguage(), (chosen) => {
    rememberLanguage(chosen);
    drawBar();
    route();
  }, { "aria-label": t("Language:") });
  fill(
    /** @type {HTMLElement} */ (document.getElementById("bar")),
    el("a.brand", { href: "#/" }, "TumorLens"),
    el("nav", { "aria-label": t("Pages") },
      el("a", { href: "#/" }, t("Cases")),
      el("a", { href: "#/upload" }, t("Upload")),
      el("a", { href: "#/teach" }, t("Teach")),
    ),
    el("span.space"),
    button(t("Keys"), () => showHelp(), { title: "?" }),
    name,
    languages,
  );
  fill(
    /** @type {HTMLElement} */ (document.getElementById("foot")),
    el("span", {}, t("Research use only; not a medical device. The model can be wrong: check every contour.")),
    el("a", { href: address("/stock") }, t("Start page of MONAI Label")),
  );
}

/** @returns {Promise<string | null>} */
function askForToken() {
  return new Promise((resolve) => {
    const token = el("input", { type: "password", autocomplete: "off", required: true });
    const dialog = el("dialog", {},
      el("form", { method: "dialog" },
        el("h2", {}, t("This server asks for its token")),
        el("p", {}, t("It was shown on the server's terminal. It is kept in this tab only.")),
        field(t("Token:"), token),
        el("div.actions", {}, el("button.primary", { value: "ok" }, t("Connect")),
          button(t("Cancel"), () => dialog.close(""))),
      ),
    );
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "ok" ? token.value.trim() : null);
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}
