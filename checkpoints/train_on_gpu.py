"""Trains the shipped supervised checkpoints on one GPU in minutes: several runs beside each other, then chosen.

    python checkpoints/train_on_gpu.py --output OUT --seconds 330
    python checkpoints/train_on_gpu.py --output OUT --seconds 330 --only base-full small-full  # bidirectional

Every run is ``python -m mmreason pretrain``; a policy of this size leaves most of a GPU idle, so they share it.
When a run ends, some of the checkpoints that it kept are evaluated by ``python -m mmreason evaluate``, and OUT
gets of each run the weights that come nearest to what is wanted of it:

- ``<run>.tar``: ``<run>-<step>/transformer/`` of the chosen checkpoints; before there is a choice, of the latest;
- ``results.json``: every evaluation, and what was chosen; ``logs.tar.gz``: configs, metrics and progress lines.

The image tokenizer, the text tokenizer and the scheduler are those of ``checkpoints/base``.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
TASKS = ("maze", "jigsaw", "sudoku", "transform")
SAMPLER = ("--num_steps", "4", "--threshold", "0.95")  # as shipped
ON_A_GPU = (
    *("--problems_per_batch", "256", "--rows_per_part", "256", "--tokens_per_part", "65536"),
    *("--steps", "100000", "--save_steps", "100", "--eval_steps", "100000", "--eval_problems", "8"),
)
REHEARSAL = (
    *("--problems_per_batch", "3", "--hidden_size", "48", "--num_attention_heads", "2", "--num_hidden_layers", "3"),
    *("--keep_steps", "2", "--save_steps", "2", "--eval_problems", "4", "--no_bf16", "--logging_steps", "1"),
)
TIE = 0.02  # distances from what is wanted that are noise


@dataclass(frozen=True)
class Run:
    """One policy: how it is trained, for which share of the time, and how its checkpoints are judged."""

    flags: tuple[str, ...]
    distance: Callable[[dict[str, Any]], float]  # of an evaluation from what is wanted; 0 is there
    start: str | None = None  # the shipped checkpoint whose training it continues; none: new weights
    share: float = 1.0  # of the seconds
    looks: tuple[float, ...] = (0.4, 0.55, 0.7, 0.85, 1.0)  # checkpoints evaluated, by their share of the steps
    evaluations: dict[str, tuple[str, ...]] = field(
        default_factory=lambda: {"shipped": (*SAMPLER, "--difficulty", "easy", "medium", "hard")}
    )
    brought: int = 1  # checkpoints
    usual: bool = True  # trained where --only names none


def base_distance(result: dict[str, Any]) -> float:
    """How far success is from: medium 0.92 in the mean and 0.85 in each task, hard from 0.15 to 0.6 in each."""
    medium, hard = (result["shipped"]["by_difficulty"][name]["success"] for name in ("medium", "hard"))
    short = max(0.0, 0.92 - medium["mean"]) + sum(max(0.0, 0.85 - medium[task]) for task in TASKS)
    out = sum(max(0.0, 0.15 - hard[task], hard[task] - 0.6) for task in TASKS)
    steps = max(0.0, medium["mean"] - result["one_step"]["success"]["mean"] - 0.01) if "one_step" in result else 0.0
    return 2 * short + out + steps


def ar_distance(result: dict[str, Any]) -> float:
    """How far medium is from solved."""
    return 1 - result["shipped"]["by_difficulty"]["medium"]["success"]["mean"]


def small_distance(result: dict[str, Any]) -> float:
    """How far the shares of right words and right pictures of medium problems are from 0.8 to 0.9."""
    shares = [result["shipped"][name] or 0.0 for name in ("text_reward", "image_reward")]
    return sum(max(0.0, 0.8 - share, share - 0.9) for share in shares)


DIFFUSION = {
    "shipped": (*SAMPLER, "--difficulty", "easy", "medium", "hard"),
    "one_step": ("--num_steps", "1", "--difficulty", "medium"),
}
ON = ("--learning_rate", "0.001", "--muon_learning_rate", "0.01")  # from trained weights
FURTHER = (*ON, "--decay_share", "0.6")
STOPPED_EARLY = ("--late_start_share", "0.2", "--decay_share", "0", "--keep_steps", "40", "--workers", "4")
UNSURE: dict[str, Any] = {
    "distance": small_distance,
    "share": 0.9,
    "looks": (0.3, 0.4, 0.55, 0.7, 0.85, 1.0),
    "brought": 4,
}
A_FEW_HARD = ("--difficulty", "easy=1", "medium=2", "sudoku/hard=0.02")  # and of jigsaws and transforms:
FEW_OF_BOTH = ("jigsaw/hard=0.06", "transform/hard=0.06")
# Diffusion misreads the fifth and sixth operation until it has seen a thousand or two of these.
MORE_TRANSFORMS = ("jigsaw/hard=0.04", "transform/hard=0.5")
DEMONSTRATED = (  # to base
    *("--tasks", "maze=0.7", "jigsaw=1.2", "sudoku=1.4", "transform=1.3"),
    *(*FURTHER, *A_FEW_HARD, *MORE_TRANSFORMS),
    *("--full_region_share", "0.1", "--late_start_share", "0.2", "--keep_steps", "50", "--workers", "5"),
)
RUNS = {
    "base": Run(
        (*DEMONSTRATED, "--own_share", "0.25", "--text_slots", "needed"),
        base_distance,
        start="base",
        evaluations=DIFFUSION,
    ),
    "base-full": Run(
        (*DEMONSTRATED, "--attention", "full"), base_distance, start="base", evaluations=DIFFUSION, usual=False
    ),
    "ar": Run(
        (
            *("--causal", "--tasks", "maze=1", "jigsaw=1.2", "sudoku=1.4", "transform=1.2"),
            *(*FURTHER, *A_FEW_HARD, *FEW_OF_BOTH),
            *("--full_region_share", "0.25", "--late_start_share", "0.2", "--keep_steps", "100", "--workers", "3"),
        ),
        ar_distance,
        start="ar",
        share=0.5,  # a problem costs it a third of the others' tokens
        looks=(1.0,),
    ),
    "small": Run(
        (
            *("--hidden_size", "96", "--num_attention_heads", "2", "--num_hidden_layers", "6"),
            *("--full_region_share", "0.3", *STOPPED_EARLY),
        ),
        evaluations={
            "shipped": (*SAMPLER, "--difficulty", "medium"),
            "whole_canvas": ("--num_steps", "1", "--region", "full", "--difficulty", "medium"),
        },
        **UNSURE,
    ),
    "small-full": Run(
        ("--attention", "full", "--turn", "joint", *ON, *STOPPED_EARLY),
        start="next/small",
        evaluations={"shipped": ("--num_steps", "4", "--region", "full", "--difficulty", "medium")},
        usual=False,
        **UNSURE,
    ),
}


class Work:
    """The runs and evaluations as processes, and what of them is in the output folder."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args, self.output, self.folder = args, Path(args.output), Path(args.work)
        self.began = time.monotonic()
        self.runs = {name: RUNS[name] for name in args.only or [name for name, run in RUNS.items() if run.usual]}
        self.output.mkdir(parents=True, exist_ok=True)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.results: dict[str, dict[str, dict[str, Any]]] = {name: {} for name in self.runs}
        self.chosen: dict[str, list[str]] = {}
        self.training: dict[str, subprocess.Popen] = {}
        self.waiting: list[tuple[str, str, str]] = []  # run, checkpoint, evaluation
        self.evaluating: dict[tuple[str, str, str], subprocess.Popen] = {}

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.began

    def start(self, *command: str, log: str, out: str | None = None) -> subprocess.Popen:
        """A command of the package, its progress in ``log``."""
        with (self.folder / log).open("ab") as errors, (self.folder / (out or log)).open("ab") as said:
            return subprocess.Popen(
                [sys.executable, "-m", "mmreason", *command], stdout=said, stderr=errors, cwd=HERE.parent
            )

    def train(self, name: str) -> None:
        """Begin a run."""
        self.training[name] = self.start(*self.command(name), log=f"{name}.log")

    def command(self, name: str) -> tuple[str, ...]:
        """That trains a run, from the weights of its start or new ones."""
        run = self.runs[name]
        folder = self.args.start.get(name) or (run.start and str(HERE / run.start))
        is_new = self.args.rehearse or not folder
        start = ("--image_tokenizer", str(HERE / "base")) if is_new else ("--checkpoint", folder)
        limit = ("--max_seconds", str(self.args.seconds * run.share))
        output = ("--output", str(self.folder / name), "--overwrite")
        return ("pretrain", *output, *ON_A_GPU, *run.flags, *limit, *start, *(REHEARSAL * self.args.rehearse))

    def harvest(self, name: str, checkpoints: Sequence[Path]) -> None:
        """Put the weights of ``checkpoints`` into the output folder, all or nothing."""
        beside = self.folder / f"{name}.tar"
        try:
            with tarfile.open(beside, "w") as tar:
                for checkpoint in checkpoints:
                    step = checkpoint.name.removeprefix("checkpoint").strip("-") or "last"
                    tar.add(checkpoint / "transformer", f"{name}-{step}/transformer")
        except OSError:  # it was replaced meanwhile: the next harvest gets it
            return
        (self.output / f".{name}.new").write_bytes(beside.read_bytes())
        (self.output / f".{name}.new").replace(self.output / f"{name}.tar")

    def note(self) -> None:
        """Write results and logs as they are now."""
        told = {"seconds": self.seconds, "chosen": self.chosen, "results": self.results}
        (self.output / "results.json").write_text(json.dumps(told, indent=1))
        with tarfile.open(self.folder / "logs.tar.gz", "w:gz") as tar:
            for file in sorted([*self.folder.glob("*.log"), *self.folder.glob("*/*.json*")]):
                tar.add(file, file.relative_to(self.folder))
        (self.output / "logs.tar.gz").write_bytes((self.folder / "logs.tar.gz").read_bytes())

    def ended(self, name: str) -> None:
        """Have some of the checkpoints of a finished run evaluated."""
        last = self.folder / name / "checkpoint"
        if not last.is_dir():
            print(f"{name}: no checkpoint; its log ends:", (self.folder / f"{name}.log").read_text()[-800:])
            return
        self.harvest(name, [last])
        kept = {int(path.name.split("-")[1]): path for path in (self.folder / name).glob("checkpoint-*")}
        for look in self.runs[name].looks:
            nearest = min(kept, key=lambda step: abs(step - look * max(kept)), default=None)
            checkpoint = last if look == 1 or nearest is None else kept[nearest]
            for kind in self.runs[name].evaluations:
                job = (name, checkpoint.name, kind)
                if job not in self.waiting:
                    self.waiting.append(job)

    def evaluate(self) -> None:
        """Begin waiting evaluations as far as there is room."""
        room = self.args.evaluations if not self.training else max(1, self.args.evaluations // 4)
        while self.waiting and len(self.evaluating) < room:
            name, checkpoint, kind = job = self.waiting.pop(0)
            out = f"{name}-{checkpoint}-{kind}"
            flags = self.runs[name].evaluations[kind]
            count = self.args.problems * (3 if "hard" in flags else 1)
            common = ("--problems", str(count), "--batch_size", "200", "--seed", str(self.args.seed), "--json")
            path = str(self.folder / name / checkpoint)
            self.evaluating[job] = self.start(
                "evaluate", "--checkpoint", path, *common, *flags, log=f"{out}.log", out=f"{out}.out"
            )

    def collect(self) -> None:
        """Take the results of evaluations that are done."""
        for job, process in list(self.evaluating.items()):
            if process.poll() is None:
                continue
            del self.evaluating[job]
            name, checkpoint, kind = job
            said = (self.folder / f"{name}-{checkpoint}-{kind}.out").read_text().strip()
            if process.returncode or not said:
                print("evaluation failed:", job, (self.folder / f"{name}-{checkpoint}-{kind}.log").read_text()[-800:])
                continue
            self.results[name].setdefault(checkpoint, {})[kind] = json.loads(said)
            self.note()

    def choose(self) -> None:
        """Bring of every run the checkpoints nearest to what is wanted; of like ones the later."""
        for name, run in self.runs.items():
            rated = []
            for checkpoint, result in self.results[name].items():
                if "shipped" in result:
                    step = int(checkpoint.partition("-")[2] or 10**9)
                    rated.append((round(run.distance(result) / TIE), -step, checkpoint))
            self.chosen[name] = [checkpoint for *_, checkpoint in sorted(rated)[: run.brought]]
            if rated:
                self.harvest(name, [self.folder / name / checkpoint for checkpoint in self.chosen[name]])

    def run(self) -> None:
        """All of it; ends in time whatever happens."""
        for name in self.runs:
            self.train(name)
        harvested = self.seconds
        while self.training or self.waiting or self.evaluating:
            for name, process in list(self.training.items()):
                if process.poll() is not None:
                    del self.training[name]
                    print(f"{self.seconds:.0f} s: {name} ended with {process.returncode}", flush=True)
                    self.ended(name)
                elif self.seconds > self.args.seconds * self.runs[name].share + self.args.slack:
                    (self.folder / name / "stop").touch()
            if self.seconds - harvested > 40:
                harvested = self.seconds
                for name in self.training:
                    if (self.folder / name / "checkpoint").is_dir():
                        self.harvest(name, [self.folder / name / "checkpoint"])
                self.note()
                for log in (self.folder / f"{name}.log" for name in self.training):
                    print(f"{self.seconds:.0f} s: {log.read_text().strip().rpartition(chr(10))[2][-160:]}", flush=True)
            self.evaluate()
            self.collect()
            if self.seconds > self.args.deadline:
                print("the time is over: what is running is ended", flush=True)
                break
            time.sleep(0.5)
        self.choose()
        self.note()
        for process in (*self.training.values(), *self.evaluating.values()):
            process.terminate()


def table(work: Work) -> str:
    """A line for each evaluation."""
    lines = [f"{'checkpoint':<26}{'as':<14}{'success':>8}  by difficulty: {', '.join(TASKS)}; words, pictures"]
    for name, checkpoints in work.results.items():
        for checkpoint, kinds in sorted(checkpoints.items()):
            for kind, result in sorted(kinds.items()):
                rates = "  ".join(
                    difficulty + " " + " ".join(f"{row['success'].get(task, 0):.2f}" for task in TASKS)
                    for difficulty, row in result["by_difficulty"].items()
                )
                mark = " *" if checkpoint in work.chosen.get(name, []) else ""
                lines.append(
                    f"{name}/{checkpoint:<{25 - len(name)}}{kind:<14}{result['success']['mean']:>8.3f}  {rates}  "
                    f"{result['text_reward']:.3f} {result['image_reward'] or 0:.3f}{mark}"
                )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--output", required=True, help="folder for what is brought home")
    parser.add_argument("--work", default="runs/gpu", help="folder of the runs")
    parser.add_argument("--seconds", type=float, default=330.0, help="training time")
    parser.add_argument("--slack", type=float, default=30.0, help="seconds that a start may take beside")
    parser.add_argument("--deadline", type=float, default=540.0, help="seconds after which all is ended")
    parser.add_argument("--problems", type=int, default=800, help="test problems a difficulty and evaluation")
    parser.add_argument("--evaluations", type=int, default=14, help="evaluations beside each other")
    parser.add_argument("--seed", type=int, default=1000, help="of the test problems")
    parser.add_argument("--only", nargs="+", choices=list(RUNS), help="these runs alone")
    parser.add_argument("--start", nargs="+", default=[], metavar="RUN=DIR", help="begin a run from a checkpoint")
    parser.add_argument("--rehearse", action="store_true", help="tiny policies, to see that all of it works")
    args = parser.parse_args()
    if args.problems < len(TASKS):  # a checkpoint is judged by each task
        parser.error(f"--problems must be at least {len(TASKS)}, one of each task, got {args.problems}")
    args.start = dict(item.split("=", 1) for item in args.start)
    work = Work(args)
    work.run()
    print(table(work))


if __name__ == "__main__":
    main()
