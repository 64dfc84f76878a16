"""What a visitor asks for: a puzzle, a checkpoint and sampling settings; and the link that says it all."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from mmreason import limits
from mmreason.errors import ConfigError, ProblemError
from mmreason.records import Problem
from mmreason.sampling.config import SamplingConfig
from mmreason.tasks import HANDED, make_problem, problem_from_json, task_named

MAX_LINK_CHARS = 4096  # of one query parameter


@dataclass(frozen=True, slots=True)
class SolveRequest:
    """One solve, exactly: the same request on the same checkpoint gives the same trace."""

    task: str = "maze"
    difficulty: str = "medium"
    seed: int = 7
    own: str | None = None  # the visitor's own puzzle as JSON, in place of the three above
    checkpoint: str = "base"
    checkpoint_hash: str | None = None  # what a link was made with; None: whatever is there
    temperature: float = 1.0
    num_steps: int = 4
    region: str = "stated"
    threshold: float | None = None
    sampling_seed: int = 0

    def problem(self) -> Problem:
        """The puzzle; raises ConfigError or ProblemError."""
        if self.own is not None:
            return problem_from_json(parse_puzzle(self.own))
        return make_problem(self.task, self.difficulty, self.seed)

    def sampling(self) -> SamplingConfig:
        """The sampler's settings; raises ConfigError."""
        return SamplingConfig(
            num_steps=self.num_steps,
            temperature=self.temperature,
            threshold=self.threshold,
            region=self.region,  # pyright: ignore[reportArgumentType]  (SamplingConfig checks it)
        )


def checked(
    *,
    task: Any,
    difficulty: Any,
    seed: Any,
    checkpoint: Any,
    temperature: Any = 1,
    num_steps: Any = 4,
    region: Any = "stated",
    threshold: Any = None,
    sampling_seed: Any = 0,
    own: Mapping[str, Any] | None = None,
    checkpoint_hash: str | None = None,
) -> SolveRequest:
    """Values as they come from controls or a link, checked; raises ConfigError with one sentence."""
    threshold = limits.THRESHOLD.check(0 if threshold in (None, "") else threshold)
    if own is None:
        task_named(str(task))
    request = SolveRequest(
        task=str(task),
        difficulty=str(difficulty),
        seed=limits.SEED.check(seed),
        own=None if own is None else json.dumps(dict(own), separators=(",", ":")),
        checkpoint=str(checkpoint),
        checkpoint_hash=checkpoint_hash,
        temperature=limits.TEMPERATURE.check(temperature),
        num_steps=limits.NUM_STEPS.check(num_steps, "steps per segment"),
        region=str(region),
        threshold=threshold or None,
        sampling_seed=limits.SAMPLING_SEED.check(sampling_seed, "sampling seed"),
    )
    request.sampling()
    return request


def parse_puzzle(text: str) -> dict[str, Any]:
    """The JSON object of a problem that a visitor pasted; raises ProblemError."""
    data = HANDED.parse(text)
    if not isinstance(data, dict):
        raise ProblemError('a puzzle must be a JSON object with a \'task\', e.g. {"task": "sudoku", "grid": …}')
    return data


def link_query(request: SolveRequest, fingerprint: str) -> str:
    """The query string that carries all of ``request`` and the checkpoint's ``fingerprint``."""
    if request.own is not None:
        fields = {"puzzle": base64.urlsafe_b64encode(request.own.encode()).decode().rstrip("=")}
    else:
        fields = {"task": request.task, "difficulty": request.difficulty, "seed": str(request.seed)}
    fields |= {
        "temperature": limits.exactly(request.temperature),
        "steps": str(request.num_steps),
        "region": request.region,
        "threshold": limits.exactly(request.threshold or 0),
        "sampling_seed": str(request.sampling_seed),
        "checkpoint": request.checkpoint,
        "hash": fingerprint,
    }
    return "?" + urlencode(fields)


def is_link(params: Mapping[str, str]) -> bool:
    """Do these query parameters ask for a solve?"""
    return "task" in params or "puzzle" in params


def read_link(params: Mapping[str, str]) -> SolveRequest:
    """The request in a link's query parameters; raises ConfigError or ProblemError."""
    for name, value in params.items():
        if len(value) > MAX_LINK_CHARS:
            raise ConfigError(f"the link's {name[:20]!r} is longer than {MAX_LINK_CHARS} characters")
    default = SolveRequest()
    own = _decode_puzzle(params["puzzle"]) if "puzzle" in params else None
    request = checked(
        task=params.get("task", default.task) if own is None else str(own.get("task")),
        difficulty=params.get("difficulty", default.difficulty),
        seed=params.get("seed", default.seed),
        checkpoint=params.get("checkpoint", default.checkpoint),
        checkpoint_hash=params.get("hash") or None,
        temperature=params.get("temperature", default.temperature),
        num_steps=params.get("steps", default.num_steps),
        region=params.get("region", default.region),
        threshold=params.get("threshold"),
        sampling_seed=params.get("sampling_seed", default.sampling_seed),
        own=own,
    )
    request.problem()
    return request


def _decode_puzzle(text: str) -> dict[str, Any]:
    try:
        content = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        raise ProblemError("the link's puzzle is damaged: it is not base64url") from None
    return parse_puzzle(content)
