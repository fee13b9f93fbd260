"""The app behind the routes: datastore, sessions, tasks and strategies in one object."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from itertools import product
from pathlib import Path
from typing import Any

from filelock import FileLock
from monailabel.interfaces.app import MONAILabelApp
from monailabel.interfaces.datastore import Datastore
from monailabel.interfaces.tasks.infer_v2 import InferTask
from monailabel.interfaces.tasks.strategy import Strategy
from monailabel.interfaces.tasks.train import TrainTask

from brain_tumor import NOTICE, __version__
from brain_tumor.bundles import check_recorded, models_folder
from brain_tumor.cases.files.durable import remove_leftovers, storage_errors
from brain_tumor.cases.studies import remove_import_leftovers
from brain_tumor.errors import BusyError, NotFoundError, StorageError
from brain_tumor.explanation.analyst import Analyst
from brain_tumor.explanation.type_reader import TypeReader
from brain_tumor.labels import label_names
from brain_tumor.learning.registry.registry import ModelRegistry
from brain_tumor.model_names import CORRECTABLE
from brain_tumor.segmentation.remembering import RememberingSegmenter
from brain_tumor.segmentation.result import Segmenter
from brain_tumor.server.archive import ArchiveCases, archive_of_environment
from brain_tumor.server.datastore.label_check import accept_image, accept_label
from brain_tumor.server.datastore.sessions import StudySessions
from brain_tumor.server.datastore.store import ORIGINAL, PRIVATE_FOLDER, StudyDatastore
from brain_tumor.server.http.replies import FilePart
from brain_tumor.server.learning.scorer import CaseScorer
from brain_tumor.server.learning.services import LearningServices
from brain_tumor.server.learning.strategies import (
    DESCRIPTIONS,
    FirstStrategy,
    RandomStrategy,
    ScoredStrategy,
)
from brain_tumor.server.learning.trainers import CorrectionTrainer
from brain_tumor.server.settings import (
    URL_ENV,
    ServerLimits,
    apply_to_stock,
    server_limits,
    split_studies,
)
from brain_tumor.server.tasks.admission import InferenceGate, ReadingGate
from brain_tumor.server.tasks.base import (
    CaseInferTask,
    CaseInput,
    TaskReply,
    TaskServices,
)
from brain_tumor.server.tasks.batches import Batches
from brain_tumor.server.tasks.cache import ByteCache
from brain_tumor.server.tasks.classification import ClassificationTask
from brain_tumor.server.tasks.explanation import AnalysisTask, ExplanationTask
from brain_tumor.server.tasks.inputs import stored_input
from brain_tumor.server.tasks.refine import RefineTask
from brain_tumor.server.tasks.segmentation import SegmentationTask
from brain_tumor.server.tasks.warm_up import synthetic_cases, warm_up_language_model

logger = logging.getLogger(__name__)

NAME = "TumorLens"
DESCRIPTION = f"Brain tumour segmentation on an ordinary CPU. {NOTICE}"
HOUSEKEEPING_S = 60.0


class ServerApp(MONAILabelApp):  # type: ignore[misc]
    """Base of the app class that MONAI Label finds in `main.py`.

    MONAI Label constructs it with three arguments, in the server and in the processes that it
    starts for trainings. Only `on_init_complete` marks the server.

    Args:
        app_dir: Folder of `main.py`.
        studies: Studies folder, or the address of a DICOM archive.
        conf: Options from `--conf`; none is used.

    Attributes:
        limits: Sizes that the server takes.
        readers: Admission of uploads that are stored or unpacked.
        services: Gate and cache of the tasks.
        batches: Work on many cases in the background.
        registry: Versions of the models.
        learning: What was corrected and inferred.
        archive: Studies of a DICOM archive; None without one.
        folder_lock: Held by the process that serves the studies folder.

    Raises:
        InputError: If the address of the archive or its login makes no sense.
        StorageError: If the studies folder cannot be used.
        ModelError: If the weights cannot be loaded.
    """

    def __init__(self, app_dir: str, studies: str, conf: Mapping[str, str]) -> None:
        url, folder = split_studies(studies)  # MONAI Label takes an archive's address for a folder
        address = archive_of_environment({**os.environ, URL_ENV: url} if url else os.environ)
        self.app_dir = app_dir
        self._root = folder.resolve()
        self.archive = None if address is None else ArchiveCases(address, self._root)
        apply_to_stock(self._root / PRIVATE_FOLDER / "sessions")
        self.limits: ServerLimits = server_limits(os.environ)
        self.readers = ReadingGate()
        self.services = TaskServices(InferenceGate(), ByteCache(self.limits.cache_bytes))
        self.registry = ModelRegistry(models_folder(), self._root / PRIVATE_FOLDER / "models")
        check_recorded(models_folder())
        self.registry.verify_active()
        self._segmenter = RememberingSegmenter(self.load_segmenter())
        self.folder_lock: FileLock | None = None
        super().__init__(
            app_dir=app_dir,
            studies=str(self._root),
            conf=dict(conf or {}),
            name=NAME,
            description=DESCRIPTION,
            version=__version__,
            labels=label_names(),
        )
        self.learning = LearningServices(self.datastore(), self.registry)
        self.datastore().on_version = self.learning.labels.on_label
        if self.archive is not None:
            self.datastore().on_missing = self.archive.fetch
        self.batches = Batches(self._datastore, self._predict_and_store, self.infer_task)

    def load_segmenter(self) -> Segmenter:
        """Segmenter with its weights; the composition root says which."""
        raise NotImplementedError

    def load_type_reader(self) -> Callable[[], TypeReader] | None:
        """Gives the classifier in use; None leaves out the tasks that need one."""
        return None

    @property
    def staging(self) -> Path:
        """Private folder for files of running requests."""
        return self.datastore().staging

    # What MONAI Label asks for while it constructs the app.

    def init_datastore(self) -> StudyDatastore:
        """Studies folder."""
        return StudyDatastore(self._root, check_label=accept_label, check_image=accept_image)

    def init_infers(self) -> dict[str, InferTask]:
        """Infer tasks by name."""
        segmentation = SegmentationTask(self._segmenter, self.services)
        tasks: list[CaseInferTask[Any]] = [
            segmentation,
            RefineTask(segmentation, self.services),
        ]
        reader = self.load_type_reader()
        if reader is not None:
            analyst = Analyst(self._segmenter, reader)
            tasks += [
                ClassificationTask(analyst, self.services),
                ExplanationTask(analyst, self.services),
                AnalysisTask(analyst, self.services),
            ]
        return {task.name: task for task in tasks}

    def init_strategies(self) -> dict[str, Strategy]:
        """Strategies by name."""
        scored = {name: ScoredStrategy(name, lambda: self.learning.ledger) for name in DESCRIPTIONS}
        return {**scored, "random": RandomStrategy(), "first": FirstStrategy()}

    def init_trainers(self) -> dict[str, TrainTask]:
        """Trainings by model."""
        return {
            name: CorrectionTrainer(
                name,
                lambda: self.learning.jobs,
                lambda *given: self.learning.trainings.train(*given),
            )
            for name in CORRECTABLE
        }

    def init_batch_infer(self) -> None:
        """None of the stock kind; see `Batches`."""

    def _load_sessions(self, load: bool = False) -> StudySessions:
        """Sessions in the folder that the settings name."""
        from monailabel.config import settings

        folder = Path(settings.MONAI_LABEL_SESSION_PATH)
        return StudySessions(folder, settings.MONAI_LABEL_SESSION_EXPIRY)

    # What routes and tasks ask for.

    @property
    def segmenter(self) -> Segmenter:
        """What outlines tumours now."""
        return self._segmenter

    def datastore(self) -> StudyDatastore:
        """Studies folder."""
        store: StudyDatastore = self._datastore
        return store

    def sessions(self) -> StudySessions:
        """Uploaded volumes."""
        sessions: StudySessions = self._sessions
        return sessions

    def trainers(self) -> Mapping[str, TrainTask]:
        """Trainings by model."""
        trainers: Mapping[str, TrainTask] = self._trainers
        return trainers

    def infer_task(self, model: str) -> CaseInferTask[Any]:
        """Infer task by name.

        Raises:
            NotFoundError: If there is none.
        """
        task: CaseInferTask[Any] | None = self._infers.get(model)
        if task is None:
            raise NotFoundError(
                f"no model '{model:.64}'; this server has {', '.join(sorted(self._infers))}",
                remedy="See 'models' in GET /info/.",
            )
        return task

    def run_task(
        self,
        task: CaseInferTask[Any],
        case_input: CaseInput,
        options: Mapping[str, Any],
        *,
        stored_as: str | None = None,
        background: bool = False,
    ) -> TaskReply:
        """Answer a request, and note what a label of this case will have started from.

        Args:
            task: Infer task.
            case_input: Case.
            options: Checked options.
            stored_as: Id of the case if it is in the datastore.
            background: See `CaseInferTask.run`.
        """
        reply = task.run(case_input, options, background=background)
        image = reply.labelmap
        if stored_as is not None and image is not None:
            if not task.takes_label:  # what an annotator has touched is no proposal of a model
                self._note_proposal(stored_as, reply.params["models"][0], image)
            if options.get("save_label"):
                self._save_proposal(stored_as, image.filename, image.content, reply)
        if stored_as is not None:
            self._note_result(stored_as, reply.params, options.get("client_id"))
        logger.info(
            "%s of %s in %.2f s (%s)",
            task.name,
            "a stored case" if stored_as else "an upload",
            reply.params["timings_s"]["total"],
            reply.params["models"][0]["version"],
        )
        return reply

    def info(self) -> dict[str, Any]:
        """What stock clients ask for first, and which files of the studies folder are no cases."""
        told: dict[str, Any] = super().info()
        return {**told, "passed_over": dict(self.datastore().passed_over)}

    def infer(
        self, request: Mapping[str, Any], datastore: Datastore | None = None
    ) -> dict[str, Any]:
        """Contract of stock callers: run a model on a case of the datastore.

        Args:
            request: `model`, `image` (a case id, never a path) and options.
            datastore: Unused; there is one.

        Returns:
            `file` (which the caller removes), `label`, `tag` and `params`.
        """
        task = self.infer_task(str(request.get("model", "")))
        given = {k: v for k, v in request.items() if k not in {"model", "image", "description"}}
        options = task.check_options(given)
        case_input = stored_input(self.datastore(), str(request.get("image", "")))
        path, params = task({"case_input": case_input, **options})
        return {"label": path, "tag": ORIGINAL, "file": path, "params": params}

    def next_sample(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Next case to annotate, or an empty dictionary.

        Args:
            request: `strategy` and what it takes.

        Raises:
            NotFoundError: If there is no such strategy.
        """
        strategy = self._strategies.get(request["strategy"])
        if strategy is None:
            raise NotFoundError(
                f"no strategy '{request['strategy']:.64}'; this server has "
                f"{', '.join(sorted(self._strategies))}",
                remedy="See 'strategies' in GET /info/.",
            )
        client, missed = request.get("client_id"), frozenset[str]()
        while chosen := strategy(request, self.learning.work.visible_to(client, missed)):
            try:
                self.learning.work.reserve_for(client, chosen["id"])
            except BusyError:  # another client got it in this very moment
                missed |= {chosen["id"]}
                continue
            return {**chosen, "path": self.datastore().get_image_uri(chosen["id"])}
        return {}

    # The server's own life; processes started for trainings do not get here.

    def on_init_complete(self) -> None:
        """Begin to serve: tidy up, then warm up and keep house in the background."""
        self.tidy_up()
        self.learning.jobs.recover()
        CaseScorer(self).start()
        for name, work in (
            ("housekeeping", self._keep_house),
            ("language-model", warm_up_language_model),
        ):
            threading.Thread(target=work, name=name, daemon=True).start()
        # Waited for at the end: a thread that dies inside a network takes the process down with it.
        threading.Thread(target=self._warm_up, name="warm-up", daemon=False).start()
        logger.info("%s %s serves %d cases", NAME, __version__, len(self.datastore().list_images()))

    def tidy_up(self) -> None:
        """Finish or remove what a killed server left half-done.

        Only for the process that serves the folder.

        Raises:
            StorageError: If the disk does not take it.
        """
        private = self._root / PRIVATE_FOLDER
        shutil.rmtree(self.staging, ignore_errors=True)
        remove_import_leftovers(self._root)
        self.datastore().recover()
        self.registry.recover()
        self.learning.labels.sync()
        if self.sessions().folder.is_relative_to(private):
            self.sessions().recover()
        for folder in (private, self.learning.proposals.folder):
            remove_leftovers(folder)
        self.datastore().make_staging()

    def cleanup_sessions(self) -> None:
        """Remove expired sessions."""
        self.sessions().remove_expired()

    def _keep_house(self) -> None:
        """Remove expired sessions and retrain when it is due; one failure does not end it."""
        while True:
            for work in (self.cleanup_sessions, self.learning.trainings.retrain_if_due):
                try:
                    work()
                except Exception:
                    logger.exception("%s failed", work.__name__)
            time.sleep(HOUSEKEEPING_S)

    def _warm_up(self) -> None:
        """Pay the first request's one-time cost now; a failure shows again in that request."""
        for task, case in product(self._infers.values(), synthetic_cases()):
            if not threading.main_thread().is_alive():  # stopped meanwhile
                return
            try:
                task.warm_up(case)
            except Exception:
                logger.exception("warming up %s failed", task.name)
        logger.info("%s is warm", NAME)

    def _predict_and_store(self, model: str, image: str) -> None:
        """One case of a batch."""
        task = self.infer_task(model)
        options = task.check_options({"save_label": True})
        case_input = stored_input(self.datastore(), image)
        self.run_task(task, case_input, options, stored_as=image, background=True)

    def _note_proposal(self, image: str, model: Mapping[str, str], part: FilePart) -> None:
        """Note which model proposed what; a disk that takes nothing does not spoil the result."""
        try:
            self.learning.proposals.keep(image, part, model)
            self.datastore().record_proposal(image, model)
        except (StorageError, BusyError):
            logger.warning("could not note which model proposed a label", exc_info=True)

    def _note_result(self, image: str, params: Mapping[str, Any], client: str | None) -> None:
        """Note what was inferred for whom; a ledger that fails does not spoil the result."""
        try:
            self.learning.on_result(image, params, client)
        except (StorageError, NotFoundError):
            logger.warning("could not note a result in the ledger", exc_info=True)

    def _save_proposal(self, image: str, filename: str, content: bytes, reply: TaskReply) -> None:
        """Store a result as the case's `original` label."""
        params = {key: reply.params[key] for key in ("label_names", "segmentation", "models")}
        info = {"model": reply.params["task"], "params": params}
        with (
            storage_errors(filename),
            tempfile.TemporaryDirectory(dir=self.staging) as folder,
        ):
            path = Path(folder) / filename
            path.write_bytes(content)
            self.datastore().submit_label(image, path, ORIGINAL, info)
