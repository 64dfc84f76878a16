"""The comparison on a tiny policy: what is finished is kept, what was stopped ends as if it had not been."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, replace
from types import SimpleNamespace

import pytest

from mmreason.__main__ import main
from mmreason.analysis.comparison import reproduce as module
from mmreason.analysis.comparison.protocol import HEADLINE, QUICK, Protocol, Run, planned_runs
from mmreason.analysis.comparison.reproduce import Reproduction
from mmreason.errors import CheckpointError, ConfigError
from mmreason.rewards.custom import add_rewards_to
from mmreason.sampling.pipeline import InterleavedReasoningPipeline
from mmreason.training.rl import grpo
from mmreason.training.rl.trainer import Trainer
from mmreason.training.run.rundir import RunDirectory, saved_step
from tests.helpers.learning import even_tokens, fresh_pipe

pytestmark = pytest.mark.slow

RUN = Run("factorized", "trace", 0)


@pytest.fixture(scope="module", autouse=True)
def rewards_with_spread():
    """Beside the verifier's, which a random policy never earns."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grpo, "add_rewards_to", lambda traces, _: add_rewards_to(traces, [even_tokens]))
        yield


@pytest.fixture(scope="module")
def protocol(tmp_path_factory) -> Protocol:
    folder = tmp_path_factory.mktemp("start") / "checkpoint"
    fresh_pipe().save_pretrained(folder)
    return Protocol(
        checkpoint=str(folder),
        tasks=("maze", "transform"),
        difficulties={"easy": 1.0},
        granularity="trace",
        num_seeds=1,
        first_seed=0,
        other_seeds=0,
        points=(1, 4),
        num_problems=1,
        num_generations=2,
        problems_at_points=2,
        problems_at_end=3,
        problems_apart=1,
    )


def comparison(protocol: Protocol, folder) -> Reproduction:
    return Reproduction(protocol, folder / "results", folder / "work", lambda text: None)


@pytest.fixture(scope="module")
def whole(protocol, tmp_path_factory):
    """A folder in which ``RUN`` was carried out in one go."""
    folder = tmp_path_factory.mktemp("whole")
    comparison(protocol, folder).carry_out(RUN)
    return folder


def test_a_run_file_holds_every_outcome(protocol, whole):
    found = json.loads((whole / "results" / f"{RUN.name}.json").read_text())
    assert [point["step"] for point in found["points"]] == [1, 4]
    assert 0 < found["points"][0]["flops"] < found["points"][1]["flops"]
    for how, count in (("sampled", 3), ("greedy", 3), ("medium", 1), ("hard", 1)):
        assert {task: len(marks) for task, marks in found["end"][how]["solved"].items()} == dict.fromkeys(
            protocol.tasks, count
        )
    assert len(found["training"]["rewards/text/mean"]) == 4
    assert found["protocol"]["test_seed"] == protocol.test_seed
    first, end = found["points"][-1]["sampled"]["solved"], found["end"]["sampled"]["solved"]
    assert {task: marks[:2] for task, marks in end.items()} == first  # a point's problems are the first of the end's


def test_a_stopped_run_ends_as_the_uninterrupted_one(protocol, whole, tmp_path):
    stopped = comparison(protocol, tmp_path)

    def stop(row):
        if row["step"] == 2:
            (tmp_path / "work" / RUN.name / "stop").write_text("")

    with pytest.raises(ConfigError, match="was stopped at step 3"):
        stopped.carry_out(RUN, stop)
    stopped.carry_out(RUN)
    one, other = (json.loads((folder / "results" / f"{RUN.name}.json").read_text()) for folder in (whole, tmp_path))
    assert one == other


