/** Versions of the submitted label: compared with what is drawn, and brought back. */

import { annotator, getBytes, getJson, send } from "../common/api.js";
import { ask } from "../common/dialogs.js";
import { button, el } from "../common/dom.js";
import { during, tell } from "../common/status.js";
import { t } from "../common/texts.js";

const TAG = "final";

/** Show the versions of the open case. */
export async function showHistory(/** @type {import("./workspace.js").Workspace} */ work) {
  const found = await during(t("Asking for the history"), () =>
    getJson("/datastore/label/history", { label: work.id, tag: TAG }));
  if (!found) return;
  const versions = [...found.versions].reverse();
  if (!versions.length) {
    tell(t("Nothing was submitted for this case yet."));
    return;
  }
  const heads = ["Version", "When", "By", ""];
  const close = () => table.closest("dialog").close("");
  const table = el("table.versions", {},
    el("thead", {}, el("tr", {}, ...heads.map((h) => el("th", { scope: "col" }, h && t(h))))),
    el("tbody", {}, ...versions.map((/** @type {any} */ v) => el("tr", { "data-version": v.version },
      el("td.numbers", {}, v.version, v.current ? ` (${t("now")})` : ""),
      el("td", {}, new Date(v.saved_at).toLocaleString()),
      el("td", {}, v.saved_by ?? "–"),
      el("td.row", {}, ...(v.event === "removed" ? [] : [
        button(t("Outline differences"), () => { close(); outline(work, v.version); }),
        ...(v.current ? [] : [button(t("Bring back"), () => { close(); bringBack(work, v.version); })]),
      ]))))));
  await ask(t("History of the open case"), [table], t("Close"), { cancel: false });
}

/** Outline what differs between a version and what is drawn. */
async function outline(/** @type {import("./workspace.js").Workspace} */ work, /** @type {number} */ version) {
  await during(t("Fetching a version"), async () => {
    const query = { image: work.id, tag: TAG, version: String(version) };
    const then = await work.viewer.decode(await getBytes("/cases/label", query));
    await work.correct.outlineAgainst(then);
    work.state.outlined = String(version);
  });
}

/** Make a version the newest one again. */
async function bringBack(/** @type {import("./workspace.js").Workspace} */ work, /** @type {number} */ version) {
  const question = t("Make version {version} of '{case}' the newest one again? Nothing is overwritten.",
    { version, case: work.id });
  if (!(await ask(t("Bring back"), [question]))) return;
  const query = {
    label: work.id, tag: TAG, version: String(version),
    ...(annotator() ? { client_id: annotator() } : {}),
  };
  const done = await during(t("Bringing a version back"), () =>
    send("POST", "/datastore/label/restore", { query }));
  if (!done) return;
  await work.showSubmitted();
  work.tellAll();
  work.state.submitted = String(work.version);
  tell(t("Version {version} is the newest again.", { version }));
}
