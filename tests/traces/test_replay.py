"""What holds of the replay: it shows every step, and only masked cells are hatched."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmreason.errors import TraceError, WriteError
from mmreason.rewards.verify import Verifier
from mmreason.tasks import FIRST_TASKS, make_problem
from mmreason.traces.file import check, to_json
from mmreason.traces.replay import CELL, MARGIN, SIZE, Scene, draw_scene, scenes, write_gif
from tests.helpers.standin import SHEET, WORDS, partial, stand_in_trace

VERIFIER = Verifier(WORDS, SHEET)


def json_of(task: str = "maze", difficulty: str = "medium"):
    return to_json(VERIFIER.score(stand_in_trace(make_problem(task, difficulty, 5))), WORDS, SHEET)


@pytest.mark.parametrize("task", FIRST_TASKS)
def test_the_replay_is_a_small_animated_gif(task: str, tmp_path: Path) -> None:
    data = json_of(task)
    write_gif(data, SHEET, tmp_path / "replay.gif")
    with Image.open(tmp_path / "replay.gif") as gif:
        assert gif.format == "GIF" and gif.size == SIZE
        durations = []
        for i in range(getattr(gif, "n_frames", 1)):
            gif.seek(i)
            durations.append(gif.info["duration"])
    assert sum(durations) == sum(scene.milliseconds for scene in scenes(check(data)))
    assert (tmp_path / "replay.gif").stat().st_size < 2_000_000


def test_canvas_cells_keep_the_colours_of_the_sheet_and_masked_ones_do_not() -> None:
    codes = np.array(json_of()["canvas_codes"])
    codes[9] = -1
    picture = np.asarray(draw_scene(Scene(codes, "", ()), SHEET))
    for cell, code in enumerate(codes.tolist()):
        top, left = MARGIN + cell // 8 * CELL, MARGIN + cell % 8 * CELL
        shown = picture[top : top + CELL, left : left + CELL][1::3, 1::3]
        assert np.array_equal(shown, SHEET[code]) == (code >= 0)


def test_words_appear_as_they_are_committed_and_stop_at_the_end() -> None:
    shown = [scene.words for scene in scenes(check(json_of())) if scene.caption == "turn 1: thought"]
    masked = [words.count(None) for words in shown]
    assert masked == sorted(masked, reverse=True) and masked[0] == 12 and masked[-1] == 0
    assert "<end>" not in shown[-1]


def test_an_unfinished_trace_has_a_replay(tmp_path: Path) -> None:
    trace = partial(VERIFIER.score(stand_in_trace(make_problem("jigsaw", "easy", 5))))
    write_gif(to_json(trace, WORDS, SHEET), SHEET, tmp_path / "replay.gif")


def test_codes_beyond_the_sheet_and_paths_that_cannot_be_written_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="below 1, the size of the codebook"):
        write_gif(json_of(), SHEET[:1], tmp_path / "replay.gif")
    with pytest.raises(WriteError, match="cannot write"):
        write_gif(json_of(), SHEET, tmp_path)
