"""The daily puzzle: one a day by date (UTC), the same for everyone, and its result as a row to copy."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from mmreason.errors import ConfigError
from mmreason.seeds import derive_seed
from mmreason.tasks import TASKS
from mmreason.ui.host import checkpoints
from mmreason.ui.solve.request import SolveRequest

FIRST_DAY, LAST_DAY = date(2026, 1, 1), date(2099, 12, 31)
DIFFICULTY = "medium"
MAX_DAILY_SEED = 1_000_000
RIGHT, WRONG, NOT_JUDGED = "✓", "✗", "–"
LINK = "daily"  # the parameter of a link to today's puzzle, which is shown and not solved


@dataclass(frozen=True, slots=True)
class Daily:
    """The puzzle of ``day``."""

    day: date
    task: str
    seed: int

    @property
    def request(self) -> SolveRequest:
        return SolveRequest(task=self.task, difficulty=DIFFICULTY, seed=self.seed)

    @property
    def words(self) -> str:
        return f"Today’s puzzle, {self.day.isoformat()}: a {DIFFICULTY} {TASKS[self.task].label}."


def today() -> date:
    """The date in UTC, whatever the machine's own zone."""
    return datetime.now(UTC).date()


def daily_puzzle(day: date) -> Daily:
    """The puzzle of ``day``: the tasks take turns, so that neighbouring days differ; raises ConfigError.

    They are those that the page's first checkpoint can be asked for.
    """
    if not FIRST_DAY <= day <= LAST_DAY:
        raise ConfigError(f"date must be from {FIRST_DAY} to {LAST_DAY}, got {day}")
    first = checkpoints.checkpoint_names()[:1]
    tasks = [task for name in first for task in checkpoints.tasks_of(name)] or list(TASKS)
    return Daily(day, tasks[day.toordinal() % len(tasks)], derive_seed("daily", day.isoformat()) % MAX_DAILY_SEED)


def parse_day(text: Any) -> date:
    """A date as YYYY-MM-DD, today if empty; raises ConfigError."""
    if text in (None, ""):
        return today()
    try:
        return datetime.strptime(str(text)[:20], "%Y-%m-%d").date()
    except ValueError:
        raise ConfigError(f"date must be like 2026-11-24, got {str(text)[:20]!r}") from None


def question(puzzle: Daily) -> dict[str, Any]:
    """What the component asks before the model solves, and what may be answered: a number, or so many words."""
    problem = puzzle.request.problem()
    asks, right = TASKS[problem.task].riddle(problem.spec)
    words = right.split()
    low, high = TASKS[problem.task].riddle_range
    takes = {"numeric": any(word.isdigit() for word in words), "words": len(words), "low": low, "high": high}
    return {"day": puzzle.day.isoformat(), "says": puzzle.words, "question": asks} | takes


def answers(trace: dict[str, Any], request: SolveRequest) -> dict[str, str]:
    """The model's ``answer`` to the day's question and the ``right`` one, in words."""
    problem = request.problem()
    task = TASKS[problem.task]
    texts = [segment["text"] for segment in trace["segments"] if segment.get("text")]
    return {"answer": task.replied(problem.spec, texts), "right": task.riddle(problem.spec)[1]}


def is_daily(request: SolveRequest | None, day: date) -> bool:
    """Was the puzzle of ``day`` asked for?"""
    if request is None or request.own is not None or not FIRST_DAY <= day <= LAST_DAY:
        return False
    puzzle = daily_puzzle(day)
    return (request.task, request.difficulty, request.seed) == (puzzle.task, DIFFICULTY, puzzle.seed)


def marks(trace: dict[str, Any]) -> str:
    """One sign a turn of a trace file: right if all that is judged of the turn is."""
    turns: dict[int, list[bool]] = {}
    for segment in trace["segments"]:
        judged = turns.setdefault(segment["turn"], [])
        if segment["verdict"] is not None:
            judged.append(segment["verdict"]["right"])
    return "".join(NOT_JUDGED if not judged else RIGHT if all(judged) else WRONG for judged in turns.values())


def result_row(trace: dict[str, Any], day: date) -> str:
    """The result of the day's puzzle in two lines."""
    end = "solved" if trace["success"] else "not solved"
    return f"mmreason {day.isoformat()}: {trace['problem']['task']}, {end}\n{marks(trace)}"
