"""Visual search: laws of the task first, then examples."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmreason.errors import ProblemError
from mmreason.records import DIFFICULTIES, FULL_BOX, GRID, Box, cell_word, region_mask
from mmreason.tasks.laws import boxes_of, split_thought
from mmreason.tasks.task import FOREIGN
from mmreason.tasks.visual_search import CELL_ID, CELLS, CROWD, KINDS, MAX_CLUES, VisualSearch
from tests.helpers.parsing import json_values, parsed

TASK = VisualSearch()
EXAMPLE = TASK.parse(dict(TASK.example))
WORDS = [
    *(cell_word(row, column) for row in range(1, GRID + 1) for column in range(1, GRID + 1)),
    *TASK.words,
    *("0", "7", "<edit>", "<answer>", "<end>", ""),
]


def some_specs(count):
    rng = np.random.default_rng(1)
    return [spec for i in range(count) if (spec := TASK.generate(DIFFICULTIES[i % 3], rng)) is not None]


def solved(spec):
    """The trail by looking each creature up in the file; shares nothing with the task's own way."""
    says = {kind: (at, clue) for at, kind, clue in reversed(spec["creatures"])}
    wanted, steps = spec["wanted"], []
    for number in range(2, spec["clues"] + 2):
        at, clue = says[wanted]
        bubble = f"{at[:3]}{int(at[3]) + 1}"
        steps.append(f"{wanted} says {clue} <edit> {at} {bubble} r1c{number} r1c{number}")
        wanted = clue
    return steps, wanted


def test_an_independent_solver_is_accepted_and_its_answer_is_right():
    for spec in some_specs(60):
        steps, answer = solved(spec)
        canvas_HW = TASK.canvas(spec)
        for turn, thought in enumerate(steps, 1):
            words, boxes = split_thought(thought)
            assert TASK.check_thought(spec, canvas_HW, words, boxes, turn).right
            assert not TASK.check_answer(spec, canvas_HW, answer.split()).right
            (canvas_HW,) = TASK.accepted_edits(spec, canvas_HW, region_mask(boxes), turn)
        assert TASK.check_answer(spec, canvas_HW, answer.split()).right
        assert len(steps) == TASK.turns_needed(spec)


def test_each_single_corruption_of_a_thought_is_rejected():
    for spec in some_specs(3):
        canvas_HW = TASK.canvas(spec)
        thought = TASK.demonstrate(spec).steps[0].thought.split()
        edit = thought.index("<edit>")
        for place, word in itertools.product(range(len(thought)), WORDS):
            if word == thought[place] or place == edit:
                continue
            corrupt = [*thought[:place], word, *thought[place + 1 :]]
            boxes = boxes_of(corrupt[edit + 1 :])
            if boxes is not None:
                assert not TASK.check_thought(spec, canvas_HW, corrupt[:edit], boxes, 1).right, corrupt


def test_each_single_corruption_of_an_answer_is_rejected():
    for spec in some_specs(3):
        canvas_HW, answer = TASK.demonstrate(spec).steps[-1].canvas, TASK.demonstrate(spec).answer.split()[1:]
        for place, word in itertools.product(range(len(answer)), WORDS):
            if word != answer[place]:
                assert not TASK.check_answer(spec, canvas_HW, [*answer[:place], word, *answer[place + 1 :]]).right
        assert not TASK.check_answer(spec, canvas_HW, [*answer, "fish"]).right


def test_each_single_corruption_of_an_edit_is_rejected_and_nothing_outside_may_change():
    for spec in some_specs(3):
        canvas_HW, step = TASK.canvas(spec), TASK.demonstrate(spec).steps[0]
        _, boxes = split_thought(step.thought)
        accepted = TASK.accepted_edits(spec, canvas_HW, region_mask(boxes), 1)
        assert [after_HW.tobytes() for after_HW in accepted] == [step.canvas.tobytes()]
        assert set(map(tuple, np.argwhere(step.canvas != canvas_HW))) == set(
            map(tuple, np.argwhere(region_mask(boxes)))
        )
        for missing in boxes:  # a region that lacks one of the two boxes
            assert TASK.accepted_edits(spec, canvas_HW, region_mask([b for b in boxes if b != missing]), 1) == []


def test_the_only_useful_drawing_is_that_of_the_wanted_creature():
    for spec in some_specs(12):
        canvas_HW = TASK.canvas(spec)
        assert len(TASK.accepted_edits(spec, canvas_HW, FULL_BOX.mask(), 1)) == 1
        right = 0
        for at, kind, says in spec["creatures"]:
            row, column = int(at[1]), int(at[3])
            boxes = [Box(row, column, row, column + 1), Box(1, 2, 1, 2)]
            verdict = TASK.check_thought(spec, canvas_HW, [*kind.split(), "says", *says.split()], boxes, 1)
            assert verdict.components["true"] == 1.0
            assert verdict.right is (kind == spec["wanted"])
            right += verdict.right
        assert right == 1


def test_the_question_alone_tells_nothing_and_the_crowd_is_a_crowd():
    answers, rng = set(), np.random.default_rng(3)
    for difficulty in DIFFICULTIES:
        for _ in range(60):
            spec = TASK.generate(difficulty, rng)
            assert len(spec["creatures"]) == CROWD[difficulty]
            answers.add(TASK.demonstrate(spec).answer)
    assert len(answers) == len(KINDS)


