"""What the panel is doing with which case: a state machine without Qt and without the scene."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from TumorLensLib.volumefiles import VolumeData


class State(enum.Enum):
    """States of the panel."""

    OFFLINE = "offline"
    IDLE = "idle"
    OPENING = "opening"
    OPEN = "open"
    ANALYSING = "analysing"
    REVIEW = "review"
    SUBMITTING = "submitting"


class Action(enum.Enum):
    """What the user may start."""

    CONNECT = "connect"
    OPEN_CASE = "open case"
    ANALYSE = "analyse"
    EXPLAIN = "explain"
    REFINE = "refine"
    EDIT = "edit"
    SUBMIT = "submit"


ALLOWED: Mapping[Action, frozenset[State]] = {
    Action.CONNECT: frozenset({State.OFFLINE, State.IDLE, State.OPEN, State.REVIEW}),
    Action.OPEN_CASE: frozenset({State.IDLE, State.OPEN, State.REVIEW}),
    Action.ANALYSE: frozenset({State.OPEN, State.REVIEW}),
    Action.EXPLAIN: frozenset({State.REVIEW}),
    Action.REFINE: frozenset({State.REVIEW}),
    Action.EDIT: frozenset({State.REVIEW}),
    Action.SUBMIT: frozenset({State.REVIEW}),
}
WORKING = frozenset({State.OPENING, State.ANALYSING, State.SUBMITTING})


class SessionError(RuntimeError):
    """Something was started that does not fit the state: an error of the panel, not of the user."""


@dataclass(frozen=True)
class Case:
    """The case that is open.

    Attributes:
        name: Case id, or the name of a volume of the scene.
        session_id: Id of the upload, for a volume of the scene; else empty.
    """

    name: str
    session_id: str = ""

    @property
    def is_stored(self) -> bool:
        """Whether the server keeps the case, so that corrections can be submitted."""
        return not self.session_id

    @property
    def query(self) -> dict[str, str]:
        """How requests name it."""
        return {"session_id": self.session_id} if self.session_id else {"image": self.name}


@dataclass(frozen=True)
class Origin:
    """What a correction started from, so that two annotators do not overwrite each other.

    Attributes:
        version: Version of the label on the server, 0 for none; None if that is not known.
        image_sha256: Checksum of the volume file; empty if that is not known.
    """

    version: int | None = None
    image_sha256: str = ""

    @property
    def told(self) -> dict[str, Any]:
        """As a submission tells it."""
        told = {"base_version": self.version, "image_sha256": self.image_sha256}
        return {key: value for key, value in told.items() if value not in (None, "")}


@dataclass
class Session:
    """State, case and what was proposed for it.

    Attributes:
        state: See `State`.
        case: The open case.
        proposal: What the server proposed last, or the label that was reopened.
        scheme: Label scheme of the proposal.
        reply: JSON of the last analysis.
        is_edited: Whether the segments were changed since the proposal or the last submission.
        was_shown: Which explanations were visible at some time since the case was opened.
        origin: What corrections of the open case start from.
    """

    state: State = State.OFFLINE
    case: Case | None = None
    proposal: VolumeData | None = None
    scheme: str = "subregions"
    reply: dict[str, Any] = field(default_factory=dict)
    is_edited: bool = False
    was_shown: set[str] = field(default_factory=set)
    origin: Origin = field(default_factory=Origin)
    _before: State = State.OFFLINE

    def can(self, action: Action) -> bool:
        """Whether an action fits the state."""
        return self.state in ALLOWED[action]

    @property
    def is_working(self) -> bool:
        """Whether a request for the case runs."""
        return self.state in WORKING

    def connected(self) -> None:
        """The server answered."""
        if self.state is State.OFFLINE:
            self.state = State.OPEN if self.case else State.IDLE
            if self.case and self.proposal:
                self.state = State.REVIEW

    def disconnected(self) -> None:
        """The server is gone; the open case and its edits stay."""
        self.state = State.OFFLINE

    def begin(self, action: Action) -> None:
        """Start a request.

        Raises:
            SessionError: If it does not fit the state.
        """
        if not self.can(action):
            raise SessionError(f"cannot {action.value} while {self.state.value}")
        self._before = self.state
        self.state = {
            Action.OPEN_CASE: State.OPENING,
            Action.SUBMIT: State.SUBMITTING,
        }.get(action, State.ANALYSING)

    def failed(self) -> None:
        """The request failed or was cancelled: back to where it began, nothing lost."""
        if self.is_working:
            self.state = self._before

    def opened(self, case: Case) -> None:
        """A case was loaded; what belonged to the last one is forgotten."""
        self.case = case
        self.proposal, self.reply, self.is_edited = None, {}, False
        self.was_shown, self.origin = set(), Origin()
        self.state = State.OPEN

    def proposed(self, proposal: VolumeData, scheme: str, reply: Mapping[str, Any]) -> None:
        """The server proposed a labelmap, or one was fetched from it."""
        self._need_case()
        self.proposal = VolumeData(np.array(proposal.array, np.uint8), proposal.ijk_to_ras)
        self.scheme = scheme
        self.reply = dict(reply)
        self.is_edited = False
        self.state = State.REVIEW

    def explained(self, reply: Mapping[str, Any]) -> None:
        """Another explanation of the same proposal arrived; sections it lacks stay."""
        self._need_case()
        self.reply = {**self.reply, **reply}
        self.state = State.REVIEW

    def edited(self) -> None:
        """The annotator or a refinement changed a segment."""
        if self.state in (State.REVIEW, State.ANALYSING, State.OFFLINE) and self.proposal:
            self.is_edited = True

    def submitted(self, version: int | None = None) -> None:
        """The server has the correction on its disk, as this version."""
        self._need_case()
        self.is_edited = False
        self.origin = Origin(version, self.origin.image_sha256)
        self.state = State.REVIEW

    def closed(self) -> None:
        """The scene was closed."""
        is_offline = self.state is State.OFFLINE
        self.case = self.proposal = None
        self.reply, self.is_edited, self.was_shown = {}, False, set()
        self.origin = Origin()
        self.state = State.OFFLINE if is_offline else State.IDLE

    def _need_case(self) -> None:
        if self.case is None:
            raise SessionError("no case is open")
