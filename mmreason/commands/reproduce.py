"""``reproduce``: base, joint and factorized over seeds; keeps what is finished, resumes what is not."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from mmreason.commands._options.files import check_files, page_of
from mmreason.commands._options.numbers import add_number
from mmreason.commands._options.threads import add_threads, use_threads
from mmreason.limits import Number, Whole
from mmreason.places import ANALYSIS_PAGE

OUT = "assets/results/reproduce.json"
FROM_ALL = ("gains", "relation")  # blocks of the page that are made of every comparison
HELP = "joint against factorized rewards over seeds, written to assets/results"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``reproduce``."""
    parser.add_argument("--quick", action="store_true", help="one seed of a short protocol: about ten minutes")
    parser.add_argument("--setup", metavar="NAME", help="a registered set-up instead, e.g. P or C")
    parser.add_argument("--only", nargs="+", metavar="RUN", help="carry out only these runs")
    beside = Whole("beside", 1, 1024, "with --setup: runs beside each other")
    deadline = Number("deadline", 1, 10_000_000, "with --setup: stop after so many seconds", "none")
    add_number(parser, beside, 1, metavar="N")
    add_number(parser, deadline, 0.0, metavar="S")
    parser.add_argument("--plan", action="store_true", help="say which runs there are and which are finished, no more")
    parser.add_argument("--summary", action="store_true", help="run nothing: make the tables of what is finished")
    parser.add_argument("--results", metavar="DIR", help="files of single runs (default: in assets/results)")
    parser.add_argument("--work", metavar="DIR", help="run directories (default: in runs)")
    parser.add_argument("--out", metavar="FILE", help="the comparison (default: in assets/results)")
    parser.add_argument("--ship", metavar="DIR", help="also copy joint's and factorized's median checkpoints there")
    parser.add_argument(
        "--readme",
        metavar="FILE",
        help=f"page whose table is replaced (default: {ANALYSIS_PAGE}, where the results go to their usual file)",
    )
    add_threads(parser)


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Carry out the planned runs that are not finished; returns the comparison of those that are."""
    from mmreason.errors import ConfigError

    check_files({"--out": args.out, "--readme": args.readme or ANALYSIS_PAGE})
    if args.ship and args.only:
        raise ConfigError("--ship is of all runs of an arm, and not with --only")
    if args.summary and args.only:
        raise ConfigError("--summary runs nothing, and not with --only")
    if args.plan and (args.ship or args.summary):
        raise ConfigError("--plan only says what there is, and not with --ship or --summary")
    if args.setup is not None:
        return _setup(args)
    if args.beside != 1 or args.deadline:
        raise ConfigError("--beside and --deadline are of a --setup, got none")
    from mmreason.analysis.blocks import check_readme
    from mmreason.analysis.comparison.headline import compare
    from mmreason.analysis.comparison.prediction import INTERFERENCE
    from mmreason.analysis.comparison.protocol import HEADLINE, QUICK, Run, planned_runs
    from mmreason.analysis.comparison.registry import all_setups
    from mmreason.analysis.comparison.reproduce import Reproduction, check_ship
    from mmreason.disk import names_in, write_json
    from mmreason.rewards.assignment import GRANULARITIES
    from mmreason.training.hardware import keep_freed_memory
    from mmreason.training.run.progress import ProgressLine

    keep_freed_memory()
    use_threads(args.threads)
    protocol, name = (QUICK, "reproduce_quick") if args.quick else (HEADLINE, "reproduce")
    kept = f"runs/{name}" if args.quick else "assets/results"
    work = args.work or f"runs/{name}"
    line = ProgressLine("step", sys.stderr)
    results = args.results or f"{kept}/{name}"
    names_in(results, "--results")
    comparison = Reproduction(protocol, results, work, line.close)
    if not args.quick:  # whose table is on no page
        check_readme(args.readme, name, *FROM_ALL)
    runs = planned_runs(protocol)
    names = [run.name for run in runs]
    for only in args.only or []:
        if only not in (INTERFERENCE, *names):
            raise ConfigError(f"--only must be of the planned runs ({', '.join(names)}), got {only!r}")
    joints = {f"joint_{each}": Run("joint", each, protocol.first_seed) for each in GRANULARITIES}
    if args.ship:
        check_ship(args.ship)
    if not (args.plan or args.summary):
        if INTERFERENCE in (args.only or [INTERFERENCE] * (not args.quick)):
            comparison.interference(joints)
        for run in runs:
            if not args.only or run.name in args.only:
                line.close(run.name)
                comparison.carry_out(run, _shown(line, protocol.max_steps))
    finished = comparison.finished(runs)
    done = [Run(found["arm"], found["granularity"], found["seed"]).name for found in finished]
    state = {"finished": done, "missing": [planned for planned in names if planned not in done]}
    if args.plan or args.only:
        return state
    if args.summary and not comparison.measured:
        raise ConfigError(f"--summary is of what is there, and {results!r} has no file of what the start solves")
    result = compare(comparison.base(), finished, protocol) | state
    result["command"] = "python -m mmreason reproduce" + " --quick" * args.quick
    if args.quick:
        write_json(args.out or f"{kept}/{name}.json", result, indent=1)
    else:
        if comparison.predicted:  # a summary runs nothing
            result["interference"] = comparison.interference(joints)
        result = _write(args, result | all_setups())
    if args.ship:
        result["shipped"] = comparison.ship(finished, args.ship, str(result["command"]))
    return result


def _setup(args: argparse.Namespace) -> dict[str, Any]:
    """Carry out what is missing of a set-up; returns what is known of all of them, and what is missing of it."""
    from mmreason.analysis.blocks import check_readme
    from mmreason.analysis.comparison.packing import Packing, one_job
    from mmreason.analysis.comparison.registry import FOLDER, all_setups, check_registered
    from mmreason.analysis.comparison.reproduce import check_ship
    from mmreason.analysis.comparison.series import Series
    from mmreason.analysis.comparison.setups import SETUPS
    from mmreason.disk import names_in
    from mmreason.errors import ConfigError
    from mmreason.training.hardware import keep_freed_memory
    from mmreason.training.run.progress import ProgressLine

    if args.setup not in SETUPS:
        raise ConfigError(f"--setup must be one of {', '.join(SETUPS)}, got {args.setup!r}")
    if args.quick:
        raise ConfigError("--quick is of the comparison without a --setup")
    keep_freed_memory()
    use_threads(args.threads)
    setup, line = SETUPS[args.setup], ProgressLine("step", sys.stderr)
    results, work = args.results or f"{FOLDER}/{setup.name}", args.work or f"runs/setup-{setup.name}"
    names_in(results, "--results")
    check_readme(args.readme, f"setup:{setup.name}", *FROM_ALL)
    kept = _kept(args.out or OUT)
    series = Series(setup, results, work, line.close)
    for only in args.only or []:
        if only not in series.jobs:
            raise ConfigError(f"--only must be of the set-up's runs ({', '.join(series.jobs)}), got {only!r}")
    if args.ship:
        check_ship(args.ship)
    if not (args.plan or args.summary):
        check_registered(setup)
        if args.only and args.beside == 1 and not args.deadline:
            for job in args.only:
                line.close(job)
                series.carry_out(job, _shown(line, setup.protocol.max_steps))
        else:
            command = one_job(setup.name, results, work, args.threads or 1)
            packing = Packing(series, command, args.beside, line.close, args.only or ())
            packing.run(args.deadline)
            if packing.failed:
                why = "; ".join(f"{job}: {last}" for job, last in packing.failed.items())
                raise ConfigError(f"{len(packing.failed)} runs failed, what is finished is kept: {why}")
            left = [job for job in args.only or () if not series.has(job)]
            if left and not args.deadline:
                raise ConfigError(f"--only {' '.join(left)}: the pilots of set-up {setup.name} are to be run first")
    state = {"finished": [job for job in series.jobs if series.has(job)], "missing": series.missing}
    if args.plan or args.only:
        return state
    found = all_setups({setup.name: series})
    if args.ship:
        state["shipped"] = series.ship(args.ship, f"python -m mmreason reproduce --setup {setup.name}")
    _write(args, kept | found)
    return found | state


def _kept(out: str) -> dict[str, Any]:
    """The comparison that is at ``out``, else the one of the repository, if there is any; raises ConfigError."""
    from mmreason.analysis.results_file import MAX_BYTES
    from mmreason.errors import ConfigError
    from mmreason.handed import Handed

    at = out if Path(out).exists() else OUT
    found = Handed("comparison", MAX_BYTES, ConfigError).load(at) if Path(at).exists() else {}
    if not isinstance(found, dict):
        raise ConfigError(f"--out must be a comparison, a JSON object, or not be there, got {out!r}")
    return found


def _write(args: argparse.Namespace, result: dict[str, Any]) -> dict[str, Any]:
    """Write the comparison, with the relation that follows from all of it, and its tables; returns it.

    Of runs that are kept elsewhere, and into another file, only what was asked for is written.
    """
    from mmreason.analysis.blocks import update_readme
    from mmreason.analysis.comparison.relation import relation
    from mmreason.analysis.comparison.tables import comparison_tables
    from mmreason.disk import write_json

    result = result | {"relation": relation(result)}
    tables = comparison_tables(result)
    if args.out or not args.results:
        write_json(args.out or OUT, result, indent=1)
    update_readme(page_of(args.readme, ANALYSIS_PAGE, is_usual=not args.results and args.out in (None, OUT)), tables)
    return result


def _shown(line: Any, steps: int) -> Any:
    """What shows the rows of a training on ``line``."""
    from mmreason.training.run.progress import step_values

    return lambda row: line.show(row["step"], steps, step_values(row))


def readable(result: dict[str, Any]) -> str:
    """Means with their intervals, then the gains next to the paper's."""
    missing = f"{len(result['finished'])} runs finished, missing: {', '.join(result['missing']) or 'none'}"
    if "gain_over_base" not in result:
        from mmreason.analysis.comparison.tables import setup_progress

        rows = [f"set-up {name}: {setup_progress(row)}" for name, row in result.get("setups", {}).items()]
        return "\n".join([*rows, missing])
    from mmreason.analysis.comparison.tables import of_seeds
    from mmreason.wording import change

    lines = []
    for arm in ("base", "joint", "factorized"):
        seeds = " ".join(f"{value:.3f}" for value in result[arm]["seeds"])
        lines.append(f"{arm}: {of_seeds(result[arm], result, '.3f')}, of each seed {seeds}")
    lines.append(f"factorized − joint: {of_seeds(result['difference'], result, '+.3f')}")
    for name in ("gain_over_joint", "gain_over_base"):
        lines.append(f"{name}: {of_seeds(result[name], result, '+z.1%')}, the paper {change(result['paper'][name])}")
    return "\n".join([*lines, missing])
