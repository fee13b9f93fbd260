"""From request to labelmap over HTTP, beside the stock MONAI pipeline.

    python -m benchmarks.serve [--repeats 5] [--quick]

A four-sequence phantom of 240 x 240 x 155 voxels lies on disk as .nii.gz. Ours: the real server
process, warmed up; each request reads the files anew (their time stamps are touched, so nothing
comes from the cache). Peer: the public BraTS bundle's pipeline in MONAI (load, orient, space,
normalise, SegResNet with 16 initial filters, sliding window of 240 x 240 x 160 with overlap 0.5,
threshold, write), in this process, with random weights: the same arithmetic as with trained ones.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import psutil
from brain_tumor.cases.files.writers import write_volume
from brain_tumor.cases.sequences import Sequence
from brain_tumor.cases.studies import import_cases
from brain_tumor.cases.volume import Volume
from brain_tumor.phantoms.phantom import PhantomSpec, make_phantom

from benchmarks.environment import spread, write_result

SHAPE = (240, 240, 155)
CASE = "bench-0001"
READY_TIMEOUT_S = 120.0
POLL_S = 0.02


def write_case(folder: Path) -> None:
    phantom = make_phantom(PhantomSpec(seed=7, spacing_mm=(1.0, 1.0, 1.0)), case_id=CASE)
    folder.mkdir(parents=True)
    for sequence, volume in phantom.case.volumes.items():
        array = np.zeros(SHAPE, dtype=np.float32)
        low = [(n - m) // 2 for n, m in zip(SHAPE, volume.shape, strict=True)]
        source = tuple(slice(max(-a, 0), max(-a, 0) + n) for a, n in zip(low, SHAPE, strict=True))
        part = volume.array[source]
        goal = tuple(slice(max(a, 0), max(a, 0) + n) for a, n in zip(low, part.shape, strict=True))
        array[goal] = np.round(part)
        write_volume(folder / f"{CASE}_{sequence.value}.nii.gz", Volume(array, volume.affine))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=60) as reply:
        return reply.read()


def infer(url: str) -> tuple[bytes, str]:
    boundary = "benchmark"
    body = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="params"\r\n\r\n{{}}\r\n'
        f"--{boundary}--\r\n"
    ).encode()
    request = urllib.request.Request(
        f"{url}/infer/segmentation?image={CASE}",
        data=body,
        headers={"Content-Type": f"multipart/form-data; boundary={boundary}"},
        method="POST",
    )
    with urllib.request.urlopen(request, timeout=300) as reply:
        return reply.read(), reply.headers["Content-Type"]


def params_of(body: bytes, content_type: str) -> dict:
    boundary = content_type.split("boundary=")[1].strip('"').encode()
    part = next(p for p in body.split(b"--" + boundary) if b'name="params"' in p)
    return json.loads(part.split(b"\r\n\r\n", 1)[1].rstrip(b"\r\n"))


def measure_server(studies: Path, repeats: int) -> dict:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    tumorlens = Path(sys.executable).with_name("tumorlens")
    command = [str(tumorlens), "serve", "--studies", str(studies), "--port", str(port)]
    started = time.perf_counter()
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while True:
            try:
                get(f"{url}/info/")
                break
            except (urllib.error.URLError, ConnectionError):
                if time.perf_counter() - started > READY_TIMEOUT_S or server.poll() is not None:
                    raise SystemExit("server did not start") from None
                time.sleep(0.1)
        ready = time.perf_counter() - started
        time.sleep(10)  # the warm-up ends
        idle_gb = psutil.Process(server.pid).memory_info().rss / 1e9
        infer(url)
        totals, stages, infos = [], [], []
        for _ in range(repeats):
            for path in studies.rglob("*.nii.gz"):
                os.utime(path)
            waiting = threading.Event()
            poller = threading.Thread(target=_poll_info, args=(url, waiting, infos))
            begun = time.perf_counter()
            body, content_type = infer(url)
            totals.append(time.perf_counter() - begun)
            params = params_of(body, content_type)
            assert not params["cached"]
            stages.append(params["timings_s"])
            for path in studies.rglob("*.nii.gz"):
                os.utime(path)
            poller.start()
            infer(url)
            waiting.set()
            poller.join()
        peak_gb = psutil.Process(server.pid).memory_info().rss / 1e9
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(30)
    return {
        "ready_s": ready,
        "idle_memory_gb": idle_gb,
        "memory_after_gb": peak_gb,
        "request_to_labelmap_s": spread(totals),
        "stages_s": {k: spread([s[k] for s in stages])["median"] for k in stages[0]},
        "info_during_infer_s": spread(infos),
    }


def _poll_info(url: str, stop: threading.Event, seconds: list[float]) -> None:
    while not stop.is_set():
        begun = time.perf_counter()
        get(f"{url}/info/")
        seconds.append(time.perf_counter() - begun)
        time.sleep(POLL_S)


def measure_peer(folder: Path, repeats: int) -> dict:
    import torch
    from monai.inferers import sliding_window_inference
    from monai.networks.nets import SegResNet
    from monai.transforms import (
        Compose,
        EnsureChannelFirstd,
        LoadImaged,
        NormalizeIntensityd,
        Orientationd,
        SaveImage,
        Spacingd,
    )

    network = SegResNet(
        init_filters=16,
        in_channels=4,
        out_channels=3,
        blocks_down=(1, 2, 2, 4),
        blocks_up=(1, 1, 1),
    ).eval()
    read = Compose(
        [
            LoadImaged("img"),
            EnsureChannelFirstd("img"),
            Orientationd("img", axcodes="RAS", labels=None),
            Spacingd("img", pixdim=(1.0, 1.0, 1.0)),
            NormalizeIntensityd("img", nonzero=True, channel_wise=True),
        ]
    )
    files = [str(folder / f"{CASE}_{s.value}.nii.gz") for s in Sequence]
    save = SaveImage(output_dir=str(folder / "peer"), print_log=False, separate_folder=False)
    totals = []
    for _ in range(repeats):
        begun = time.perf_counter()
        image = read({"img": files})["img"]
        with torch.inference_mode():
            logits = sliding_window_inference(
                image[None], (240, 240, 160), 1, network, overlap=0.5
            )[0]
        regions = (logits.sigmoid() > 0.5).to(torch.uint8)
        labels = torch.where(regions[2] > 0, 3, torch.where(regions[0] > 0, 1, 2 * regions[1]))
        save(labels[None])
        totals.append(time.perf_counter() - begun)
    return {"what": "MONAI SegResNet-16, sliding window", "files_to_labelmap_s": spread(totals)}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="one repeat each")
    arguments = parser.parse_args()
    repeats = 1 if arguments.quick else arguments.repeats
    folder = Path(tempfile.mkdtemp(prefix="bench-serve-"))
    try:
        write_case(folder / CASE)
        import_cases(folder / CASE, folder / "studies")
        ours = measure_server(folder / "studies", repeats)
        peer = measure_peer(folder / CASE, max(1, repeats - 3))
    finally:
        shutil.rmtree(folder)
    ratio = peer["files_to_labelmap_s"]["median"] / ours["request_to_labelmap_s"]["median"]
    result = {"volume": [4, *SHAPE], "ours": ours, "peer": peer, "times_faster": ratio}
    path = write_result("serve", result)
    print(json.dumps(result, indent=2))
    print(f"wrote {path}")


if __name__ == "__main__":
    main()
