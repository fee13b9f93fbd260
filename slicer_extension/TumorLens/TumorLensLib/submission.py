"""What is sent when a person submits a correction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from TumorLensLib.client import Client
from TumorLensLib.jobs import CancelledError
from TumorLensLib.transport import ServerError
from TumorLensLib.volumefiles import VolumeData


@dataclass(frozen=True)
class Remarks:
    """What is sent with a labelmap.

    Attributes:
        tumor_type: The right type, or empty.
        reason: What shows it.
        verdicts: Judged sentences.
        model: Whose sentences they are.
    """

    tumor_type: str
    reason: str
    verdicts: list[dict[str, Any]]
    model: str


def submit(
    client: Client, case: str, label: VolumeData, info: dict[str, Any], said: Remarks
) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """Send a labelmap, then what was said with it, and give the case back.

    Args:
        client: To the server.
        case: Name of the case.
        label: Corrected labelmap.
        info: What is told of its origin.
        said: Sent once the labelmap is stored.

    Returns:
        The server's reply to the labelmap, and what could not be sent after it: name and error.

    Raises:
        ServerError: If the labelmap is not stored; then nothing else is sent.
        CancelledError: If the user stops it.
    """
    stored = client.submit_label(case, label, info)
    problems: list[tuple[str, str]] = []
    for wanted, name, send in (
        (
            said.tumor_type,
            "type",
            lambda: client.correct_type(case, said.tumor_type, said.reason),
        ),
        (
            said.verdicts,
            "sentences",
            lambda: client.judge_sentences(case, said.verdicts, said.model),
        ),
        (True, "", lambda: client.release(case)),
    ):
        if not wanted:
            continue
        try:
            send()
        except CancelledError:
            raise
        except ServerError as error:
            if name:
                problems.append((name, str(error)))
    return stored, problems
