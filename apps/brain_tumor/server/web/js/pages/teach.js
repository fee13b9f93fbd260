/** Teach: corrections that wait, trainings, and the versions of the models. */

import { annotator, getJson, send } from "../common/api.js";
import { ask } from "../common/dialogs.js";
import { button, choice, el, fill } from "../common/dom.js";
import { during, tell } from "../common/status.js";
import { number, signed, t, told } from "../common/texts.js";

const POLL_MS = 3000;

/** @param {HTMLElement} main */
export async function showTeach(main) {
  const parts = {
    corrections: el("section"), training: el("section"), models: el("section"),
  };
  fill(main, el("div.start", {}, el("h1", {}, t("Teach")), ...Object.values(parts)));
  await during(t("Asking for corrections and models"), () =>
    Promise.all([
      corrections(parts.corrections), training(parts.training, main), models(parts.models),
    ]));
}

async function corrections(/** @type {HTMLElement} */ part) {
  const found = await getJson("/corrections", { limit: "200" });
  const waiting = found.filter((/** @type {any} */ c) => c.state === "submitted").length;
  const review = async (/** @type {number} */ submission, /** @type {string} */ decision) => {
    const json = { submission, decision, note: "", client_id: annotator() };
    await during(t("Reviewing"), () => send("POST", "/corrections/review", { json }));
    await corrections(part);
  };
  const heads = ["Number", "Case", "What", "State", "By", "When", "For", ""];
  fill(part,
    el("h2", {}, t("Corrections")),
    el("p", {}, found.length ? t("{count} wait for a review.", { count: waiting })
      : t("Nothing was corrected yet.")),
    found.length
      ? el("table", {},
          el("thead", {}, el("tr", {}, ...heads.map((h) => el("th", { scope: "col" }, h && t(h))))),
          el("tbody", {}, ...found.map((/** @type {any} */ c) => el("tr", {},
            el("td.numbers", {}, c.id),
            el("td", {}, el("a", { href: `#/case/${encodeURIComponent(c.case_id)}` }, c.case_id)),
            el("td", {}, t(c.kind)), el("td", {}, t(c.state)), el("td", {}, c.annotator ?? "–"),
            el("td", {}, new Date(c.at).toLocaleString()), el("td", {}, t(c.part)),
            el("td.row", {},
              button(t("Accept"), () => review(c.id, "reviewed"), { disabled: c.state === "draft" }),
              button(t("Reject"), () => review(c.id, "rejected"), { disabled: c.state === "draft" })),
          ))))
      : "");
}

async function training(/** @type {HTMLElement} */ part, /** @type {HTMLElement} */ main) {
  const { trainers } = await getJson("/info/");
  const names = Object.keys(trainers);
  if (!names.length) return;
  let chosen = names[0];
  const state = el("div");
  const watch = async () => {
    if (!main.contains(state)) return;
    try {
      showState(state, await getJson("/train/"));
    } catch {
      fill(state, t("The server does not answer."));
    }
    setTimeout(watch, POLL_MS);
  };
  const start = async () => {
    const question = t("Train '{model}' on the server with the submitted corrections?", { model: chosen });
    if (!(await ask(t("Retraining"), [question], t("Start")))) return;
    await during(t("Starting the training"), () => send("POST", `/train/${chosen}`, { json: {} }));
  };
  fill(part, el("h2", {}, t("Retraining")),
    el("div.row", {},
      choice(names.map((n) => [n, n]), chosen, (v) => (chosen = v), { "aria-label": t("Model") }),
      button(t("Start"), start, { className: "primary" }),
      button(t("Stop"), () => during(t("Stopping the training"), () => send("DELETE", "/train/")))),
    state);
  watch();
}

