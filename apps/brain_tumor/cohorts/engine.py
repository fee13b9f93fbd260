"""Working through many items, where one that fails ends nothing; the server's batch does, too."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from brain_tumor.errors import TumorLensError

logger = logging.getLogger(__name__)

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")

UNEXPECTED = "the program failed on this case; see its log"
UNEXPECTED_REMEDY = "Run this case alone (tumorlens analyse) with --verbose, and report the fault."
OUT_OF_MEMORY = "the memory of the worker does not hold this case"
OUT_OF_MEMORY_REMEDY = "Take fewer workers (--workers), so that each has more memory."


@dataclass(frozen=True)
class Failure:
    """Why an item came to nothing.

    Attributes:
        message: One sentence.
        remedy: What can be done about it.
    """

    message: str
    remedy: str


@dataclass(frozen=True)
class Outcome(Generic[ResultT]):
    """What became of an item.

    Attributes:
        result: What was made of it; None if it failed.
        failure: Why it failed; None if it did not.
    """

    result: ResultT | None = None
    failure: Failure | None = None


def attempt(
    work: Callable[[ItemT], ResultT], item: ItemT, *, unexpected: str = UNEXPECTED
) -> Outcome[ResultT]:
    """Work on one item; whatever goes wrong is said in a sentence.

    Args:
        work: What is done with it.
        item: The item.
        unexpected: Sentence for an error that is a fault of the program; its trace is logged.
    """
    try:
        return Outcome(work(item))
    except TumorLensError as error:
        return Outcome(failure=Failure(error.message, error.remedy))
    except MemoryError:
        logger.exception("one item does not fit into memory")
        return Outcome(failure=Failure(OUT_OF_MEMORY, OUT_OF_MEMORY_REMEDY))
    except Exception:
        logger.exception("one item failed")
        return Outcome(failure=Failure(unexpected, UNEXPECTED_REMEDY))


def run_here(
    items: Iterable[ItemT],
    work: Callable[[ItemT], ResultT],
    on_outcome: Callable[[ItemT, Outcome[ResultT]], None],
    *,
    is_stopped: Callable[[], bool] = lambda: False,
    unexpected: str = UNEXPECTED,
) -> None:
    """Work through items one after the other in this thread.

    Args:
        items: What to work on; taken one at a time.
        work: What is done with each.
        on_outcome: Hears of each.
        is_stopped: Asked before each; true ends the work.
        unexpected: See `attempt`.
    """
    for item in items:
        if is_stopped():
            return
        on_outcome(item, attempt(work, item, unexpected=unexpected))
