"""A server that speaks the documented interface, in this process, with answers known by hand.

It keeps what it is sent, fails on demand, and can leave out whole groups of routes.
"""

from __future__ import annotations

import hashlib
import json
import socket
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from TumorLensLib import multipart
from TumorLensLib.multipart import Part
from TumorLensLib.volumefiles import VolumeData, read_volume, write_nrrd

from slicer_extension.tests import phantoms

LABELS = {"necrotic core": 1, "oedema": 2, "enhancing tumour": 3, "tumour core": 4}
NOTICE = "Research use only; not a medical device."
MODELS = ("segmentation", "classification", "explanation", "analysis", "refine")
REFERENCE = {
    "glioma": [0.9, 1.3, 1.9],
    "meningioma": [0.6, 0.9, 1.1],
    "pituitary": [0.5, 0.8, 1.0],
}
GATE_CHECKS = [
    {
        "name": "corrections / <WT>",
        "passed": True,
        "reason": "",
        "difference": {
            "n": 6,
            "current": 0.81,
            "candidate": 0.84,
            "mean": 0.03,
            "low": 0.01,
            "high": 0.05,
            "p_better": 0.02,
            "worst": -0.01,
        },
    },
    {"name": "every patient", "passed": False, "reason": "loses", "difference": None},
]


def korean(language, english, korean_text):
    """Text in the language asked for."""
    return korean_text if language == "ko" else english


