"""Style, script and security policy of the page. No file and no host beyond the page is needed."""

from __future__ import annotations

import base64
import hashlib

SCRIPT = """
for (const plane of document.querySelectorAll('.plane')) {
  const stops = plane.querySelectorAll('input');
  const track = plane.querySelector('.track');
  const choose = (event) => {
    const box = track.getBoundingClientRect();
    const place = Math.floor((event.clientX - box.left) / box.width * stops.length);
    const stop = stops[Math.max(0, Math.min(stops.length - 1, place))];
    stop.checked = true;
    stop.focus({preventScroll: true});
  };
  track.addEventListener('pointerdown', (event) => {
    track.setPointerCapture(event.pointerId);
    choose(event);
    event.preventDefault();
  });
  track.addEventListener('pointermove', (event) => { if (event.buttons) choose(event); });
}
let closed = [];
addEventListener('beforeprint', () => {
  closed = [...document.querySelectorAll('details:not([open])')];
  closed.forEach((one) => { one.open = true; });
});
addEventListener('afterprint', () => closed.forEach((one) => { one.open = false; }));
const openTarget = () => {
  const target = document.getElementById(location.hash.slice(1));
  const around = target && target.closest('details');
  if (around) { around.open = true; target.scrollIntoView(); }
};
addEventListener('hashchange', openTarget);
openTarget();
"""
"""Only comfort: dragging along the slices and unfolding. The page works without it."""

