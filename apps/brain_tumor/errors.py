"""The one error hierarchy.

Every error that a user can cause carries a stable `code`, a sentence that says which input was
wrong, what was expected and what arrived, and a `remedy`. The server maps them to HTTP in one
place (`server/http/replies.py`); the command line prints them in one place (`cli.py`).
"""

from __future__ import annotations


class TumorLensError(Exception):
    """Base of all errors raised on purpose.

    Args:
        message: What is wrong: which input, what was expected, what arrived.
        remedy: What the user can do about it; each class has a default.
    """

    code = "error"
    default_remedy = "See the documentation."

    def __init__(self, message: str, *, remedy: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy or self.default_remedy


class InputError(TumorLensError, ValueError):
    """A request or an argument that cannot be understood."""

    code = "bad_input"
    default_remedy = "Correct the input and try again."


class FileFormatError(InputError):
    """A file that cannot be read as what it claims to be."""

    code = "unreadable_file"
    default_remedy = "Export the volume again as NIfTI, NRRD or DICOM; check it is complete."


class VolumeError(InputError):
    """A volume with unusable content: not 3-D, NaN, empty."""

    code = "bad_volume"
    default_remedy = "Check the volume in a viewer and export it again."


class GeometryError(InputError):
    """Affines, shapes or spacings that are unusable or do not fit together."""

    code = "bad_geometry"
    default_remedy = "Export the volume with its original geometry."


class SequenceError(InputError):
    """A sequence that is missing, doubled or not recognised."""

    code = "bad_sequences"
    default_remedy = (
        "Name the files: options --t1, --t1c, --t2, --flair, "
        "or over HTTP the keys t1, t1c, t2, flair."
    )


class LabelError(InputError):
    """A labelmap with values outside the label scheme."""

    code = "bad_labels"
    default_remedy = "Use the label values of this server (see GET /info/)."


class NotFoundError(TumorLensError, LookupError):
    """A case, label, model or version that does not exist."""

    code = "not_found"
    default_remedy = "List what exists (GET /datastore/, tumorlens models list) and try again."


class ModelError(TumorLensError, RuntimeError):
    """Weights that are missing, damaged or of another version than their metadata."""

    code = "bad_model"
    default_remedy = "Restore the model folder from its release, or roll back a version."


class StorageError(TumorLensError, RuntimeError):
    """Data that could not be stored durably, or stored data that is damaged."""

    code = "storage"
    default_remedy = "Free disk space or fix permissions of the studies folder, then try again."


class ConflictError(TumorLensError, RuntimeError):
    """Something changed since the client looked at it; what it sent was not stored."""

    code = "conflict"
    default_remedy = "Load the case again, and send what is still right."


class BusyError(TumorLensError, RuntimeError):
    """The server has as much work as it takes at once.

    Args:
        message: As of every error.
        remedy: As of every error.
        retry_after_s: Seconds after which it may be tried again, if that is known.
    """

    code = "busy"
    default_remedy = "Wait a few seconds and try again."

    def __init__(
        self, message: str, *, remedy: str | None = None, retry_after_s: int | None = None
    ) -> None:
        super().__init__(message, remedy=remedy)
        self.retry_after_s = retry_after_s


class ArchiveError(TumorLensError, RuntimeError):
    """A DICOM archive that is away, slow, refuses, or sends less than it has."""

    code = "archive"
    default_remedy = "Check the address and that the archive runs, then try again."


class DeviceError(InputError):
    """A device to compute on that does not exist here."""

    code = "bad_device"
    default_remedy = "Leave out --device and TUMORLENS_DEVICE, or say cpu, which is always there."


class DeviceMemoryError(BusyError):
    """The device ran out of memory in the middle of a computation."""

    code = "out_of_memory"
    default_remedy = (
        "Close other programs that use it, or start again with --device cpu (TUMORLENS_DEVICE=cpu)."
    )


class AccessError(TumorLensError, PermissionError):
    """A request without the right token or from a foreign web page."""

    code = "forbidden"
    default_remedy = "Send the server's token as 'Authorization: Bearer TOKEN'."
