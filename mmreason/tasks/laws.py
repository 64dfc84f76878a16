"""The laws that every task keeps, built in or not; each raises a TaskError that says in a sentence what does not hold.

Axes: H W canvas.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np

from mmreason.errors import ProblemError, TaskError
from mmreason.records import (
    ANSWER,
    DIFFICULTIES,
    EDIT,
    FULL_BOX,
    GRID,
    MAX_TEXT_TOKENS,
    SPLITS,
    Box,
    Difficulty,
    Problem,
    cell_word,
    parse_boxes,
    region_mask,
)
from mmreason.seeds import numpy_generator
from mmreason.tasks import blamed_on, make_problem, split_of_problem
from mmreason.tasks.dataset.task import DataTask
from mmreason.tasks.picture import PictureTask
from mmreason.tasks.task import FOREIGN, NO_HINT, Spec, Task

LEAST = 12.0  # root mean squared difference of a byte by which two drawings can be told apart
MAX_NUMBER = 64  # that any thought may say
MAX_TRIES = 200
MOST_TAKEN = 0.25  # of the thoughts that differ in one word


def boxes_of(words: Sequence[str]) -> list[Box] | None:
    """Boxes that pairs of cell words name, or None where they name none."""
    boxes = parse_boxes([EDIT, *words])
    return None if isinstance(boxes, str) else boxes


def split_thought(text: str) -> tuple[list[str], list[Box]] | None:
    """Words before ``<edit>`` and boxes after it, or None where its boxes do not parse."""
    said, _, boxed = text.partition(f" {EDIT} ")
    boxes = boxes_of(boxed.split())
    return None if boxes is None else (said.split(), boxes)


def spoken(task: Task) -> list[str]:
    """Every word that thoughts and answers of ``task`` may hold, marks left out."""
    cells = [cell_word(row, column) for row in range(1, GRID + 1) for column in range(1, GRID + 1)]
    return list(dict.fromkeys([*task.words, *map(str, range(MAX_NUMBER + 1)), *cells]))


def spec_of(task: Task, difficulty: Difficulty, rng: np.random.Generator) -> Spec:
    """The next spec that ``generate`` gives."""
    for _ in range(MAX_TRIES):
        spec = task.generate(difficulty, rng)
        if spec is not None:
            return spec
    raise TaskError(f"generate gave no {difficulty} spec in {MAX_TRIES} draws")


def is_solved_by_its_demonstration(task: Task, spec: Spec) -> None:
    """Each step is accepted in thought and edit, and the answer is right in the end."""
    canvas_HW, demonstration = task.canvas(spec), task.demonstrate(spec)
    told = f"on {_brief(spec)}"
    word, *answer = demonstration.answer.split() or [""]
    _hold(word == ANSWER, f"a demonstrated answer begins with {ANSWER}, not {demonstration.answer!r} {told}")
    steps, needed = len(demonstration.steps), task.turns_needed(spec)
    _hold(steps == needed, f"turns_needed gives {needed} and the demonstration takes {steps} turns {told}")
    for turn, step in enumerate(demonstration.steps, 1):
        _hold_cells(task, "demonstrate", step.canvas, told)
        parts = split_thought(step.thought)
        if parts is None:
            raise TaskError(f"the demonstrated thought {step.thought!r} names no region {told}")
        words, boxes = parts
        verdict = task.check_thought(spec, canvas_HW, words, boxes, turn)
        _hold(verdict.right, f"check_thought rejects the demonstrated {step.thought!r} ({verdict.reason}) {told}")
        changed = task.differs(step.canvas, canvas_HW) & ~region_mask(boxes)
        _hold(not changed.any(), f"the edit of {step.thought!r} changes cells outside its region {told}")
        accepted = task.accepted_edits(spec, canvas_HW, task.region(region_mask(boxes)), turn)
        for after_HW in accepted:
            _hold_cells(task, "accepted_edits", after_HW, told)
        drawn = any(not task.differs(step.canvas, after_HW).any() for after_HW in accepted)
        _hold(drawn, f"accepted_edits lacks the demonstrated edit of {step.thought!r} {told}")
        carried_HW = task.carry_out(spec, canvas_HW, words, turn)
        if carried_HW is not None:
            _hold_cells(task, "carry_out", carried_HW, told)
        same = carried_HW is not None and not task.differs(carried_HW, step.canvas).any()
        _hold(same, f"carry_out does not draw what {step.thought!r} says {told}")
        offered = step.thought in task.candidates(spec, canvas_HW)
        _hold(offered, f"candidates lacks the demonstrated {step.thought!r} {told}")
        canvas_HW = step.canvas
    _hold(task.is_solved(spec, canvas_HW), f"is_solved says no after the demonstration {told}")
    verdict = task.check_answer(spec, canvas_HW, answer)
    _hold(verdict.right, f"check_answer rejects the demonstrated {demonstration.answer!r} ({verdict.reason}) {told}")


def says_known_words(task: Task, spec: Spec) -> None:
    """Demonstrations say words of the task, numbers, cells and marks only, and fit a segment; a row may be longer."""
    demonstration, known = task.demonstrate(spec), {*spoken(task), EDIT, ANSWER}
    for text in (*(step.thought for step in demonstration.steps), demonstration.answer):
        for word in text.split():
            _hold(word in known, f"words lacks {word!r}, which the demonstrated {text!r} says")
        most = MAX_TEXT_TOKENS - 1
        fits = len(text.split()) <= most or isinstance(task, DataTask)
        _hold(fits, f"a thought or answer has at most {most} words, got {text!r}")


def asks_in_few_words(task: Task, spec: Spec) -> None:
    """A prompt fits the slots of a segment, which its words take; that of a row may be longer."""
    prompt = task.prompt(spec)
    few = len(prompt.split()) <= MAX_TEXT_TOKENS or isinstance(task, DataTask)
    _hold(few, f"a prompt has at most {MAX_TEXT_TOKENS} words, got {_brief(prompt)}")


def is_pure_and_normal(task: Task, difficulty: Difficulty) -> None:
    """A spec is a function of the generator's seed, stays itself in a file, and draws the same canvas each time."""
    spec = spec_of(task, difficulty, np.random.default_rng(4))
    again = spec_of(task, difficulty, np.random.default_rng(4))
    _hold(spec == again, f"generate gives another {difficulty} spec for the same generator: {_brief(spec)}")
    stored = _stored(spec)
    _hold(task.parse(stored) == spec, f"parse does not give back what generate gave: {_brief(spec)}")
    first = next(iter(spec), None)
    _hold(first == "task" and spec["task"] == task.name, f"a spec begins with its task, {task.name!r}: {_brief(spec)}")
    canvas_HW = task.canvas(spec)
    _hold(np.array_equal(canvas_HW, task.canvas(spec)), f"canvas draws {_brief(spec)} differently each time")
    if isinstance(task, PictureTask):
        wanted, dtype = (task.side, task.side, 3), np.uint8
    else:
        wanted, dtype = (GRID, GRID), np.int16
        _hold_cells(task, "canvas", canvas_HW, f"on {_brief(spec)}")
    shape = tuple(canvas_HW.shape)
    _hold(
        shape == wanted and canvas_HW.dtype == dtype,
        f"canvas is {wanted} {dtype.__name__}, not {shape} {canvas_HW.dtype}",
    )