function showState(/** @type {HTMLElement} */ part, /** @type {any} */ state) {
  const { status, progress, stage, epoch, max_epochs, loss, seconds_left, promoted, details } = state;
  const runs = status === "RUNNING";
  const bar = el("progress", { max: 1, value: progress ?? 0, "aria-label": t("Retraining") });
  const more = [
    stage, max_epochs && `${epoch}/${max_epochs}`, loss && `loss ${number(loss, 3)}`,
    runs && seconds_left && `${number(seconds_left, 0)} s`,
    promoted === true && t("Promoted."), promoted === false && status === "DONE" && t("Not promoted."),
  ];
  fill(part, el("p", {}, told(status ?? "IDLE")), runs ? bar : "",
    el("p.faint", {}, more.filter(Boolean).join(" · ")),
    ...(details ?? []).slice(-3).map((/** @type {string} */ line) => el("p.faint", {}, told(line))));
}

async function models(/** @type {HTMLElement} */ part) {
  const found = await getJson("/models");
  const heads = ["Model", "Version", "State", "Created", ""];
  const rows = Object.entries(found).flatMap(([name, { versions }]) =>
    versions.map((/** @type {any} */ v) => el("tr", {},
      el("td", {}, name), el("td", {}, v.version), el("td", {}, t(v.state)),
      el("td", {}, v.created ?? "–"), el("td.row", {}, ...modelActions(part, name, v)))));
  fill(part, el("h2", {}, t("Models")),
    el("table", {},
      el("thead", {}, el("tr", {}, ...heads.map((h) => el("th", { scope: "col" }, h && t(h))))),
      el("tbody", {}, ...rows)));
}

/** @returns {Node[]} */
function modelActions(/** @type {HTMLElement} */ part, /** @type {string} */ name, /** @type {any} */ v) {
  const path = `/models/${name}`;
  const judged = ["candidate", "accepted", "refused", "retired"].includes(v.state);
  const report = async () => {
    const json = { version: v.version, dry_run: true };
    const said = await during(t("Asking the promotion gate"), async () =>
      (await send("POST", `${path}/promote`, { json })).json());
    if (said) await ask(`${name} ${v.version}`, [gateTable(said)], t("Close"), { cancel: false });
  };
  const change = async (/** @type {string} */ act, /** @type {string} */ question, /** @type {any} */ json) => {
    if (!(await ask(name, [question]))) return;
    const done = await during(question, () => send("POST", `${path}/${act}`, { json }));
    if (!done) return;
    tell(act === "promote" ? t("Promoted.") : t("Rolled back."));
    await models(part);
  };
  const by = { client_id: annotator() || null };
  return [
    ...(judged ? [button(t("Would it pass?"), report)] : []),
    ...(v.state === "accepted" || v.state === "retired"
      ? [button(t("Promote"), () => change("promote",
          t("Let {model} {version} answer all requests from now on?", { model: name, version: v.version }),
          { version: v.version, ...by }))] : []),
    ...(v.state === "active" && v.parent
      ? [button(t("Roll back"), () => change("rollback",
          t("Roll {model} back to the version before?", { model: name }), by))] : []),
  ];
}

/** What the gate compared, beside each other. */
function gateTable(/** @type {any} */ said) {
  const heads = ["", "proposed", "change", "patients", ""];
  const rows = (said.checks ?? []).map((/** @type {any} */ check) => {
    const d = check.difference;
    const change = d ? `${signed(d.mean, 3)} (${signed(d.low, 3)}, ${signed(d.high, 3)})` : "–";
    return el("tr", { "data-check": check.name },
      el("th", { scope: "row" }, told(check.name)),
      el("td.numbers", {}, d ? `${number(d.current, 3)} → ${number(d.candidate, 3)}` : "–"),
      el("td.numbers", {}, change),
      el("td.numbers", {}, d?.n ?? "–"),
      el(check.passed ? "td" : "td.warn", {}, check.passed ? "✓" : "✗"));
  });
  return el("div", {},
    el("p", {}, said.promote ? t("It would pass.") : t("It would not pass.")),
    el("ul", {}, ...(said.reasons ?? []).map((/** @type {string} */ r) => el("li", {}, told(r)))),
    el("table", {},
      el("thead", {}, el("tr", {}, ...heads.map((h) => el("th", { scope: "col" },
        h === "proposed" ? `${said.current} → ${said.candidate}` : h && t(h))))),
      el("tbody", {}, ...rows)));
}
