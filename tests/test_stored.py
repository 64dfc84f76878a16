"""What was stored by any version so far opens: ``tests/stored/<kind>/<version>.json`` are such files.

They are written once and never again: whoever changes what is stored adds a file, and the older ones must open still.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from mmreason import places as mmreason_places
from mmreason.analysis.comparison import reproduce
from mmreason.analysis.comparison import results as comparison_results
from mmreason.analysis.cost import results as cost_results
from mmreason.analysis.train_rate import read_rates
from mmreason.errors import MMReasonError
from mmreason.models.configuration import InterleavedDiffusionConfig
from mmreason.sampling.scheduler import MaskedDiffusionScheduler
from mmreason.traces.file import load
from mmreason.traces.group import load_group
from mmreason.training.rl.config import GRPOConfig
from mmreason.training.rl.presets import TrainSettings
from mmreason.training.rl.trainer import RESUME_WITH_OTHER
from mmreason.training.run.resume import MAY_DIFFER, check_resumable
from mmreason.training.run.rundir import RunDirectory
from mmreason.training.supervised.config import PretrainConfig
from mmreason.ui.host import checkpoints
from mmreason.ui.inspect import leak
from mmreason.ui.runs import queue, store
from mmreason.ui.train import held_out
from mmreason.ui.watch.handlers import expected_success

STORED = Path(__file__).parent / "stored"
RUN = "0123456789ab"
OWNER = "a visitor's token, long enough"


class Refused(Exception):
    """Stands for a sentence that a page shows in place of a file's content."""


def opens_as_run(path: Path) -> object:
    folder = checkpoints.page_runs_folder() / RUN
    folder.mkdir(parents=True)
    path.rename(folder / "run.json")
    return store.opened(RUN)


def resumes(config: Any, may_differ: Sequence[str] = MAY_DIFFER) -> Callable[[Path], object]:
    def check(path: Path) -> object:
        path.rename(path.with_name("config.json"))
        check_resumable(RunDirectory(path.parent), config, {}, done=1, may_differ=may_differ)
        return True

    return check


def is_result(name: str, read: Callable[[], tuple[object, str]]) -> Callable[[Path], object]:
    def check(path: Path) -> object:
        (mmreason_places.ASSETS / "results").mkdir(parents=True)
        path.rename(mmreason_places.ASSETS / "results" / name)
        found, why_not = read()
        if found is None:
            assert name in why_not and len(why_not.splitlines()) == 1
            raise Refused(why_not)
        return found

    return check


def opens_in_results(name: str, read: Callable[[], object]) -> Callable[[Path], object]:
    """Of files that the page can be without: there is a value or none, never an error."""

    def check(path: Path) -> object:
        (mmreason_places.ASSETS / "results").mkdir(parents=True)
        path.rename(mmreason_places.ASSETS / "results" / name)
        return read()

    return check


def opens_as_held_out(path: Path) -> object:
    run = store.Run(RUN, "owner", 0.0, TrainSettings(assignment="factorized"))
    folder = run.arm_folder("factorized") / "held_out"
    folder.mkdir(parents=True)
    path.rename(folder / "step00000.json")
    return held_out.held_out_value(run)


KINDS: dict[str, Callable[[Path], object]] = {
    "run": opens_as_run,
    "config_train": resumes(GRPOConfig(), RESUME_WITH_OTHER),
    "config_pretrain": resumes(PretrainConfig()),
    "trace": load,
    "trace_two": load,
    "group": load_group,
    "group_two": load_group,
    "held_out": opens_as_held_out,
    "comparison": is_result("reproduce.json", comparison_results.read_comparison),
    "compute": is_result("compute.json", cost_results.read_results),
    "interference": opens_in_results("interference.json", leak.bundled_leak),
    "evaluate": opens_in_results("evaluate.json", lambda: expected_success("base", "medium", "maze") or None),
    "train_rate": read_rates,
    "seed": lambda path: reproduce._read(path, *reproduce.NEEDED),
    "start": lambda path: reproduce._read(path, "start", "end"),
    "checkpoint/config": lambda path: InterleavedDiffusionConfig.from_dict(json.loads(path.read_text())),
    "checkpoint/scheduler_config": lambda path: MaskedDiffusionScheduler.from_config(json.loads(path.read_text())),
}
EXACT = ("trace", "group")  # their files are written by hand, too: a field that is not known is refused by its name
RECORDS: dict[str, tuple[tuple[Any, ...], ...]] = {  # objects inside that have fields, not names of tasks or arms
    "run": (("settings",),),
    "config_train": (("sampling",), ("assignment",), ("loss",)),
    "config_pretrain": (("corpus",),),
    "trace": (("problem",), ("segments", 0), ("cost",)),
    "trace_two": (("prompts", 0), ("prompts", 0, "problem"), ("rollouts", 0), ("rollouts", 0, "parts", 1)),
    "group": (("problem",), ("traces", 0)),
    "group_two": (("prompts", 0), ("prompts", 0, "problem"), ("rollouts", 0), ("rollouts", 1, "parts", 1)),
    "comparison": (("base",), ("difference",), ("protocol",)),
    "compute": (("arms", "diffusion_local"), ("frontier", 0)),
    "seed": (("protocol",), ("end",)),
}
FILES = [(kind, path) for kind in KINDS for path in sorted((STORED / kind).glob("*.json"))]
NAMES = [f"{kind}/{path.name}" for kind, path in FILES]


