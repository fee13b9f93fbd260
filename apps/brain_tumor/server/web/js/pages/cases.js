/** Start: the cases as a table, search, and the next case by strategy. */

import { annotator, getJson, send } from "../common/api.js";
import { button, choice, el, field, fill } from "../common/dom.js";
import { during, tell } from "../common/status.js";
import { number, t, told } from "../common/texts.js";

const RELIST_MS = 5000; // what others add and do shows by itself, where the list is short
const RELIST_MOST = 200;

const AGAIN_MS = 10_000;

/** @param {HTMLElement} main */
export async function showCases(main) {
  let rows = await during(t("Listing the cases"), () => getJson("/cases/overview"));
  if (!rows) return;
  const search = el("input", { type: "search", placeholder: t("case, patient, type, status") });
  const body = el("tbody");
  const show = () => {
    const words = search.value.toLowerCase().split(/\s+/);
    const found = rows.filter((/** @type {any} */ row) =>
      words.every((/** @type {string} */ w) => haystack(row).includes(w)),
    );
    fill(body, ...found.map(tableRow));
    if (!found.length) fill(body, el("tr", {}, el("td", { colSpan: 9 }, t("No case is found."))));
  };
  search.addEventListener("input", show);
  const heads = [
    "", "Case", "Patient", "Sequences", "Status", "Volumes in mL", "Type", "Updated", "By",
  ];
  fill(
    main,
    el("div.start", {},
      el("h1", {}, t("Cases of the server")),
      el("div.tools", {}, field(t("Search"), search), await nextCase()),
      el("table.cases", {},
        el("thead", {}, el("tr", {}, ...heads.map((h) => el("th", { scope: "col" }, h && t(h))))),
        body,
      ),
    ),
  );
  show();
  const again = setInterval(async () => {
    if (!main.isConnected) return clearInterval(again);
    if (document.hidden || rows.length > RELIST_MOST) return;
    const now = await getJson("/cases/overview").catch(() => rows); // told by what is done next
    if (JSON.stringify(now) === JSON.stringify(rows)) return;
    rows = now;
    show();
  }, RELIST_MS);
}

/** @param {any} row */
function haystack(row) {
  const { id, patient, status, sequences, result } = row;
  return [id, patient, status, t(status), ...sequences, result?.prediction, result?.by]
    .join(" ")
    .toLowerCase();
}

/** @param {any} row */
function tableRow(row) {
  const target = `#/case/${encodeURIComponent(row.id)}`;
  const volumes = row.result?.volumes_ml ?? {};
  const told = ["WT", "TC", "ET"].filter((r) => r in volumes);
  return el("tr", { onclick: () => (location.hash = target) },
    el("td", {}, picture(row.id)),
    el("td", {}, el("a", { href: target }, row.id)),
    el("td", {}, el("a", {
      href: `#/patient/${encodeURIComponent(row.patient)}`, title: t("Dates of this patient"),
      onclick: (/** @type {Event} */ e) => e.stopPropagation(),
    }, row.patient), row.study_date ? el("small", {}, row.study_date) : ""),
    el("td", {}, ...row.sequences.map((/** @type {string} */ s) => el("span.tag", {}, s))),
    el("td", {}, el(`span.status.${row.status}`, {}, t(row.status)),
      row.reserved_by ? el("small", {}, t("reserved by {name}", { name: row.reserved_by })) : ""),
    el("td.numbers", {}, told.map((r) => `${r} ${number(volumes[r])}`).join("  ") || "–"),
    el("td", {}, row.result?.prediction ? t(row.result.prediction) : "–"),
    el("td", {}, row.updated ? new Date(row.updated).toLocaleString() : "–"),
    el("td", {}, row.result?.by ?? "–"),
  );
}

/** Thumbnail; read with the token, hence not by address. */
function picture(/** @type {string} */ image) {
  const made = el("img.thumb", { alt: "", width: 48, height: 48 });
  send("GET", "/cases/thumbnail", { query: { image } })
    .then(async (reply) => (made.src = URL.createObjectURL(await reply.blob())))
    .catch(() => made.classList.add("none"));
  made.addEventListener("load", () => URL.revokeObjectURL(made.src));
  return made;
}

async function nextCase() {
  const { strategies } = await getJson("/info/");
  const options = Object.entries(strategies).map(([name, s]) => [name, told(s.description)]);
  let chosen = "combined" in strategies ? "combined" : options[0][0];
  const pick = choice(/** @type {any} */ (options), chosen, (v) => (chosen = v), {
    "aria-label": t("Choice of the next case"),
  });
  const next = async () => {
    const json = annotator() ? { client_id: annotator() } : {};
    const found = await during(t("the next case"), async () =>
      (await send("POST", `/activelearning/${chosen}`, { json })).json(),
    );
    if (!found) return;
    if (found.id) location.hash = `#/case/${encodeURIComponent(found.id)}`;
    else tell(t("No case is left: each is labelled or reserved by somebody."));
  };
  return el("div.next", {}, pick, button(t("Next case"), next, { className: "primary" }));
}
