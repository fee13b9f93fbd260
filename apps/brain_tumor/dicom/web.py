"""Studies from and to an archive over DICOMweb: QIDO-RS, WADO-RS and STOW-RS.

Nothing is stored in the studies folder before a study is here whole. Messages name the host and
counts of images, never a patient; UIDs that an archive sends are checked before they are used.

References:
    DICOM PS3.18.
"""

from __future__ import annotations

import hashlib
import logging
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from collections.abc import Sequence as Items
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import requests
from dicomweb_client.api import DICOMwebClient
from pydicom.dataset import Dataset
from requests.adapters import HTTPAdapter

from brain_tumor.cases.files.durable import storage_errors
from brain_tumor.cases.sequences import names_other_image
from brain_tumor.errors import ArchiveError, InputError, NotFoundError

logger = logging.getLogger(__name__)

TOKEN_ENV = "TUMORLENS_DICOMWEB_TOKEN"
LOGIN_ENV = "TUMORLENS_DICOMWEB_LOGIN"
CONNECT_S = 5.0
SILENCE_S = 30.0
MAX_FETCHING_THREADS = 4
_MAX_UID_CHARACTERS = 64
_PAUSE_S = 1.0
_HEAD_PARTS = frozenset({"", "BRAIN", "HEAD", "HEADNECK", "SKULL", "NEURO"})
"""Values of BodyPartExamined of a brain MR; many scanners leave it empty."""
_ANY_ENCODING = (("application/dicom", "*"),)
_FIELDS = [
    *("SeriesDescription", "BodyPartExamined", "NumberOfSeriesRelatedInstances"),
    *("StudyInstanceUID", "StudyDate"),
]
_T = TypeVar("_T")


@dataclass(frozen=True)
class ArchiveAddress:
    """Where an archive is and how to get in.

    Attributes:
        url: Base of its DICOMweb services, without login.
        token: Bearer token; None without.
        login: User and password of basic authentication; None without.
        certificates: File of certificates to trust; None trusts those of the system.
        attempts: How often a request is made before it has failed.
        silence_s: How long the archive may be silent.
    """

    url: str
    token: str | None = None
    login: tuple[str, str] | None = None
    certificates: Path | None = None
    attempts: int = 1
    silence_s: float = SILENCE_S

    @property
    def host(self) -> str:
        """How messages call the archive."""
        return urlsplit(self.url).netloc


@dataclass(frozen=True)
class ListedStudy:
    """A study that an archive has.

    Attributes:
        uid: StudyInstanceUID.
        date: StudyDate, YYYYMMDD; empty if there is none.
        series: How many MR series it has.
        images: How many images those have, as far as the archive tells.
    """

    uid: str
    date: str
    series: int
    images: int

    @property
    def case_id(self) -> str:
        """Case id that the study gets when it is fetched."""
        return case_id_of_study(self.uid)


@dataclass(frozen=True)
class _Series:
    study: str
    uid: str
    date: str
    description: str
    part: str
    images: int | None