@pytest.fixture(autouse=True)
def empty_place(tmp_path, monkeypatch):
    monkeypatch.setattr(mmreason_places, "ASSETS", tmp_path / "assets")
    monkeypatch.setattr(checkpoints, "page_runs_folder", lambda: tmp_path / "runs")
    monkeypatch.setattr(store, "_TOLD", set())


def opened(kind: str, data: Any, folder: Path) -> object:
    folder.mkdir()
    path = folder / "file.json"
    path.write_text(json.dumps(data))
    return KINDS[kind](path)


def places(data: Any, depth: int = 3, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths to the objects in ``data``, of lists the first entry alone."""
    if isinstance(data, dict) and depth:
        yield at
        for name, inner in data.items():
            yield from places(inner, depth - 1, (*at, name))
    elif isinstance(data, list) and data:
        yield from places(data[0], depth, (*at, 0))


def changed(data: Any, at: tuple[Any, ...], change: Callable[[dict[str, Any]], object]) -> Any:
    data = copy.deepcopy(data)
    inner = data
    for name in at:
        inner = inner[name]
    change(inner)
    return data


def test_every_kind_has_a_file_of_its_first_version():
    assert {kind for kind, _ in FILES} == set(KINDS)


@pytest.mark.parametrize(("kind", "path"), FILES, ids=NAMES)
def test_what_was_stored_by_an_older_version_opens(kind, path, tmp_path):
    assert opened(kind, json.loads(path.read_text()), tmp_path / "one") is not None


@pytest.mark.parametrize(("kind", "path"), FILES, ids=NAMES)
def test_a_field_more_does_no_harm_or_is_named(kind, path, tmp_path, monkeypatch):
    data = json.loads(path.read_text())
    for number, at in enumerate(((), *RECORDS.get(kind, ()))):
        monkeypatch.setattr(mmreason_places, "ASSETS", tmp_path / f"assets{number}")
        monkeypatch.setattr(checkpoints, "page_runs_folder", lambda n=number: tmp_path / f"runs{n}")
        more = changed(data, at, lambda inner: inner.update(of_a_later_version=1.0))
        if kind in EXACT:
            with pytest.raises(MMReasonError, match="of_a_later_version"):
                opened(kind, more, tmp_path / f"more{number}")
        else:
            assert opened(kind, more, tmp_path / f"more{number}") is not None


@pytest.mark.parametrize(("kind", "path"), FILES, ids=NAMES)
def test_a_field_less_does_no_harm_or_is_said_in_a_sentence(kind, path, tmp_path, monkeypatch):
    data, number = json.loads(path.read_text()), 0
    for at in places(data):
        inner = data
        for name in at:
            inner = inner[name]
        for field in inner:
            number += 1
            monkeypatch.setattr(mmreason_places, "ASSETS", tmp_path / f"assets{number}")
            monkeypatch.setattr(checkpoints, "page_runs_folder", lambda n=number: tmp_path / f"runs{n}")
            less = changed(data, at, lambda inner, field=field: inner.pop(field))
            try:
                opened(kind, less, tmp_path / f"less{number}")
            except (MMReasonError, Refused) as error:
                assert str(error) and len(str(error).splitlines()) == 1


# Runs, which visitors wait for


def test_a_run_of_another_version_keeps_the_fields_that_this_one_does_not_know(tmp_path):
    (run,) = [stored(lambda data: data | {"of_a_later_version": 1, "settings": data["settings"] | {"mine": [2]}})]
    store.change(run, wanted=True)
    data = json.loads((run.folder / "run.json").read_text())
    assert (data["of_a_later_version"], data["settings"]["mine"], data["wanted"]) == (1, [2], True)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda data: {}, "its id must be"),
        (lambda data: [], "is no JSON object"),
        (lambda data: data | {"owner": 3}, "its owner is of another kind"),
        (lambda data: data | {"created": "yesterday"}, "its created is of another kind"),
        (lambda data: {k: v for k, v in data.items() if k != "settings"}, "it lacks settings"),
        (lambda data: data | {"settings": {"steps": "many"}}, "its setting steps must be a whole number, got 'many'"),
        (lambda data: data | {"settings": {"assignment": "new"}}, "its setting assignment must be one of"),
        (lambda data: data | {"settings": {"tasks": ["chess"]}}, "chess"),
    ],
)
def test_a_run_that_cannot_be_read_is_never_no_run(change, said, caplog):
    assert stored(change) is None and stored(change) is None
    (line,) = [record.getMessage() for record in caplog.records]
    assert RUN in line and said in line
    for act in (queue.stop, queue.resume, queue.delete):
        with pytest.raises(MMReasonError, match=f"run {RUN} cannot be read .*its files are as they were"):
            act(RUN, OWNER)
    assert (checkpoints.page_runs_folder() / RUN / "run.json").exists()


def stored(change: Callable[[dict[str, Any]], Any]) -> store.Run | None:
    """The kept run with ``change``, as the store finds it."""
    folder = checkpoints.page_runs_folder() / RUN
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "run.json").write_text(json.dumps(change(json.loads((STORED / "run" / "1.json").read_text()))))
    return store.find(RUN)
