"""HTTP client of the TumorLens server: MONAI Label's interface and TumorLens' own routes.

Every call blocks, so call it from a job.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from TumorLensLib import multipart
from TumorLensLib.jobs import CancelToken
from TumorLensLib.multipart import Part
from TumorLensLib.transport import Address, BadReplyError, Transport
from TumorLensLib.volumefiles import VolumeData, VolumeFileError, read_volume, write_nrrd

QUICK_S = 30.0
SLOW_S = 900.0
"""Inference waits behind up to eight others on the server."""


@dataclass(frozen=True)
class InferReply:
    """Reply of an inference.

    Attributes:
        params: The JSON part.
        volumes: Files by part name, read.
    """

    params: dict[str, Any]
    volumes: dict[str, VolumeData]


@dataclass(frozen=True)
class Client:
    """A server, as one annotator uses it.

    Attributes:
        address: Where it is.
        token: Sent with every request, if any.
        client_id: Name of the annotator.
        cancel: Breaks off the requests of this copy; see `bound`.
    """

    address: Address
    token: str = ""
    client_id: str = ""
    cancel: CancelToken = field(default_factory=CancelToken)

    def bound(self, cancel: CancelToken) -> Client:
        """Copy whose requests the token breaks off."""
        return Client(self.address, self.token, self.client_id, cancel)

    # What the server is.

    def info(self) -> dict[str, Any]:
        """Models, labels, strategies and trainers."""
        return self._object("GET", "/info/")

    def model_info(self, model: str) -> dict[str, Any]:
        """Versions, methods and providers of a model."""
        return self._object("GET", f"/model/info/{_in_path(model)}")

    # Cases.

    def datastore(self) -> dict[str, Any]:
        """The whole index of cases."""
        return self._object("GET", "/datastore/", {"output": "all"})

    def case_statuses(self) -> list[dict[str, Any]]:
        """Status and reservation of every case."""
        return self._list("GET", "/cases/status")

    def next_case(self, strategy: str) -> dict[str, Any]:
        """Case that a strategy picks; empty when all are labelled."""
        return self._object(
            "POST", f"/activelearning/{_in_path(strategy)}", send={"client_id": self.client_id}
        )

    def reserve(self, case: str, minutes: int) -> dict[str, Any]:
        """Keep a case from being handed to others for a while."""
        body = {"image": case, "client_id": self.client_id, "minutes": minutes}
        return self._object("POST", "/cases/reserve", send=body)

    def release(self, case: str) -> dict[str, Any]:
        """Give a reservation back."""
        return self._object(
            "DELETE", "/cases/reserve", {"image": case, "client_id": self.client_id}
        )

    def reopen(self, case: str) -> dict[str, Any]:
        """Take a submitted case up again."""
        return self._object(
            "POST", "/cases/reopen", send={"image": case, "client_id": self.client_id}
        )

    def case_volume(self, case: str) -> tuple[VolumeData, str]:
        """Reference volume of a case, and the SHA-256 of its file."""
        return self._volume_and_sha256("/datastore/image", {"image": case})

    # Inference.

    def infer(
        self,
        task: str,
        query: Mapping[str, str],
        params: Mapping[str, Any],
        label: VolumeData | None = None,
        scribbles: VolumeData | None = None,
    ) -> InferReply:
        """Run a model.

        Args:
            task: Name of the task.
            query: `image` or `session_id`.
            params: Options of the task.
            label: Current labelmap, for tasks that start from one.
            scribbles: Strokes, for tasks that follow them.
        """
        sent = {"label": label, "scribbles": scribbles}
        files = [Part(n, write_nrrd(v), f"{n}.nrrd") for n, v in sent.items() if v is not None]
        options = {"client_id": self.client_id, **params}
        body, kind = multipart.encode({"params": json.dumps(options)}, files)
        content, received = self._request(
            "POST", f"/infer/{_in_path(task)}", query, body, kind, SLOW_S
        )
        if not received.startswith("multipart/"):
            return InferReply(_as_object(_parse_json(content), "/infer"), {})
        try:
            parts = multipart.decode(content, received)
            fields = [part for part in parts if part.filename is None]
            if not fields:
                raise BadReplyError("the server's reply has no JSON part")
            params_part = _as_object(_parse_json(fields[0].content), "/infer")
            volumes = {p.name: read_volume(p.content) for p in parts if p.filename is not None}
        except (multipart.MultipartError, VolumeFileError) as error:
            raise BadReplyError(f"the server's reply cannot be read: {error}") from error
        return InferReply(params_part, volumes)

    def create_session(self, volumes: Mapping[str, VolumeData]) -> str:
        """Upload volumes for a while; returns the session's id.

        Args:
            volumes: By sequence (`t1`, `t1c`, `t2`, `flair`), which becomes the file name.
        """
        files = [Part("files", write_nrrd(v), f"{name}.nrrd") for name, v in volumes.items()]
        body, kind = multipart.encode({}, files)
        content, _ = self._request("PUT", "/session/", {}, body, kind, SLOW_S)
        reply = _as_object(_parse_json(content), "/session/")
        return _text(reply, "session_id")

    def remove_session(self, session: str) -> None:
        """Remove what was uploaded."""
        self._object("DELETE", f"/session/{_in_path(session)}")

    # Labels and corrections.

    def submit_label(
        self, case: str, label: VolumeData, params: Mapping[str, Any], tag: str = "final"
    ) -> dict[str, Any]:
        """Submit a labelmap; the reply means that it is on the server's disk."""
        told = {"client_id": self.client_id, "numbering": "tumorlens", **params}
        fields = {"params": json.dumps(told)}
        body, kind = multipart.encode(fields, [Part("label", write_nrrd(label), "label.nrrd")])
        query = {"image": case, "tag": tag}
        content, _ = self._request("PUT", "/datastore/label", query, body, kind, SLOW_S)
        return _as_object(_parse_json(content), "/datastore/label")

    def label(self, case: str, tag: str = "final") -> VolumeData:
        """Current label of a case."""
        return self._volume("/datastore/label", {"label": case, "tag": tag})

    def label_history(self, case: str) -> list[dict[str, Any]]:
        """Every version of every label of a case, oldest first in each tag."""
        reply = self._object("GET", "/datastore/label/history", {"label": case})
        versions = reply.get("versions")
        return [v for v in versions if isinstance(v, dict)] if isinstance(versions, list) else []

    def newest_version(self, case: str, tag: str = "final") -> int:
        """Number of the newest version of a label, 0 if there never was one."""
        numbers = [v.get("version") for v in self.label_history(case) if v.get("tag") == tag]
        return max((n for n in numbers if isinstance(n, int)), default=0)

    def label_version(self, case: str, tag: str, version: int) -> VolumeData:
        """One version of a label."""
        query = {"label": case, "tag": tag, "version": str(version)}
        return self._volume("/datastore/label/version", query)

    def restore_label(self, case: str, tag: str, version: int) -> dict[str, Any]:
        """Make a version the newest one again."""
        query = {
            "label": case,
            "tag": tag,
            "version": str(version),
            "client_id": self.client_id,
        }
        return self._object("POST", "/datastore/label/restore", query)

    def correct_type(self, case: str, tumor_type: str, reason: str) -> dict[str, Any]:
        """Say which tumour type is right."""
        body = {"image": case, "type": tumor_type, "reason": reason, "client_id": self.client_id}
        return self._object("POST", "/corrections/type", send=body)

    def judge_sentences(
        self, case: str, sentences: Iterable[Mapping[str, Any]], model: str
    ) -> dict[str, Any]:
        """Say which sentences of a rationale are right, wrong or unclear."""
        body = {
            "image": case,
            "sentences": [dict(sentence) for sentence in sentences],
            "client_id": self.client_id,
            "model": model,
        }
        return self._object("POST", "/corrections/sentences", send=body)

    def corrections(self, **query: str) -> list[dict[str, Any]]:
        """Submitted corrections, filtered by `image`, `state` and `limit`."""
        return self._list("GET", "/corrections", {k: v for k, v in query.items() if v})

    def review(self, submission: Any, decision: str, note: str) -> dict[str, Any]:
        """Decide on a correction: `reviewed` or `rejected`."""
        body = {
            "submission": submission,
            "decision": decision,
            "note": note,
            "client_id": self.client_id,
        }
        return self._object("POST", "/corrections/review", send=body)

    # Training.

    def train_status(self) -> dict[str, Any]:
        """State of the last training."""
        return self._object("GET", "/train/")

    def start_training(self, model: str, options: Mapping[str, Any]) -> dict[str, Any]:
        """Start a training."""
        body = {**options, "client_id": self.client_id}
        return self._object("POST", f"/train/{_in_path(model)}", send=body)

    def stop_training(self) -> dict[str, Any]:
        """Stop the running training."""
        return self._object("DELETE", "/train/")

    def models(self) -> dict[str, Any]:
        """Versions of every model, with their metrics."""
        return self._object("GET", "/models")

    def promote(self, model: str, version: str, *, dry_run: bool) -> dict[str, Any]:
        """Make a candidate the active version, or only ask the gate."""
        body = {"version": version, "dry_run": dry_run, "client_id": self.client_id}
        return self._object("POST", f"/models/{_in_path(model)}/promote", send=body)

    def rollback(self, model: str, version: str = "") -> dict[str, Any]:
        """Go back to an earlier version."""
        body = {"client_id": self.client_id, **({"version": version} if version else {})}
        return self._object("POST", f"/models/{_in_path(model)}/rollback", send=body)

    # Requests.

    def _object(
        self,
        method: str,
        route: str,
        query: Mapping[str, str] | None = None,
        send: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        return _as_object(self._json(method, route, query, send), route)

    def _list(
        self, method: str, route: str, query: Mapping[str, str] | None = None
    ) -> list[dict[str, Any]]:
        found = self._json(method, route, query, None)
        if isinstance(found, dict) and len(found) == 1:
            found = next(iter(found.values()))  # {"corrections": [...]}
        if not isinstance(found, list):
            raise BadReplyError(f"{route} answered with something else than a list")
        return [item for item in found if isinstance(item, dict)]

    def _json(
        self,
        method: str,
        route: str,
        query: Mapping[str, str] | None,
        send: Mapping[str, Any] | None,
    ) -> Any:
        body = None if send is None else json.dumps(send).encode()
        kind = "" if send is None else "application/json"
        content, _ = self._request(method, route, query or {}, body, kind, QUICK_S)
        return _parse_json(content)

    def _volume(self, route: str, query: Mapping[str, str]) -> VolumeData:
        return self._volume_and_sha256(route, query)[0]

    def _volume_and_sha256(self, route: str, query: Mapping[str, str]) -> tuple[VolumeData, str]:
        content, _ = self._request("GET", route, query, None, "", SLOW_S)
        try:
            return read_volume(content), hashlib.sha256(content).hexdigest()
        except VolumeFileError as error:
            raise BadReplyError(f"{route}: {error}") from error

    def _request(
        self,
        method: str,
        route: str,
        query: Mapping[str, str],
        body: bytes | None,
        content_type: str,
        timeout_s: float,
    ) -> tuple[bytes, str]:
        transport = Transport(self.address, self.token, self.cancel)
        return transport.request(method, route, query, body, content_type, timeout_s)


def _parse_json(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError as error:
        raise BadReplyError(
            "the server's reply is not JSON", "Check that a TumorLens server runs at this address."
        ) from error


def _as_object(value: Any, route: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BadReplyError(f"{route} answered with something else than an object")
    return value


def _text(reply: Mapping[str, Any], key: str) -> str:
    value = reply.get(key)
    if not isinstance(value, str) or not value:
        raise BadReplyError(f"the server's reply names no {key}")
    return value


def _in_path(name: str) -> str:
    return quote(name, safe="")
