"""`tumorlens`: the command line. Each command is one function; heavy imports happen inside it."""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections.abc import Sequence as Items
from pathlib import Path
from typing import TYPE_CHECKING

from brain_tumor import NOTICE, __version__
from brain_tumor.case_commands import (
    CASE_COLUMNS,
    IMPORT_COLUMNS,
    Progress,
    add_answer_options,
    add_case_options,
    append_rows,
    as_json,
    by_hand,
    case_row,
    case_summary,
    import_row,
    import_summary,
    load_told_case,
    report_lines,
    unpacked,
)
from brain_tumor.cohort_command import add_cohort_command
from brain_tumor.device_names import add_device_option
from brain_tumor.dicom_options import (
    add_export_options,
    add_fetch_options,
    add_receive_options,
    add_served_archive_options,
)
from brain_tumor.errors import InputError, TumorLensError
from brain_tumor.models_command import add_import_options, export, import_foreign
from brain_tumor.research_commands import add_research_commands

if TYPE_CHECKING:
    from brain_tumor.explanation.options import ExplanationOptions

HEAT_METHODS = (
    "gradcam++",
    "gradcam",
    "layercam",
    "integrated_gradients",
    "occlusion",
    "guided_gradcam",
    "guided_backpropagation",
)
HEAT_TARGETS = ("prediction", "runner_up", "glioma", "meningioma", "pituitary", "WT", "TC", "ET")


