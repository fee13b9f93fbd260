"""De-identification at import: what is kept of a DICOM identity, under a pseudonym.

Of a header only the attributes of `DicomSource` are kept at all, so every other one is removed.
Those that are kept get the action that the basic profile of DICOM PS3.15 (table E.1-1) asks for.
Voxels stay as they are: a face can still be recognised in them.

Who is who is in a table that stays where its owner put it; with it, and only with it, results go
back under the real identity.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from brain_tumor.cases.dicom_source import UNICODE, DicomSource, SourceSeries
from brain_tumor.cases.files.durable import write_durably
from brain_tumor.errors import FileFormatError, InputError, NotFoundError

TABLE_FORMAT = 1
METHOD = "TumorLens: DICOM PS3.15 basic profile on the attributes kept"
REMOVE, EMPTY, DUMMY, UID = "X", "Z", "D", "U"
ACTIONS: Mapping[str, str] = MappingProxyType(
    {
        "PatientName": DUMMY,
        "PatientID": DUMMY,
        "IssuerOfPatientID": REMOVE,
        "PatientBirthDate": EMPTY,
        "PatientSex": EMPTY,
        "StudyInstanceUID": UID,
        "StudyDate": EMPTY,
        "StudyTime": EMPTY,
        "StudyID": EMPTY,
        "AccessionNumber": EMPTY,
        "ReferringPhysicianName": EMPTY,
        "StudyDescription": REMOVE,
        "SpecificCharacterSet": "K",
        "PatientIdentityRemoved": "K",
        "DeidentificationMethod": "K",
    }
)
"""Action on each patient and study attribute: X remove, Z empty, D dummy, U new UID, K keep."""
_SECRET_BYTES = 32


class PseudonymTable:
    """Pseudonyms and the identities behind them, in a file for its owner alone.

    The same patient and the same UID get the same pseudonym from one table, and others from
    another.

    Args:
        path: JSON file; made with the first pseudonym.

    Raises:
        FileFormatError: If the file is there and no such table.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._secret = secrets.token_bytes(_SECRET_BYTES)
        self._cases: dict[str, Any] = {}
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            self._secret = bytes.fromhex(content["secret"])
            self._cases = dict(content["cases"])
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise FileFormatError(
                f"{path.name} is no table of pseudonyms ({type(error).__name__})",
                remedy="Name the table of an earlier import, or a file that does not exist yet.",
            ) from error

    def disguise(self, source: DicomSource) -> tuple[str, DicomSource]:
        """Case id and identity under a pseudonym; the table knows both when this returns.

        Raises:
            InputError: If nothing in the header tells whose study it is.
            StorageError: If the table cannot be written.
        """
        told = source.attributes
        patient = "\n".join(
            told.get(k, "") for k in ("PatientID", "IssuerOfPatientID", "PatientName")
        )
        if not source.study:
            raise InputError(
                "the DICOM study has no StudyInstanceUID; expected one",
                remedy="Export the study from the archive again and import that.",
            )
        name = f"TL-{self._digest(patient.strip() or source.study)[:10].upper()}"
        case_id = f"{name}-{self._digest(source.study)[:6]}"
        self._cases[case_id] = source.to_json()
        self._write()
        attributes = {
            "PatientName": name,
            "PatientID": name,
            "StudyInstanceUID": self._uid(source.study),
            "SpecificCharacterSet": UNICODE,
            "PatientIdentityRemoved": "YES",
            "DeidentificationMethod": METHOD,
        }
        series = {s: self._disguised(one) for s, one in source.series.items()}
        return case_id, DicomSource(attributes, series)

    def identity_of(self, case_id: str) -> DicomSource:
        """Real identity of a case.

        Raises:
            NotFoundError: If the table does not know it.
        """
        held = self._cases.get(case_id)
        if held is None:
            raise NotFoundError(
                f"{self._path.name} knows no case {case_id}",
                remedy="Name the table that the case was imported with (--deidentify).",
            )
        return DicomSource.from_json(held)

    def _disguised(self, series: SourceSeries) -> SourceSeries:
        frame = series.frame_of_reference
        return replace(
            series,
            description="",
            frame_of_reference=self._uid(frame) if frame else "",
            planes=tuple(
                replace(p, instance=self._uid(p.instance), series=self._uid(p.series))
                for p in series.planes
            ),
        )

    def _uid(self, uid: str) -> str:
        return f"2.25.{int(self._digest(f'uid {uid}')[:32], 16)}"

    def _digest(self, text: str) -> str:
        return hmac.new(self._secret, text.encode(), hashlib.sha256).hexdigest()

    def _write(self) -> None:
        content = {"format": TABLE_FORMAT, "secret": self._secret.hex(), "cases": self._cases}
        write_durably(self._path, json.dumps(content, ensure_ascii=False).encode("utf-8"))