class FakeServer:
    """State and answers of the server.

    Args:
        grid: Geometry of its cases.
        models: Infer tasks that it offers.
        has_learning: Whether it has the routes of the learning loop.
        token: What requests must carry.
    """

    def __init__(self, grid=phantoms.OBLIQUE, models=MODELS, has_learning=True, token=""):
        self.grid, self.models, self.has_learning, self.token = grid, models, has_learning, token
        self.images = {name: phantoms.image(grid) for name in ("CASE-1", "CASE-2", "CASE-3")}
        self.proposal = phantoms.labelmap(grid)
        self.heat = phantoms.heatmap(grid)
        self.labels: dict[str, list[VolumeData]] = {}
        self.label_info: list[dict] = []
        self.statuses = dict.fromkeys(self.images, "new")
        self.reserved: dict[str, str] = {}
        self.sessions: dict[str, dict[str, VolumeData]] = {}
        self.corrections: list[dict] = []
        self.requests: list[tuple[str, str, dict]] = []
        self.bodies: list[dict] = []
        self.refine_labels: list[VolumeData] = []
        self.scribbles: list[VolumeData] = []
        self.faithful = True
        self.extent_mm = 8.0
        self.schema_version = "1.0"
        self.server_labels = LABELS
        self.strange_grid = None
        self.hold = threading.Event()
        self.hold.set()
        self.fail: dict[str, tuple[int, dict] | str] = {}
        self.training = {"status": "IDLE", "details": [], "request": {}, "id": ""}
        self.active = "1.0.0"
        self._lock = threading.RLock()

    # Answers.

    def info(self):
        return {
            "name": "TumorLens",
            "version": "0.1.0",
            "labels": self.server_labels,
            "models": {name: {"type": name, "labels": LABELS} for name in self.models},
            "strategies": {
                "first": {},
                "uncertainty": {"description": "Where the model doubts about the tumour most"},
                "random": {"description": "<b>At random</b>"},
            },
            "trainers": {
                "segmentation": {"config": {"max_epochs": 5, "learning_rate": 0.001, "fast": True}}
            },
        }

    def reply(self, task, case, params):
        """JSON part and files of an inference."""
        language, method = params.get("language", "en"), params.get("method", "gradcam++")
        target = params.get("target", "prediction")
        target = {"prediction": "glioma", "runner_up": "meningioma"}.get(target, target)
        grid = self.grid
        body = {
            "schema_version": self.schema_version,
            "task": task,
            "case": case,
            "sequences": {"used": ["t1c", "flair"], "missing": ["t1", "t2"], "reference": "t1c"},
            "models": [{"name": "segmentation", "version": "1.0.0", "sha256": "a1" * 32}],
            "label_names": LABELS,
            "warnings": ["t2 was resampled to the grid of t1c"],
            "timings_s": {"load": 0.1, "compute": 0.2, "encode": 0.01, "total": 0.31},
            "cached": False,
            "notice": NOTICE,
        }
        files = []
        if task in ("segmentation", "analysis", "refine"):
            labelmap = self.proposal
            if task == "refine":
                array = self.refine_labels[-1].array.copy()
                for click in params["clicks"]["positive"]:
                    i, j, k = click["ijk"]
                    array[k, j, i] = click["label"]
                for click in params["clicks"]["negative"]:
                    i, j, k = click["ijk"]
                    array[k, j, i] = 0
                labelmap = VolumeData(array, grid)
            if self.strange_grid is not None:
                labelmap = VolumeData(labelmap.array, self.strange_grid)
            files.append(Part("image", write_nrrd(labelmap), f"{task}.nrrd"))
            body["segmentation"] = {
                "model": "segmentation",
                "version": "1.0.0",
                "reason": "a test asked for it",
                "scheme": "subregions",
                "labels": {"necrotic core": 1, "oedema": 2, "enhancing tumour": 3},
                "volumes_ml": {"WT": 1.08, "TC": 0.32, "ET": 0.28},
            }
        if task in ("explanation", "analysis"):
            files.append(Part("heatmap", write_nrrd(self.heat), "heatmap.nrrd"))
            peak = phantoms.point_mm(phantoms.PEAK_IJK, grid)
            body |= {
                "classification": {
                    "prediction": "glioma",
                    "probabilities": {"glioma": 0.87, "meningioma": 0.11, "pituitary": 0.02},
                    "prediction_set": ["glioma", "meningioma"],
                    "coverage": 0.9,
                    "reasons": [],
                    "out_of_distribution": {
                        "score": 1.3,
                        "threshold": 4.2,
                        "is_out": False,
                        "measurements": {"score": 0.9, "threshold": 1.2, "is_out": False},
                    },
                    "scope": {
                        "known": ["glioma", "meningioma", "pituitary"],
                        "not_known": ["metastasis"],
                        "note": "Only three types are known.",
                    },
                    "slices": [],
                },
                "heatmap": {
                    "method": method,
                    "target": target,
                    "part": "heatmap",
                    "scale": 1 / 255,
                    "range": [0, 1],
                    "inside_tumor_share": 0.82,
                    "near_tumor_share": 0.95,
                    "peak_ras": peak,
                    "peak_inside_tumor": True,
                    "faithfulness": {
                        "passed": self.faithful,
                        "deletion_auc": 0.31,
                        "insertion_auc": 0.74,
                        "random_deletion_auc": 0.5,
                        "random_insertion_auc": 0.5,
                        "reasons": [] if self.faithful else ["deletion is no better than chance"],
                    },
                },
                "evidence": [
                    {
                        "id": "e1",
                        "name": "ring-enhancement index",
                        "feature": "ring_enhancement_index",
                        "value": 1.31,
                        "unit": "1",
                        "measured": True,
                        "reason": None,
                        "ras": peak,
                        "extent_mm": self.extent_mm,
                        "side": "left",
                        "region": "left temporal lobe",
                        "reference": REFERENCE,
                        "percentile": {"glioma": 0.5, "meningioma": 0.99, "pituitary": 1.0},
                        "contribution": 0.41,
                        "supports": "glioma",
                        "heat": 0.7,
                    },
                    {
                        "id": "e2",
                        "name": "dural tail <length>",
                        "feature": "dural_tail",
                        "value": None,
                        "unit": "mm",
                        "measured": False,
                        "reason": "the tumour does not touch the dura",
                        "ras": None,
                        "extent_mm": None,
                        "side": None,
                        "region": None,
                        "reference": {},
                        "percentile": {},
                        "contribution": -0.1,
                        "supports": None,
                        "heat": None,
                    },
                ],
                "rationale": {
                    "language": language,
                    "provider": params.get("provider", "composer"),
                    "sentences": [
                        {
                            "id": "s1",
                            "text": korean(
                                language,
                                "A ring of enhancement surrounds a core <darker> than it.",
                                "조영 증강 고리가 더 어두운 중심부를 둘러쌉니다.",
                            ),
                            "evidence": ["e1"],
                            "kind": "finding",
                            "part": "summary",
                        },
                        {
                            "id": "s2",
                            "text": korean(
                                language,
                                "No dural tail could be measured.",
                                "경막 꼬리 징후는 측정되지 않았습니다.",
                            ),
                            "evidence": ["e2"],
                            "kind": "uncertainty",
                            "part": "detail",
                        },
                    ],
                    "checks": {
                        "claims": 3,
                        "supported": 3,
                        "removed": 0,
                        "rewritten": 0,
                        "problems": [],
                    },
                },
                "counterfactual": {
                    "evidence": "e1",
                    "feature": "ring_enhancement_index",
                    "from": 1.31,
                    "to": 1.02,
                    "class": "meningioma",
                },
                "similar_cases": [
                    {
                        "group": 17,
                        "type": "glioma",
                        "distance": 0.8,
                        "agrees": ["ring-enhancement index"],
                    }
                ],
                "symptoms": [
                    {
                        "text": "ring enhancement",
                        "class": "glioma",
                        "score": 0.71,
                        "matched": True,
                        "present": True,
                        "evidence": "e1",
                        "item": None,
                        "feature": "ring_enhancement_index",
                        "words": [{"word": "ring", "weight": 0.12}],
                    }
                ],
            }
        if params.get("uncertainty"):
            files.append(Part("uncertainty", write_nrrd(phantoms.uncertainty(grid)), "u.nrrd"))
            body["uncertainty"] = {"part": "uncertainty", "scale": 1 / 255}
        body["files"] = [{"name": part.name, "filename": part.filename} for part in files]
        return body, files

    def models_reply(self):
        def version(number, state, dice):
            return {
                "version": number,
                "sha256": "b2" * 32,
                "parent": None if number == "1.0.0" else "1.0.0",
                "created": f"2026-01-0{int(number[2]) + 1}T10:00:00Z",
                "metrics": {"dice": {"WT": dice, "ET": dice - 0.1}},
                "state": state,
            }

        one = "active" if self.active == "1.0.0" else "retired"
        two = "active" if self.active == "1.1.0" else "candidate"
        versions = [version("1.0.0", one, 0.81), version("1.1.0", two, 0.84)]
        return {"segmentation": {"active": self.active, "versions": versions}}

    # Routes.

    def answer(self, method, route, query, params, files, body):
        """Status and content: a dictionary, bytes, or a pair for multipart."""
        with self._lock:
            return self._answer(method, route, query, params, files, body)

    def _answer(self, method, route, query, params, files, body):
        image = query.get("image", query.get("label", ""))
        if (method, route) == ("GET", "/info/"):
            return 200, self.info()
        if route.startswith("/model/info/"):
            return 200, {"providers": ["composer", "small language model"]}
        if route.startswith("/infer/"):
            task = route.removeprefix("/infer/")
            if task not in self.models:
                return 404, _error("not_found", f"no model '{task}'")
            if query.get("session_id") and query["session_id"] not in self.sessions:
                return 404, _error("not_found", "no such session", "Upload the volumes again.")
            if "label" in files:
                self.refine_labels.append(read_volume(files["label"].content))
            if "scribbles" in files:
                self.scribbles.append(read_volume(files["scribbles"].content))
            case = query.get("session_id") or image
            if case in self.statuses and self.statuses[case] == "new":
                self.statuses[case] = "predicted"
            return 200, self.reply(task, case, params)
        if (method, route) == ("PUT", "/session/"):
            name = f"session-{len(self.sessions) + 1}"
            self.sessions[name] = {p.filename: read_volume(p.content) for p in files["*"]}
            return 200, {"session_id": name, "session_info": {}}
        if route.startswith("/activelearning/"):
            new = [name for name, status in self.statuses.items() if status == "new"]
            return 200, {"id": new[0]} if new else {}
        if route == "/datastore/" and method == "GET":
            tags = {name: {"final": {}} if self.labels.get(name) else {} for name in self.images}
            return 200, {"objects": {n: {"image": {}, "labels": t} for n, t in tags.items()}}
        if route == "/datastore/image":
            return 200, write_nrrd(self.images[image])
        if route == "/datastore/label" and method == "PUT":
            label = read_volume(files["label"].content)
            held, base = len(self.labels.get(image, [])), params.get("base_version")
            if base not in (None, held) and not params.get("force"):
                return 409, _error(
                    "conflict",
                    f"label final of case '{image}' is at version {held}, saved by bea; yours "
                    f"started from version {base}",
                    "Load the newer version and compare, or submit again with force: both are "
                    "kept.",
                )
            self.labels.setdefault(image, []).append(label)
            self.label_info.append(params)
            self.statuses[image] = "submitted"
            digest = hashlib.sha256(files["label"].content).hexdigest()
            version = len(self.labels[image])
            return 200, {"image": image, "tag": "final", "version": version, "sha256": digest}
        if route == "/datastore/label":
            return 200, write_nrrd(self.labels[image][-1])
        if route == "/datastore/label/history":
            versions = [
                {
                    "tag": "final",
                    "version": n,
                    "saved_by": "anna",
                    "proposed_by": {"name": "segmentation", "version": "1.0.0"},
                    "saved_at": "2026-01-02T10:00:00Z",
                }
                for n in range(1, len(self.labels.get(image, [])) + 1)
            ]
            return 200, {"label": image, "versions": versions}
        if route == "/datastore/label/version":
            return 200, write_nrrd(self.labels[image][int(query["version"]) - 1])
        if route == "/datastore/label/restore":
            self.labels[image].append(self.labels[image][int(query["version"]) - 1])
            return 200, {"version": len(self.labels[image])}
        if route == "/train/" and method == "GET":
            return 200, self.training
        if route.startswith("/train/") and method == "POST":
            self.training = {
                "status": "RUNNING",
                "details": ["epoch 1/4: loss 0.52"],
                "request": {"model": route.removeprefix("/train/"), **body},
            }
            return 200, self.training
        if route == "/train/" and method == "DELETE":
            self.training = {**self.training, "status": "CANCELED"}
            return 200, self.training
        if self.has_learning:
            found = self._learning(method, route, query, body)
            if found is not None:
                return found
        return 404, _error("not_found", f"no route for {method} {route}")

    def _learning(self, method, route, query, body):
        if (method, route) == ("GET", "/cases/status"):
            return 200, [
                {"id": n, "status": s, "reserved_by": self.reserved.get(n), "updated": 1767225600}
                for n, s in self.statuses.items()
            ]
        if (method, route) == ("POST", "/cases/reserve"):
            self.reserved[body["image"]] = body["client_id"]
            return 200, {}
        if (method, route) == ("DELETE", "/cases/reserve"):
            self.reserved.pop(query["image"], None)
            return 200, {}
        if (method, route) == ("POST", "/cases/reopen"):
            self.statuses[body["image"]] = "corrected"
            return 200, {}
        if (method, route) == ("GET", "/corrections"):
            return 200, self.corrections
        if route in ("/corrections/type", "/corrections/sentences"):
            number = len(self.corrections) + 1
            entry = {
                "id": number,
                "at": "2026-01-02T10:00:00.000+00:00",
                "case_id": body["image"],
                "part": "train",
                "kind": route.rsplit("/", 1)[1],
                "state": "submitted",
                "annotator": body["client_id"],
                "payload": body,
            }
            self.corrections.append(entry)
            return 200, entry
        if route == "/corrections/review":
            self.corrections[body["submission"] - 1]["state"] = body["decision"]
            return 200, {}
        if route == "/models":
            return 200, self.models_reply()
        if route == "/models/segmentation/promote":
            if body["dry_run"]:
                return 200, {
                    "promote": True,
                    "reasons": ["WT Dice rose by 0.03"],
                    "current": "1.0.0",
                    "candidate": "1.1.0",
                    "checks": GATE_CHECKS,
                }
            self.active = body["version"]
            return 200, {"name": "segmentation", "active": self.active}
        if route == "/models/segmentation/rollback":
            self.active = "1.0.0"
            return 200, {"active": self.active}
        return None


