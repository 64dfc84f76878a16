"""What holds of ``interference`` on the command line: promised keys, files that the page opens, one-line errors."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mmreason.__main__ import main
from mmreason.traces.group import load_group
from mmreason.training.run.rundir import read_metrics
from mmreason.ui.inspect.leak import leak_value

SMALL = ["--tasks", "maze", "--difficulty", "easy", "--num_problems", "2", "--num_generations", "2"]


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    try:
        code = main(["interference", *map(str, arguments)])
    except SystemExit as ended:
        code = int(ended.code or 0)
    out, err = capsys.readouterr()
    return code, out, err


def test_it_prints_one_object_with_the_promised_keys(tiny_checkpoint: Path, tmp_path: Path, capsys):
    out_file, groups = tmp_path / "figures.json", tmp_path / "groups"
    given = ("--checkpoint", tiny_checkpoint, tiny_checkpoint, *SMALL, "--out", out_file, "--write_groups", groups)
    code, out, _ = run(capsys, *given, "--json")
    result = json.loads(out)
    assert code == 0
    assert {"leak_to_signal", "cosine", "sign_conflict", "snr_joint", "snr_factorized", "idle_push"} <= set(result)
    assert {"sigma_ratio", "layers", "by_modality", "by_task", "settings"} <= set(result)
    assert len(result["checkpoints"]) == 2
    first, second = ({k: v for k, v in c.items() if k not in ("seconds", "written")} for c in result["checkpoints"])
    assert first == second  # the same weights on the same problems and seeds
    shown = json.loads(out_file.read_text())
    assert leak_value(shown["checkpoints"], shown["settings"], shown["training"], "")["checkpoints"]
    for path in groups.glob("*.json") if groups.exists() else ():
        assert len(load_group(path)) == 2


def test_a_run_gives_its_curve_and_is_only_read(tiny_checkpoint: Path, tmp_path: Path, capsys):
    rows = [{"step": i, "sign_conflict": 0.1 * i, "idle_push": 0.0, "sigma_ratio": 1.0} for i in (1, 2)]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in [{"step": 0}, *rows]))
    code, out, _ = run(capsys, "--checkpoint", tiny_checkpoint, *SMALL, "--run", tmp_path, "--json")
    assert code == 0 and json.loads(out)["training"] == rows
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.jsonl"]
    assert len(read_metrics(tmp_path)) == 3


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--tasks", "chess"], "'chess'"),
        (["--difficulty", "brutal"], "'brutal'"),
        (["--num_problems", "0"], "from 1"),
        (["--num_generations", "1"], "from 2"),
        (["--granularity", "word"], "'word'"),
        (["--scale_rewards", "much"], "'much'"),
        (["--reward_weights", "-1", "1"], "from 0"),
        (["--temperature", "0"], "from 0.01"),
        (["--groups", "0"], "from 1"),
        (["--seed", "-1"], "from 0"),
        (["--run", "nowhere"], "'nowhere'"),
        (["--checkpoint", "nowhere"], "'nowhere'"),
    ],
)
def test_a_wrong_argument_is_one_line_that_says_what_would_be_right(arguments, says, capsys):
    code, out, err = run(capsys, *arguments)
    assert code == 2 and out == ""
    assert says in err.splitlines()[-1]
