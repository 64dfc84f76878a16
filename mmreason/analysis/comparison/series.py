"""A set-up's runs: pilots that choose the learning rate, then every arm and seed, each a file of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from statistics import mean
from typing import Any

from mmreason.analysis.comparison.prediction import INTERFERENCE
from mmreason.analysis.comparison.protocol import ARMS, Run
from mmreason.analysis.comparison.reproduce import Reproduction, Say, check_ship, ship_median
from mmreason.analysis.comparison.setups import Setup
from mmreason.errors import ConfigError

PILOT_START = "start-pilots"  # what the start checkpoint does on the validation problems of the pilots
OnRow = Callable[[dict[str, Any]], None]


class Series:
    """What of ``setup`` is done; ``results`` holds what is committed, ``work`` the run directories."""

    def __init__(self, setup: Setup, results: str | Path, work: str | Path, say: Say = print) -> None:
        self.setup, self.results, self.work, self.say = setup, Path(results), Path(work), say
        self.runs = {run.name: run for run in setup.runs}
        self.pilots = {f"rate-{rate:g}": rate for rate in (setup.rates if len(setup.rates) > 1 else ())}
        self._pilots = {job: self._pilot_of(job, rate) for job, rate in self.pilots.items()}
        self._reproductions: dict[tuple[int, float], Reproduction] = {}  # kept: each reads the start's weights once

    @property
    def jobs(self) -> list[str]:
        """All that there is to do, in its order."""
        pilots = [*self.pilots, PILOT_START] if self.pilots else []
        measured = [INTERFERENCE] if self.setup.pairs else []
        return [*pilots, *measured, *(f"start-{seed}" for seed in self.setup.seeds), *self.runs]

    @property
    def missing(self) -> list[str]:
        return [job for job in self.jobs if not self.has(job)]

    @property
    def ready(self) -> list[str]:
        """Of the missing ones those that can begin: runs wait for the pilots."""
        return self.missing if self.rate else [job for job in self.missing if job not in self.runs]

    def has(self, job: str) -> bool:
        """Has ``job`` ended?"""
        if job in self.runs:
            return (self.results / f"{job}.json").is_file()
        if job in self.pilots:
            reproduction, run = self._pilots[job]
            return reproduction.has(run)
        if job == PILOT_START:
            return self._pilot_start() is not None
        if job == INTERFERENCE:
            return self._first.predicted
        return self.reproduction(_seed(job), self.setup.rates[0]).measured

    @property
    def rate(self) -> float | None:
        """The chosen learning rate, at which the pilot answers most validation problems right, of equal ones the
        lowest; None while a pilot is missing.
        """
        if not self.pilots:
            return self.setup.rates[0]
        if not all(map(self.has, self.pilots)):
            return None
        shares = {rate: self.pilot_share(job, self.setup.measure) for job, rate in self.pilots.items()}
        return max(sorted(shares), key=shares.__getitem__)

    def pilot_share(self, job: str, measure: str) -> float:
        """The share of validation problems in ``pilot_end``, in which equal ones do not differ by rounding."""
        return round(self.pilot_end(job)["sampled"][measure]["mean"], 9)

    def pilot_end(self, job: str) -> dict[str, Any]:
        """The outcomes on validation problems at the end of a pilot, or of the start; it must be done."""
        if job == PILOT_START:
            start = self._pilot_start()
            assert start is not None, "asked before it was done"
            return start.base()["end"]
        reproduction, run = self._pilots[job]
        return reproduction.finished([run])[0]["end"]

    def reproduction(self, seed: int, rate: float | None = None) -> Reproduction:
        """The files of one seed."""
        rate = rate or self.rate
        if rate is None:
            raise ConfigError(f"set-up {self.setup.name} has no learning rate yet: its pilots are to be run first")
        if (seed, rate) not in self._reproductions:
            protocol = self.setup.protocol_of(rate, seed)
            found = Reproduction(protocol, self.results, self.work, self.say, f"start-{seed}")
            self._reproductions[seed, rate] = found
        return self._reproductions[seed, rate]

    def carry_out(self, job: str, on_row: OnRow | None = None) -> None:
        """Do ``job`` unless it is done; what was stopped goes on."""
        if job in self.runs:
            self.reproduction(self.runs[job].seed).carry_out(self.runs[job], on_row)
        elif job in self.pilots:
            reproduction, run = self._pilots[job]
            reproduction.carry_out(run, on_row)
        elif job == PILOT_START:
            if not self.has(job):
                self._pilots[next(iter(self.pilots))][0].base()
        elif job == INTERFERENCE:
            self.interference()
        else:
            self.reproduction(_seed(job), self.setup.rates[0]).base()

    def interference(self) -> dict[str, Any]:
        """How much the modalities interfere at the start, for each arm that has a partner to be set against."""
        first = self.setup.protocol.first_seed
        joints = {joint.key: Run(joint.name, joint.granularity, first) for joint, _ in self.setup.pairs}
        return self._first.interference(joints)

    @property
    def _first(self) -> Reproduction:
        return self.reproduction(self.setup.protocol.first_seed, self.setup.rates[0])

    def outcomes(self, arm_runs: list[Run]) -> list[dict[str, Any]]:
        """The files of ``arm_runs``, all of which have ended."""
        return [self.reproduction(run.seed).finished([run])[0] for run in arm_runs]

    def starts(self, seeds: list[int]) -> list[dict[str, Any]]:
        """What the start checkpoint did on the test problems of ``seeds``."""
        return [self.reproduction(seed, self.setup.rates[0]).base() for seed in seeds]

    def ship(self, folder: str | Path, command: str) -> list[str]:
        """Copy the median checkpoints of joint and factorized to ``folder``, by whichever granularity ends higher.

        Returns what was written; raises ConfigError while runs of these arms are missing.
        """
        check_ship(folder)
        names = [run.name for run in self.setup.runs if run.arm in ARMS and run.name in self.missing]
        if names:
            raise ConfigError(f"--ship needs all runs of {' and '.join(ARMS)}, missing: {', '.join(names)}")
        by_arm = {
            (arm.name, arm.granularity): self.outcomes(self.setup.runs_of(arm))
            for arm in self.setup.arms
            if arm.name in ARMS
        }
        reached = {
            key: mean(found["end"]["sampled"]["success"]["mean"] for found in own) for key, own in by_arm.items()
        }
        _, granularity = max(reached, key=lambda key: reached[key])

        def start_of(seed: int) -> dict[str, Any]:
            return self.starts([seed])[0]

        return [ship_median(by_arm[arm, granularity], start_of, self.work, folder, command) for arm in ARMS]

    def _pilot_start(self) -> Reproduction | None:
        """The pilot beside whose file that of the start is: all have the same problems."""
        begun = (self._pilots[job][0] for job in self.pilots if (self.results / job).is_dir())
        return next((each for each in begun if each.measured), None)

    def _pilot_of(self, job: str, rate: float) -> tuple[Reproduction, Run]:
        protocol, run = self.setup.pilot(rate)
        return Reproduction(protocol, self.results / job, self.work / job, self.say), run


def _seed(job: str) -> int:
    return int(job.rpartition("-")[2])