def _error(code, message, remedy="Try something else."):
    return {"code": code, "message": message, "remedy": remedy}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_arguments):
        pass

    def _serve(self):
        fake = self.server.fake
        split = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(split.query).items()}
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        kind = self.headers.get("Content-Type") or ""
        params, files, body = {}, {}, {}
        if kind.startswith("multipart/"):
            parts = multipart.decode(raw, kind)
            files = {part.name: part for part in parts if part.filename}
            files["*"] = [part for part in parts if part.filename]
            texts = {part.name: part.content.decode() for part in parts if not part.filename}
            params = json.loads(texts.get("params", "{}"))
        elif raw:
            body = json.loads(raw)
        fake.requests.append((self.command, split.path, query))
        fake.bodies.append({**params, **body})
        self._when_allowed(fake, split.path)
        failure = fake.fail.get(split.path)
        if failure == "drop":
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        if failure == "torn":
            self._send(200, b"x" * 10, "multipart/form-data; boundary=abc")
            return
        if failure == "html":
            self._send(502, b"<html>Bad gateway</html>", "text/html")
            return
        if isinstance(failure, tuple):
            status, content = failure
        elif fake.token and self.headers.get("Authorization") != f"Bearer {fake.token}":
            status, content = 401, _error("unauthorised", "the token is missing or wrong")
        else:
            status, content = fake.answer(self.command, split.path, query, params, files, body)
        if isinstance(content, bytes):
            self._send(status, content, "application/octet-stream")
        elif isinstance(content, tuple):
            encoded, kind = multipart.encode({"params": json.dumps(content[0])}, content[1])
            self._send(status, encoded, kind)
        else:
            self._send(status, json.dumps(content).encode(), "application/json")

    def _when_allowed(self, fake, path):
        if path.startswith(("/infer/", "/datastore/label")):
            fake.hold.wait(30)

    def _send(self, status, content, kind):
        try:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
        except OSError:
            self.close_connection = True  # the client went away

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = _serve


@contextmanager
def serving(fake=None):
    """Run a fake server; yields it with its address in `url`."""
    fake = fake or FakeServer()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    server.fake = fake
    fake.url = f"http://127.0.0.1:{server.server_port}"
    fake.stop = server.shutdown
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield fake
    finally:
        fake.hold.set()
        server.shutdown()
        server.server_close()
