/** A study that is kept for a while only: kept for good, or forgotten at once. */

import { send } from "../common/api.js";
import { ask } from "../common/dialogs.js";
import { button, el, field } from "../common/dom.js";
import { during } from "../common/status.js";
import { t } from "../common/texts.js";
import { keepAsCase } from "../pages/upload.js";

/** What can be done with a study that is kept for a while only. */
export function sessionTools(/** @type {string} */ id) {
  const keep = async () => {
    const name = el("input", { autocomplete: "off", required: true });
    const patient = el("input", { autocomplete: "off" });
    const sure = await ask(t("Keep it as a case"), [
      field(t("Name of the case"), name), field(t("Patient (a key, no name)"), patient),
    ]);
    if (!sure) return;
    const told = { image: name.value.trim(), patient: patient.value.trim(), study_date: "" };
    const kept = await during(t("Saving"), (signal) => keepAsCase(id, told, signal));
    if (kept) location.hash = kept;
  };
  const forget = async () => {
    const done = await during(t("Forgetting the study"), () => send("DELETE", `/session/${id}`));
    if (done) location.hash = "#/";
  };
  return el("div.row", {}, button(t("Keep it as a case"), keep, { "data-act": "keep" }),
    button(t("Forget it now"), forget, { "data-act": "forget" }));
}