def main(argv: Items[str] | None = None) -> int:
    """Run one command.

    Returns:
        0, or 2 after an error that the user can mend (one sentence and its remedy on stderr).
    """
    arguments = build_parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO if arguments.verbose else logging.WARNING)
    try:
        if getattr(arguments, "device", None) is not None and arguments.run is not _serve:
            from brain_tumor.devices import use_device

            use_device(arguments.device)
        arguments.run(arguments)
    except TumorLensError as error:
        print(f"tumorlens: {error.message}\n{error.remedy}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


def build_parser() -> argparse.ArgumentParser:
    """All commands and their arguments."""
    parser = argparse.ArgumentParser("tumorlens", description=f"TumorLens. {NOTICE}")
    parser.add_argument("--version", action="version", version=__version__)
    parser.add_argument("-v", "--verbose", action="store_true", help="say what happens")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    serve = commands.add_parser("serve", help="serve a studies folder to 3D Slicer")
    serve.add_argument("--studies", type=Path, default=Path("studies"), metavar="DIR")
    serve.add_argument("--host", default="127.0.0.1")
    serve.add_argument("--port", type=int, default=8000)
    serve.add_argument("--origin", action="append", default=[], help="web page that may call")
    serve.add_argument(
        "--allowed-host",
        action="append",
        default=[],
        metavar="NAME",
        help="host name that a proxy passes on; may be given several times",
    )
    serve.add_argument(
        "--root-path", default="", metavar="PATH", help="path below which a proxy serves"
    )
    serve.add_argument(
        "--samples",
        action="store_true",
        help="make the sample studies in this folder while it is served",
    )
    add_device_option(serve)
    add_served_archive_options(serve)
    serve.set_defaults(run=_serve)

    importing = commands.add_parser("import", help="copy cases into a studies folder")
    importing.add_argument(
        "source", type=Path, nargs="?", help="a case, a folder of cases, or a zip or tar archive"
    )
    importing.add_argument("--studies", type=Path, default=Path("studies"), metavar="DIR")
    importing.add_argument(
        "--deidentify",
        type=Path,
        metavar="TABLE",
        help="keep DICOM cases under pseudonyms; who is who goes into this file",
    )
    add_fetch_options(importing)
    add_case_options(importing)
    add_answer_options(importing)
    importing.set_defaults(run=_import)

    for depth, purpose in (
        ("segment", "outline the tumour of one case"),
        ("classify", "outline the tumour and name its type"),
        ("analyse", "outline, type, heatmap, rationale and report page; 'explain' is the same"),
    ):
        aliases = ["explain"] if depth == "analyse" else []
        infer = commands.add_parser(depth, help=purpose, aliases=aliases)
        infer.add_argument(
            "case",
            type=Path,
            nargs="?",
            help="a volume file, a folder of sequences, or a zip or tar archive of one",
        )
        infer.add_argument("--output", type=Path, required=True, metavar="DIR")
        infer.add_argument("--models", type=Path, metavar="DIR")
        add_device_option(infer)
        infer.add_argument(
            "--registration",
            action=argparse.BooleanOptionalAction,
            default=True,
            help="whether sequences that lie off the reference are registered to it",
        )
        if depth == "segment":
            infer.add_argument(
                "--mirrored", action="store_true", help="average with the mirror image: slower"
            )
        else:
            infer.add_argument(
                "--second-reader",
                action=argparse.BooleanOptionalAction,
                default=True,
                help="whether visual symptoms are read, too",
            )
        if depth == "analyse":
            _add_explanation_options(infer)
        add_case_options(infer)
        add_answer_options(infer)
        infer.set_defaults(run=_infer, depth=depth)

    add_cohort_command(commands)

    export = commands.add_parser("export", help="write the results of a case as DICOM objects")
    add_export_options(export)
    export.set_defaults(run=_export)

    receive = commands.add_parser(
        "receive", help="turn studies that are sent by C-STORE into cases"
    )
    add_receive_options(receive)
    receive.set_defaults(run=_receive)

    add_research_commands(commands)

    concepts = commands.add_parser("concepts", help="add a class to the reader of visual symptoms")
    _add_concept_actions(concepts)

    models = commands.add_parser("models", help="list, promote, take back, import or export models")
    models.add_argument("action", choices=("list", "promote", "rollback", "import", "export"))
    models.add_argument("model", nargs="?", help="name of a model; import: a folder")
    models.add_argument("version", nargs="?")
    models.add_argument("--studies", type=Path, default=Path("studies"), metavar="DIR")
    models.add_argument("--models", type=Path, metavar="DIR")
    models.add_argument("--dry-run", action="store_true", help="only show what the gate said")
    models.add_argument("--report", type=Path, metavar="FILE.html", help="write the gate's report")
    models.add_argument("--override", default="", metavar="REASON", help="promote against the gate")
    models.add_argument("--output", type=Path, default=Path(), metavar="DIR", help="export: where")
    add_import_options(models)
    models.set_defaults(run=_models)

    corrections = commands.add_parser("corrections", help="list or export the corrections")
    corrections.add_argument("action", choices=("list", "export"))
    corrections.add_argument("--studies", type=Path, default=Path("studies"), metavar="DIR")
    corrections.add_argument("--state", choices=("draft", "submitted", "reviewed", "rejected"))
    corrections.add_argument("--case")
    corrections.add_argument("--output", type=Path, metavar="DIR", help="where to export to")
    corrections.set_defaults(run=_corrections)

    samples = commands.add_parser("sample-data", help="write the sample studies")
    samples.add_argument("folder", type=Path, metavar="DIR")
    samples.set_defaults(run=_sample_data)
    return parser


def _add_explanation_options(infer: argparse.ArgumentParser) -> None:
    """How to explain; values as in docs/http-api.md."""
    infer.add_argument(
        "--method",
        choices=HEAT_METHODS,
        help="how the heat is made; by default gradcam++, for a region layercam",
    )
    infer.add_argument(
        "--target",
        default="prediction",
        choices=HEAT_TARGETS,
        help="tumour type, or region of the outline, that the heat explains",
    )
    infer.add_argument("--language", default="en", choices=("en", "ko"))
    infer.add_argument("--provider", default="composer", help="who phrases the rationale")


def _add_concept_actions(concepts: argparse.ArgumentParser) -> None:
    """`concepts add-class` and, for machines without a text tower, `concepts encode-words`."""
    actions = concepts.add_subparsers(title="actions", required=True, metavar="ACTION")
    for action, purpose, run in (
        (
            "add-class",
            "a new bundle with one more class, from words and labelled cases",
            _add_class,
        ),
        ("encode-words", "write the word features of a class to a file", _encode_words),
    ):
        one = actions.add_parser(action, help=purpose)
        one.add_argument("name", help="of the class")
        one.add_argument("--symptoms", type=Path, required=True, metavar="FILE.json")
        one.add_argument("--output", type=Path, required=True, metavar="PATH")
        one.add_argument("--models", type=Path, metavar="DIR")
        if action == "add-class":
            one.add_argument("--cases", type=Path, required=True, metavar="FILE.csv")
            one.add_argument("--words", type=Path, metavar="FILE.npz", help="from encode-words")
        one.set_defaults(run=run)
    propose = actions.add_parser("propose", help="ask a language model for symptoms to review")
    propose.add_argument("name", nargs="*", help="classes; default: the tumour types")
    propose.add_argument("--provider", required=True, help="endpoint or transformers")
    propose.add_argument("--output", type=Path, required=True, metavar="FILE.json")
    propose.set_defaults(run=_propose)


def _serve(arguments: argparse.Namespace) -> None:
    from brain_tumor.server.launcher import serve

    print(f"TumorLens {__version__}. {NOTICE}")
    print(f"Serving {arguments.studies} on http://{arguments.host}:{arguments.port}")
    print("3D Slicer: module TumorLens (slicer_extension) or MONAI Label -> this address.")
    if arguments.samples:
        print("Six sample studies are made meanwhile; each is in the list when it is ready.")
    print("Stop with Ctrl+C.", flush=True)
    serve(
        arguments.studies,
        arguments.host,
        arguments.port,
        origins=arguments.origin,
        allowed=arguments.allowed_host,
        root_path=arguments.root_path,
        samples=arguments.samples,
        device=arguments.device,
        dicomweb=arguments.dicomweb or "",
        certificates=arguments.dicomweb_ca,
    )


def _import(arguments: argparse.Namespace) -> None:
    from brain_tumor.cases.studies import ImportReport, ImportStatus, import_cases
    from brain_tumor.dicom_commands import disguise_of, fetch_studies

    progress = Progress(unit="case", quiet=arguments.quiet)

    def show(report: ImportReport) -> None:
        progress.done()
        if not arguments.json:
            for line in report_lines(report):
                progress.say(line)

    try:
        disguise = disguise_of(arguments)
        if arguments.dicomweb is not None or arguments.study:
            progress.expect(len(arguments.study))
            progress.begin("fetching")
            reports = fetch_studies(arguments, disguise, show)
        else:
            with unpacked(arguments.source) as source:
                progress.begin("reading headers")
                reports = import_cases(
                    source,
                    arguments.studies,
                    told=by_hand(arguments),
                    disguise=disguise,
                    on_found=progress.expect,
                    on_report=show,
                )
    finally:
        progress.close()
    if arguments.csv is not None:
        append_rows(arguments.csv, IMPORT_COLUMNS, [import_row(report) for report in reports])
    if arguments.json:
        print(as_json([report.to_json() for report in reports]), end="")
    elif not arguments.quiet:
        print("\n".join(import_summary(reports, arguments.studies)))
    refused = sum(report.status is ImportStatus.REFUSED for report in reports)
    if refused:
        others = len(reports) - refused
        rest = f"the other {others} are in the studies folder" if others else "nothing was imported"
        raise InputError(
            f"{refused} of {len(reports)} cases were refused; {rest}",
            remedy="Each refused case says above what to do about it.",
        )


def _infer(arguments: argparse.Namespace) -> None:
    """`segment`, `classify` and `analyse`: each does all that the one before does."""
    from brain_tumor.api import load_analyst, load_segmenter, write_report
    from brain_tumor.explanation.analyst import AnalysedCase
    from brain_tumor.explanation.facts.model import Language
    from brain_tumor.explanation.rationale.providers.registry import (
        provider_of_environment,
        warmed_beside,
    )

    steps = 3 if arguments.depth == "segment" else 4
    progress = Progress(steps, quiet=arguments.quiet or arguments.json)
    options = _explanation_options(arguments) if arguments.depth == "analyse" else None
    try:
        progress.begin("reading the case")
        segmenter = load_segmenter(arguments.models)
        started = time.perf_counter()
        with unpacked(arguments.case) as source:
            registered: bool = arguments.registration
            loaded = load_told_case(source, by_hand(arguments), registration=registered)
        loading = time.perf_counter() - started
        progress.done()
        if arguments.depth == "segment":
            progress.begin("outlining the tumour")
            result = AnalysedCase(segmenter.segment(loaded.case, mirrored=arguments.mirrored))
        else:
            analyst = load_analyst(arguments.models, segmenter=segmenter)
            wait_for_provider = None
            if options is not None:
                analyst.check(options)
                wait_for_provider = warmed_beside(provider_of_environment(options.provider))
            progress.begin("outlining the tumour")

            def outlined() -> None:
                progress.done()
                progress.begin(
                    "reading its type" if options is None else "reading and explaining its type"
                )

            result = analyst.analyse(
                loaded.case,
                options,
                second_reader=arguments.second_reader,
                when_outlined=outlined,
            )
            if options is not None and wait_for_provider is not None:
                wait_for_provider()
                result = result.in_words_of(options)
        progress.done()
        progress.begin("writing")
        language = Language.ENGLISH if options is None else options.language
        report = write_report(
            arguments.output, loaded, result, language=language, loading_s=loading
        )
    finally:
        progress.close()
    if arguments.csv is not None:
        append_rows(arguments.csv, CASE_COLUMNS, [case_row(report, arguments.output)])
    if arguments.json:
        print(as_json(report), end="")
    elif not arguments.quiet:
        print("\n".join(case_summary(report, arguments.output)))


def _explanation_options(arguments: argparse.Namespace) -> ExplanationOptions:
    """What is to be explained; refused before anything is read or computed.

    Raises:
        InputError: If it cannot be explained, or the provider cannot be used as it is set up.
    """
    from brain_tumor.explanation.facts.model import Language
    from brain_tumor.explanation.heat.methods import HeatMethod
    from brain_tumor.explanation.options import ExplanationOptions
    from brain_tumor.explanation.rationale.providers.registry import provider_of_environment

    options = ExplanationOptions(
        HeatMethod(arguments.method) if arguments.method else None,
        arguments.target,
        Language(arguments.language),
        arguments.provider,
    )
    provider_of_environment(options.provider)
    return options


def _export(arguments: argparse.Namespace) -> None:
    from brain_tumor.dicom_commands import run_export

    run_export(arguments)


def _receive(arguments: argparse.Namespace) -> None:
    from brain_tumor.dicom_commands import run_receive

    run_receive(arguments)


def _add_class(arguments: argparse.Namespace) -> None:
    from brain_tumor.bundles import models_folder
    from brain_tumor.concepts.training.class_files import write_added_class

    counts = write_added_class(
        arguments.name,
        arguments.symptoms,
        arguments.cases,
        arguments.models or models_folder(),
        arguments.output,
        arguments.words,
    )
    told = ", ".join(f"{name} {count}" for name, count in counts.items())
    print(f"wrote {arguments.output}; patients: {told}")


def _encode_words(arguments: argparse.Namespace) -> None:
    from brain_tumor.bundles import models_folder
    from brain_tumor.concepts.training.class_files import encode_words

    models = arguments.models or models_folder()
    encode_words(arguments.name, arguments.symptoms, models / "concepts", arguments.output)
    print(f"wrote {arguments.output}")


def _propose(arguments: argparse.Namespace) -> None:
    from brain_tumor.concepts.proposals import write_proposals
    from brain_tumor.explanation.rationale.providers.registry import chat_provider_of_environment
    from brain_tumor.labels import TumorType

    provider = chat_provider_of_environment(arguments.provider)
    kinds = arguments.name or [kind.value for kind in TumorType]
    found = write_proposals(provider.chat, kinds, provider.name, arguments.output)
    count = sum(len(rows) for rows in found["candidates"].values())
    print(
        f"wrote {arguments.output}: {count} symptoms to review, "
        f"{len(found['refused'])} lines refused"
    )


def _models(arguments: argparse.Namespace) -> None:
    from brain_tumor.server.learning import commands

    registry = commands.open_registry(arguments.studies, arguments.models)
    if arguments.action == "list":
        print("\n".join(commands.list_versions(registry)))
        return
    if arguments.model is None:
        raise InputError(f"models {arguments.action} needs the name of a model")
    if arguments.action == "import":
        import_foreign(registry, arguments)
        return
    name, version = arguments.model, arguments.version
    if arguments.action == "export":
        export(registry, arguments)
        return
    if arguments.action == "rollback":
        print(commands.rollback(registry, arguments.studies, name, version))
        return
    if version is None:
        raise InputError("models promote needs a version; see tumorlens models list")
    if arguments.report is not None:
        commands.write_report(registry, name, version, arguments.report)
        print(f"wrote {arguments.report}")
    if arguments.dry_run:
        print("\n".join(commands.gate_lines(registry, name, version)))
        return
    print(commands.promote(registry, arguments.studies, name, version, arguments.override))


def _corrections(arguments: argparse.Namespace) -> None:
    from brain_tumor.server.learning import commands

    found = commands.find_corrections(arguments.studies, arguments.state, arguments.case)
    if arguments.action == "list":
        print("\n".join(map(commands.correction_line, found)) or "no corrections yet")
        return
    if arguments.output is None:
        raise InputError("corrections export needs --output DIR")
    count = commands.export_corrections(arguments.studies, found, arguments.output)
    print(f"{len(found)} corrections and {count} label files in {arguments.output}")


def _sample_data(arguments: argparse.Namespace) -> None:
    from brain_tumor.phantoms.samples import write_samples

    def ready(case_id: str) -> None:
        print(f"sample study {case_id} is ready", flush=True)

    watched = sys.stderr.isatty()
    paths = write_samples(arguments.folder, progress=watched, on_ready=None if watched else ready)
    print(f"{len(paths)} sample studies in {arguments.folder}")


if __name__ == "__main__":
    sys.exit(main())
