"""The examples of ``traces/README.md`` run as they stand and give what it shows."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from mmreason import places
from mmreason.__main__ import main
from mmreason.analysis.rollouts.push import pushes
from mmreason.traces.opening import open_rollouts

SECTION = (places.ROOT / "mmreason" / "traces" / "README.md").read_text().partition("## Record a training")[2]


def block(kind: str) -> str:
    found = re.search(rf"```{kind}\n(.*?)```", SECTION, re.DOTALL)
    assert found is not None, kind
    return found[1]


def test_the_command_makes_the_file_that_inspect_reads_as_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for line in block("bash").splitlines():
        capsys.readouterr()
        program, words = shlex.split(line)[:3], shlex.split(line)[3:]
        assert program == ["python", "-m", "mmreason"] and main(words) == 0
    assert capsys.readouterr().out == block("text")


def test_the_script_records_what_inspect_opens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    exec(block("python"), {})
    found = open_rollouts(tmp_path / "run" / "paint.jsonl").rollouts
    assert len(found.prompts) == 1 and [len(rollout.parts) for rollout in found.rollouts] == [2, 2, 2]
    assert found.rollouts[1].rewards == {"answer": 1.0, "drawing": 1.0} and pushes(found)["trace"] is not None


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--rollouts", "0"], "--rollouts must be a whole number from 1"),
        (["--side", "9"], "--side must be a whole number from 32"),
        (["--pause", "-1"], "--pause must be a number from 0 to 3600, got '-1'"),
        (["--seed", "-1"], "--seed must be a whole number from 0"),
        ([], "is there already: give --overwrite"),
    ],
)
def test_what_cannot_be_made_is_refused_before_anything_is_written(
    words: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text("mine")
    try:
        code = main(["make", "rollouts", "--output", str(path), *words])
    except SystemExit as ended:
        code = ended.code
    assert code == 2
    said = capsys.readouterr().err
    assert says in said and said.count("\n") == 1 and path.read_text() == "mine"
