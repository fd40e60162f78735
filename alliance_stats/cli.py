"""The command line: ``alliance-stats report FILE`` and ``alliance-stats meta FILE``; no statistics.

Exit codes: 0 done; 1 a fault of ours; 2 the input is at fault; 3 a model did not converge (the report is written and
says so).
"""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from alliance_stats import __version__
from alliance_stats.errors import AllianceStatsError

if TYPE_CHECKING:
    from alliance_stats.study.written import StudyReport

DONE, OUR_FAULT, INPUT_AT_FAULT, NOT_CONVERGED = 0, 1, 2, 3
ON_FAULTS = ("raise", "leave_out")
_DEMO, _META_DEMO = "simulated_alliance", "simulated_effects"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="alliance-stats", description="From session-by-session ratings, or a coding sheet, to a results page."
    )
    parser.add_argument("--version", action="version", version=f"alliance-stats {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    report = commands.add_parser(
        "report",
        help="read a file of sessions and write a folder with a results page",
        description="Read a file of sessions and write report.html, tables/, figures/ and results.json.",
    )
    _add_common(report, "report", "use the simulated sessions that come with the package")
    report.add_argument(
        "--real-ids", action="store_true", help="show ids as they are in the file instead of pseudonyms"
    )
    report.add_argument(
        "--min-cell", type=int, metavar="N", help="show no count below N, nor figures of single patients (default: all)"
    )
    report.set_defaults(run=_report)
    meta = commands.add_parser(
        "meta",
        help="read a coding sheet of effects and write a folder with the report of a meta-analysis",
        description="Read a coding sheet (one effect per row) and write the report of a meta-analysis: report.html, "
        "tables/, figures/ and results.json.",
    )
    _add_common(meta, "meta-report", "use the simulated effects that come with the package")
    meta.set_defaults(run=_meta)
    return parser


def _add_common(command: argparse.ArgumentParser, folder: str, demo: str) -> None:
    """Add the arguments that both commands have."""
    source = command.add_mutually_exclusive_group(required=True)
    source.add_argument("file", nargs="?", type=Path, help="CSV, Excel, SPSS, Stata, SAS, R or Parquet file")
    source.add_argument("--demo", action="store_true", help=demo)
    command.add_argument(
        "--study", type=Path, help="study.toml: which column is what (guessed from the names if left out)"
    )
    command.add_argument("--out", type=Path, default=Path(folder), help=f"folder to write (default: {folder})")
    command.add_argument("--overwrite", action="store_true", help="replace an existing report folder")
    command.add_argument(
        "--on-faults",
        choices=ON_FAULTS,
        help="stop and list all faults of the file (raise), or leave out the rows and values at fault, counted in the "
        "report (leave_out); default: what the study file says, or raise",
    )
    command.add_argument("--quiet", action="store_true", help="no progress, no closing lines")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    options = _parser().parse_args(arguments)
    try:
        report = options.run(options)
    except (AllianceStatsError, OSError) as error:
        print(f"alliance-stats: {error}", file=sys.stderr)
        return INPUT_AT_FAULT
    except Exception:
        traceback.print_exc()
        print(
            f"alliance-stats {__version__}: this is a fault of ours. Please report it with the lines above.",
            file=sys.stderr,
        )
        return OUR_FAULT
    if not options.quiet:
        print(f"Report: {report.page}")
        if not report.converged:
            print("A model did not converge; the report says which.", file=sys.stderr)
    return DONE if report.converged else NOT_CONVERGED


def _report(options: argparse.Namespace) -> StudyReport:
    from alliance_stats.data.guess_study import guess_study
    from alliance_stats.data.registry import dataset_folder, load_dataset
    from alliance_stats.data.study_file import read_study
    from alliance_stats.names import ALLIANCE, OUTCOME
    from alliance_stats.study.folder import check_free
    from alliance_stats.study.pipeline import study_report

    check_free(options.out, options.overwrite)
    if options.demo:
        study = read_study(options.study or dataset_folder(_DEMO) / "study.toml")
        sessions = load_dataset(_DEMO)
    else:
        study = read_study(options.study) if options.study else guess_study(options.file)
        if options.on_faults:
            study = replace(study, options=replace(study.options, on_faults=options.on_faults))
        sessions = study.read(options.file)
    _say(study.assumed, options)
    return study_report(
        sessions,
        options.out,
        alliance=study.report.alliance or ALLIANCE,
        outcome=study.report.outcome or OUTCOME,
        title=study.report.title or study.title,
        pseudonyms=study.report.pseudonyms and not options.real_ids,
        min_cell=study.report.min_cell if options.min_cell is None else options.min_cell,
        assumed=study.assumed,
        overwrite=options.overwrite,
        progress=not options.quiet,
    )


def _meta(options: argparse.Namespace) -> StudyReport:
    from alliance_stats.data.read_options import ReadOptions
    from alliance_stats.data.registry import dataset_folder
    from alliance_stats.study.folder import check_free
    from alliance_stats.study.meta.guess import guess_meta_study
    from alliance_stats.study.meta.pipeline import meta_report
    from alliance_stats.study.meta.study_file import read_meta_study

    check_free(options.out, options.overwrite)
    folder = dataset_folder(_META_DEMO)
    path = folder / "effects.csv" if options.demo else options.file
    given = options.study or (folder / "study.toml" if options.demo else None)
    study = read_meta_study(given) if given else guess_meta_study(path, ReadOptions())
    if options.on_faults:
        study = replace(study, options=replace(study.options, on_faults=options.on_faults))
    _say(study.assumed, options)
    return meta_report(
        path,
        options.out,
        study=study,
        overwrite=options.overwrite,
        progress=not options.quiet,
        simulated=options.demo,
    )


def _say(assumed: Sequence[str], options: argparse.Namespace) -> None:
    """Print what was assumed."""
    if not options.quiet:
        for line in assumed:
            print(f"Assumed: {line}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
