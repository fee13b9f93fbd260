"""What the classifier says of lesions that are none of its three types, and of no lesion at all.

    python -m benchmarks.foreign_lesions --data DATA [--hosts 6] [--kinds healthy,abscess]
        [--keep FILE.jsonl] [--bundle models/classification]

Hosts are real brains and heads (glioma3d, lgg) whose tumour side is replaced by the mirror image
of the other side, so that contrast, noise and skull are real and nothing is left of the glioma.
Lesions are painted into them by geometry (see `LESIONS`); noise and a picture of no head stand
alone. `named` counts the typed cases whose rationale names what it really is among what else looks
so; `silent` those with a type, without a warning, where it does not. `--keep` holds finished
cases, so that an interrupted run goes on; `--bundle` writes the summary for the model card.
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from brain_tumor.bundles import models_folder
from brain_tumor.cases.case import Case
from brain_tumor.cases.sequences import Sequence
from brain_tumor.cases.volume import Volume
from brain_tumor.classification.evaluation.card_limits import FOREIGN
from brain_tumor.explanation.analyst import Analyst
from brain_tumor.explanation.case_facts import case_facts
from brain_tumor.explanation.heat.volume import HeatVolume
from brain_tumor.explanation.rationale.plan import plan_statements
from brain_tumor.explanation.rationale.statements import Form
from brain_tumor.explanation.type_reader import TypeReader, load_type_reader
from brain_tumor.labels import Region, region_mask
from brain_tumor.segmentation.result import SegmentationResult
from brain_tumor.segmentation.segmenter import load_segmenter
from PIL import Image
from scipy import ndimage

from benchmarks.environment import write_result

LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
"""Hosts lie with L, P and S along their axes."""
LGG_PIXEL_MM, LGG_HEIGHT_MM = 0.94, 135.0
ONE_SIDED = (
    "TCGA_CS_5395_19981004",
    "TCGA_CS_6668_20011025",
    "TCGA_DU_6405_19851005",
    "TCGA_HT_7860_19960513",
    "TCGA_HT_A61A_20000127",
    "TCGA_FG_A4MT_20020212",
)
"""Heads whose tumour does not reach the other half (nor do those of the brains in `hosts`), so that
what is mirrored is healthy."""
SEED = 22
Values = dict[Sequence, float]
RIM: Values = {Sequence.T1: 0.9, Sequence.T1C: 1.9, Sequence.T2: 1.2, Sequence.FLAIR: 1.3}
SOLID: Values = {Sequence.T1: 0.85, Sequence.T1C: 1.9, Sequence.T2: 1.3, Sequence.FLAIR: 1.3}
DEAD: Values = {Sequence.T1: 0.5, Sequence.T1C: 0.5, Sequence.T2: 1.9, Sequence.FLAIR: 0.9}
WET: Values = {Sequence.T1: 0.8, Sequence.T1C: 0.8, Sequence.T2: 1.6, Sequence.FLAIR: 1.6}
"""Signal relative to brain of an enhancing rim, a solid part, a dead centre and oedema."""


@dataclass
class Host:
    """A head without a tumour; lesions are painted into its arrays."""

    name: str
    arrays: dict[Sequence, np.ndarray]
    spacing_mm: tuple[float, float, float]
    skull: bool

    def __post_init__(self) -> None:
        shown = self.arrays[Sequence.T1C]
        self.head = ndimage.binary_fill_holes(
            ndimage.binary_opening(shown > 0.15 * np.percentile(shown[shown > 0], 90))
        )
        self.depth_mm = ndimage.distance_transform_edt(self.head, self.spacing_mm)
        inner = self.depth_mm > (25 if self.skull else 12)
        self.signal = {s: float(np.median(a[inner])) for s, a in self.arrays.items()}
        grids = np.meshgrid(*(np.arange(n) for n in shown.shape), indexing="ij")
        self.points = np.stack([g * mm for g, mm in zip(grids, self.spacing_mm, strict=True)], -1)
        where = self.points[self.head]
        self.low, self.high = np.percentile(where, 0.5, axis=0), np.percentile(where, 99.5, axis=0)

    def paint(self, distance_mm: np.ndarray, values: Values, edge_mm: float = 1.0) -> None:
        """Blend values in where a signed distance is negative."""
        share = np.clip(0.5 - distance_mm / (2 * edge_mm), 0, 1) * self.head
        for sequence, array in self.arrays.items():
            array += share * (values[sequence] * self.signal[sequence] - array)

    def from_mm(self, centre: np.ndarray) -> np.ndarray:
        """Distance of every voxel from a point."""
        return np.linalg.norm(self.points - centre, axis=-1)

    def place(self, rng: np.random.Generator, surface_mm: tuple[float, float]) -> np.ndarray:
        """Random point in the upper half of the head at a depth below its surface."""
        least, most = surface_mm
        shift = 13.0 if self.skull else 0.0
        below_top = self.high[2] - self.points[..., 2]
        fits = (self.depth_mm > least + shift) & (self.depth_mm < most + shift)
        chosen = np.argwhere(fits & (below_top > 30) & (below_top < 80))
        return self.points[tuple(chosen[rng.integers(len(chosen))])]

    def case(self, name: str) -> Case:
        affine = LPS @ np.diag([*self.spacing_mm, 1.0])
        volumes = {
            s: Volume(np.ascontiguousarray(a, dtype=np.float32), affine)
            for s, a in self.arrays.items()
        }
        return Case(name, Sequence.T1C, volumes)


def _ring(host: Host, centre: np.ndarray, radius: float, rim: float, wet: float = 12.0) -> None:
    away = host.from_mm(centre)
    host.paint(away - radius - wet, WET, 4.0)
    host.paint(away - radius, RIM)
    host.paint(away - radius + rim, DEAD)


def _metastases(host: Host, rng: np.random.Generator) -> None:
    for radius in (12.0, 8.0, 7.0, 6.0, 5.0):
        _ring(host, host.place(rng, (10, 18)), radius, 2.5, 6.0)


def _metastasis(host: Host, rng: np.random.Generator) -> None:
    _ring(host, host.place(rng, (12, 18)), 11.0, 3.0, 16.0)


def _abscess(host: Host, rng: np.random.Generator) -> None:
    _ring(host, host.place(rng, (16, 24)), 14.0, 1.8, 14.0)


def _lymphoma(host: Host, rng: np.random.Generator) -> None:
    away = host.from_mm(host.place(rng, (25, 40)))
    host.paint(away - 24, WET, 4.0)
    host.paint(away - 13, SOLID)


def _schwannoma(host: Host, rng: np.random.Generator) -> None:
    """A ball beside the brain stem and a cone into the ear canal."""
    middle = 0.5 * (host.low + host.high)
    side = rng.choice([-1.0, 1.0])
    height = 88.0 if not host.skull else 100.0
    ball = np.array([middle[0] + side * 24, middle[1] + 22, host.high[2] - height])
    away = host.from_mm(ball)
    along = np.clip((host.points[..., 0] - ball[0]) * side, 0, 24)
    axis = ball + np.stack([side * along, 0 * along, 0 * along], -1)
    cone = np.linalg.norm(host.points - axis, axis=-1) - np.interp(along, [0, 24], [7.0, 2.0])
    host.paint(np.minimum(away - 13, cone), SOLID, 0.7)


def _infarct(host: Host, rng: np.random.Generator) -> None:
    """A wedge from the surface towards the middle, bright on FLAIR, without enhancement."""
    tip = host.place(rng, (28, 36))
    out = host.points - tip
    heading = tip - 0.5 * (host.low + host.high)
    heading /= np.linalg.norm(heading)
    along = out @ heading
    across = np.linalg.norm(out - along[..., None] * heading, axis=-1)
    host.paint(np.maximum(across - 0.5 * along, -along), WET, 2.0)


def _nothing(host: Host, rng: np.random.Generator) -> None:
    del host, rng


def _noise(host: Host, rng: np.random.Generator) -> None:
    for array in host.arrays.values():
        array[:] = 100 * np.abs(ndimage.gaussian_filter(rng.normal(size=array.shape), 1.5))


def _other_organ(host: Host, rng: np.random.Generator) -> None:
    """A trunk: an oval with two bright kidneys and a spine."""
    middle = 0.5 * (host.low + host.high)
    off = (host.points - middle) / np.array([90.0, 65.0, 400.0])
    body = np.linalg.norm(off, axis=-1) < 1
    for array in host.arrays.values():
        array[:] = 60.0 * body + 4.0 * np.abs(rng.normal(size=array.shape))
        for side in (-1, 1):
            array[host.from_mm(middle + np.array([40 * side, 25, 0])) < 25] = 140
        array[host.from_mm(middle + np.array([0, 45, 0])) < 16] = 90


REALLY = {
    "metastases": "metastasis",
    "metastasis": "metastasis",
    "abscess": "abscess",
    "lymphoma": "lymphoma",
    "schwannoma": "schwannoma",
    "infarct": "infarct",
}
COUNTS = ("typed", "typed_without_warning", "typed_and_named", "silent")
LESIONS: dict[str, Callable[[Host, np.random.Generator], None]] = {
    "metastases": _metastases,
    "metastasis": _metastasis,
    "abscess": _abscess,
    "lymphoma": _lymphoma,
    "schwannoma": _schwannoma,
    "infarct": _infarct,
    "healthy": _nothing,
    "noise": _noise,
    "other organ": _other_organ,
}


def _mirrored(name: str, arrays: dict, mask: np.ndarray, spacing: tuple, *, skull: bool) -> Host:
    """Host of a case whose tumour side is replaced by the other one; L-R is the first axis."""
    shown = arrays[Sequence.T1C].max(axis=(1, 2)) > 0.15 * arrays[Sequence.T1C].max()
    where = np.flatnonzero(shown)
    total = int(where[0] + where[-1])
    columns = np.arange(len(shown))
    partner = np.clip(total - columns, 0, len(shown) - 1)
    counts = mask.sum(axis=(1, 2))
    first = counts[columns <= total / 2].sum() > counts[columns > total / 2].sum()
    ill = columns <= total / 2 if first else columns > total / 2
    made = {}
    for sequence, array in arrays.items():
        whole = array.copy()
        whole[ill] = array[partner[ill]]
        made[sequence] = whole
    return Host(name, made, spacing, skull)


def hosts(data: Path, count: int) -> Iterator[Callable[[], Host]]:
    """Makers of hosts, stripped brains and heads in turn."""
    brains = [f"BraTS2021_0{n}" for n in (1476, 1480, 1481, 1482, 1483, 1485)]
    with (data / "lgg" / "index.csv").open() as file:
        rows = [
            r for r in csv.DictReader(file) if "True" not in (r["t1_missing"], r["t1c_missing"])
        ]
    heads = [one for one in dict.fromkeys(row["patient"] for row in rows) if one in ONE_SIDED]
    for brain, head in list(zip(brains, heads, strict=False))[: (count + 1) // 2]:
        yield lambda brain=brain: _brain(data, brain)
        yield lambda head=head: _head(data, head)


def _brain(data: Path, name: str) -> Host:
    found = np.load(data / "glioma3d" / f"{name}.npz")
    keys = {"t1": "t1", "t1ce": "t1c", "t1c": "t1c", "t2": "t2", "flair": "flair"}
    order = [Sequence(keys[str(m)]) for m in found["modalities"]]
    turn = [-1 if found["affine"][a, a] > 0 else 1 for a in range(2)]
    where = (slice(None, None, turn[0]), slice(None, None, turn[1]))
    arrays = {s: a[where].astype(np.float32) for s, a in zip(order, found["image"], strict=True)}
    return _mirrored(name, arrays, found["seg"][where] > 0, (1.0, 1.0, 1.0), skull=False)


def _head(data: Path, patient: str) -> Host:
    files = sorted((data / "lgg" / "images" / patient).glob("*.jpg"))
    stack = np.stack([np.asarray(Image.open(f), dtype=np.float32) for f in files], -1)
    mask = np.zeros((stack.shape[1], stack.shape[0], len(files)), dtype=bool)
    for file in (data / "lgg" / "masks" / patient).glob("*.png"):
        mask[:, :, int(file.stem)] = np.asarray(Image.open(file)).T > 0
    order = (Sequence.T1, Sequence.FLAIR, Sequence.T1C)
    arrays = {s: stack[:, :, k].transpose(1, 0, 2).copy() for k, s in enumerate(order)}
    spacing = (LGG_PIXEL_MM, LGG_PIXEL_MM, LGG_HEIGHT_MM / len(files))
    return _mirrored(patient, arrays, mask, spacing, skull=True)


def also_named(reader: TypeReader, case: Case, outlined: SegmentationResult, read: Any) -> set[str]:
    """Lesions outside the types that the rationale names."""
    nothing = HeatVolume(np.zeros(case.shape, np.float32), case.affine, "", "", 0.0)
    facts = case_facts(case, outlined, read, reader, nothing, None)
    said = [s for s in plan_statements(facts) if s.form in (Form.LOOKALIKE, Form.SCOPE)]
    claims = [claim for statement in said for claim in statement.claims]
    return {name for claim in claims for name in getattr(claim, "lesions", ())}


def measure(analyst: Analyst, reader: TypeReader, case: Case, kind: str) -> dict[str, Any]:
    """What the product says of a case."""
    begun = time.perf_counter()
    segmentation = analyst.segment(case)
    read = analyst.read_type(case, segmentation)
    found = read.classification
    names = also_named(reader, case, segmentation, found)
    return {
        "named": REALLY.get(kind) in names,
        "names": sorted(names),
        "case": case.case_id,
        "answer": found.prediction.value if found.prediction else None,
        "probabilities": {k.value: round(p, 4) for k, p in (found.probabilities or {}).items()},
        "reasons": list(found.reasons),
        "warnings": list(found.warnings),
        "distance": found.outlier and round(found.outlier.score, 3),
        "limit": found.outlier and round(found.outlier.threshold, 3),
        "measured": found.unlike and round(found.unlike.score, 3),
        "measured_limit": found.unlike and round(found.unlike.threshold, 3),
        "agreement": round(float(np.median([r.agreement for r in found.slices])), 3)
        if found.slices
        else None,
        "outlined_ml": round(float(segmentation.volumes_ml[Region.WT]), 2)
        if Region.WT in segmentation.volumes_ml
        else round(float(np.count_nonzero(region_mask(segmentation.labelmap, Region.TC))), 2),
        "seconds": round(time.perf_counter() - begun, 1),
    }


def kept(path: Path | None) -> dict[str, dict[str, Any]]:
    """Finished cases by name."""
    if path is None or not path.is_file():
        return {}
    rows = (json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())
    return {row["case"]: row for row in rows}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--hosts", type=int, default=6)
    parser.add_argument("--kinds", default=",".join(LESIONS))
    parser.add_argument("--keep", type=Path, metavar="FILE.jsonl")
    parser.add_argument("--bundle", type=Path)
    arguments = parser.parse_args()
    models = models_folder()
    reader = load_type_reader(models / "classification", models / "concepts")
    analyst = Analyst(load_segmenter(models), lambda: reader)
    cases: dict[str, list[dict[str, Any]]] = {}
    done = kept(arguments.keep)
    for number, make in enumerate(hosts(arguments.data, arguments.hosts)):
        for kind in arguments.kinds.split(","):
            name = f"{kind.replace(' ', '-')}-{number}"
            if name in done:
                cases.setdefault(kind, []).append(done[name])
                continue
            host = make()
            LESIONS[kind](host, np.random.default_rng((SEED, number)))
            found = measure(analyst, reader, host.case(name), kind)
            found["skull"] = host.skull
            if arguments.keep is not None:
                with arguments.keep.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(found) + "\n")
            print(
                kind, host.skull, found["answer"], found["reasons"], found["warnings"], flush=True
            )
            cases.setdefault(kind, []).append(found)
    summary = {
        kind: {
            "n": len(found),
            "typed": sum(one["answer"] is not None for one in found),
            "typed_without_warning": sum(
                one["answer"] is not None and not one["warnings"] for one in found
            ),
            "typed_and_named": sum(one["answer"] is not None and one["named"] for one in found),
            "silent": sum(
                one["answer"] is not None and not one["warnings"] and not one["named"]
                for one in found
            ),
            "answers": dict(Counter(str(one["answer"]) for one in found)),
        }
        for kind, found in cases.items()
    }
    foreign = [found for kind, found in summary.items() if kind in REALLY]
    total = {name: sum(found[name] for found in foreign) for name in ("n", *COUNTS)}
    told = {"summary": summary, "foreign_lesions": total}
    write_result("foreign_lesions", {**told, "cases": cases})
    if arguments.bundle is not None:
        text = json.dumps(told, indent=1) + "\n"
        (arguments.bundle / FOREIGN).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
