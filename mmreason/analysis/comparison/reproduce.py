"""Runs the comparison of joint and factorized rewards: every finished run is kept, a stopped one resumes.

A run's file holds its held-out outcomes, problem by problem, so that every figure of the comparison can be made
again from these files alone.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

from mmreason.analysis.comparison.prediction import INTERFERENCE, predict
from mmreason.analysis.comparison.protocol import ARMS, Protocol, Run
from mmreason.disk import write_json, write_whole
from mmreason.errors import CheckpointError, ConfigError
from mmreason.records import Problem, Trace, mean_rewards
from mmreason.sampling.pipeline import InterleavedReasoningPipeline, fastest_device
from mmreason.training.hardware import half_precision
from mmreason.training.rl.trainer import Trainer
from mmreason.training.run.resume import differences
from mmreason.training.run.rundir import CONFIG_FILE, RunDirectory, saved_step
from mmreason.training.validation import (
    answered_right,
    answers_by_task,
    held_out,
    solve_problems,
    success_by_task,
)

VERSION = 1
TEMPERATURES = {"sampled": 1.0, "greedy": 0.0}
MAY_DIFFER = (  # how many runs a comparison has, and where its start lies, of which the fingerprint counts
    *("num_seeds", "first_look", "other_seeds", "looks_before"),
    "checkpoint",
)
NEEDED = ("arm", "granularity", "seed", "protocol", "base_fingerprint", "fingerprint", "points", "end", "training")
LOGGED = ("rewards/text/mean", "rewards/image/mean", "entropy/text", "entropy/image", "sign_conflict", "idle_push")
TRAINED_AGAIN = (
    "The weights here ({0}) are of the same run trained again, on a processor that rounds otherwise: the figures of "
    "the card are theirs, the one above is of the first training."
)
_SHIPPED = {"model_index.json", "transformer", "vqvae", "tokenizer", "scheduler", "README.md", "TRAINING.md"}

Say = Callable[[str], None]


class Reproduction:
    """The comparison's files: ``results`` holds what is committed, ``work`` the run directories."""

    def __init__(
        self, protocol: Protocol, results: str | Path, work: str | Path, say: Say = print, base_name: str = ""
    ) -> None:
        self.protocol, self.results, self.work, self.say = protocol, Path(results), Path(work), say
        self.base_name = base_name  # of the file of the start checkpoint, if it is not to be named by what it is of

    def base(self) -> dict[str, Any]:
        """What the start checkpoint does on the same problems; measured once."""
        path = self._base_path
        told = {"fingerprint": self._fingerprint, "tested": self.protocol.tested}
        if not path.is_file():
            self.say(f"base: {self.protocol.problems_at_end} problems a task")
            first, end = self._end(self._pipe())
            write_json(path, {"version": VERSION} | told | {"start": outcomes_of(first["sampled"]), "end": end})
        found = _read(path, "start", "end")
        return _of_these(path, found, told) if self.base_name else found

    def interference(self, joints: Mapping[str, Run]) -> dict[str, Any]:
        """How much the modalities interfere at the start, by joint arm and task; measured once."""
        path = self._interference_path
        if not self.predicted:
            self.say(f"{INTERFERENCE}: {', '.join(joints)}")
            found = predict(self._pipe(), self.protocol, joints)
            write_json(path, {"version": VERSION, "fingerprint": self._fingerprint, "arms": found})
        found = _read(path, "fingerprint", "arms")
        return _of_these(path, found, {"fingerprint": self._fingerprint})["arms"]

    @property
    def measured(self) -> bool:
        """Is it known what the start checkpoint does?"""
        return self._base_path.is_file()

    @property
    def predicted(self) -> bool:
        """Is it known how much the modalities interfere at the start?"""
        return self._interference_path.is_file()

    @property
    def _interference_path(self) -> Path:
        return self.results / f"{INTERFERENCE}.json"

    @property
    def _base_path(self) -> Path:
        if self.base_name:
            return self.results / f"{self.base_name}.json"
        digest = hashlib.sha256(json.dumps([self._fingerprint, self.protocol.tested]).encode()).hexdigest()[:8]
        return self.results / f"base-{digest}.json"

    def finished(self, runs: Iterable[Run]) -> list[dict[str, Any]]:
        """The files of those of ``runs`` that have ended."""
        return [self._kept(self._path(run)) for run in runs if self.has(run)]

    def has(self, run: Run) -> bool:
        """Has ``run`` ended?"""
        return self._path(run).is_file()

    def carry_out(self, run: Run, on_row: Callable[[dict[str, Any]], None] | None = None) -> dict[str, Any]:
        """Train and evaluate ``run`` unless its file is there; a stopped one is resumed."""
        if self.has(run):
            return self._kept(self._path(run))
        directory = RunDirectory(self.work / run.name)
        with directory.held():
            found = directory.taken()
            if found and CONFIG_FILE not in found:  # the settings of what began here are checked when it goes on
                raise ConfigError(
                    f"work folder {str(directory.path)!r} holds {', '.join(found)}, and not of a run: "
                    "move that away, or name another folder with --work"
                )
            return self._carry_out(run, directory, on_row)

    def _carry_out(
        self, run: Run, directory: RunDirectory, on_row: Callable[[dict[str, Any]], None] | None
    ) -> dict[str, Any]:
        protocol = self.protocol
        points_path = directory.path / "points.json"
        points = json.loads(points_path.read_text()) if points_path.is_file() else []
        for step in protocol.points[len(points) : -1]:
            pipe = self._train(run, directory, step, on_row)
            self.say(f"{run.name}: held-out problems at step {step}")
            traces = {how: self._solve(pipe, protocol.problems_at_points, t) for how, t in TEMPERATURES.items()}
            points.append(_point(directory, step, traces))
            directory.write_json("points.json", points)
        pipe = self._train(run, directory, protocol.max_steps, on_row)
        self.say(f"{run.name}: held-out problems at the end")
        first, end = self._end(pipe)
        rows = [row for row in directory.read_metrics() if "rewards/text/mean" in row]
        write_json(
            self._path(run),
            {
                "version": VERSION,
                **asdict(run),
                "protocol": asdict(protocol),
                "base_fingerprint": self._fingerprint,
                "fingerprint": pipe.fingerprint,
                "points": [*points, _point(directory, protocol.max_steps, first)],
                "end": end,
                "training": {name: [row.get(name) for row in rows] for name in LOGGED},
            },
        )
        return _read(self._path(run))

    def ship(self, finished: Sequence[dict[str, Any]], folder: str | Path, command: str) -> list[str]:
        """Copy the checkpoint of each arm's median seed to ``folder``/<arm>; returns what was written.

        A checkpoint that is there is replaced; raises ConfigError where it is none.  The card is left to ``report``,
        which measures what it says; how it was trained is written beside.
        """
        check_ship(folder)
        written = []
        for arm in ARMS:
            own = [
                found for found in finished if (found["arm"], found["granularity"]) == (arm, self.protocol.granularity)
            ]
            if own:
                written.append(ship_median(own, lambda _: self.base(), self.work, folder, command))
        return written

    def _path(self, run: Run) -> Path:
        return self.results / f"{run.name}.json"

    @cached_property
    def _fingerprint(self) -> str:
        return self._pipe().fingerprint

    def _kept(self, path: Path) -> dict[str, Any]:
        """A run's file, which must be of this protocol and this start checkpoint."""
        found = _read(path, *NEEDED)
        differing = [name for name in differences(self.protocol, found["protocol"]) if name not in MAY_DIFFER]
        differing += ["checkpoint"] if found["base_fingerprint"] != self._fingerprint else []
        if differing:
            raise ConfigError(
                f"{str(path)!r} is of another comparison ({', '.join(differing)} differ): "
                "move it away to run this one, or put back what it was made with"
            )
        return found

    def _pipe(self) -> InterleavedReasoningPipeline:
        if not (Path(self.protocol.checkpoint) / "model_index.json").is_file():
            raise CheckpointError(f"checkpoint must be a checkpoint folder, got {self.protocol.checkpoint!r}")
        return InterleavedReasoningPipeline.from_pretrained(self.protocol.checkpoint).to(fastest_device())

    def _train(
        self, run: Run, directory: RunDirectory, step: int, on_row: Callable[[dict[str, Any]], None] | None
    ) -> InterleavedReasoningPipeline:
        """The policy of ``run`` after ``step`` steps, trained on from what is saved."""
        if saved_step(directory.path) == step:  # it was stopped before the tests that follow were over
            return InterleavedReasoningPipeline.from_pretrained(directory.path / "checkpoint").to(fastest_device())
        pipe = self._pipe()
        sampling = self.protocol.sampling(pipe.scheduler, self.protocol.temperature)
        trainer = Trainer(pipe, self.protocol.training(run, sampling), directory)
        trainer.train(resume=True, on_row=on_row, pause=lambda: trainer.step == step)
        if trainer.step < step:
            raise ConfigError(f"{run.name} was stopped at step {trainer.step}: the same command goes on from there")
        return pipe

    def _end(self, pipe: InterleavedReasoningPipeline) -> tuple[dict[str, list[Trace]], dict[str, Any]]:
        """Of the last step: the traces of a point's problems, and outcomes of all; what is not trained apart."""
        protocol = self.protocol
        few = {_key(problem) for problem in self._problems(protocol.problems_at_points)}
        first, end = {}, {}
        for how, temperature in TEMPERATURES.items():
            traces = self._solve(pipe, protocol.problems_at_end, temperature)
            first[how] = [trace for trace in traces if _key(trace.problem) in few]
            end[how] = outcomes_of(traces)
        for difficulty in protocol.difficulties_apart:
            end[difficulty] = outcomes_of(self._solve(pipe, protocol.problems_apart, 1.0, difficulty))
        return first, end

    def _problems(self, per_task: int, difficulty: str | None = None) -> list[Problem]:
        """``per_task`` held-out problems of every task, split evenly over the difficulties, or of one."""
        protocol = self.protocol
        difficulties = list(protocol.difficulties) if difficulty is None else [difficulty]
        count = per_task * len(protocol.tasks)
        return held_out(list(protocol.tasks), difficulties, count, protocol.test_seed, protocol.split)

    def _solve(
        self, pipe: InterleavedReasoningPipeline, per_task: int, temperature: float, difficulty: str | None = None
    ) -> list[Trace]:
        """Scored traces of those problems."""
        config = self.protocol.sampling(pipe.scheduler, temperature)
        problems = self._problems(per_task, difficulty)
        with half_precision(pipe.device, self.protocol.bf16):
            return solve_problems(pipe, problems, config, self.protocol.test_seed, batch_size=128)


