"""Chart refocus: laws of the task first, then examples."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmreason.errors import ProblemError
from mmreason.records import DIFFICULTIES, FULL_BOX, GRID, Box, cell_word, region_mask
from mmreason.tasks.chart_refocus import CELL_ID, CELLS, TERMS, VALUES, ChartRefocus
from mmreason.tasks.laws import boxes_of, split_thought
from mmreason.tasks.task import FOREIGN
from tests.helpers.parsing import json_values, parsed

TASK = ChartRefocus()
EXAMPLE = TASK.parse(dict(TASK.example))
WORDS = [
    *(cell_word(row, column) for row in range(1, GRID + 1) for column in range(1, GRID + 1)),
    *(str(number) for number in range(65)),
    *TASK.words,
    *("<edit>", "<answer>", "<end>", ""),
]


def some_specs(count):
    rng = np.random.default_rng(1)
    return [spec for i in range(count) if (spec := TASK.generate(DIFFICULTIES[i % 3], rng)) is not None]


def picked(spec):
    """Position of each term's bar and its signed value; shares nothing with the task's own way."""
    order = np.argsort(spec["values"])
    places = {"tallest": order[-1], "second": order[-2], "shortest": order[0]}
    bars = [int(places.get(term[1:], "ABCDEFG".find(term[1:]))) for term in spec["terms"]]
    return [(bar, int(f"{term[0]}{spec['values'][bar]}")) for bar, term in zip(bars, spec["terms"], strict=True)]


def thought_of(bar, signed, total):
    word = "plus" if signed > 0 else "minus"
    return f"{word} {'ABCDEFG'[bar]} {abs(signed)} makes {total}".split(), [Box(2, bar + 2, 8, bar + 2)]


def test_an_independent_solver_is_accepted_in_every_order_that_stays_in_range():
    rng = np.random.default_rng(2)
    for spec in some_specs(60):
        terms, orders = picked(spec), []
        for _ in range(20):
            order = [terms[i] for i in rng.permutation(len(terms))]
            if all(0 <= total <= 64 for total in itertools.accumulate(value for _, value in order)):
                orders.append(order)
        for order in (terms, *orders[:2]):
            canvas_HW, total = TASK.canvas(spec), 0
            for turn, (bar, signed) in enumerate(order, 1):
                assert not TASK.check_answer(spec, canvas_HW, [str(sum(value for _, value in terms))]).right
                total += signed
                words, boxes = thought_of(bar, signed, total)
                assert TASK.check_thought(spec, canvas_HW, words, boxes, turn).right
                (canvas_HW,) = TASK.accepted_edits(spec, canvas_HW, region_mask(boxes), turn)
            assert TASK.check_answer(spec, canvas_HW, [str(total)]).right


def dead_end(spec):
    """A canvas that right thoughts and edits lead to and on which nothing right is left, None if there is none."""
    terms, seen, open_ = picked(spec), set(), [frozenset()]
    while open_:
        done = open_.pop()
        canvas_HW, total = TASK.canvas(spec), 0
        for bar, signed in terms:
            if bar in done:
                canvas_HW = TASK.carry_out(spec, canvas_HW, thought_of(bar, signed, total)[0], 1)
                total += signed
        if not TASK.solvable(spec, canvas_HW, 1):
            return canvas_HW
        for bar, signed in terms:
            words, boxes = thought_of(bar, signed, total + signed)
            after = done | {bar}
            if bar in done or after in seen or not TASK.check_thought(spec, canvas_HW, words, boxes, 1).right:
                continue
            seen.add(after)
            open_.append(after)
    return None


def test_right_thoughts_and_edits_never_lead_where_nothing_right_is_left():
    given = {"task": "chart_refocus", "unit": 5, "values": [10, 60, 40], "terms": ["+B", "-C", "+A"]}
    assert dead_end(given) is None
    for spec in some_specs(150):
        assert dead_end(spec) is None


def test_a_bar_after_which_the_others_leave_the_range_is_told_from_one_that_is_highlighted():
    spec = {"task": "chart_refocus", "unit": 5, "values": [10, 60, 40], "terms": ["+B", "-C", "+A"]}
    first = TASK.check_thought(spec, TASK.canvas(spec), *thought_of(0, 10, 10), 1)
    assert not first.right and first.reason == "after A the rest leaves the range of 0 to 64"


def test_each_single_corruption_of_a_thought_is_rejected():
    for spec in some_specs(3):
        for turn, step in enumerate(TASK.demonstrate(spec).steps, 1):
            canvas_HW = TASK.canvas(spec) if turn == 1 else TASK.demonstrate(spec).steps[turn - 2].canvas
            thought = step.thought.split()
            edit = thought.index("<edit>")
            for place, word in itertools.product(range(len(thought)), WORDS):
                if word == thought[place] or place == edit:
                    continue
                corrupt = [*thought[:place], word, *thought[place + 1 :]]
                boxes = boxes_of(corrupt[edit + 1 :])
                if boxes is not None:
                    assert not TASK.check_thought(spec, canvas_HW, corrupt[:edit], boxes, turn).right, corrupt


def test_each_single_corruption_of_an_answer_is_rejected():
    for spec in some_specs(6):
        canvas_HW, answer = TASK.demonstrate(spec).steps[-1].canvas, TASK.demonstrate(spec).answer.split()[1:]
        for word in WORDS:
            assert TASK.check_answer(spec, canvas_HW, [word]).right is (word == answer[0])
        assert not TASK.check_answer(spec, canvas_HW, [*answer, "0"]).right


def test_accepted_edits_are_exactly_the_bars_that_are_right_as_thoughts():
    for spec in some_specs(12):
        canvas_HW, signed = TASK.canvas(spec), dict(picked(spec))
        expected = 0
        for bar in range(len(spec["values"])):
            value = signed.get(bar, spec["values"][bar])
            words, boxes = thought_of(bar, value, max(0, value))
            right = TASK.check_thought(spec, canvas_HW, words, boxes, 1).right
            assert right is (bar in signed and value > 0)
            inside = TASK.accepted_edits(spec, canvas_HW, region_mask(boxes), 1)
            assert len(inside) == right
            for after_HW in inside:
                assert np.array_equal(after_HW != canvas_HW, region_mask(boxes))
            expected += right
        assert len(TASK.accepted_edits(spec, canvas_HW, FULL_BOX.mask(), 1)) == expected


def test_a_bar_that_was_drawn_wrong_may_be_drawn_again_and_counts_only_then():
    first, second = TASK.demonstrate(EXAMPLE).steps
    for cell in (FOREIGN, CELL_ID["bar full"], CELL_ID["highlight full"]):
        spoiled_HW = first.canvas.copy()
        spoiled_HW[1, 2] = cell  # at the top of B, the tallest bar
        words, boxes = split_thought(first.thought)
        assert TASK.check_thought(EXAMPLE, spoiled_HW, words, boxes, 2).right
        (mended_HW,) = TASK.accepted_edits(EXAMPLE, spoiled_HW, region_mask(boxes), 2)
        assert np.array_equal(mended_HW, first.canvas)
        words, boxes = split_thought(second.thought)
        assert not TASK.check_thought(EXAMPLE, spoiled_HW, words, boxes, 2).right


def test_what_was_spoiled_beside_a_bar_stays_so_and_leaves_the_chart_unsolved():
    canvas_HW, demonstration = TASK.canvas(EXAMPLE), TASK.demonstrate(EXAMPLE)
    canvas_HW[3, 4] = FOREIGN
    for turn, step in enumerate(demonstration.steps, 1):
        words, boxes = split_thought(step.thought)
        assert TASK.check_thought(EXAMPLE, canvas_HW, words, boxes, turn).right
        (canvas_HW,) = TASK.accepted_edits(EXAMPLE, canvas_HW, region_mask(boxes), turn)
    assert canvas_HW[3, 4] == FOREIGN and not TASK.is_solved(EXAMPLE, canvas_HW)
    assert not TASK.check_answer(EXAMPLE, canvas_HW, demonstration.answer.split()[1:]).right


def test_what_a_bar_is_and_how_it_counts_is_said_in_the_verdict():
    canvas_HW, box = TASK.canvas(EXAMPLE), [Box(2, 3, 8, 3)]
    for words, reason in (
        ("plus B 20 makes 20", "B is 22, not 20"),
        ("plus B 22 makes 24", "0 plus 22 is 22, not 24"),
        ("plus C 14 makes 14", "C is not asked for"),
        ("plus A 6 makes 6", "A counts as minus"),
        ("plus G 6 makes 6", "there is no bar G"),
        ("plus B 22 equals 22", "not of the form: plus letter number makes number"),
    ):
        assert TASK.check_thought(EXAMPLE, canvas_HW, words.split(), box, 1).reason == reason
    words = "plus B 22 makes 22".split()
    assert TASK.check_thought(EXAMPLE, canvas_HW, words, [Box(2, 4, 8, 4)], 1).components["useful"] == 1.0
    after_HW = TASK.carry_out(EXAMPLE, canvas_HW, "plus B 20 makes 20".split(), 1)
    assert CELLS[after_HW[-1, 2]] == "value 20" and CELLS[after_HW[1, 2]] == "highlight half"
    assert TASK.carry_out(EXAMPLE, canvas_HW, "plus B 64 makes 64".split(), 1) is None


def test_hints_say_which_term_a_bar_is_and_what_its_value_is():
    hints_HW = TASK.hints(EXAMPLE)
    assert hints_HW[-1, 1:5].tolist() == [2, 1, 0, 0]
    tops = {(5, 1): 6, (1, 2): 22, (3, 3): 14, (4, 4): 10}
    assert {place: VALUES[hints_HW[place] - 7] for place in tops} == tops
    assert (hints_HW >= 0).sum() == 8


def test_every_rank_and_sign_occurs_and_no_answer_is_likely():
    rng, terms, answers = np.random.default_rng(5), set(), []
    for index in range(600):
        spec = TASK.generate(DIFFICULTIES[index % 3], rng)
        terms |= set(spec["terms"])
        answers.append(TASK.demonstrate(spec).answer)
    assert terms == set(TERMS)
    assert max(answers.count(answer) for answer in set(answers)) < 0.08 * len(answers)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"task": "maze"}, "task"),
        ({"bars": 1}, "bars"),
        ({"unit": 3}, "3"),
        ({"unit": True}, "True"),
        ({"values": []}, "values"),
        ({"values": [2] * 8}, "a list of 8"),
        ({"values": [6, 22, 14, 11]}, "11"),
        ({"values": [6, 26, 14, 10]}, "26"),
        ({"values": [0, 22, 14, 10]}, "0"),
        ({"terms": []}, "terms"),
        ({"terms": ["+A"] * 7}, "a list of 7"),
        ({"terms": ["A"]}, "'A'"),
        ({"terms": ["+E"]}, "A to D, got E"),
        ({"terms": ["+B", "-tallest"]}, "got B twice"),
        ({"terms": ["-A", "+tallest"]}, "got -6 after term 1"),
        ({"unit": 5, "values": [60, 40, 10], "terms": ["+A", "+C"]}, "got 70 after term 2"),
        ({"values": [6, 22, 22, 10]}, "tallest, got 2 of 22"),
    ],
)
def test_a_bad_file_is_refused_with_one_sentence_that_names_what_is_wrong(change, says):
    with pytest.raises(ProblemError) as error:
        TASK.parse({**EXAMPLE, **change})
    assert says in str(error.value) and "\n" not in str(error.value) and len(str(error.value)) < 200


JSON = json_values(*TERMS)
NEAR = {
    "unit": st.sampled_from([1, 2, 5]) | JSON,
    "values": st.lists(st.integers(1, 12), max_size=8) | JSON,
    "terms": st.lists(st.sampled_from(TERMS), max_size=4) | JSON,
}


@settings(max_examples=200, deadline=None)
@given(JSON | st.fixed_dictionaries(NEAR))
def test_parse_raises_nothing_but_problem_errors(data):
    spec = parsed(TASK, data)
    assert spec is None or (1 <= TASK.turns_needed(spec) <= 6 and TASK.canvas(spec).min() >= 0)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32), st.lists(st.sampled_from(WORDS) | st.text(max_size=5), max_size=6))
def test_verifiers_never_raise_on_any_canvas(seed, words):
    rng = np.random.default_rng(seed)
    spec = TASK.generate(DIFFICULTIES[seed % 3], rng) or EXAMPLE
    noise_HW = rng.integers(-1, len(CELLS), (GRID, GRID))
    canvas_HW = np.where(rng.random((GRID, GRID)) < rng.random(), noise_HW, TASK.canvas(spec))
    before_HW = canvas_HW.copy()
    for say in (words, ["plus", *words[:2], "makes", *words[2:3]], "minus B 3 makes 4".split()):
        TASK.check_thought(spec, canvas_HW, say, [Box(2, 3, 8, 3)], 1)
        TASK.check_answer(spec, canvas_HW, say)
        TASK.carry_out(spec, canvas_HW, say, 1)
    TASK.is_solved(spec, canvas_HW)
    for after_HW in TASK.accepted_edits(spec, canvas_HW, rng.random((GRID, GRID)) < 0.99, 1):
        assert 1 <= (after_HW != canvas_HW).sum() <= 7
    assert np.array_equal(canvas_HW, before_HW)
