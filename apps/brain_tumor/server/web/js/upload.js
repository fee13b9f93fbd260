/** Upload: files, a folder, an archive or a DICOM study; sequences can be set before sending. */

import { annotator, send, upload } from "./api.js";
import { button, choice, el, field, fill } from "./dom.js";
import { droppedFiles } from "./dropped.js";
import { during, tell } from "./status.js";
import { t } from "./texts.js";

const SEQUENCES = ["t1", "t1c", "t2", "flair"];
const VOLUME = /\.(nii|nii\.gz|nrrd|mha|mhd)$/i;
const ARCHIVE = /\.(zip|tar|tgz|tar\.gz)$/i;

/** @param {HTMLElement} main */
export async function showUpload(main) {
  /** @type {File[]} */
  let files = [];
  /** @type {string[]} */
  let sequences = [];
  let keep = true;
  const list = el("div.files");
  const progress = el("progress", { max: 1, value: 0, hidden: true, "aria-label": t("Upload") });
  const name = el("input", { autocomplete: "off", pattern: "[A-Za-z0-9._\\-]{1,64}" });
  const patient = el("input", { autocomplete: "off" });
  const kept = el("div", {}, field(t("Name of the case"), name), field(t("Patient (a key, no name)"), patient));

  const show = () => {
    const volumes = files.every((f) => VOLUME.test(f.name));
    fill(list, ...(volumes
      ? files.map((f, i) => field(f.name, choice(
          [["", t("leave out")], ...SEQUENCES.map((s) => [s, s.toUpperCase()])],
          sequences[i],
          (value) => (sequences[i] = value),
          { "aria-label": f.name })))
      : [el("p", {}, t("{count} files; the server recognises the sequences.", { count: files.length }))]));
    sendButton.disabled = files.length === 0;
  };
  const take = (/** @type {File[]} */ found) => {
    files = found.filter((f) => !f.name.startsWith("."));
    sequences = files.map((f, i) => recognise(f.name) || (files.length === 1 && i === 0 ? "t1c" : ""));
    if (!name.value && files.length) name.value = caseName(files);
    show();
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
    progress.hidden = false;
    const done = await during(t("Sending {count} volumes", { count: files.length }), async (signal) => {
      const onprogress = (/** @type {number} */ share) => (progress.value = share);
      const reply = await upload(`/session/?uncompress=${archive}`, body, { onprogress, signal });
      if (!keep) return { hash: `#/session/${reply.session_id}` };
      const json = {
        session_id: reply.session_id, image: name.value.trim(), patient: patient.value.trim(),
        client_id: annotator(),
      };
      const stored = await (await send("POST", "/cases/import", { json, signal })).json();
      return { hash: `#/case/${encodeURIComponent(stored.image)}` };
    });
    progress.hidden = true;
    if (done) location.hash = done.hash;
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

/** Form of what is sent; volumes get the name of their sequence. Nothing where none is chosen. */
function packed(/** @type {File[]} */ files, /** @type {string[]} */ sequences) {
  const body = new FormData();
  const volumes = files.every((f) => VOLUME.test(f.name));
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
