"""Jigsaw: laws of the task first, then examples."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmreason.errors import ProblemError
from mmreason.records import (
    DIFFICULTIES,
    FULL_BOX,
    GRID,
    cell_word,
    region_mask,
)
from mmreason.tasks.jigsaw import PICTURES, TILE_BOXES, TILES, Jigsaw, picture_index
from mmreason.tasks.laws import boxes_of, is_solved_by_its_demonstration
from mmreason.tasks.task import FOREIGN
from tests.helpers.parsing import json_values, parsed

TASK = Jigsaw()
CELL_WORDS = [cell_word(row, column) for row in range(1, GRID + 1) for column in range(1, GRID + 1)]
WORDS = [
    *CELL_WORDS,
    *(str(n) for n in range(65)),
    "swap",
    "swaps",
    "step",
    "red",
    "<edit>",
    "<answer>",
    "<end>",
    "",
]


def shuffled_spec(rng, num_swaps):
    """Swaps that may share tiles, as a user may write them."""
    while True:
        pairs = [[TILES[i] for i in rng.permutation(16)[:2]] for _ in range(num_swaps)]
        try:
            return TASK.parse({"task": "jigsaw", "picture_seed": int(rng.integers(2**31)), "swaps": pairs})
        except ProblemError:
            continue


def some_specs(count):
    rng = np.random.default_rng(1)
    for index in range(count):
        yield TASK.generate(DIFFICULTIES[index % 3], rng)
        yield shuffled_spec(rng, int(rng.integers(1, 17)))


def tiles_out_of_place(canvas_HW, picture_HW):
    return [box for box in TILE_BOXES if (canvas_HW != picture_HW)[box.mask()].any()]


def fewest_swaps(canvas_HW, picture_HW):
    """Breadth-first search over all swaps; shares nothing with the task's own count."""

    def tile(image_HW, place):
        row, column = 2 * (place // 4), 2 * (place % 4)
        return tuple(image_HW[row : row + 2, column : column + 2].ravel().tolist())

    goal = tuple(tile(picture_HW, place) for place in range(16))
    level, depth = {tuple(tile(canvas_HW, place) for place in range(16))}, 0
    while goal not in level:
        following = set()
        for state in level:  # only swaps of two wrong tiles can be part of a shortest solution
            wrong = [place for place in range(16) if state[place] != goal[place]]
            for a, b in itertools.combinations(wrong, 2):
                swapped = list(state)
                swapped[a], swapped[b] = state[b], state[a]
                following.add(tuple(swapped))
        level, depth = following, depth + 1
    return depth


def test_demonstrations_are_accepted_step_by_step_and_end_solved():
    for spec in some_specs(60):
        is_solved_by_its_demonstration(TASK, spec)


def test_each_single_corruption_of_a_thought_is_rejected():
    for spec in some_specs(4):
        canvas_HW = TASK.canvas(spec)
        thought = TASK.demonstrate(spec).steps[0].thought.split()
        for place, word in itertools.product(range(len(thought)), WORDS):
            if word == thought[place] or thought[place] == "<edit>":
                continue
            corrupt = [*thought[:place], word, *thought[place + 1 :]]
            boxes = boxes_of(corrupt[4:])
            if boxes is not None:
                assert not TASK.check_thought(spec, canvas_HW, corrupt[:3], boxes, 1).right, corrupt


def test_each_single_corruption_of_an_answer_is_rejected():
    for spec in some_specs(4):
        canvas_HW, answer = TASK.demonstrate(spec).steps[-1].canvas, TASK.demonstrate(spec).answer.split()[1:]
        for place, word in itertools.product(range(len(answer)), WORDS):
            if word != answer[place]:
                corrupt = [*answer[:place], word, *answer[place + 1 :]]
                assert not TASK.check_answer(spec, canvas_HW, corrupt).right, corrupt
        assert not TASK.check_answer(spec, TASK.canvas(spec), answer).right
        assert not TASK.check_answer(spec, canvas_HW, [*answer, "swaps"]).right


def test_missing_and_extra_boxes_are_rejected_and_their_order_is_free():
    spec = TASK.parse({"picture_seed": 7, "swaps": [["r1c1", "r2c4"]]})
    canvas_HW, two = TASK.canvas(spec), [TILE_BOXES[0], TILE_BOXES[7]]
    for words in (["swap", "r1c1", "r2c4"], ["swap", "r2c4", "r1c1"]):
        for boxes in (two, two[::-1]):
            assert TASK.check_thought(spec, canvas_HW, words, boxes, 1).right
        for boxes in ([], two[:1], [*two, two[0]], [*two, TILE_BOXES[3]], [two[0], two[0]], [FULL_BOX]):
            assert not TASK.check_thought(spec, canvas_HW, words, boxes, 1).right
    assert TASK.demonstrate(spec).steps[0].thought == "swap r1c1 r2c4 <edit> r1c1 r2c2 r3c7 r4c8"


def test_turns_needed_agree_with_breadth_first_search():
    rng = np.random.default_rng(2)
    for num_swaps in (1, 2, 3, 4) * 3:
        spec = shuffled_spec(rng, num_swaps)
        if TASK.turns_needed(spec) <= 3:
            picture_HW = PICTURES[picture_index(spec["picture_seed"])]
            assert TASK.turns_needed(spec) == fewest_swaps(TASK.canvas(spec), picture_HW)


def test_accepted_edits_are_exactly_the_swaps_that_are_right_as_thoughts():
    for spec in some_specs(8):
        canvas_HW = TASK.canvas(spec)
        expected = set()
        for a, b in itertools.combinations(range(16), 2):
            boxes = [TILE_BOXES[a], TILE_BOXES[b]]
            right = TASK.check_thought(spec, canvas_HW, ["swap", TILES[a], TILES[b]], boxes, 1).right
            swapped_HW = canvas_HW.copy()
            swapped_HW[boxes[0].mask()], swapped_HW[boxes[1].mask()] = (
                canvas_HW[boxes[1].mask()],
                canvas_HW[boxes[0].mask()],
            )
            inside = TASK.accepted_edits(spec, canvas_HW, region_mask(boxes), 1)
            assert [edit.tobytes() for edit in inside] == ([swapped_HW.tobytes()] if right else [])
            if right:
                expected.add(swapped_HW.tobytes())
        everywhere = TASK.accepted_edits(spec, canvas_HW, FULL_BOX.mask(), 1)
        assert {edit.tobytes() for edit in everywhere} == expected and len(everywhere) == len(expected)
        assert TASK.accepted_edits(spec, canvas_HW, np.zeros((GRID, GRID), bool), 1) == []


def test_useful_swaps_save_a_turn_and_the_canvas_given_is_left_alone():
    for spec in some_specs(10):
        canvas_HW = TASK.canvas(spec)
        before = canvas_HW.copy()
        picture_HW = PICTURES[picture_index(spec["picture_seed"])]
        for edit_HW in TASK.accepted_edits(spec, canvas_HW, FULL_BOX.mask(), 1):
            assert len(tiles_out_of_place(edit_HW, picture_HW)) < len(tiles_out_of_place(before, picture_HW))
        assert np.array_equal(canvas_HW, before)


def test_all_sixteen_pictures_occur_and_each_tells_its_tiles_apart():
    seen = {picture_index(seed) for seed in range(400)}
    assert seen == set(range(16)) and len({picture.tobytes() for picture in PICTURES}) == 16
    tiles = set()
    for picture_HW in PICTURES:
        assert len(np.unique(picture_HW)) == 64
        tiles |= {picture_HW[box.mask()].tobytes() for box in TILE_BOXES}
    assert len(tiles) == 16 * 16  # a tile alone tells the picture and its home


def test_hints_name_the_home_of_what_lies_there():
    for spec in some_specs(10):
        canvas_HW, hints_HW = TASK.canvas(spec), TASK.hints(spec)
        picture_HW = PICTURES[picture_index(spec["picture_seed"])]
        assert hints_HW.shape == (GRID, GRID) and hints_HW.min() >= 0 and hints_HW.max() < TASK.num_hints
        for box in TILE_BOXES:
            home = TILE_BOXES[int(np.unique(hints_HW[box.mask()]).item())]
            assert np.array_equal(canvas_HW[box.mask()], picture_HW[home.mask()])


def test_drawings_darken_with_the_ramp():
    drawings = np.stack([np.asarray(TASK.draw_cell(name), float) for name in TASK.cells])
    assert drawings.shape == (128, 16, 16, 3)
    lightness = drawings @ [0.2126, 0.7152, 0.0722]
    lightness = lightness.mean((1, 2)).reshape(2, 8, 8)
    assert (np.diff(lightness, axis=1) > 0).all() and (np.diff(lightness, axis=2) > 0).all()


def test_unreadable_and_doubled_tiles_are_judged_and_never_swapped_home_away():
    spec = TASK.parse({"picture_seed": 7, "swaps": [["r1c1", "r2c4"], ["r3c1", "r4c4"]]})
    canvas_HW = TASK.canvas(spec)
    canvas_HW[0, 0] = FOREIGN
    two = [TILE_BOXES[0], TILE_BOXES[7]]
    verdict = TASK.check_thought(spec, canvas_HW, ["swap", "r1c1", "r2c4"], two, 1)
    assert verdict.reason == "r1c1 shows no tile of the picture"
    assert verdict.components == {"well_formed": 1.0, "true": 1.0, "useful": 0.0}
    assert len(TASK.accepted_edits(spec, canvas_HW, FULL_BOX.mask(), 1)) == 1
    canvas_HW = TASK.canvas(spec)
    canvas_HW[2:4, 6:8] = canvas_HW[0:2, 0:2]  # r2c4 now shows its own tile, and so does r1c1
    verdict = TASK.check_thought(spec, canvas_HW, ["swap", "r1c1", "r2c4"], two, 1)
    assert not verdict.right and verdict.reason == "r2c4 is already in place"
    assert len(TASK.accepted_edits(spec, canvas_HW, FULL_BOX.mask(), 1)) == 1


GOOD = {"task": "jigsaw", "picture_seed": 7, "swaps": [["r1c1", "r2c4"]]}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"task": "maze"}, "task"),
        ({"pictures": 1}, "pictures"),
        ({"picture_seed": -1}, "-1"),
        ({"picture_seed": 2**31}, "2147483648"),
        ({"picture_seed": True}, "True"),
        ({"picture_seed": 7.0}, "7.0"),
        ({"picture_seed": float("nan")}, "nan"),
        ({"picture_seed": 10**5000}, "int"),
        ({"swaps": []}, "0 pairs"),
        ({"swaps": "r1c1"}, "r1c1"),
        ({"swaps": [["r1c1", "r1c2"]] * 17}, "17 pairs"),
        ({"swaps": [["r1c1", "r1c2"]] * 2}, "nothing"),
        ({"swaps": [["r1c1", "r1c1"]]}, "twice"),
        ({"swaps": [["r1c1", "r5c1"]]}, "r5c1"),
        ({"swaps": [["r1c1", "r01c2"]]}, "r01c2"),
        ({"swaps": [["r1c1", ["r1c2"]]]}, "swap 1"),
        ({"swaps": [["r1c1", "r1c2", "r1c3"]]}, "swap 1"),
        ({"swaps": [["r1c1", "r1c2"], {"a": 1}]}, "swap 2"),
    ],
)
def test_a_bad_file_is_refused_with_one_sentence_that_names_what_is_wrong(change, says):
    with pytest.raises(ProblemError) as error:
        TASK.parse({**GOOD, **change})
    assert says in str(error.value) and "\n" not in str(error.value) and len(str(error.value)) < 200