def refuses_what_is_no_problem(task: Task) -> None:
    """``parse`` raises ProblemError, and nothing else, for what no file should hold."""
    example = _stored(task.example)
    wrong: list[Any] = [[], None, {}, {"task": task.name}, example | {"no such key": 1}, *_damaged(example)]
    for data in wrong:
        try:
            task.parse(data)
        except ProblemError as error:
            _hold(0 < len(str(error)) < 400 and "\n" not in str(error), f"parse refuses {_brief(data)} in no sentence")
        except (Exception, SystemExit) as error:
            raise TaskError(f"parse raises {type(error).__name__} for {_brief(data)}, not ProblemError") from error
        else:
            _hold(bool(data) and data not in ([], {"task": task.name}), f"parse takes {_brief(data)}")


def _damaged(example: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for key in example:
        if key != "task":
            for value in (None, 7.5, "x", [], [[]], {}):
                yield example | {key: value}


def has_uniform_turns(task: Task, difficulty: Difficulty, draws: int = 900) -> None:
    """Turns needed fill the range of the difficulty evenly."""
    (low, high), rng = task.turns[difficulty], np.random.default_rng(4)
    made = [spec for _ in range(draws) if (spec := task.generate(difficulty, rng)) is not None]
    counts = Counter(task.turns_needed(spec) for spec in made)
    there = sorted(counts)
    _hold(
        there == list(range(low, high + 1)), f"turns of {difficulty} are {low} to {high}, but generate gives {there}"
    )
    expected = len(made) / (high - low + 1)
    even = all(abs(count - expected) < 4.5 * expected**0.5 for count in counts.values())
    _hold(even, f"turns of {difficulty} are not drawn evenly: {dict(sorted(counts.items()))}")


def has_drawings_that_differ(task: Task, least: float = LEAST) -> None:
    """Drawings are small and RGB, and any two differ by ``least`` (root mean squared difference of a byte)."""
    drawings = [np.asarray(task.draw_cell(name), dtype=float) for name in task.cells]
    for name, drawing in zip(task.cells, drawings, strict=True):
        _hold(drawing.shape == (16, 16, 3), f"draw_cell gives {name!r} as {drawing.shape}, not 16 × 16 RGB")
    for (one, a), (other, b) in combinations(zip(task.cells, drawings, strict=True), 2):
        apart = float(np.sqrt(((a - b) ** 2).mean()))
        _hold(apart >= least, f"the drawings of {one!r} and {other!r} are too much alike ({apart:.1f} of {least:g})")


def has_hints_in_range(task: Task, spec: Spec) -> None:
    """Hints are labels below ``num_hints``, or none."""
    hints = task.hints(spec)
    given = hints[hints != NO_HINT]
    _hold(hints.shape == (GRID, GRID), f"hints are {GRID} × {GRID}, not {hints.shape}")
    inside = given.size == 0 or 0 <= given.min() <= given.max() < task.num_hints
    _hold(bool(inside), f"hints are from 0 to num_hints - 1 ({task.num_hints - 1}), on {_brief(spec)}")


def shows_an_example(task: Task) -> None:
    """The first puzzle is one, fits the board if there is one, and can be written as JSON."""
    example = _stored(task.example)
    _hold(task.parse(example) == dict(task.example), "example is not as parse gives it back")
    _hold(task.board is None or task.board.holds(example), "example does not fit the board")


def has_disjoint_splits(task: Task, difficulty: Difficulty, count: int = 12) -> None:
    """Problems are pure functions of their numbers, and none of one split occurs in another."""
    seen: dict[bytes, str] = {}
    for split in SPLITS:
        for index in range(count):
            problem = make_problem(task.name, difficulty, 7, split, index)
            same = _same(problem, make_problem(task.name, difficulty, 7, split, index))
            _hold(same, f"problem {index} of {split} ({difficulty}) is another one each time it is made")
            content = problem.canvas.tobytes() + problem.prompt.encode()
            there = seen.setdefault(content, split)
            _hold(there == split, f"a {difficulty} problem occurs in {there} and in {split}")
            found = split_of_problem(problem)
            _hold(found == split, f"a {difficulty} problem of {found} is given as one of {split}")


def rejects_single_corruptions(task: Task, spec: Spec, rng: np.random.Generator, words: int = 24) -> None:
    """A demonstrated text with one word changed is not right, nor is an edit with one cell changed.

    A few other words may be as right, as where several reasons hold or several things can be counted, but not many.
    """
    canvas_HW, demonstration, vocabulary = task.canvas(spec), task.demonstrate(spec), spoken(task)
    for turn, step in enumerate(demonstration.steps, 1):
        for changed in _corrupted(step.thought, vocabulary, rng, words):
            parsed = [(text, parts) for text in changed if (parts := split_thought(text)) is not None]
            taken = [text for text, parts in parsed if task.check_thought(spec, canvas_HW, *parts, turn).right]
            few = len(taken) <= MOST_TAKEN * len(changed)
            _hold(few, f"check_thought takes {taken[:1]} for {step.thought!r} on {_brief(spec)}")
        boxes = (split_thought(step.thought) or ([], [FULL_BOX]))[1]
        accepted = task.accepted_edits(spec, canvas_HW, task.region(region_mask(boxes)), turn)
        changed_HW = _one_cell_changed(task, step.canvas, rng)
        kept = [after_HW for after_HW in accepted if not task.differs(step.canvas, after_HW).any()]
        wrong = all(task.differs(changed_HW, after_HW).any() for after_HW in kept)
        _hold(wrong, f"an edit with one cell changed counts as that of {step.thought!r} on {_brief(spec)}")
        canvas_HW = step.canvas
    for changed in _corrupted(demonstration.answer, vocabulary, rng, words):
        taken = [text for text in changed if task.check_answer(spec, canvas_HW, text.split()[1:]).right]
        few = len(taken) <= MOST_TAKEN * len(changed)
        _hold(few, f"check_answer takes {taken[:1]} for {demonstration.answer!r} on {_brief(spec)}")


def _corrupted(text: str, vocabulary: Sequence[str], rng: np.random.Generator, count: int) -> Iterator[list[str]]:
    """For each word of ``text`` up to ``count`` texts that have another one there."""
    tokens = text.split()
    for at, old in enumerate(tokens):
        if old not in (EDIT, ANSWER):
            others = [word for word in rng.permutation(vocabulary)[:count].tolist() if word != old]
            yield [" ".join([*tokens[:at], new, *tokens[at + 1 :]]) for new in others]


def _one_cell_changed(task: Task, canvas_HW: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    changed_HW, at = canvas_HW.copy(), int(rng.integers(GRID * GRID))
    if isinstance(task, PictureTask):
        inside = task.region(np.arange(GRID * GRID).reshape(GRID, GRID) == at)
        changed_HW[inside] = np.where(canvas_HW[inside] < 128, 255, 0)
        return changed_HW
    others = [cell for cell in range(FOREIGN, len(task.cells)) if cell != canvas_HW.ravel()[at]]
    changed_HW.ravel()[at] = others[int(rng.integers(len(others)))]
    return changed_HW


def never_raises(task: Task, spec: Spec, rng: np.random.Generator, tries: int = 20) -> None:
    """A verifier takes any canvas, words, boxes and turn."""
    vocabulary, told = [*spoken(task), "", "٣", "r9c9"], f"on {_brief(spec)}"
    for _ in range(tries):
        canvas_HW = task.canvas(spec)
        anywhere = rng.random((GRID, GRID)) < 0.5
        if isinstance(task, PictureTask):
            noise = rng.integers(256, size=canvas_HW.shape, dtype=np.uint8)
            canvas_HW = np.where(task.region(anywhere)[..., None], noise, canvas_HW)
        else:
            noise = rng.integers(FOREIGN, len(task.cells), size=canvas_HW.shape).astype(canvas_HW.dtype)
            canvas_HW = np.where(anywhere, noise, canvas_HW)
        words = rng.choice(vocabulary, size=int(rng.integers(MAX_TEXT_TOKENS))).tolist()
        a, b = rng.integers(1, GRID + 1, size=(2, 2)).tolist()
        boxes, turn = [Box.between((a[0], a[1]), (b[0], b[1]))], int(rng.integers(1, 18))
        task.check_thought(spec, canvas_HW, words, boxes, turn)
        task.check_thought(spec, canvas_HW, words, [], turn)
        carried_HW = task.carry_out(spec, canvas_HW, words, turn)
        if carried_HW is not None:
            _hold_cells(task, "carry_out", carried_HW, told, FOREIGN)
        task.check_answer(spec, canvas_HW, words)
        task.is_solved(spec, canvas_HW)
        for after_HW in task.accepted_edits(spec, canvas_HW, task.region(region_mask(boxes)), turn):
            _hold_cells(task, "accepted_edits", after_HW, told, FOREIGN)
            outside = task.differs(after_HW, canvas_HW) & ~region_mask(boxes)
            _hold(not outside.any(), f"accepted_edits changes cells outside the region {told}")


Law = Callable[[], None]


def laws_of(task: Task, count: int = 12) -> dict[str, Law]:
    """Every law by name, on ``count`` specs of each difficulty; raises TaskError as they are carried out."""

    def of_specs(law: Callable[[Task, Spec], None]) -> Law:
        def hold() -> None:
            for difficulty in DIFFICULTIES:
                rng = numpy_generator("laws", task.name, difficulty)
                for _ in range(count):
                    law(task, spec_of(task, difficulty, rng))

        return hold

    def of_difficulties(law: Callable[[Task, Difficulty], None]) -> Law:
        def hold() -> None:
            for difficulty in DIFFICULTIES:
                law(task, difficulty)

        return hold

    def random(law: Callable[..., None]) -> Law:
        rng = numpy_generator("laws", task.name)
        return of_specs(lambda task, spec: law(task, spec, rng))

    laws: dict[str, Law] = {"pure": of_difficulties(is_pure_and_normal), "example": partial(shows_an_example, task)}
    laws["refusals"] = partial(refuses_what_is_no_problem, task)
    if not isinstance(task, DataTask):  # its rows are what they are
        laws["turns"] = of_difficulties(partial(has_uniform_turns, draws=300))
    if not isinstance(task, PictureTask):
        laws["drawings"] = partial(has_drawings_that_differ, task)
    laws["hints"] = of_specs(has_hints_in_range)
    laws["prompt"] = of_specs(asks_in_few_words)
    laws["verifier"] = random(never_raises)
    laws["splits"] = of_difficulties(has_disjoint_splits)
    if task.demonstrates:
        laws |= {
            "solvable": of_specs(is_solved_by_its_demonstration),
            "words": of_specs(says_known_words),
        }
    if task.demonstrates and not isinstance(task, DataTask):  # whose rewards are known, and may take longer answers
        laws["corruptions"] = random(rejects_single_corruptions)
    return laws


def kept_laws(task: Task, count: int = 12) -> dict[str, bool | str]:
    """Of every law whether ``task`` keeps it: True, or the sentence that says what does not hold."""
    found: dict[str, bool | str] = {}
    for name, law in laws_of(task, count).items():
        try:
            with blamed_on(task):
                law()
            found[name] = True
        except TaskError as error:
            found[name] = str(error)
        except ProblemError as error:  # of its own puzzles
            found[name] = f"a puzzle that it made is refused: {error}"
    return found


def _hold(kept: bool, sentence: str) -> None:
    if not kept:
        raise TaskError(sentence)


def _hold_cells(task: Task, whose: str, canvas_HW: np.ndarray, told: str, least: int = 0) -> None:
    """Every number on a canvas, from ``least`` on, is that of a cell; a picture has none."""
    if not isinstance(task, PictureTask):
        wrong = canvas_HW[(canvas_HW < least) | (canvas_HW >= len(task.cells))]
        _hold(not wrong.size, f"{whose} draws {wrong[:1].sum()}, and cells are 0 to {len(task.cells) - 1}, {told}")


def _same(one: Problem, other: Problem) -> bool:
    return one.spec == other.spec and np.array_equal(one.canvas, other.canvas) and one.question == other.question


def _stored(spec: Mapping[str, Any]) -> dict[str, Any]:
    """A spec as it comes back from a file."""
    try:
        return json.loads(json.dumps(dict(spec)))
    except (TypeError, ValueError) as error:
        raise TaskError(f"a spec must be JSON, got {_brief(spec)}: {error}") from None


def _brief(value: Any) -> str:
    text = repr(dict(value) if isinstance(value, Mapping) else value)
    return text if len(text) <= 120 else text[:119] + "…"