def _target(folder: str | Path, arm: str) -> Path:
    """Where the checkpoint of ``arm`` is shipped to; a link is followed."""
    return Path(os.path.realpath(Path(folder) / arm))


def _key(problem: Problem) -> tuple[str, str, int | None]:
    return problem.task, problem.difficulty, problem.index


def _point(directory: RunDirectory, step: int, traces: dict[str, list[Trace]]) -> dict[str, Any]:
    """Held-out outcomes at a step and the FLOPs spent until then."""
    rows = directory.read_metrics()
    spent = sum(row.get("train_flops", 0.0) + row.get("rollout_flops", 0.0) for row in rows)
    return {"step": step, "flops": spent} | {how: outcomes_of(found) for how, found in traces.items()}


def outcomes_of(traces: list[Trace]) -> dict[str, Any]:
    """Success, right answers and mean rewards, by task and over tasks, and strings of 0 and 1 for each task:
    ``solved`` and ``answered``.
    """
    by_task: dict[str, list[Trace]] = {}
    for trace in traces:
        by_task.setdefault(trace.problem.task, []).append(trace)
    names = ("text_reward", "image_reward")
    rewards = {task: dict(zip(names, mean_rewards(own), strict=True)) for task, own in by_task.items()}
    return {
        "success": success_by_task(traces),
        "answer_accuracy": answers_by_task(traces),
        **{name: _mean([row[name] for row in rewards.values()]) for name in names},
        "rewards": rewards,
        "solved": {task: "".join(str(int(trace.success)) for trace in own) for task, own in by_task.items()},
        "answered": {task: "".join(str(int(answered_right(t))) for t in own) for task, own in by_task.items()},
    }