def test_a_run_stopped_in_the_tests_of_a_point_solves_them_first(protocol, whole, tmp_path, monkeypatch):
    stopped = comparison(protocol, tmp_path)
    monkeypatch.setattr(stopped, "_solve", lambda *given: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        stopped.carry_out(RUN)
    assert saved_step(tmp_path / "work" / RUN.name) == 1
    comparison(protocol, tmp_path).carry_out(RUN)
    one, other = (json.loads((folder / "results" / f"{RUN.name}.json").read_text()) for folder in (whole, tmp_path))
    assert one == other


def test_a_run_that_pauses_at_its_points_ends_with_the_weights_of_one_that_does_not(protocol, whole, tmp_path):
    pipe = InterleavedReasoningPipeline.from_pretrained(protocol.checkpoint)
    config = protocol.training(RUN, protocol.sampling(pipe.scheduler, protocol.temperature))
    assert config.lr_scheduler_type == "linear"  # so the length of the whole run counts in every piece
    Trainer(pipe, config, RunDirectory(tmp_path)).train()
    found = json.loads((whole / "results" / f"{RUN.name}.json").read_text())
    assert pipe.fingerprint == found["fingerprint"] != found["base_fingerprint"]


def test_what_is_finished_is_not_done_again(protocol, whole, monkeypatch):
    monkeypatch.setattr("mmreason.analysis.comparison.reproduce.Trainer", None)  # would fail if it were called
    again = comparison(replace(protocol, num_seeds=3, other_seeds=1), whole)  # more runs beside it change nothing
    assert again.carry_out(RUN)["fingerprint"]
    assert [found["arm"] for found in again.finished(planned_runs(protocol))] == ["factorized"]


def test_the_base_is_measured_once_for_the_same_problems(protocol, tmp_path, monkeypatch):
    here = comparison(protocol, tmp_path)
    base = here.base()
    other = comparison(replace(protocol, problems_at_end=4), tmp_path).base()
    assert len(base["end"]["sampled"]["solved"]["maze"]) == 3 and len(other["end"]["sampled"]["solved"]["maze"]) == 4
    monkeypatch.setattr(here, "_solve", None)  # would fail if it were called
    assert here.base() == base


def test_files_of_another_protocol_or_start_are_refused(protocol, whole, tmp_path):
    with pytest.raises(ConfigError, match=r"is of another comparison \(learning_rate, beta differ\)"):
        comparison(replace(protocol, learning_rate=0.5, beta=1.0), whole).carry_out(RUN)
    content = json.loads((whole / "results" / f"{RUN.name}.json").read_text())
    (tmp_path / "results").mkdir()
    path = tmp_path / "results" / f"{RUN.name}.json"
    path.write_text(json.dumps(content | {"base_fingerprint": "0" * 12}))
    with pytest.raises(ConfigError, match=r"is of another comparison \(checkpoint differ\)"):
        comparison(protocol, tmp_path).finished([RUN])
    with pytest.raises(CheckpointError, match="must be a checkpoint folder"):
        comparison(replace(protocol, checkpoint=str(tmp_path)), tmp_path / "new").base()


def test_a_setting_that_a_file_does_not_hold_counts_as_the_default(protocol, whole, tmp_path):
    content = json.loads((whole / "results" / f"{RUN.name}.json").read_text())
    del content["protocol"]["beta"]
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / f"{RUN.name}.json").write_text(json.dumps(content))
    assert comparison(protocol, tmp_path).finished([RUN])
    with pytest.raises(ConfigError, match=r"is of another comparison \(beta differ\)"):
        comparison(replace(protocol, beta=0.1), tmp_path).finished([RUN])


def test_a_file_of_another_version_is_refused(protocol, whole, tmp_path):
    content = json.loads((whole / "results" / f"{RUN.name}.json").read_text())
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / f"{RUN.name}.json").write_text(json.dumps(content | {"version": 99}))
    with pytest.raises(ConfigError, match="must be of version 1, got 99"):
        comparison(protocol, tmp_path).carry_out(RUN)