def test_missing_fields_are_refused_and_a_missing_task_is_not():
    assert TASK.parse({key: GOOD[key] for key in ("swaps", "picture_seed")}) == GOOD
    for key in ("picture_seed", "swaps"):
        with pytest.raises(ProblemError, match=f"{key} is missing"):
            TASK.parse({name: value for name, value in GOOD.items() if name != key})


JSON = json_values(*TILES)


@settings(max_examples=150, deadline=None)
@given(JSON | st.fixed_dictionaries({"picture_seed": JSON | st.just(3), "swaps": JSON}, optional={"task": JSON}))
def test_parse_raises_nothing_but_problem_errors(data):
    spec = parsed(TASK, data)
    assert spec is None or 1 <= TASK.turns_needed(spec) <= 16


@settings(max_examples=100, deadline=None)
@given(
    st.integers(0, 2**32),
    st.lists(st.sampled_from(WORDS) | st.text(max_size=5), max_size=5),
    st.lists(st.sampled_from([*TILE_BOXES, FULL_BOX]), max_size=3),
    st.integers(1, 20),
)
def test_verifiers_never_raise_on_any_canvas(seed, words, boxes, turn):
    rng = np.random.default_rng(seed)
    spec = shuffled_spec(rng, int(rng.integers(1, 6)))
    canvas_HW = np.where(rng.random((GRID, GRID)) < 0.1, rng.integers(-1, 128, (GRID, GRID)), TASK.canvas(spec))
    for say in (words, ["swap", *words[:2]], ["swap", *rng.choice(TILES, 2).tolist()]):
        TASK.check_thought(spec, canvas_HW, say, boxes, turn)
        TASK.check_answer(spec, canvas_HW, say)
    TASK.is_solved(spec, canvas_HW)
    for edit_HW in TASK.accepted_edits(spec, canvas_HW, rng.random((GRID, GRID)) < 0.99, turn):
        assert 0 < (edit_HW != canvas_HW).sum() <= 8