def _mean(values: Sequence[float | None]) -> float | None:
    """Of those that are there."""
    there = [value for value in values if value is not None]
    return sum(there) / len(there) if there else None


def _read(path: Path, *needed: str) -> dict[str, Any]:
    """The results file at ``path``, with the fields that it cannot do without; raises ConfigError."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"{str(path)!r} cannot be read ({error}): move it away to make it anew") from None
    if not isinstance(found, dict) or found.get("version") != VERSION:
        version = found.get("version") if isinstance(found, dict) else None
        raise ConfigError(f"{str(path)!r} must be of version {VERSION}, got {version!r}")
    if missing := [name for name in needed if name not in found]:
        raise ConfigError(f"{str(path)!r} lacks {', '.join(missing)}: move it away to make it anew")
    return found


def _of_these(path: Path, found: dict[str, Any], told: Mapping[str, Any]) -> dict[str, Any]:
    """``found`` at ``path`` if it is of what is ``told``; raises ConfigError."""
    if any(found.get(name) != json.loads(json.dumps(value)) for name, value in told.items()):
        raise ConfigError(f"{str(path)!r} is of other problems or another checkpoint: move it away to make it anew")
    return found


def check_ship(folder: str | Path) -> None:
    """Refuse to replace what is no checkpoint of ours; raises ConfigError."""
    for target in (_target(folder, arm) for arm in ARMS):
        there = [path.name for path in target.iterdir()] if target.is_dir() else [target.name]
        foreign = sorted(set(there) - _SHIPPED) if os.path.lexists(target) else []
        if foreign:
            raise ConfigError(
                f"--ship would replace {str(target)!r}, which holds {', '.join(foreign[:3])}, not of "
                "a checkpoint: move that away, or name another folder"
            )


def ship_median(
    own: Sequence[dict[str, Any]],
    base_of: Callable[[int], dict[str, Any]],
    work: Path,
    folder: str | Path,
    command: str,
) -> str:
    """Copy the checkpoint of the median of ``own``, the runs of one arm, to ``folder``/<arm>; says what it wrote.

    ``base_of`` gives what the start does on the problems of a seed.  Raises ConfigError where ``work`` does not hold
    the run.
    """
    ranked = sorted(own, key=lambda found: found["end"]["sampled"]["success"]["mean"])
    median = ranked[(len(ranked) - 1) // 2]
    run = Run(median["arm"], median["granularity"], median["seed"])
    source, target = work / run.name / "checkpoint", _target(folder, median["arm"])
    if not source.is_dir():
        raise ConfigError(
            f"--ship needs the weights of {run.name} in {str(source)!r}: train it again with "
            f"`{command} --only {run.name} --results ANOTHER --work {work}`"
        )
    history = run_history(median, base_of(median["seed"]), sorted(found["seed"] for found in own), command)
    fingerprint = InterleavedReasoningPipeline.from_pretrained(source).fingerprint
    if fingerprint != median["fingerprint"]:
        history += "\n" + textwrap.fill(TRAINED_AGAIN.format(fingerprint), 118) + "\n"
    beside = target.with_name(f".{target.name}.new")
    shutil.rmtree(beside, ignore_errors=True)
    shutil.copytree(source, beside)
    write_whole(beside / "TRAINING.md", history.encode())
    if target.is_dir():
        shutil.rmtree(target)
    beside.rename(target)
    return f"{target}: seed {median['seed']}"


def run_history(found: Mapping[str, Any], base: Mapping[str, Any], seeds: Sequence[int], command: str) -> str:
    """How ``command``, a ``reproduce``, trained a run, as Markdown; it is the median one of ``seeds``."""
    protocol, name = found["protocol"], Run(found["arm"], found["granularity"], found["seed"]).name
    before, after = (outcomes["end"]["sampled"]["success"]["mean"] for outcomes in (base, found))
    tasks, difficulties = ", ".join(protocol["tasks"]), " and ".join(protocol["difficulties"])
    redrawn = "the whole canvas" if protocol["region"] == "full" else "the region that its thought states"
    steps = "one denoising step" if protocol["num_steps"] == 1 else f"{protocol['num_steps']} denoising steps"
    trained = (
        f"`{command} --only {name}` trained it by GRPO from `{protocol['checkpoint']}` "
        f"({found['base_fingerprint']}), whose card tells what came before: {found['arm']} rewards by "
        f"{found['granularity']}, {protocol['points'][-1]} steps of {protocol['num_problems']} problems × "
        f"{protocol['num_generations']} rollouts at temperature {protocol['temperature']:g}, {difficulties} problems "
        f"of the train split ({tasks}), every edit redrawing {redrawn}, {steps} a segment; AdamW at "
        f"{protocol['learning_rate']:g} ({protocol['lr_scheduler_type']}), beta {protocol['beta']:g}, "
        f"{'bfloat16 autocast' if protocol.get('bf16_training', True) else '32 bits'}."
    )
    chosen = (
        f"Of the seeds {', '.join(map(str, seeds))} this is the median one by success on "
        f"{protocol['problems_at_end']:,} held-out problems a task of that kind, sampled at temperature 1 in the same "
        f"way: {after:.3f} (before the training {before:.3f}). `{command} --ship checkpoints` put it here."
    )
    return "\n\n".join(textwrap.fill(part, 118, break_on_hyphens=False) for part in (trained, chosen)) + "\n"
