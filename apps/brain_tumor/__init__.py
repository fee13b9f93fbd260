"""TumorLens: segment a brain tumour, name its type, show and say why.

Research use only; not a medical device. What other programs may build on is listed in `__all__`; it
is imported when it is first used, so that `import brain_tumor` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from brain_tumor.api import (
        ExplanationOptions,
        TumorLensError,
        analyse,
        load_analyst,
        load_case,
        load_segmenter,
        write_report,
        write_samples,
    )

__version__ = "0.1.0"
NOTICE = "Research use only; not a medical device."

__all__ = [
    "NOTICE",
    "ExplanationOptions",
    "TumorLensError",
    "__version__",
    "analyse",
    "load_analyst",
    "load_case",
    "load_segmenter",
    "write_report",
    "write_samples",
]


def __getattr__(name: str) -> Any:
    """A name of the interface, imported now."""
    if name in __all__:
        return getattr(import_module("brain_tumor.api"), name)
    raise AttributeError(f"module 'brain_tumor' has no attribute {name!r}")
