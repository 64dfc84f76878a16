"""What holds of the command that trains the shipped checkpoints: its runs are ones that pretrain takes, and it
brings the weights nearest to what is wanted."""

from __future__ import annotations

import argparse
import importlib.util
import sys
import tarfile
from pathlib import Path

import pytest

from mmreason import commands
from mmreason.commands import evaluate, pretrain
from mmreason.settings import weights
from mmreason.training.supervised.config import CorpusConfig

PATH = Path(__file__).parents[2] / "checkpoints" / "train_on_gpu.py"


@pytest.fixture(scope="module")
def module():
    spec = importlib.util.spec_from_file_location("train_on_gpu", PATH)
    assert spec is not None and spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = loaded
    spec.loader.exec_module(loaded)
    return loaded


def parsed(command, flags) -> argparse.Namespace:
    parser = argparse.ArgumentParser(exit_on_error=False)
    command.add_arguments(parser)
    return parser.parse_args([*flags])


def evaluation(medium: float, hard: dict[str, float], one_step: float | None = None) -> dict:
    rates = dict.fromkeys(("maze", "jigsaw", "sudoku", "transform", "mean"), medium)
    by_difficulty = {"medium": {"success": rates}, "hard": {"success": rates | hard}}
    result = {"shipped": {"by_difficulty": by_difficulty, "text_reward": medium, "image_reward": medium}}
    return result | ({"one_step": {"success": {"mean": one_step}}} if one_step is not None else {})


RIGHT = dict.fromkeys(("maze", "jigsaw", "sudoku", "transform"), 0.4)


@pytest.mark.parametrize("rehearse", [False, True])
def test_every_run_and_evaluation_is_one_that_the_commands_take(module, rehearse, tmp_path):
    names = list(module.RUNS)
    asked = {"output": tmp_path / "out", "work": tmp_path, "only": names, "start": {}, "seconds": 100.0}
    work = module.Work(argparse.Namespace(**asked, rehearse=rehearse))
    for name, run in module.RUNS.items():
        command, *flags = work.command(name)
        args = parsed(getattr(commands, command), flags)
        pretrain._check_kind(args, public=False)
        assert (args.checkpoint is None) == (rehearse or run.start is None)
        CorpusConfig(tasks=weights(args.tasks or list(RIGHT)), difficulties=weights(args.difficulties))
        for flags in run.evaluations.values():
            parsed(evaluate, flags)


def test_a_base_is_right_in_its_bands_and_further_off_the_further_outside(module):
    assert module.base_distance(evaluation(0.95, RIGHT, 0.945)) == 0
    assert module.base_distance(evaluation(0.95, RIGHT, 0.90)) == pytest.approx(0.04)
    too_good, nothing = RIGHT | {"maze": 0.7}, RIGHT | {"jigsaw": 0.0, "transform": 0.0}
    assert module.base_distance(evaluation(0.95, too_good)) == pytest.approx(0.1)
    assert module.base_distance(evaluation(0.95, nothing)) == pytest.approx(0.3)
    assert module.base_distance(evaluation(0.80, RIGHT)) > module.base_distance(evaluation(0.90, RIGHT)) > 0


def test_the_nearest_checkpoint_is_brought_and_of_like_ones_the_last(module, tmp_path):
    args = argparse.Namespace(output=tmp_path / "out", work=tmp_path / "work", only=["base"])
    work = module.Work(args)
    for name in ("checkpoint-100", "checkpoint-200", "checkpoint"):
        (tmp_path / "work" / "base" / name / "transformer").mkdir(parents=True)
        (tmp_path / "work" / "base" / name / "transformer" / "weights").write_text(name)
    work.results["base"] = {
        "checkpoint-100": evaluation(0.95, RIGHT | {"maze": 0.605}),
        "checkpoint-200": evaluation(0.95, RIGHT),
        "checkpoint": evaluation(0.99, RIGHT | {"maze": 0.9}),
    }
    work.choose()
    assert work.chosen == {"base": ["checkpoint-200"]}
    with tarfile.open(tmp_path / "out" / "base.tar") as tar:
        names = [member.name for member in tar if member.isfile()]
    assert names == ["base-200/transformer/weights"]
