"""What the server's log may hold: no word of a patient, and no page of stack for one request.

Readers of DICOM quote what is odd in a header, and the message of an exception may quote it, too.
So the log tells the kinds of exceptions and where they were raised; replies tell the rest.
"""

from __future__ import annotations

import logging
import traceback
import warnings
from typing import Any

from brain_tumor.cases.grid.resampling import itk
from brain_tumor.errors import TumorLensError

MAX_FRAMES = 12
MAX_CHAIN = 4
FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"

_QUIET = {
    "pydicom": logging.CRITICAL,
    "nibabel": logging.CRITICAL,
    "nibabel.global": logging.CRITICAL,
    "python_multipart": logging.ERROR,
    "uvicorn.access": logging.WARNING,  # addresses hold the names that people search for
}


def keep_log_private() -> None:
    """Make every handler of this process brief, and readers of files silent."""
    warnings.simplefilter("ignore")
    itk.ProcessObject.SetGlobalWarningDisplay(False)
    for name, level in _QUIET.items():
        logging.getLogger(name).setLevel(level)
    loggers = [logging.getLogger(), *map(logging.getLogger, list(logging.root.manager.loggerDict))]
    for handler in {handler for logger in loggers for handler in logger.handlers}:
        formatter = handler.formatter or logging.Formatter(FORMAT)
        formatter.formatException = brief_exception  # type: ignore
        handler.setFormatter(formatter)


def brief_exception(info: tuple[Any, ...]) -> str:
    """Kinds of an exception and of those behind it, and the innermost frames of each.

    Args:
        info: As of `sys.exc_info()`.

    Example:
        >>> try:
        ...     int("Doe^Jane")
        ... except ValueError as error:
        ...     "Doe" in brief_exception((type(error), error, error.__traceback__))
        False
    """
    error: BaseException | None = info[1]
    lines: list[str] = []
    for _ in range(MAX_CHAIN):
        if error is None:
            break
        frames = traceback.extract_tb(error.__traceback__, limit=-MAX_FRAMES)
        code = f" ({error.code})" if isinstance(error, TumorLensError) else ""
        lines.append(f"{type(error).__qualname__}{code}")
        lines += [f"  {f.filename}:{f.lineno} in {f.name}" for f in frames]
        error = error.__cause__ or error.__context__
    return "\n".join(lines)
