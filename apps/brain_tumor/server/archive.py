"""Studies of a DICOM archive as cases of the server: listed as they are, fetched when opened."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from brain_tumor.cases.studies import ImportReport, ImportStatus
from brain_tumor.dicom.fetching import import_from_archive
from brain_tumor.dicom.web import (
    ArchiveAddress,
    ListedStudy,
    archive_address,
    list_brain_studies,
)
from brain_tumor.errors import ArchiveError, InputError, NotFoundError
from brain_tumor.server.settings import CERTIFICATES_ENV, URL_ENV

logger = logging.getLogger(__name__)

LISTING_S = 30.0
_CASE_OF_A_STUDY = re.compile(r"study-[0-9a-f]{12}")


def archive_of_environment(environ: Mapping[str, str]) -> ArchiveAddress | None:
    """Archive that a server was started with; None without.

    Raises:
        InputError: If its address or login makes no sense.
    """
    url, certificates = environ.get(URL_ENV), environ.get(CERTIFICATES_ENV)
    if not url:
        return None
    return archive_address(url, environ, certificates=Path(certificates) if certificates else None)


class ArchiveCases:
    """Brain studies of an archive; thread-safe.

    Args:
        address: Archive.
        studies: Studies folder, into which opened ones are fetched.
        clock: Seconds; for tests.
    """

    def __init__(
        self,
        address: ArchiveAddress,
        studies: Path,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._address = address
        self._studies = studies
        self._clock = clock
        self._listed: tuple[float, dict[str, ListedStudy]] | None = None
        self._listing, self._fetching = threading.Lock(), threading.Lock()

    def listed(self) -> dict[str, ListedStudy]:
        """Brain studies by case id; asked for at most every 30 s.

        Raises:
            ArchiveError: If the archive does not answer as it should.
        """
        with self._listing:
            now = self._clock()
            if self._listed is None or now - self._listed[0] > LISTING_S:
                found = list_brain_studies(self._address)
                self._listed = (now, {one.case_id: one for one in found})
            return self._listed[1]

    def listed_if_there(self) -> dict[str, ListedStudy]:
        """As `listed`; empty while the archive does not answer, which the log says."""
        try:
            return self.listed()
        except ArchiveError as error:
            logger.warning("%s", error.message)
            return {}

    def fetch(self, case_id: str) -> ImportReport | None:
        """Fetch the study behind a case id.

        Returns:
            What became of it; None if the archive has no such case.

        Raises:
            InputError: If the study is no case.
            ArchiveError: If the archive does not answer as it should; nothing is stored.
        """
        if not _CASE_OF_A_STUDY.fullmatch(case_id):
            return None
        study = self.listed().get(case_id)
        if study is None:
            return None
        with self._fetching:  # a second request finds the case there
            try:
                report, *_ = import_from_archive(self._address, study.uid, self._studies)
            except NotFoundError:
                return None
        if report.status is ImportStatus.REFUSED:
            raise InputError(report.message, remedy=report.remedy)
        return report