STYLE = """
:root {
  color-scheme: light dark; --ground: #fff; --panel: #f5f6f8; --text: #1b1f24; --quiet: #5a6472;
  --line: #d9dee5; --accent: #1f5fae; --warn-ground: #fff5dc; --warn-line: #c98a00;
  --stop-ground: #fdeceb; --stop-line: #b3342c; --mark: #fff0b8; --glioma: #2f6fc4;
  --meningioma: #c2660a; --pituitary: #178573; --other: #7a5fb0; --for: #2f6fc4;
  --against: #9aa3af;
}
@media screen and (prefers-color-scheme:dark) {
  :root {
    --ground: #14171b; --panel: #1d2127; --text: #e4e7eb; --quiet: #9aa4b1; --line: #343b45;
    --accent: #78b0f5; --warn-ground: #2e2610; --warn-line: #d9a63a; --stop-ground: #331a19;
    --stop-line: #e2736b; --mark: #4a3f14; --glioma: #6ea8f2; --meningioma: #f0a04b;
    --pituitary: #4cc2ab; --other: #b49be6; --for: #6ea8f2; --against: #6b7480;
  }
}
* { box-sizing: border-box }
html {
  background: var(--ground); color: var(--text);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Noto Sans KR",
    "Apple SD Gothic Neo", "Malgun Gothic", "NanumGothic", "DejaVu Sans", sans-serif;
  -webkit-text-size-adjust: 100%; scroll-padding-top: 1rem;
}
body { max-width: 70rem; margin: 0 auto; padding: 1.5rem 1.25rem 3rem; overflow-wrap: break-word }
html:lang(ko) body { word-break: keep-all }
h1 {
  font-size: 1.9rem; line-height: 1.2; margin: .1rem 0 .2rem; font-weight: 650;
  letter-spacing: -.01em; overflow-wrap: anywhere;
}
h2 { font-size: 1.15rem; margin: 0 0 .6rem; font-weight: 650 }
h3 { font-size: 1rem; margin: 0 0 .3rem }
p { margin: 0 0 .6rem }
section { margin: 2.2rem 0 0 }
a { color: var(--accent); text-decoration-thickness: 1px; text-underline-offset: .15em }
.quiet, figcaption, caption { color: var(--quiet); font-size: .875rem }
.above {
  display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; justify-content: space-between; margin: 0;
}
.result { font-size: 1.35rem; line-height: 1.35; margin: 0 0 .3rem }
.box {
  border-left: 4px solid var(--warn-line); background: var(--warn-ground); padding: .7rem 1rem;
  border-radius: 0 6px 6px 0; margin: 1rem 0 0;
}
.box.stop { border-color: var(--stop-line); background: var(--stop-ground) }
.box ul { margin: .1rem 0 0; padding-left: 1.2rem }
.box h2 { margin: 0 0 .2rem; font-size: 1rem }
.switch { position: absolute; opacity: 0; width: 1px; height: 1px }
.switches { display: inline-flex; gap: 1rem; margin-left: 1.2rem; font-size: .9rem }
.switches label { cursor: pointer; display: inline-flex; align-items: center; gap: .45rem }
.switches label::before {
  content: ""; width: 1.05rem; height: 1.05rem; border: 1.5px solid var(--quiet);
  border-radius: 3px;
  background: linear-gradient(var(--accent), var(--accent)) center/0 0 no-repeat;
}
#show-outline:checked ~ .images .for-outline::before,
#show-heat:checked ~ .images .for-heat::before {
  border-color: var(--accent); background-size: .65rem .65rem;
}
#show-outline:focus-visible ~ .images .for-outline, #show-heat:focus-visible ~ .images .for-heat {
  outline: 2px solid var(--accent); outline-offset: 3px; border-radius: 3px;
}
#show-outline:not(:checked) ~ .images .outline, #show-heat:not(:checked) ~ .images .heat {
  display: none;
}
.heading { display: flex; flex-wrap: wrap; align-items: baseline; margin-bottom: .5rem }
.heading h2 { margin: 0 }
.planes { display: grid; gap: 1rem; align-items: start }
figure { margin: 0; min-width: 0 }
figcaption { margin: 0 0 .25rem }
.plane { position: relative }
.plane svg { display: block; width: 100%; height: auto; border-radius: 4px; background: #000 }
.plane .air { fill: #000 }
.plane input { position: absolute; opacity: 0; width: 1px; height: 1px; bottom: .5rem; left: 50% }
.plane text {
  fill: #fff; stroke: #000; stroke-width: .18em; stroke-linejoin: round; paint-order: stroke;
  font-family: inherit;
}
.plane .scale text, .plane .slice text { font-size: .85em }
.plane .marks { font-weight: 650 }
.plane .scale path { fill: none; stroke: #fff; stroke-width: 1.5px }
.slice { display: none }
.outline use { fill: none; stroke-linejoin: round }
.outline .halo { stroke: #000; stroke-opacity: .55; stroke-width: 3px }
.outline .line { stroke-width: 1.5px }
.track {
  display: flex; height: 1.7rem; margin-top: .35rem; cursor: ew-resize; touch-action: none;
  user-select: none; border-radius: 4px;
}
.track label { flex: 1; position: relative; cursor: inherit }
.track label::before {
  content: ""; position: absolute; left: 0; right: 0; top: 50%; height: 2px; margin-top: -1px;
  background: var(--line);
}
.track label:first-child::before { left: 50% }
.track label:last-child::before { right: 50% }
.track label::after {
  content: ""; position: absolute; left: 50%; top: 50%; width: 5px;
  height: var(--tick-height, 32%); border-radius: 3px; background: var(--tick, var(--quiet));
  transform: translate(-50%, -50%);
}
.track label:hover::after { background: var(--accent) }
.plane input:focus-visible ~ .track { outline: 2px solid var(--accent); outline-offset: 1px }
.legend {
  display: flex; flex-wrap: wrap; gap: .3rem 1.2rem; margin: .6rem 0 .4rem; font-size: .875rem;
}
.key { display: inline-flex; align-items: center; gap: .4rem }
.swatch { width: .8rem; height: .8rem; border-radius: 2px }
.colours { width: 8rem; height: .7rem; background: #000; border-radius: 2px }
.block { margin-top: 2.2rem }
.block section { margin: 0 }
.pair { display: grid; gap: 2.2rem 3rem }
.below { margin-top: .6rem }
@media (min-width:44rem) {
  .pair { grid-template-columns: minmax(0, 1fr) minmax(0, 1.6fr) }
}
table {
  border-collapse: collapse; width: 100%; font-size: .925rem; font-variant-numeric: tabular-nums;
}
th { text-align: left; font-weight: 600; color: var(--quiet); font-size: .8rem }
th, td {
  padding: .35rem 1.2rem .35rem 0; border-bottom: 1px solid var(--line); vertical-align: middle;
}
th:last-child, td:last-child { padding-right: 0 }
tbody th { color: inherit; font-size: inherit; font-weight: 500 }
td.number, th.number { text-align: right; white-space: nowrap }
.narrow { width: auto; min-width: 18rem }
.wide { overflow-x: auto }
.bar { display: block; width: 100%; min-width: 6rem; height: .75rem }
.bar-ground { fill: var(--panel); stroke: var(--line); stroke-width: .4 }
.fill-glioma { fill: var(--glioma) }
.fill-meningioma { fill: var(--meningioma) }
.fill-pituitary { fill: var(--pituitary) }
.fill-other { fill: var(--other) }
.stroke-glioma { color: var(--glioma) }
.stroke-meningioma { color: var(--meningioma) }
.stroke-pituitary { color: var(--pituitary) }
.chip {
  display: inline-block; border: 1px solid currentColor; border-radius: 9px; padding: 0 .5em;
  font-size: .78rem; color: var(--accent); white-space: nowrap;
}
.sentences { list-style: none; margin: 0 0 .8rem; padding: 0; counter-reset: sentence }
.sentences li {
  position: relative; counter-increment: sentence; padding: .4rem .8rem .4rem 2.7rem;
  border-left: 3px solid var(--line); margin: 0 0 .35rem; border-radius: 0 4px 4px 0;
}
.sentences .uncertainty, .sentences .conflict { border-color: var(--warn-line) }
.sentences .class { border-color: var(--accent) }
.sentences p { margin: 0 }
.sentences li::before {
  content: counter(sentence); position: absolute; left: 0; width: 2rem; text-align: right;
  color: var(--quiet); font-size: .85rem; line-height: 1.75; font-variant-numeric: tabular-nums;
}
.sentences .basis { font-size: .85rem; color: var(--quiet) }
.evidence .name { min-width: 11rem }
.evidence small, .basis small { color: var(--quiet); font-weight: 400 }
.evidence small { display: block; font-size: .8rem; line-height: 1.35 }
.evidence tr { scroll-margin-top: 3rem }
tr:target, li:target { background: var(--mark) }
mark { background: var(--mark); color: inherit }
.ranges { display: block; width: 11rem; height: auto; overflow: visible }
.ranges .axis { stroke: var(--line); stroke-width: .7 }
.ranges .range { stroke: currentColor; stroke-width: 3.2; stroke-linecap: butt }
.ranges .median { stroke: currentColor; stroke-width: 1.6 }
.ranges .letter { fill: currentColor; font-size: 8px; font-weight: 650 }
.ranges .here { stroke: var(--text); stroke-width: 1.2 }
.ranges .here-mark { fill: var(--text) }
.contribution { display: block; width: 6.5rem; height: auto }
.contribution .for { fill: var(--for) }
.contribution .against { fill: var(--against) }
.contribution .zero { stroke: var(--quiet); stroke-width: 1 }
.change { display: flex; align-items: center; gap: .5rem; white-space: nowrap }
.further {
  list-style: none; margin: .5rem 0; padding: 0; columns: 2 24rem; column-gap: 2.5rem;
  font-size: .875rem;
}
.further li {
  display: grid; grid-template-columns: minmax(0, 1fr) auto 9rem; gap: .8rem;
  align-items: center; padding: .25rem 0; border-bottom: 1px solid var(--line);
  break-inside: avoid;
}
.further .ranges { width: 9rem }
details h3 { display: none }
details { margin: .8rem 0 0 }
summary { cursor: pointer; font-size: .925rem; color: var(--accent) }
code {
  font-family: ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace;
  font-size: .8rem; overflow-wrap: anywhere;
}
.columns { columns: 2 18rem; padding-left: 1.1rem; font-size: .9rem; margin: .5rem 0 }
footer { margin-top: 2.5rem; border-top: 1px solid var(--line); padding-top: .8rem }
@media (max-width:44rem) {
  body { padding: 1rem .9rem 2rem }
  h1 { font-size: 1.5rem }
  .result { font-size: 1.15rem }
  .switches { margin-left: auto }
  th, td { padding-right: .6rem }
  .evidence table, .evidence tbody { display: block }
  .evidence thead, .evidence td:empty { display: none }
  .evidence tr {
    display: grid; grid-template-columns: minmax(0, 1fr) auto; gap: .3rem .8rem;
    padding: .6rem 0; border-bottom: 1px solid var(--line);
  }
  .evidence th, .evidence td { border: 0; padding: 0 }
  .evidence td { grid-column: 1/-1 }
  .evidence td.number { grid-column: 2 }
  .evidence .name { min-width: 0 }
  .further li { grid-template-columns: minmax(0, 1fr) auto }
  .further .ranges { grid-column: 1/-1 }
}
@page { size: A4; margin: 14mm 13mm }
@media print {
  html { font-size: 10pt; print-color-adjust: exact; -webkit-print-color-adjust: exact }
  body { max-width: none; padding: 0 }
  .track, .switches, summary { display: none }
  details h3 { display: block }
  h1 { font-size: 17pt }
  .result { font-size: 13pt }
  section, .block { margin-top: 6mm }
  h2, h3, caption, .heading { break-after: avoid }
  figure, .planes, .images, .box, tr, .sentences li, .pair, .whole { break-inside: avoid }
  .planes { gap: 3mm }
  .wide { overflow: visible }
  thead { display: table-header-group }
  .pair { grid-template-columns: minmax(0, 1fr) minmax(0, 1.6fr); gap: 6mm 10mm }
  table { font-size: 8.5pt }
  .further { columns: 2; font-size: 8pt }
  .further li { grid-template-columns: minmax(0, 1fr) auto 28mm; padding: .6mm 0 }
  .further .ranges { width: 28mm }
  .ranges { width: 36mm }
  .contribution { width: 20mm }
  .evidence .name { min-width: 0 }
  a { color: inherit; text-decoration: none }
  details::details-content { content-visibility: visible; block-size: auto; opacity: 1 }
  .outline .line { stroke-width: 1px }
  .outline .halo { stroke-width: 2px }
  tr:target, li:target { background: none }
}
"""


def content_security_policy(style: str, script: str) -> str:
    """Policy that lets this style, this script and pictures inside the page through, nothing else.

    Args:
        style: Exact text of the one style element.
        script: Exact text of the one script element.
    """
    return "; ".join(
        (
            "default-src 'none'",
            "img-src data:",
            f"style-src '{_digest(style)}'",
            f"script-src '{_digest(script)}'",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )


def _digest(text: str) -> str:
    sha256 = hashlib.sha256(text.encode("utf-8")).digest()
    return f"sha256-{base64.b64encode(sha256).decode('ascii')}"
