"""Runs the comparison of joint and factorized rewards: every finished run is kept, a stopped one resumes.

A run's file holds its held-out outcomes, problem by problem, so that every figure of the comparison can be made
again from these files alone.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mmreason.analysis.protocol import ARMS, Protocol, Run
from mmreason.errors import CheckpointError, ConfigError
from mmreason.records import Trace, trace_rewards
from mmreason.sampling.pipeline import InterleavedReasoningPipeline
from mmreason.traces.file import write_whole
from mmreason.training.rundir import RunDirectory, read_metrics
from mmreason.training.trainer import Trainer
from mmreason.training.validation import held_out, solve_problems, success_by_task

VERSION = 1
LOGGED = ("rewards/text/mean", "rewards/image/mean", "entropy/text", "entropy/image", "sign_conflict", "idle_push")

Say = Callable[[str], None]


class Reproduction:
    """The comparison's files: ``results`` holds what is committed, ``work`` the run directories."""

    def __init__(self, protocol: Protocol, results: str | Path, work: str | Path, say: Say = print) -> None:
        self.protocol, self.results, self.work, self.say = protocol, Path(results), Path(work), say

    def base(self) -> dict[str, Any]:
        """What the start checkpoint does on the same problems; measured once."""
        path, pipe = self.results / "base.json", self._pipe()
        if not path.is_file():
            self.say(f"base: {self.protocol.problems_at_end} problems a task")
            start = self._solve(pipe, self.protocol.problems_at_points, 1.0)
            found = {"version": VERSION, "fingerprint": pipe.fingerprint, "start": start, "end": self._outcomes(pipe)}
            _write(path, found)
        found = _read(path)
        if found["fingerprint"] != pipe.fingerprint:
            raise ConfigError(
                f"{str(path)!r} is of another {self.protocol.checkpoint}: "
                "delete its folder to start the comparison again, or put that checkpoint back"
            )
        return found

    def finished(self, runs: Iterable[Run]) -> list[dict[str, Any]]:
        """The files of those of ``runs`` that have ended."""
        return [_read(path) for run in runs if (path := self._path(run)).is_file()]

    def carry_out(self, run: Run, on_row: Callable[[dict[str, Any]], None] | None = None) -> dict[str, Any]:
        """Train and evaluate ``run`` unless its file is there; goes on where a stopped one stands."""
        if self._path(run).is_file():
            return _read(self._path(run))
        protocol, directory = self.protocol, RunDirectory(self.work / run.name)
        points_path = directory.path / "points.json"
        points = json.loads(points_path.read_text()) if points_path.is_file() else []
        pipe = start = self._pipe()
        for point in protocol.points:
            last = point == protocol.max_steps
            if any(found["step"] == point for found in points) and not last:
                continue
            pipe = self._pipe()
            sampling = start.scheduler.sampling_config(region=protocol.region)
            trainer = Trainer(pipe, protocol.training(run, sampling, point), directory)
            trainer.train(resume=True, on_row=on_row)
            if trainer.step < point:
                raise ConfigError(
                    f"{run.name} was stopped at step {trainer.step}: the same command goes on from there"
                )
            self.say(f"{run.name}: held-out problems at step {point}")
            sampled = self._solve(pipe, protocol.problems_at_points, 1.0)
            greedy = self._solve(pipe, protocol.problems_at_points, 0.0)
            spent = sum(
                row.get("train_flops", 0.0) + row.get("rollout_flops", 0.0) for row in directory.read_metrics()
            )
            points = [found for found in points if found["step"] != point]
            points.append({"step": point, "flops": spent, "sampled": sampled, "greedy": greedy})
            directory.write_json("points.json", points)
        rows = [row for row in read_metrics(directory.path) if "rewards/text/mean" in row]
        _write(
            self._path(run),
            {
                "version": VERSION,
                **asdict(run),
                "protocol": asdict(protocol),
                "base_fingerprint": start.fingerprint,
                "fingerprint": pipe.fingerprint,
                "points": points,
                "end": self._outcomes(pipe),
                "training": {name: [row.get(name) for row in rows] for name in LOGGED},
            },
        )
        return _read(self._path(run))

    def ship(self, finished: Sequence[dict[str, Any]], folder: str | Path) -> list[str]:
        """Copy the checkpoint of each arm's median seed to ``folder``/<arm>; returns what was written."""
        written = []
        for arm in ARMS:
            own = [
                found for found in finished if (found["arm"], found["granularity"]) == (arm, self.protocol.granularity)
            ]
            ranked = sorted(own, key=lambda found: found["end"]["sampled"]["success"]["mean"])
            if not ranked:
                continue
            median = ranked[(len(ranked) - 1) // 2]
            source = self.work / Run(arm, median["granularity"], median["seed"]).name / "checkpoint"
            target = Path(folder) / arm
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(source, target)
            written.append(f"{target}: seed {median['seed']}")
        return written

    def _path(self, run: Run) -> Path:
        return self.results / f"{run.name}.json"

    def _pipe(self) -> InterleavedReasoningPipeline:
        if not (Path(self.protocol.checkpoint) / "model_index.json").is_file():
            raise CheckpointError(f"checkpoint must be a checkpoint folder, got {self.protocol.checkpoint!r}")
        return InterleavedReasoningPipeline.from_pretrained(self.protocol.checkpoint)

    def _outcomes(self, pipe: InterleavedReasoningPipeline) -> dict[str, Any]:
        """Of the last step: the mixture sampled and greedily, and easy problems apart."""
        protocol = self.protocol
        return {
            "sampled": self._solve(pipe, protocol.problems_at_end, 1.0),
            "greedy": self._solve(pipe, protocol.problems_at_end, 0.0),
            "easy": self._solve(pipe, protocol.problems_easy, 1.0, ["easy"]),
        }

    def _solve(
        self,
        pipe: InterleavedReasoningPipeline,
        per_task: int,
        temperature: float,
        difficulties: list[str] | None = None,
    ) -> dict[str, Any]:
        """Outcomes on ``per_task`` held-out problems of every task, split evenly over the difficulties."""
        tasks, difficulties = list(self.protocol.tasks), difficulties or list(self.protocol.difficulties)
        problems = held_out(tasks, difficulties, per_task * len(tasks), self.protocol.test_seed, self.protocol.split)
        config = pipe.scheduler.sampling_config(temperature=temperature, region=self.protocol.region)
        return outcomes_of(solve_problems(pipe, problems, config, self.protocol.test_seed, batch_size=128))


def outcomes_of(traces: list[Trace]) -> dict[str, Any]:
    """Success by task, mean rewards, and ``solved``: a string of 0 and 1 for each task, a mark a problem."""
    rewards = [trace_rewards(trace) for trace in traces]
    image = [score for _, score in rewards if score is not None]
    marks: dict[str, str] = {}
    for trace in traces:
        marks[trace.problem.task] = marks.get(trace.problem.task, "") + str(int(trace.success))
    return {
        "success": success_by_task(traces),
        "text_reward": sum(score for score, _ in rewards) / len(rewards),
        "image_reward": sum(image) / len(image) if image else None,
        "solved": marks,
    }


def _write(path: Path, content: dict[str, Any]) -> None:
    write_whole(path, (json.dumps(content) + "\n").encode())


def _read(path: Path) -> dict[str, Any]:
    found = json.loads(path.read_text(encoding="utf-8"))
    if found.get("version") != VERSION:
        raise ConfigError(f"{str(path)!r} must be of version {VERSION}, got {found.get('version')!r}")
    return found