def test_hints_say_which_clue_a_creature_gives_and_else_what_is_shown_however_it_is_drawn():
    hints_HW = TASK.hints(EXAMPLE)
    assert KINDS[hints_HW[0, 0] - MAX_CLUES - 1] == EXAMPLE["wanted"]
    clues = {"r3c2": 1, "r6c5": 2}
    for at, kind, says in EXAMPLE["creatures"]:
        row, column = int(at[1]) - 1, int(at[3]) - 1
        assert hints_HW[row, column] == clues.get(at, MAX_CLUES + 1 + KINDS.index(kind))
        assert KINDS[hints_HW[row, column + 1] - MAX_CLUES - 1] == says
    assert (hints_HW >= 0).sum() == 2 * len(EXAMPLE["creatures"]) + 1


def test_a_wrong_card_loses_the_trail_and_a_wrong_frame_does_not():
    canvas_HW = TASK.demonstrate(EXAMPLE).steps[0].canvas
    words, boxes = split_thought(TASK.demonstrate(EXAMPLE).steps[1].thought)
    lost_HW = canvas_HW.copy()
    lost_HW[0, 1] = CELL_ID["card blue crab"]
    verdict = TASK.check_thought(EXAMPLE, lost_HW, words, boxes, 2)
    assert verdict.reason == "there is no clue left to follow on this canvas" and verdict.components["true"] == 1.0
    assert TASK.accepted_edits(EXAMPLE, lost_HW, FULL_BOX.mask(), 2) == []
    spoiled_HW = canvas_HW.copy()
    spoiled_HW[2, 1] = FOREIGN
    assert TASK.check_thought(EXAMPLE, spoiled_HW, words, boxes, 2).right
    (after_HW,) = TASK.accepted_edits(EXAMPLE, spoiled_HW, FULL_BOX.mask(), 2)
    assert not TASK.is_solved(EXAMPLE, after_HW)
    assert not TASK.check_answer(EXAMPLE, after_HW, ["yellow", "crab"]).right


def test_what_a_thought_says_wrongly_is_drawn_as_it_says():
    after_HW = TASK.carry_out(EXAMPLE, TASK.canvas(EXAMPLE), "blue fish says black star".split(), 1)
    assert CELLS[after_HW[0, 1]] == "card black star" and CELLS[after_HW[2, 2]] == "says found black star"
    assert TASK.carry_out(EXAMPLE, TASK.canvas(EXAMPLE), "red fish sees black star".split(), 1) is None
    assert TASK.carry_out(EXAMPLE, TASK.canvas(EXAMPLE), "yellow shell says black star".split(), 1) is None


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"task": "maze"}, "task"),
        ({"fish": 1}, "fish"),
        ({"wanted": "green fish"}, "green fish"),
        ({"wanted": ["blue", "fish"]}, "wanted"),
        ({"wanted": "yellow crab"}, "exactly one yellow crab"),
        ({"clues": 0}, "0"),
        ({"clues": 7}, "7"),
        ({"clues": True}, "True"),
        ({"clues": 3}, "exactly one yellow crab for clue 3, got 0"),
        ({"creatures": []}, "0 creatures"),
        ({"creatures": [["r3c2", "blue fish", "red star"]] * 29}, "29 creatures"),
        ({"creatures": [["r3c2", "blue fish", "red star"], ["r3c3", "red star", "red fish"]]}, "overlap"),
        ({"creatures": [["r1c2", "blue fish", "red star"]]}, "r1c2"),
        ({"creatures": [["r3c8", "blue fish", "red star"]]}, "r3c8"),
        ({"creatures": [["r3c2", "blue fish"]]}, "creature 1"),
        ({"creatures": [["r3c2", "blue fish", "blue"]]}, "blue"),
        ({"creatures": [["r3c2", "blue fish", "red star"], ["r4c2", "red star", "blue fish"]]}, "wanted before"),
    ],
)
def test_a_bad_file_is_refused_with_one_sentence_that_names_what_is_wrong(change, says):
    with pytest.raises(ProblemError) as error:
        TASK.parse({**EXAMPLE, **change})
    assert says in str(error.value) and "\n" not in str(error.value) and len(str(error.value)) < 200


JSON = json_values(*KINDS)


@settings(max_examples=150, deadline=None)
@given(JSON | st.fixed_dictionaries({"wanted": JSON, "clues": JSON | st.just(1), "creatures": JSON}))
def test_parse_raises_nothing_but_problem_errors(data):
    spec = parsed(TASK, data)
    assert spec is None or 1 <= TASK.turns_needed(spec) <= 6


@settings(max_examples=100, deadline=None)
@given(
    st.integers(0, 2**32),
    st.lists(st.sampled_from(WORDS) | st.text(max_size=5), max_size=6),
    st.lists(st.sampled_from([Box(3, 2, 3, 3), Box(1, 2, 1, 2), Box(8, 7, 8, 8), FULL_BOX]), max_size=3),
)
def test_verifiers_never_raise_on_any_canvas(seed, words, boxes):
    rng = np.random.default_rng(seed)
    spec = TASK.generate(DIFFICULTIES[seed % 3], rng) or EXAMPLE
    noise_HW = rng.integers(-1, len(CELLS), (GRID, GRID))
    canvas_HW = np.where(rng.random((GRID, GRID)) < rng.random(), noise_HW, TASK.canvas(spec))
    before_HW = canvas_HW.copy()
    for say in (words, [*words[:2], "says", *words[2:4]], ["blue", "fish", "says", "red", "star"]):
        TASK.check_thought(spec, canvas_HW, say, boxes, 1)
        TASK.check_answer(spec, canvas_HW, say)
        TASK.carry_out(spec, canvas_HW, say, 1)
    TASK.is_solved(spec, canvas_HW)
    for after_HW in TASK.accepted_edits(spec, canvas_HW, rng.random((GRID, GRID)) < 0.99, 1):
        assert 1 <= (after_HW != canvas_HW).sum() <= 3
    assert np.array_equal(canvas_HW, before_HW)
