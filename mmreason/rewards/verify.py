"""Scores every segment of a trace on its own, edits on decoded pixels.

Axes: C codes, H W canvas.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mmreason.records import EDIT, GRID, NUM_CELLS, Box, Segment, Trace, Verdict, claim_words, marked_words, parse_cell
from mmreason.tasks import FIRST_TASKS, atlas_for, blamed_on, task_named
from mmreason.tasks.atlas import Atlas, join_cells
from mmreason.tasks.picture import PictureTask, resized
from mmreason.tasks.task import Spec, Task

NOTHING_TO_DRAW = "nothing useful can be drawn there"
NOTHING_TO_SAY = "nothing_to_say"  # component of a text where no thought and no answer would be right


class Verifier:
    """Scores traces of one tokenizer.

    ``words`` maps text ids to words; ids from ``len(words)`` on are image codes, and ``sheet``
    (C, 16, 16, 3) is what the decoder makes of them.
    """

    def __init__(self, words: Sequence[str], sheet: np.ndarray) -> None:
        self.num_text, self.sheet = len(words), sheet
        self._recognised: dict[str, np.ndarray] = {}  # task → the drawing nearest to each code, once a code

    def shown(self, task: str, canvas_tokens: Sequence[int] | np.ndarray) -> np.ndarray:
        """(H, W) local cell ids that the decoded canvas shows, ``FOREIGN`` where it shows none of the task's.

        Of a task on pictures, the decoded picture at its own size.
        """
        codes = np.asarray(canvas_tokens) - self.num_text
        maker = task_named(task)
        if isinstance(maker, PictureTask):
            return resized(join_cells(self.sheet[codes.reshape(GRID, GRID)]), maker.side)
        atlas = atlas_for(task)
        return atlas.local_ids(task, self._nearest(task, atlas)[codes]).reshape(GRID, GRID)

    def _nearest(self, task: str, atlas: Atlas) -> np.ndarray:
        key = FIRST_TASKS[0] if task in FIRST_TASKS else task  # these have one sheet in common
        if key not in self._recognised:
            self._recognised[key] = atlas.nearest(self.sheet)
        return self._recognised[key]

    def score(self, trace: Trace) -> Trace:
        """The trace with rewards, verdicts and transition scores of all finished segments, and success.

        Raises TaskError where a task of the user's fails.
        """
        with blamed_on(task_named(trace.problem.task)):
            return self._scored(trace)

    def _scored(self, trace: Trace) -> Trace:
        task, spec = task_named(trace.problem.task), trace.problem.spec
        tokens = np.array(trace.canvas_tokens)
        segments: list[Segment] = []
        thought_canvas: np.ndarray | None = None  # what the last thought says will be drawn
        answered = solved = False
        for segment in trace.segments:
            if sum(len(frame.committed) for frame in segment.frames) < len(segment.tokens):
                segments += trace.segments[len(segments) :]  # still being denoised, and what is beside or behind it
                break
            canvas_HW = self.shown(task.name, tokens)
            words = marked_words(segment.text)
            if segment.kind == "edit":
                tokens[list(segment.cells)] = segment.tokens
                drawn_HW = self.shown(task.name, tokens)
                if answered:  # of a joint turn, whose words are the answer: nothing is left to draw
                    verdict = _kept(task, segment, canvas_HW, drawn_HW)
                    segments.append(replace(segment, verdict=verdict, reward=float(verdict.right)))
                    continue
                verdict, reward = _edit(task, spec, segment, canvas_HW, drawn_HW)
                says = None if thought_canvas is None else float(not task.differs(drawn_HW, thought_canvas).any())
                segments.append(replace(segment, verdict=verdict, reward=reward, transition=says))
                continue
            if segment.kind == "answer":
                verdict, answered = task.check_answer(spec, canvas_HW, words[1:]), True
                # An answer may be right without its picture, and where nothing is to be drawn no picture is judged.
                solved = not trace.problem.turns or task.is_solved(spec, canvas_HW)
            else:
                verdict = _thought(task, spec, segment, canvas_HW, words)
                thought_canvas = task.carry_out(spec, canvas_HW, claim_words(segment.text), segment.turn)
            if not verdict.right and not task.solvable(spec, canvas_HW, segment.turn):
                verdict = replace(verdict, components={**verdict.components, NOTHING_TO_SAY: 1.0})
            drawn_before = any(earlier.kind == "edit" for earlier in segments)
            true = verdict.components.get("true") if drawn_before else None
            segments.append(replace(segment, verdict=verdict, reward=float(verdict.right), transition=true))
        success = answered and solved and all(s.verdict is not None and s.verdict.right for s in segments)
        return replace(trace, segments=tuple(segments), success=success)


def _thought(task: Task, spec: Spec, segment: Segment, canvas_HW: np.ndarray, words: list[str]) -> Verdict:
    corners = [parse_cell(word) for word in words[_index(words, EDIT) + 1 :]]
    if EDIT not in words or not corners or len(corners) % 2 or None in corners:
        nothing = {"well_formed": 0.0, "true": 0.0, "useful": 0.0}
        return Verdict(False, "names no region that can be followed", nothing)
    boxes = [Box.between(a, b) for a, b in zip(corners[::2], corners[1::2], strict=True) if a and b]
    return task.check_thought(spec, canvas_HW, words[: words.index(EDIT)], boxes, segment.turn)


def _edit(
    task: Task, spec: Spec, segment: Segment, before_HW: np.ndarray, after_HW: np.ndarray
) -> tuple[Verdict, float | None]:
    cells = np.zeros(NUM_CELLS, dtype=bool)
    cells[list(segment.cells)] = True
    accepted = task.accepted_edits(spec, before_HW, task.region(cells.reshape(GRID, GRID)), segment.turn)
    if not accepted:
        return Verdict(False, NOTHING_TO_DRAW), None
    wrong = min(int(task.differs(after_HW, canvas_HW).sum()) for canvas_HW in accepted)
    share = {"cells": 1.0 - wrong / len(segment.cells)}
    if wrong == 0:
        return Verdict(True, "drawn", share), 1.0
    return Verdict(False, f"{wrong} of {len(segment.cells)} cells wrong", share), 0.0


def _kept(task: Task, segment: Segment, before_HW: np.ndarray, after_HW: np.ndarray) -> Verdict:
    changed = int(task.differs(after_HW, before_HW).sum())
    share = {"cells": 1.0 - changed / len(segment.cells)}
    return Verdict(not changed, f"{changed} cells changed beside the answer" if changed else "kept", share)


def _index(words: Sequence[str], word: str) -> int:
    return words.index(word) if word in words else len(words)