def test_the_median_seed_is_shipped_and_says_how_it_was_trained(protocol, tmp_path, monkeypatch):
    here = comparison(protocol, tmp_path)
    monkeypatch.setattr(here, "base", lambda: {"end": {"sampled": {"success": {"mean": 0.05}}}})
    loaded = SimpleNamespace(from_pretrained=lambda path: SimpleNamespace(fingerprint="as-trained"))
    monkeypatch.setattr(module, "InterleavedReasoningPipeline", loaded)
    finished = []
    for seed, rate in enumerate((0.1, 0.9, 0.4)):
        folder = tmp_path / "work" / f"joint-trace-{seed}" / "checkpoint"
        folder.mkdir(parents=True)
        (folder / "model_index.json").write_text(str(seed))
        found = {"arm": "joint", "granularity": "trace", "seed": seed, "protocol": asdict(protocol)}
        found |= {"base_fingerprint": "0123", "fingerprint": "as-trained" if seed else "elsewhere"}
        finished.append(found | {"end": {"sampled": {"success": {"mean": rate}}}})
    assert here.ship(finished, tmp_path / "shipped", "the command") == [f"{tmp_path / 'shipped' / 'joint'}: seed 2"]
    assert (tmp_path / "shipped" / "joint" / "model_index.json").read_text() == "2"
    history = " ".join((tmp_path / "shipped" / "joint" / "TRAINING.md").read_text().split())
    assert (
        "`the command --only joint-trace-2`" in history
        and "`the command --ship checkpoints`" in history
        and "Of the seeds 0, 1, 2" in history
    )
    assert "0.400 (before the training 0.050)" in history and "trained again" not in history
    here.ship(finished[:1], tmp_path / "shipped", "the command")  # a checkpoint is replaced
    history = (tmp_path / "shipped" / "joint" / "TRAINING.md").read_text()
    assert "(as-trained) are of the same run trained again" in history
    assert (tmp_path / "shipped" / "joint" / "model_index.json").read_text() == "0"
    assert sorted(path.name for path in (tmp_path / "shipped").iterdir()) == ["joint"]
    (tmp_path / "shipped" / "joint" / "thesis.txt").write_text("x")
    with pytest.raises(ConfigError, match=r"--ship would replace .*/shipped/joint', which holds thesis\.txt, not of"):
        here.ship(finished, tmp_path / "shipped", "the command")
    assert (tmp_path / "shipped" / "joint" / "model_index.json").read_text() == "0"
    assert (tmp_path / "shipped" / "joint" / "thesis.txt").read_text() == "x"
    shutil.rmtree(tmp_path / "work")
    with pytest.raises(ConfigError, match="--ship needs the weights of joint-trace-2 in"):
        here.ship(finished, tmp_path / "elsewhere", "the command")


def test_what_would_be_replaced_by_shipping_is_refused_before_anything_is_trained(tmp_path, capsys):
    (tmp_path / "joint").mkdir()
    (tmp_path / "joint" / "thesis.txt").write_text("x")
    assert main(["reproduce", "--ship", str(tmp_path), "--work", str(tmp_path / "work")]) == 2
    assert "--ship would replace" in capsys.readouterr().err
    assert not (tmp_path / "work").exists()


def test_a_work_folder_of_somebody_elses_is_refused_and_left_as_it_is(protocol, tmp_path):
    samples = tmp_path / "work" / RUN.name / "samples"
    samples.mkdir(parents=True)
    (samples / "thesis.txt").write_text("x")
    with pytest.raises(ConfigError, match=r"holds samples, and not of a run: move that away, or name .* with --work"):
        comparison(protocol, tmp_path).carry_out(RUN)
    assert (samples / "thesis.txt").read_text() == "x"


def test_the_command_refuses_a_run_that_is_not_planned(capsys):
    assert main(["reproduce", "--only", "joint-trace-99"]) == 2
    assert "--only must be of the planned runs" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "planned"),
    [([], HEADLINE), (["--quick"], QUICK)],
)
def test_the_command_says_what_is_planned(options, planned, tmp_path, capsys):
    assert main(["reproduce", "--plan", *options, "--results", str(tmp_path), "--json"]) == 0
    state = json.loads(capsys.readouterr().out)
    assert state == {"finished": [], "missing": [run.name for run in planned_runs(planned)]}
    assert f"joint-turn-{planned.first_seed}" in state["missing"]
