"""`tumorlens serve`: the stock server, set up and started in this process."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import re
from collections.abc import Iterable
from pathlib import Path

from brain_tumor.cases.files.durable import make_folder, storage_errors
from brain_tumor.errors import InputError
from brain_tumor.server.http.access import (
    ALLOWED_HOSTS_ENV,
    HOST_ENV,
    ROOT_PATH_ENV,
    TOKEN_ENV,
    access_policy,
    allowed_hosts,
    root_path_of,
)
from brain_tumor.server.sample_studies import samples_beside
from brain_tumor.server.settings import (
    CERTIFICATES_ENV,
    URL_ENV,
    quiet_environment,
    server_limits,
    split_studies,
)

logger = logging.getLogger(__name__)

APP_FOLDER = Path(__file__).resolve().parents[1]
LOOPBACK = "127.0.0.1"
DEFAULT_PORT = 8000
MAX_PORT = 65535
GRACE_S = 25  # for running inferences when the server is told to stop; see `ending`
LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def serve(
    studies: Path,
    host: str = LOOPBACK,
    port: int = DEFAULT_PORT,
    *,
    token: str | None = None,
    origins: Iterable[str] = (),
    allowed: Iterable[str] = (),
    root_path: str = "",
    samples: bool = False,
    device: str | None = None,
    dicomweb: str = "",
    certificates: Path | None = None,
    app_folder: Path = APP_FOLDER,
) -> None:
    """Serve a studies folder until the process is told to stop.

    Nothing heavy is imported before the environment is set, so that torch sees it.

    Args:
        studies: Folder of cases, made if it does not exist; or the address of an archive, whose
            cases are then kept in the folder `studies`.
        host: Address to listen on; beyond loopback every request needs the token.
        port: Port to listen on.
        token: Bearer token; None takes `TUMORLENS_TOKEN`, else one is made up and shown where
            one is needed.
        origins: Web origins whose pages may call the server.
        allowed: Host names that a proxy passes on, besides the server's own.
        root_path: Path below which a proxy serves it.
        samples: Whether the sample studies are made meanwhile; each is served once it is there.
        device: Where networks compute; None takes `TUMORLENS_DEVICE`, else a GPU if there is one.
        dicomweb: Address of a DICOM archive whose brain studies are listed as cases.
        certificates: Certificates to trust for it, instead of the system's.
        app_folder: Folder with the `main.py` to serve.

    Raises:
        InputError: If an argument makes no sense.
        StorageError: If the studies folder cannot be used.
        ModelError: If the weights cannot be loaded.
        BusyError: If another server works on the folder.
    """
    if not 0 <= port <= MAX_PORT:
        raise InputError(f"port is {port}; expected 0-{MAX_PORT}")
    address, studies = split_studies(str(studies))
    if re.match(r"[a-z][a-z0-9+.-]+:/", str(studies), re.IGNORECASE):
        raise InputError(
            f"studies is the address {str(studies)!r:.80}; expected a folder, or the http address "
            "of a DICOMweb archive",
            remedy="Name a folder, or import the studies first: tumorlens import SOURCE.",
        )
    if address or dicomweb:
        os.environ[URL_ENV] = dicomweb or address
    if certificates is not None:
        os.environ[CERTIFICATES_ENV] = str(certificates)
    with storage_errors(studies.name):
        make_folder(studies)
    os.environ.update(quiet_environment(os.environ))
    os.environ[HOST_ENV] = host
    if token is not None:
        os.environ[TOKEN_ENV] = token
    if names := allowed_hosts(allowed):
        os.environ[ALLOWED_HOSTS_ENV] = ",".join(sorted(names))
    if root_path:
        os.environ[ROOT_PATH_ENV] = root_path_of(root_path)
    pages = list(origins)
    access_policy(os.environ, [], pages)  # both only to tell mistakes before the long imports
    server_limits(os.environ)
    if os.environ.get(URL_ENV):
        from brain_tumor.server.archive import archive_of_environment

        archive_of_environment(os.environ)
    _set_up_logging()

    from brain_tumor.devices import use_device

    used = use_device(device)
    logger.info("networks run on %s%s", used.name.value, " in bfloat16" if used.bf16 else "")

    with samples_beside(studies.resolve()) if samples else contextlib.nullcontext():
        _run(studies, host, port, pages, app_folder)


def _run(studies: Path, host: str, port: int, pages: list[str], app_folder: Path) -> None:
    """Import what is heavy and serve."""
    import uvicorn
    from monailabel.config import settings

    settings.MONAI_LABEL_APP_DIR = str(app_folder)
    settings.MONAI_LABEL_STUDIES = str(studies.resolve())
    settings.MONAI_LABEL_SERVER_PORT = port
    settings.MONAI_LABEL_APP_CONF = {}
    settings.MONAI_LABEL_CORS_ORIGINS = pages or settings.MONAI_LABEL_CORS_ORIGINS
    # child processes for trainings read these
    os.environ["MONAI_LABEL_APP_DIR"] = settings.MONAI_LABEL_APP_DIR
    os.environ["MONAI_LABEL_STUDIES"] = settings.MONAI_LABEL_STUDIES
    os.environ.setdefault("PYTHONPATH", "")
    with contextlib.redirect_stdout(io.StringIO()):  # it claims to allow every origin
        from monailabel.app import app
        from monailabel.interfaces.utils.app import app_instance

    app_instance()  # fails here with one sentence rather than inside the server's start
    uvicorn.run(
        app,
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE_S,
    )


def _set_up_logging() -> None:
    """Log to the terminal; the stock server's own notes only from WARNING on, they name paths."""
    logging.basicConfig(level=logging.INFO, format=LOG_FORMAT)
    for name in ("monailabel", "timeloop", "matplotlib", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("monai.data.nvimgcodec_pydicom_plugin").setLevel(logging.ERROR)
