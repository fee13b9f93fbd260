/** Upload: files, a folder, an archive or a DICOM study; sequences can be set before sending. */

import { annotator, send, upload } from "../common/api.js";
import { button, choice, el, field, fill } from "../common/dom.js";
import { droppedFiles } from "./dropped.js";
import { during, tell } from "../common/status.js";
import { t } from "../common/texts.js";

const SEQUENCES = ["t1", "t1c", "t2", "flair"];
const VOLUME = /\.(nii|nii\.gz|nrrd|mha|mhd)$/i;
const ARCHIVE = /\.(zip|tar|tgz|tar\.gz)$/i;

/** @param {HTMLElement} main */
export async function showUpload(main) {
  /** @type {File[]} */
  let files = [];
  /** @type {string[]} */
  let sequences = [];
  /** @type {string | null} Session that holds what is chosen now, sent before. */
  let sent = null;
  let keep = true;
  const list = el("div.files");
  const progress = el("progress", { max: 1, value: 0, hidden: true, "aria-label": t("Upload") });
  const name = el("input", { autocomplete: "off", pattern: "[A-Za-z0-9._\\-]{1,64}" });
  const patient = el("input", { autocomplete: "off" });
  const day = el("input", { type: "date" });
  const kept = el("div", {}, field(t("Name of the case"), name),
    field(t("Patient (a key, no name)"), patient), field(t("Day of the scan"), day));

  const show = (/** @type {string[]} */ leftOut) => {
    fill(list, ...(areVolumes(files)
      ? files.map((f, i) => field(f.name, choice(
          [["", t("leave out")], ...SEQUENCES.map((s) => [s, s.toUpperCase()])],
          sequences[i],
          (value) => {
            sequences[i] = value;
            sent = null;
          },
          { "aria-label": f.name })))
      : [el("p", {}, t("{count} files; the server recognises the sequences.", { count: files.length }))]),
      leftOut.length ? el("p.faint", {}, t("Left out, no images: {names}", { names: leftOut.join(", ") })) : "");
    sendButton.disabled = files.length === 0;
  };
  const take = (/** @type {File[]} */ found) => {
    const visible = found.filter((f) => !f.name.startsWith("."));
    const volumes = visible.filter((f) => VOLUME.test(f.name));
    files = volumes.length ? volumes : visible;
    sequences = files.map((f, i) => recognise(f.name) || (files.length === 1 && i === 0 ? "t1c" : ""));
    sent = null;
    if (!name.value && files.length) name.value = caseName(files);
    show(visible.filter((f) => !files.includes(f)).map((f) => f.name));
  };
  const pick = el("input", { type: "file", multiple: true, id: "pick-files" });
  pick.addEventListener("change", () => take([...pick.files]));
  const folder = el("input", { type: "file", webkitdirectory: true, id: "pick-folder" });
  folder.addEventListener("change", () => take([...folder.files]));
  const zone = el("div.drop", { id: "drop" },
    el("p", {}, t("Drop volumes, a folder, a zip archive or a DICOM study here.")),
    el("div.row", {}, field(t("Files"), pick), field(t("A folder"), folder)));
  zone.addEventListener("dragover", (/** @type {DragEvent} */ e) => {
    e.preventDefault();
    zone.classList.add("over");
  });
  zone.addEventListener("dragleave", () => zone.classList.remove("over"));
  zone.addEventListener("drop", async (/** @type {DragEvent} */ e) => {
    e.preventDefault();
    zone.classList.remove("over");
    if (e.dataTransfer) take(await droppedFiles(e.dataTransfer));
  });

  const go = async () => {
    const body = packed(files, sequences);
    if (!body) {
      tell(t("Choose the sequence of at least one volume."));
      return;
    }
    const archive = files.length === 1 && ARCHIVE.test(files[0].name);
    const onprogress = (/** @type {number} */ share) => (progress.value = share);
    progress.hidden = false;
    const done = await during(t("Sending {count} volumes", { count: files.length }), async (signal) => {
      if (!sent) {
        const reply = await upload(`/session/?uncompress=${archive}`, body, { onprogress, signal });
        sent = reply.session_id; // a refused name needs no second upload
      }
      if (!keep) return `#/session/${sent}`;
      return keepAsCase(/** @type {string} */ (sent), {
        image: name.value.trim(), patient: patient.value.trim(), study_date: day.value,
      }, signal);
    });
    progress.hidden = true;
    if (done) location.hash = done;
  };
  const sendButton = button(t("Send to the server"), go, { className: "primary", disabled: true });
  const how = choice(
    [["case", t("Keep it as a case")], ["session", t("For a while only: it is forgotten after an hour")]],
    "case",
    (value) => {
      keep = value === "case";
      kept.hidden = !keep;
    },
    { "aria-label": t("Keep") },
  );
  fill(main, el("div.start", {},
    el("h1", {}, t("Upload")), zone, list, how, kept, el("div.actions", {}, sendButton), progress));
}

/**
 * Keep an uploaded session as a case.
 *
 * @param {string} session
 * @param {{image: string, patient: string, study_date: string}} told
 * @param {AbortSignal} signal
 * @returns {Promise<string>} Address of the case on this page.
 */
export async function keepAsCase(session, told, signal) {
  const json = { session_id: session, client_id: annotator(), ...told };
  const stored = await (await send("POST", "/cases/import", { json, signal })).json();
  return `#/case/${encodeURIComponent(stored.image)}`;
}

function areVolumes(/** @type {File[]} */ files) {
  return files.every((f) => VOLUME.test(f.name));
}

/** Form of what is sent; volumes get the name of their sequence. Nothing where none is chosen. */
function packed(/** @type {File[]} */ files, /** @type {string[]} */ sequences) {
  const body = new FormData();
  const volumes = areVolumes(files);
  if (volumes && files.length > 1 && !sequences.some(Boolean)) return null;
  files.forEach((file, i) => {
    if (!volumes) {
      const number = String(i).padStart(5, "0");
      body.append("files", file, files.length === 1 ? file.name : `${number}-${file.name}`);
    } else if (sequences[i]) {
      const ending = file.name.match(VOLUME)?.[0].toLowerCase() ?? "";
      body.append("files", file, `${sequences[i]}${ending}`);
    }
  });
  return [...body.keys()].length ? body : null;
}

/** Sequence that a file name tells, as the server reads it in the plain cases. */
export function recognise(/** @type {string} */ file) {
  const words = file.toLowerCase().replace(VOLUME, "").split(/[^a-z0-9]+/);
  const has = (/** @type {string[]} */ ...names) => names.some((n) => words.includes(n));
  if (has("flair")) return "flair";
  if (has("t1c", "t1ce", "t1gd", "t1contrast", "t1post")) return "t1c";
  if (has("t1", "t1w", "t1n") && has("c", "ce", "gd", "contrast", "post", "km")) return "t1c";
  if (has("t1", "t1w", "t1n")) return "t1";
  if (has("t2", "t2w")) return "t2";
  return "";
}

function caseName(/** @type {File[]} */ files) {
  const path = files[0].webkitRelativePath || files[0].name;
  const first = path.split("/")[0].replace(VOLUME, "").replace(ARCHIVE, "");
  return first.replace(/[^A-Za-z0-9._-]+/g, "-").replace(/^[.-]+/, "").slice(0, 64);
}
