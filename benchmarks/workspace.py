"""The workspace in a browser beside a bare NiiVue page: time until shown, memory, bytes sent.

    python -m benchmarks.workspace [--repeats 3]

One case of four sequences of 240 x 240 x 155 voxels with a submitted label lies on a real server.
Ours: the page of that case, from the request of the page until volume, label, table of volumes and
controls are there. Peer: a page that does nothing but load the same NiiVue from the same server and
draw the same volume and label with it. Both in the same Chromium with software rendering, in turns;
every run has an empty cache. Memory is what `performance.measureUserAgentSpecificMemory` counts.
"""

from __future__ import annotations

import argparse
import gzip
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from brain_tumor.cases.studies import import_cases
from playwright.sync_api import Browser, Route, sync_playwright

from benchmarks.environment import spread, write_result
from benchmarks.serve import CASE, READY_TIMEOUT_S, SHAPE, free_port, get, infer, write_case

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
FLAGS += ["--enable-precise-memory-info"]
PATIENCE_MS = 300_000
MOST_SLOWER, MOST_MEMORY_MB, MOST_SENT_MB = 1.3, 250, 1.2
WEB = Path(__file__).resolve().parents[1] / "apps" / "brain_tumor" / "server" / "web"

BARE = """<!doctype html><html><body style="margin:0"><canvas id="c"></canvas><script type="module">
import { Niivue, NVImage, SLICE_TYPE } from "./web/vendor/niivue.js";
const nv = new Niivue({ multiplanarShowRender: 1, loadingText: "", logLevel: "error" });
await nv.attachToCanvas(document.getElementById("c"));
nv.setSliceType(SLICE_TYPE.MULTIPLANAR);
const load = async (url, name) => {
  const bytes = await (await fetch(url)).arrayBuffer();
  return NVImage.loadFromFile({ file: new File([bytes], name), name });
};
nv.addVolume(await load("cases/volume?image=CASE&sequence=t1c", "volume.nii.gz"));
nv.loadDrawing(await load("cases/label?image=CASE&tag=final", "label.nii.gz"));
document.body.dataset.ready = "yes";
</script></body></html>""".replace("CASE", CASE)


@contextmanager
def serving(studies: Path) -> Iterator[str]:
    """A server process of the shipped models; its address."""
    port = free_port()
    command = [sys.executable, "-m", "brain_tumor.cli", "serve"]
    command += ["--studies", str(studies), "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + READY_TIMEOUT_S
        while True:
            try:
                get(f"{url}/info/")
                break
            except OSError:
                if time.monotonic() > deadline or process.poll() is not None:
                    raise
                time.sleep(0.2)
        yield url
    finally:
        process.terminate()
        process.wait(60)


def submit_label(url: str, studies: Path) -> None:
    """The model's outline as a submitted label, by the interface of any client."""
    import requests

    infer(url)
    params = json.dumps({"save_label": True})
    requests.post(f"{url}/infer/segmentation?image={CASE}", data={"params": params}, timeout=600)
    (path,) = (studies / "labels" / "original").glob(f"{CASE}.*")
    with path.open("rb") as stream:
        reply = requests.put(
            f"{url}/datastore/label?image={CASE}&tag=final",
            files={"label": (path.name, stream)},
            data={"params": '{"numbering": "tumorlens"}'},
            timeout=600,
        )
    reply.raise_for_status()


def shown(browser: Browser, address: str, selector: str, bare: str = "") -> dict[str, float]:
    """Seconds until a page shows its case, and the memory that it holds then."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()

    def isolate(route: Route) -> None:
        """Memory is counted for isolated pages only."""
        headers = {
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cross-Origin-Embedder-Policy": "require-corp",
        }
        if bare:
            route.fulfill(body=bare, content_type="text/html", headers=headers)
            return
        reply = route.fetch()
        route.fulfill(response=reply, headers={**reply.headers, **headers})

    page.route(lambda url: url.split("#")[0].endswith(("/", "/bare.html")), isolate)
    begun = time.perf_counter()
    page.goto(address)
    page.wait_for_selector(selector)
    seconds = time.perf_counter() - begun
    memory = page.evaluate("performance.measureUserAgentSpecificMemory().then(m => m.bytes)")
    context.close()
    return {"seconds": seconds, "memory_mb": memory / 1024**2}


def sent_mb() -> float:
    """What the page sends, packed."""
    files = [WEB / name for name in ("index.html", "style.css", "texts.json", "vendor/niivue.js")]
    files += sorted((WEB / "js").rglob("*.js"))
    return sum(len(gzip.compress(path.read_bytes(), 9)) for path in files) / 1e6


def measure(repeats: int) -> dict[str, Any]:
    """Both pages in turns."""
    folder = Path(tempfile.mkdtemp(prefix="bench-workspace-"))
    try:
        write_case(folder / CASE)
        import_cases(folder / CASE, folder / "studies")
        with serving(folder / "studies") as url, sync_playwright() as driver:
            submit_label(url, folder / "studies")
            browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            ours, peer = [], []
            for _ in range(repeats):
                selector = f"main[data-open='{CASE}']"
                ours.append(shown(browser, f"{url}/#/case/{CASE}", selector))
                peer.append(shown(browser, f"{url}/bare.html", "body[data-ready]", BARE))
            browser.close()
    finally:
        shutil.rmtree(folder)
    return {"ours": _summary(ours), "peer": _summary(peer)}


def _summary(runs: list[dict[str, float]]) -> dict[str, Any]:
    return {
        "shown_s": spread([run["seconds"] for run in runs]),
        "memory_mb": max(run["memory_mb"] for run in runs),
    }


def main() -> None:
    """Measure and write the result."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    found = measure(arguments.repeats)
    ratio = found["ours"]["shown_s"]["median"] / found["peer"]["shown_s"]["median"]
    result = {
        "volume": list(SHAPE),
        "rendering": "software (SwiftShader)",
        **found,
        "times_as_long": ratio,
        "sent_mb_packed": sent_mb(),
        "limits": {
            "times_as_long": MOST_SLOWER,
            "memory_mb": MOST_MEMORY_MB,
            "sent_mb_packed": MOST_SENT_MB,
        },
    }
    path = write_result("workspace", result)
    print(json.dumps(result, indent=2))
    print(f"wrote {path}")


if __name__ == "__main__":
    main()