def archive_address(
    url: str,
    environ: Mapping[str, str],
    *,
    certificates: Path | None = None,
    attempts: int = 1,
) -> ArchiveAddress:
    """Address of an archive with the login of the environment.

    Args:
        url: Base of its DICOMweb services, for example https://pacs.example/dicom-web.
        environ: Environment variables; `TOKEN_ENV` and `LOGIN_ENV` (user:password) are read.
        certificates: See `ArchiveAddress`.
        attempts: See `ArchiveAddress`.

    Raises:
        InputError: If it is no such address, or holds a password.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InputError(
            f"archive is {url!r:.80}; expected an address such as https://pacs.example/dicom-web"
        )
    if parts.username or parts.password or parts.query:
        raise InputError(
            "the address of the archive holds a login or a query; expected the address alone",
            remedy=f"Set the environment variable {LOGIN_ENV}=user:password or {TOKEN_ENV}.",
        )
    if certificates is not None and not certificates.is_file():
        raise InputError(f"{certificates.name} does not exist; expected a file of certificates")
    if attempts < 1:
        raise InputError(f"attempts is {attempts}; expected 1 or more")
    user, colon, password = environ.get(LOGIN_ENV, "").partition(":")
    if user and not colon:
        raise InputError(f"{LOGIN_ENV} holds no colon; expected user:password")
    return ArchiveAddress(
        url.rstrip("/"),
        environ.get(TOKEN_ENV) or None,
        (user, password) if user else None,
        certificates,
        attempts,
    )


def case_id_of_study(uid: str) -> str:
    """Case id of a study of an archive; it tells nothing about whom it belongs to.

    Example:
        >>> case_id_of_study("1.2.3")
        'study-c47f5b18b8a4'
    """
    return f"study-{hashlib.sha256(uid.encode()).hexdigest()[:12]}"


def list_brain_studies(address: ArchiveAddress, *, limit: int = 5000) -> list[ListedStudy]:
    """Studies of an archive with MR series of the head, the newest first.

    Args:
        address: Archive.
        limit: Most series that are looked at.

    Raises:
        ArchiveError: If the archive does not answer as it should.
    """
    found: dict[str, list[_Series]] = {}
    for series in _search(address, limit=limit):
        found.setdefault(series.study, []).append(series)
    listed = [
        ListedStudy(
            study,
            max(s.date for s in group),
            len(group),
            sum(s.images or 0 for s in group),
        )
        for study, group in found.items()
        if any(s.part in _HEAD_PARTS for s in group)
    ]
    return sorted(listed, key=lambda one: (one.date, one.uid), reverse=True)


def fetch_study(address: ArchiveAddress, study: str, folder: Path) -> list[str]:
    """Write the MR images of a study into a folder.

    Series whose description names another image than the four sequences are not fetched.

    Args:
        address: Archive.
        study: StudyInstanceUID.
        folder: Empty folder.

    Returns:
        What was left in the archive, for a person.

    Raises:
        InputError: If the UID is none.
        NotFoundError: If the archive has no MR image of the study.
        ArchiveError: If the archive does not answer as it should, or sends half a study.
        StorageError: If the disk does not take it.
    """
    found = [s for s in _search(address, study=check_uid(study)) if s.images != 0]
    if not found:
        raise NotFoundError(
            f"archive {address.host} has no study with this UID that holds MR images",
            remedy="Check the UID and that this login may see the study.",
        )
    wanted = [series for series in found if not names_other_image(series.description)]
    left = [f"not fetched: {s.description}" for s in found if s not in wanted]
    with ThreadPoolExecutor(min(MAX_FETCHING_THREADS, max(1, len(wanted)))) as pool:
        jobs = [
            pool.submit(_fetch_series, address, series, folder, number)
            for number, series in enumerate(wanted)
        ]
        for job in jobs:
            job.result()
    return left


def store_objects(address: ArchiveAddress, made: Items[Dataset]) -> None:
    """Send objects to an archive.

    Raises:
        ArchiveError: If it does not answer as it should, or refuses one of them.
    """

    def store(client: DICOMwebClient) -> Dataset:
        return client.store_instances(made)

    reply = _asked(address, store)
    refused = len(reply.get("FailedSOPSequence") or ())
    if refused:
        raise ArchiveError(
            f"archive {address.host} refused {refused} of {len(made)} objects",
            remedy="See the archive's log; it may not take segmentations or reports.",
        )


def check_uid(uid: str) -> str:
    """UID as given.

    Raises:
        InputError: If it is none.
    """
    is_numeric = uid.replace(".", "").isdecimal() and uid.isascii()
    if not is_numeric or len(uid) > _MAX_UID_CHARACTERS or ".." in uid:
        raise InputError(f"study is {uid!r:.80}; expected a DICOM UID such as 1.2.840.99.1")
    return uid


def _search(
    address: ArchiveAddress, *, study: str | None = None, limit: int = 5000
) -> list[_Series]:
    """MR series of one study or of all."""

    def search(client: DICOMwebClient) -> list[dict[str, Any]]:
        told: list[dict[str, Any]] = client.search_for_series(
            study_instance_uid=study,
            search_filters={"Modality": "MR"},
            fields=_FIELDS,
            limit=limit,
        )
        if any(not isinstance(one, dict) or "0020000E" not in one for one in told):
            raise ValueError("the reply is no list of series")
        return told

    series = []
    for entry in _asked(address, search):
        uid, of_study = _value(entry, "0020000E"), _value(entry, "0020000D") or study or ""
        if _value(entry, "00080060") not in ("MR", ""):
            continue
        try:
            check_uid(uid), check_uid(of_study)
        except InputError:
            logger.warning("archive %s lists a series without a valid UID", address.host)
            continue
        count = _value(entry, "00201209")
        series.append(
            _Series(
                of_study,
                uid,
                _value(entry, "00080020"),
                _value(entry, "0008103E"),
                _value(entry, "00180015").upper(),
                int(count) if count.isdecimal() else None,
            )
        )
    return series


def _value(entry: Mapping[str, Any], tag: str) -> str:
    """First value of an attribute in DICOM JSON, as text."""
    values = entry.get(tag, {}).get("Value") or [""]
    return str(values[0])


def _fetch_series(address: ArchiveAddress, series: _Series, folder: Path, number: int) -> None:
    """Write the images of a series; a study is one folder, whose name becomes the case id."""

    def fetch(client: DICOMwebClient) -> int:
        count = 0
        for count, image in enumerate(
            client.iter_series(series.study, series.uid, media_types=_ANY_ENCODING), start=1
        ):
            with storage_errors(folder.name):
                image.save_as(folder / f"{number:03d}-{count:05d}.dcm", write_like_original=False)
        return count

    came = _asked(address, fetch)
    if came < (series.images or 1):
        raise ArchiveError(
            f"archive {address.host} sent {came} of {series.images or 'some'} images of a series; "
            "nothing was imported",
            remedy="Wait until the archive has the whole study, then import it again.",
        )


def _asked(address: ArchiveAddress, ask: Callable[[DICOMwebClient], _T]) -> _T:
    """Answer of an archive, tried as often as its address says.

    Raises:
        ArchiveError: If it does not answer as it should.
    """
    for attempt in range(1, address.attempts + 1):
        try:
            with _sentences(address), _client(address) as client:
                return ask(client)
        except ArchiveError as error:
            if attempt == address.attempts:
                raise
            logger.info("%s; trying again", error.message)
            time.sleep(_PAUSE_S * attempt)
    raise AssertionError("unreachable: attempts are at least 1")


class _BoundedAdapter(HTTPAdapter):
    """Requests that end when the archive is silent."""

    def __init__(self, silence_s: float) -> None:
        super().__init__()
        self._silence_s = silence_s

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: bool | str = True,
        cert: Any = None,
        proxies: Any = None,
    ) -> requests.Response:
        """Send a request with a bound on connecting and on silence."""
        bound = (CONNECT_S, self._silence_s)
        return super().send(request, stream, bound, verify, cert, proxies)


@contextmanager
def _client(address: ArchiveAddress) -> Iterator[DICOMwebClient]:
    with requests.Session() as session:
        session.trust_env = False  # no proxy and no .netrc that nobody named here
        adapter = _BoundedAdapter(address.silence_s)
        session.mount("http://", adapter)
        session.mount("https://", adapter)
        if address.certificates is not None:
            session.verify = str(address.certificates)
        if address.login is not None:
            session.auth = address.login
        if address.token is not None:
            session.headers["Authorization"] = f"Bearer {address.token}"
        client = DICOMwebClient(address.url, session=session)
        client.set_http_retry_params(retry=False)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pydicom quotes odd values of headers
            yield client


@contextmanager
def _sentences(address: ArchiveAddress) -> Iterator[None]:
    """One sentence for whatever is wrong with an archive."""
    host = address.host
    try:
        yield
    except requests.exceptions.SSLError as error:
        raise ArchiveError(
            f"the certificate of archive {host} cannot be verified",
            remedy="Name the file of certificates that it is signed by: --dicomweb-ca FILE.",
        ) from error
    except requests.exceptions.ConnectTimeout as error:
        raise ArchiveError(f"archive {host} does not answer within {CONNECT_S:g} s") from error
    except requests.exceptions.Timeout as error:
        raise ArchiveError(
            f"archive {host} was silent for {address.silence_s:g} s; nothing was imported",
            remedy="Try again when it has less to do, or with --attempts 3.",
        ) from error
    except requests.exceptions.HTTPError as error:
        raise _of_status(host, error) from error
    except (requests.exceptions.ConnectionError, requests.exceptions.ChunkedEncodingError) as error:
        is_silence = "timed out" in str(error).lower()
        what = f"was silent for {address.silence_s:g} s" if is_silence else "does not answer"
        raise ArchiveError(f"archive {host} {what}, or ended the connection") from error
    except (requests.exceptions.RequestException, ValueError, LookupError, TypeError) as error:
        if isinstance(error, InputError):
            raise
        raise ArchiveError(
            f"{host} answers, but not as DICOMweb ({type(error).__name__})",
            remedy="Check the path of the address; Orthanc has its services at /dicom-web.",
        ) from error


def _of_status(host: str, error: requests.exceptions.HTTPError) -> ArchiveError:
    status = error.response.status_code if error.response is not None else 0
    if status in (401, 403):
        return ArchiveError(
            f"archive {host} refuses access ({status})",
            remedy=f"Set {TOKEN_ENV}, or {LOGIN_ENV}=user:password, to a login that may do this.",
        )
    if status == 404:
        return ArchiveError(
            f"archive {host} has nothing at this address (404)",
            remedy="Check the path of the address; Orthanc has its services at /dicom-web.",
        )
    return ArchiveError(f"archive {host} refuses the request ({status})")
