"""What holds of the command line: one JSON object, one line of error, exit codes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from mmreason.__main__ import finite, main
from mmreason.commands import command_names
from mmreason.rewards.verify import Verifier
from mmreason.tasks import make_problem
from mmreason.traces.file import load, save, to_json
from tests.helpers import forked
from tests.helpers.standin import SHEET, WORDS, stand_in_trace

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent


def command(*arguments: object, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run the command line as a user does."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    line = [sys.executable, "-m", "mmreason", *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, cwd=cwd, env=environment, timeout=120)


@pytest.fixture
def trace_file(tmp_path: Path) -> Path:
    trace = Verifier(WORDS, SHEET).score(stand_in_trace(make_problem("maze", "easy", 7)))
    save(tmp_path / "recorded.json", to_json(trace, WORDS, SHEET))
    return tmp_path / "recorded.json"


# Errors


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], ["solve", "evaluate"]),
        (["slove"], ["'slove'", "did you mean solve"]),
        (["solve", "--tsak", "maze"], ["'--tsak'", "--task"]),
        (["solve"], ["--task", "--problem"]),
        (["solve", "--task", "maze", "--problem", "x"], ["--task", "--problem"]),
        (["solve", "--task", "mazes"], ["'mazes'", "sudoku"]),
        (["solve", "--task", "maze", "--difficulty", "extreme"], ["'extreme'", "medium"]),
        (["solve", "--task", "maze", "--seed", "one"], ["--seed must be a whole number from", "'one'"]),
        (["solve", "--task", "maze", "--seed", "-1"], ["--seed must", "-1", "from 0"]),
        (["solve", "--task", "maze", "--seed", str(2**64)], ["seed", "18446744073709551616", "from 0"]),
        (["solve", "--task", "maze", "--temperature", "hot"], ["'hot'", "a number"]),
        (
            ["solve", "--task", "maze", "--temperature", "nan"],
            ["--temperature must be 0 (greedy) or a number from 0.01 to 2", "nan"],
        ),
        (["solve", "--task", "maze", "--temperature", "1e-40"], ["--temperature", "0.01", "'1e-40'"]),
        (["evaluate", "--temperature", "1e-40"], ["--temperature", "0.01"]),
        (["train", "--output", "runs", "--temperature", "0"], ["--temperature must be a number from 0.01 to 2"]),
        (["train", "--output", "runs", "--seed", "18446744073709551616", "--lora_rank", "2"], ["--seed must be"]),
        (["train", "--output", "runs", "--difficulty", "easy=nan"], ["the weight of 'easy'", "'nan'"]),
        (["pretrain", "--output", "runs", "--seed", str(2**53)], ["--seed", "from 0 to 9007199254740991"]),
        (["interference", "--temperature", "inf"], ["--temperature", "'inf'"]),
        (
            ["solve", "--task", "maze", "--num_steps", "0"],
            ["--num_steps must be a whole number from 1 to 64"],
        ),
        (["solve", "--task", "maze", "--threshold", "2"], ["--threshold", "from 0 to 1", "'2'"]),
        (["solve", "--task", "maze", "--region", "half"], ["'half'", "stated"]),
        (["solve", "--task", "maze", "--order", "luck"], ["'luck'", "entropy"]),
        (["solve", "--task", "maze", "--sampling_seed", "-2"], ["--sampling_seed", "-2", "from 0"]),
        (["solve", "--task", "maze", "--sampling_seed", str(2**64)], ["--sampling_seed", "from 0 to"]),
        (["solve", "--task", "maze", "--out", ""], ["--out", "nothing", "a file"]),
        (["solve", "--task", "maze", "--gif", "."], ["--gif", "'.'", "directory"]),
        (["solve", "--task", "maze", "--out", "."], ["'.'", "directory"]),
        (["solve", "--problem", "nowhere.json"], ["'nowhere.json'", "does not exist"]),
        (["solve", "--problem", "nowhere.json", "--difficulty", "easy"], ["--difficulty goes with --task"]),
        (["solve", "--task", "maze", "--difficulty", ""], ["difficulty must be one of easy, medium, hard, got ''"]),
        (
            ["race", "--against", "diffusion_full", "--ar", "nowhere"],
            ["--ar goes with --against ar_full, got --ar 'nowhere' with --against diffusion_full"],
        ),
        (["solve", "--task", "maze", "--checkpoint", "nowhere"], ["'nowhere'", "checkpoint folder"]),
        (["solve", "--task", "maze", "--checkpoint", "checkpoints/none"], ["'checkpoints/none'", "checkpoint folder"]),
        (["solve", "--task", "maze", "--gif", "replay.png"], ["--gif", ".gif file", "'replay.png'"]),
        (["evaluate", "--tasks", "maze", "maze"], ["'maze'", "named once"]),
        (["solve", "--task", "maze", "more"], ["'more'", "--help"]),
        (["evaluate", "--tasks", "maze", "chess"], ["'chess'", "jigsaw"]),
        (["evaluate", "--problems", "0"], ["--problems", "from 1"]),
        (["evaluate", "--problems", "1.5"], ["'1.5'", "whole number"]),
        (["evaluate", "--difficulty", "hrd"], ["'hrd'", "hard"]),
        (["evaluate", "--batch_size", "0"], ["--batch_size", "from 1"]),
        (["evaluate", "--checkpoint", "no\nwhere"], ["checkpoint folder"]),
        (["inspect"], ["TRACE"]),
        (["inspect", "nowhere.json"], ["'nowhere.json'", "does not exist"]),
        (["inspect", "."], ["directory"]),
        (["pretrain"], ["--output"]),
        (["train", "--checkpoint", "nowhere", "--output", "runs", "--steps", "0"], ["--steps", "from 1", "'0'"]),
        (["train", "--output", "runs", "--threads", "-1"], ["--threads", "-1", "from 0"]),
        (["benchmark", "--num_problems", "0"], ["--num_problems", "'0'", "from 1"]),
        (["benchmark", "--num_generations", "1"], ["--num_generations", "'1'", "from 2"]),
        (["reproduce", "--plan", "--threads", "9999"], ["--threads", "9999", "to 1024"]),
    ],
)
def test_a_wrong_argument_is_exit_code_2_and_one_line_that_says_what_would_be_right(
    arguments: list[str], says: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code = main(arguments)
    except SystemExit as ended:
        code = ended.code
    out, err = capsys.readouterr()
    assert code == 2 and out == ""
    assert err.endswith("\n") and err.count("\n") == 1
    for words in says:
        assert words in err


@pytest.mark.parametrize("words", [["evaluate"], ["pretrain", "--output", "run"]])
def test_what_runs_in_one_process_refuses_a_launcher(words, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    assert f"{words[0]} runs in one process, got 2: start it without a launcher" in capsys.readouterr().err


def test_a_gpu_without_room_is_one_line_that_says_what_needs_less(monkeypatch, capsys) -> None:
    def run(_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9.00 GiB. GPU 0 has more.\nAnd more")

    monkeypatch.setattr("mmreason.commands.train.run", run)
    assert main(["train", "--output", "runs"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "CUDA out of memory" in line and "--max_tokens" in line and "--gradient_checkpointing" in line


def test_errors_reach_a_real_shell_the_same_way() -> None:
    for arguments in (["evaluate", "--problems", "many"], ["solve", "--task", "mazes", "--json"]):
        done = command(*arguments)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)


NAMING = [
    "solve --task maze --checkpoint NAME",
    "evaluate --checkpoint NAME",
    "train --checkpoint NAME --output run",
    "pretrain --checkpoint NAME --output run",
    "pretrain --image_tokenizer NAME --output run",
    "race --checkpoint NAME",
    "check NAME",
    "merge --checkpoint NAME --output run",
    "report --checkpoint NAME",
]
EMPTY_IS_THE_DEFAULT = ["interference --run NAME", "report --checkpoint checkpoints/base --history NAME"]
UNNAMEABLE = [(words, "") for words in NAMING] + [(words, "0" * 300) for words in NAMING + EMPTY_IS_THE_DEFAULT]


@pytest.mark.parametrize(("words", "name"), UNNAMEABLE)
def test_a_name_that_nothing_can_have_is_refused_in_one_line(words, name, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([name if word == "NAME" else word for word in words.split()]) == 2
    *_, last = capsys.readouterr().err.splitlines()
    assert " must be a " in last or " is no checkpoint" in last


@pytest.mark.parametrize("part", ["model_index.json", "transformer/config.json", "vqvae/config.json"])
def test_a_broken_checkpoint_is_refused_in_one_line(part: str, tiny_checkpoint: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_checkpoint, tmp_path / "broken")
    (tmp_path / "broken" / part).write_text("{")
    done = forked.run("solve", "--task", "maze", "--checkpoint", tmp_path / "broken", "--json")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
    assert "cannot be loaded" in done.stderr


def test_truncated_weights_are_refused_in_one_line(tiny_checkpoint: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_checkpoint, tmp_path / "broken")
    weights = next((tmp_path / "broken" / "transformer").glob("*.safetensors"))
    os.truncate(weights, weights.stat().st_size // 2)
    done = forked.run("evaluate", "--checkpoint", tmp_path / "broken", "--problems", 1)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr


@pytest.mark.parametrize("arguments", [("solve", "--task", "maze"), ("evaluate", "--problems", 1)])
def test_one_weight_that_is_no_number_is_refused_in_one_line(arguments, tiny_checkpoint: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_checkpoint, tmp_path / "broken")
    file = next((tmp_path / "broken" / "transformer").glob("*.safetensors"))
    weights = load_file(file)
    weights["blocks.0.up.weight"][0, 0] = float("nan")
    save_file(weights, file, metadata={"format": "pt"})
    done = forked.run(*arguments, "--checkpoint", tmp_path / "broken", "--json")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
    assert "transformer's blocks.0.up.weight holds a number that is not finite" in done.stderr


def test_ctrl_c_ends_quietly_with_130(monkeypatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr("mmreason.traces.opening.open_rollouts", interrupted)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    try:
        assert main(["inspect", "trace.json"]) == 130
    finally:
        signal.signal(signal.SIGINT, before)
    assert capsys.readouterr() == ("", "")


# Help


def test_help_is_quick_for_every_command_and_loads_no_torch() -> None:
    script = (
        "import sys\nfrom mmreason.__main__ import main\n"
        "try: main(sys.argv[1:])\nexcept SystemExit as e: assert e.code == 0\n"
        "assert 'torch' not in sys.modules, 'torch was imported'"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    for arguments in (["--help"], *([name, "--help"] for name in command_names())):
        line = [sys.executable, "-c", script, *arguments]
        done = subprocess.run(line, capture_output=True, text=True, env=environment, timeout=60)
        assert done.returncode == 0, done.stderr
        assert "usage: python -m mmreason" in done.stdout


# What the commands say


def test_solve_prints_one_json_object_and_writes_a_trace_and_a_replay(tiny_checkpoint: Path, tmp_path: Path) -> None:
    files = ["--checkpoint", tiny_checkpoint, "--out", "out/trace.json", "--gif", "replay.gif"]
    done = command("solve", "--task", "maze", "--seed", 3, *files, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    data = load(tmp_path / "out" / "trace.json")
    assert data["version"] == 1 and result["out"] == "out/trace.json"
    assert result["success"] is data["success"] and result["end_reason"] == data["end_reason"]
    assert result["cost"] == data["cost"]
    assert data["settings"]["temperature"] == 0 and len(data["settings"]["checkpoint_hash"]) == 12
    for said, recorded in zip(result["segments"], data["segments"], strict=True):
        assert said["modality"] == recorded["modality"] and said["reward"] == recorded["reward"]
        assert said.get("text") == recorded["text"] and said.get("region") == recorded["region"]
    assert (tmp_path / "replay.gif").read_bytes()[:6] == b"GIF89a"


def test_solve_reads_a_problem_file_and_repeats_itself(
    tiny_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    problem = make_problem("sudoku", "easy", 2)
    (tmp_path / "problem.json").write_text(json.dumps({"task": "sudoku", **problem.spec}))
    results = []
    for name in ("a.json", "b.json"):
        arguments = ["--checkpoint", str(tiny_checkpoint), "--out", str(tmp_path / name), "--json"]
        arguments += ["--temperature", "1", "--sampling_seed", "5"]
        assert main(["solve", "--problem", str(tmp_path / "problem.json"), *arguments]) == 0
        results.append(json.loads(capsys.readouterr().out))
    assert results[0]["segments"] == results[1]["segments"]
    assert load(tmp_path / "a.json")["problem"]["difficulty"] == "custom"


def test_evaluate_prints_one_json_object(tiny_checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [
        "--tasks",
        "maze",
        "jigsaw",
        "--problems",
        "3",
        "--seed",
        "1",
        "--difficulty",
        "easy",
        "--json",
    ]
    assert main(["evaluate", "--checkpoint", str(tiny_checkpoint), *arguments]) == 0
    result = json.loads(capsys.readouterr().out)
    assert set(result["success"]) == {"maze", "jigsaw", "mean"} and result["problems"] == 3
    assert {"text_reward", "image_reward", "seconds", "ci95", "by_difficulty"} <= set(result)


def test_without_json_a_summary_is_shown(tiny_checkpoint: Path, tmp_path: Path, capsys) -> None:
    common = ["--checkpoint", str(tiny_checkpoint)]
    assert main(["evaluate", *common, "--tasks", "maze", "--problems", "2"]) == 0
    assert "mean" in capsys.readouterr().out
    assert main(["solve", *common, "--task", "maze", "--out", str(tmp_path / "trace.json")]) == 0
    assert "trace.json" in capsys.readouterr().out
    assert main(["inspect", str(tmp_path / "trace.json")]) == 0
    assert "valid trace" in capsys.readouterr().out


def test_inspect_counts_rollouts_and_problems_of_several_traces(tiny_checkpoint: Path, tmp_path: Path, capsys) -> None:
    words = ["evaluate", "--checkpoint", str(tiny_checkpoint), "--tasks", "maze", "--num_steps", "1"]
    out = str(tmp_path / "rollouts.json")
    assert main([*words, "--problems", "2", "--pass_at", "2", "--out", out, "--json"]) == 0
    problems = json.loads(capsys.readouterr().out)["distinct_problems"]
    assert main(["inspect", out]) == 0
    assert f"valid: 4 rollouts of {problems} problems, " in capsys.readouterr().out


def test_what_solve_writes_inspect_finds_no_fault_with(tiny_checkpoint: Path, tmp_path: Path, capsys) -> None:
    for seed in range(4):
        path = str(tmp_path / f"{seed}.json")
        arguments = ["--task", "transform", "--seed", str(seed), "--out", path, "--temperature", "1"]
        assert main(["solve", "--checkpoint", str(tiny_checkpoint), *arguments, "--json"]) == 0
        capsys.readouterr()
        assert main(["inspect", path, "--json"]) == 0
        result = json.loads(capsys.readouterr().out)
        assert result["valid"] and result["problems_found"] == []


def test_inspect_scores_again_and_lists_what_differs(trace_file: Path, capsys) -> None:
    assert main(["inspect", str(trace_file), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["valid"], result["problems_found"]) == (True, [])
    assert result["rewards"] == {"text": 1.0, "image": 1.0}
    data = load(trace_file)
    data["segments"][0]["reward"], data["success"] = 0.0, False
    save(trace_file, data)
    assert main(["inspect", str(trace_file), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["problems_found"]
    assert any("segments[0].reward" in line for line in found) and any("success" in line for line in found)


def test_inspect_of_an_invalid_trace_is_exit_code_2_and_one_json_object(trace_file: Path, capsys) -> None:
    data = json.loads(trace_file.read_text())
    rows = data["prompts"][0]["problem"]["spec"]["rows"]
    rows[0] = rows[7] = "........"
    for broken in (data, {**data, "version": 9}, []):
        trace_file.write_text(json.dumps(broken))
        assert main(["inspect", str(trace_file), "--json"]) == 2
        out, err = capsys.readouterr()
        result = json.loads(out)
        assert result["valid"] is False and len(result["problems_found"]) == 1
        assert err.count("\n") == 1


def test_inspect_exports_the_schema(tmp_path: Path) -> None:
    assert main(["inspect", "--schema", str(tmp_path / "schema.json"), "--json"]) == 0
    assert json.loads((tmp_path / "schema.json").read_text())["properties"]["version"]


def test_numbers_that_json_lacks_become_null() -> None:
    given = {"a": [float("nan"), 1.0], "b": (float("inf"),), "c": "x"}
    assert finite(given) == {"a": [None, 1.0], "b": [None], "c": "x"}
