"""Demonstrations as packed training batches: a clean sequence and noisy copies of every segment.

For an autoregressive policy the clean sequence alone, each token to be predicted from those before it.

Axes: B rows, L sequence positions.
"""

from __future__ import annotations

import itertools
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.data import Dataset

from mmreason.codecs.cells import CellCodec
from mmreason.disk import one_line
from mmreason.errors import ConfigError, TaskError
from mmreason.layouts.cells import CellsLayout, Piece, clean_length
from mmreason.layouts.packing import Packed, pack, pack_blocks, row_length, widest_edit
from mmreason.records import Box, Problem, parse_boxes
from mmreason.seeds import numpy_generator
from mmreason.tasks import TASKS, atlas, demonstrated, hint_labels, make_problem
from mmreason.tasks.dataset.task import DataTask
from mmreason.tasks.own import known, source_of
from mmreason.tasks.picture import resized
from mmreason.tasks.task import NO_HINT
from mmreason.training.supervised.config import CorpusConfig, LessonsConfig

NO_TARGET = -1
COUNTED = 200  # train problems of a difficulty whose demonstrated texts say how many slots a task needs
LAST_TURN = 12  # of a demonstration that begins at a later turn: two more than any problem needs
FEW_SHAPES = (48, 4, 9)  # lengths, blocks and widths are padded to multiples, for a compiled step and for a GPU
AS_LONG_AS_IT_IS = (1, 1, 1)  # on a CPU what is padded costs time, a third of it where problems are short


@dataclass(frozen=True, slots=True)
class Example:
    """A demonstration in token ids.  ``segments`` holds (turn, cells or None, ids) in order."""

    prompt: tuple[int, ...]  # the task's token, then further words of the question
    canvas: np.ndarray  # (H·W)
    segments: tuple[tuple[int, np.ndarray | None, np.ndarray], ...]
    hints: np.ndarray  # (H·W) labels or NO_HINT

    @property
    def length(self) -> int:
        """Tokens to generate, what follows ``<end>`` included."""
        return sum(len(ids) for _, _, ids in self.segments)


@dataclass(frozen=True, slots=True)
class Batch:
    """A packed batch and what it should predict: targets lie on masked positions, or one before their token."""

    packed: Packed
    target_BL: torch.Tensor  # NO_TARGET where nothing is asked
    hint_BL: torch.Tensor  # NO_HINT where nothing is asked
    num_problems: int


class Encoder:
    """Problems and demonstrations → token ids."""

    def __init__(self, layout: CellsLayout, code_of_cell: np.ndarray, codec: CellCodec | None = None) -> None:
        self.words = layout.vocabulary.words
        self.layout = layout
        self.code_of_cell = code_of_cell  # code of each drawing in the atlas
        self.codec = codec  # of tasks on pictures

    def canvas_ids(self, task: str, canvas_HW: np.ndarray) -> np.ndarray:
        """(H·W) image-token ids of a canvas of local cell ids, or of a picture."""
        picture = TASKS[task].image(canvas_HW)
        if picture is not None:
            if self.codec is None:
                raise ConfigError(f"the task {task} is on pictures, which needs an image tokenizer")
            side = self.codec.grid[0] * self.codec.pixels_per_code
            return self.layout.first_code + self.codec.encode(resized(picture, side)).ravel()
        if self.codec is not None and self.codec.grid != canvas_HW.shape:  # a cell is several codes
            if self.codec.grid[0] % canvas_HW.shape[0]:
                rows, tokens = canvas_HW.shape[0], self.codec.grid[0]
                raise ConfigError(
                    f"the task {task} has {rows} rows of cells, which {tokens} rows of codes cannot hold"
                )
            drawn = resized(atlas().draw(task, canvas_HW), self.codec.grid[0] * self.codec.pixels_per_code)
            return self.layout.first_code + self.codec.encode(drawn).ravel()
        return self.layout.first_code + self.code_of_cell[atlas().global_ids(task, canvas_HW).ravel()]

    def text_ids(self, text: str, slots: int | None = None) -> np.ndarray:
        """The ids of a text segment of ``slots`` (default: all there are): its words, then ``<end>`` to the end."""
        slots = slots or self.layout.text_length
        lacks = [word for word in text.split() if word not in self.words]
        if lacks or len(text.split()) >= slots:
            wrong = f"has the words {', '.join(lacks)}, which are none of the task's" if lacks else "is too long"
            raise TaskError(f"the demonstration {one_line(text, 120)!r} {wrong}: at most {slots - 1} fit")
        return np.array(self.layout.filled([self.words[word] for word in text.split()], slots))

    def _boxes(self, thought: str) -> list[Box]:
        boxes = parse_boxes(thought.split(), self.layout.cells)
        if isinstance(boxes, str):
            raise TaskError(f"the demonstration {one_line(thought, 120)!r} cannot be carried out: {boxes}")
        return boxes

    def hints(self, problem: Problem) -> np.ndarray:
        """(H·W) labels of the start canvas, those of a cell at each of its tokens."""
        labels = hint_labels(problem.task, problem.spec, self.layout.vocabulary.tasks)
        down, across = (n // m for n, m in zip(self.layout.grid, labels.shape, strict=True))
        return labels.repeat(down, axis=0).repeat(across, axis=1).ravel()

    def example(self, problem: Problem, full_region: bool = False, first_turn: int = 1) -> Example:
        """The canonical solution of ``problem`` in token ids, its turns numbered from ``first_turn``."""
        demonstration = demonstrated(problem.task, problem.spec)
        slots = self.layout.slots(problem.task)
        segments: list[tuple[int, np.ndarray | None, np.ndarray]] = []
        for turn, step in enumerate(demonstration.steps, first_turn):
            everywhere = np.arange(self.layout.num_cells)
            cells = everywhere if full_region else self.layout.tokens_in(self._boxes(step.thought))
            segments.append((turn, None, self.text_ids(step.thought, slots)))
            segments.append((turn, cells, self.canvas_ids(problem.task, step.canvas)[cells]))
        last = first_turn + len(demonstration.steps)
        segments.append((last, None, self.text_ids(demonstration.answer, slots)))
        if self.layout.joint:  # the answer's picture is the canvas as it is
            cells = np.arange(self.layout.num_cells) if full_region or len(segments) == 1 else segments[-2][1]
            shown = demonstration.steps[-1].canvas if demonstration.steps else problem.canvas
            segments.append((last, cells, self.canvas_ids(problem.task, shown)[cells]))
        return Example(
            tuple(self.layout.vocabulary.prompt(problem)),
            self.canvas_ids(problem.task, problem.canvas),
            tuple(segments),
            self.hints(problem),
        )


@dataclass(frozen=True, slots=True)
class Row:
    """The pieces of one packed row, and what each noisy piece should predict."""

    clean: list[Piece]
    noisy: list[Piece]
    targets: list[np.ndarray]  # of each noisy piece; NO_TARGET where it shows the token
    hints: np.ndarray  # (H·W); NO_HINT where the row shows what comes after the problem

    @property
    def length(self) -> int:
        """Tokens of the row, padding left out."""
        return row_length([*self.clean, *self.noisy])


def units(example: Example, layout: CellsLayout) -> list[tuple[int, int, np.ndarray, np.ndarray]]:
    """(turn, words, cells, ids) of what is denoised in one go: each segment, or a joint turn's text and edit."""
    nowhere = np.arange(0)
    single = [
        (turn, 0 if cells is not None else len(ids), nowhere if cells is None else cells, ids)
        for turn, cells, ids in example.segments
    ]
    if not layout.joint:
        return single
    pairs = zip(single[::2], single[1::2], strict=True)
    return [
        (turn, words, cells, np.concatenate((said, drawn))) for (turn, words, _, said), (_, _, cells, drawn) in pairs
    ]


def clean_pieces(example: Example, layout: CellsLayout) -> list[Piece]:
    """The problem and the clean copy of every unit."""
    pieces = [layout.problem_piece(example.prompt, example.canvas)]
    for turn, words, cells, ids in units(example, layout):
        kept = clean_length(ids[:words], layout.vocabulary.end)
        pieces.append(layout.blank_piece(np.concatenate((ids[:kept], ids[words:])), kept, cells, turn))
    return pieces


def noisy_row(example: Example, num_copies: int, layout: CellsLayout, rng: np.random.Generator) -> Row:
    """One example with ``num_copies`` noisy copies of each unit, the first fully masked.

    A redraw of the whole canvas, long and mostly copied, gets one copy, fully masked in one row of ``num_copies``.
    """
    clean = clean_pieces(example, layout)[:-1]  # nothing follows the answer, so its clean copy is never seen
    noisy, targets = [], []
    for turn, words, cells, ids in units(example, layout):
        redraw = not words and len(cells) == layout.num_cells
        for copy in range(1, 2 if redraw else num_copies + 1):
            hidden = np.ones(len(ids), dtype=bool)
            if copy > 1 or (redraw and rng.random() > 1 / num_copies):
                hidden = rng.random(len(ids)) < rng.random()
                hidden[rng.integers(len(ids))] = True
            shown = np.where(hidden, layout.mask, ids)
            noisy.append(layout.blank_piece(shown, words, cells, turn, copy))
            targets.append(np.where(hidden, ids, NO_TARGET))
    return Row(clean, noisy, targets, example.hints)


def whole_rows(row: Row) -> list[Row]:
    """A row for each noisy copy of ``row``, with what came before it: with full attention it sees all of that."""
    rows = []
    for number, (piece, target) in enumerate(zip(row.noisy, row.targets, strict=True)):
        before = [clean for clean in row.clean if clean.segment < piece.segment]
        hints = np.full_like(row.hints, NO_HINT) if number else row.hints  # later ones show what the labels say
        rows.append(Row(before, [piece], [target], hints))
    return rows


def collate(rows: Sequence[Row], layout: CellsLayout, multiples: tuple[int, int, int] = AS_LONG_AS_IT_IS) -> Batch:
    """Pack rows and lay their targets alongside; with full attention each noisy copy comes before all else."""
    if layout.attention == "full":
        packed = pack([[*row.noisy, *row.clean] for row in rows], layout.pad, multiples[0])
        columns, canvas = [[0] for _ in rows], [len(row.noisy[0].ids) + 1 for row in rows]
    else:
        clean, noisy = [row.clean for row in rows], [row.noisy for row in rows]
        packed, columns = pack_blocks(clean, noisy, layout.pad, *multiples)
        canvas = [1] * len(rows)
    target_BL = torch.full(packed.ids_BL.shape, NO_TARGET)
    hint_BL = torch.full(packed.ids_BL.shape, NO_HINT)
    for b, row in enumerate(rows):
        for start, target in zip(columns[b], row.targets, strict=True):
            target_BL[b, start : start + len(target)] = torch.from_numpy(target)
        hint_BL[b, canvas[b] : canvas[b] + len(row.hints)] = torch.from_numpy(row.hints)
    problems = sum(bool((row.hints != NO_HINT).any()) for row in rows) if layout.attention == "full" else len(rows)
    return Batch(packed, target_BL, hint_BL, problems)


def collate_causal(
    examples: Sequence[Example], layout: CellsLayout, multiples: tuple[int, int, int] = AS_LONG_AS_IT_IS
) -> Batch:
    """Pack clean sequences; the target of each token is the next one, the problem's own tokens left out."""
    rows = [clean_pieces(example, layout) for example in examples]
    packed = pack(rows, layout.pad, multiples[0]).with_next()
    target_BL = torch.full(packed.ids_BL.shape, NO_TARGET)
    generated_BL = packed.segment_BL[:, 1:] > 0
    target_BL[:, :-1][generated_BL] = packed.ids_BL[:, 1:][generated_BL]
    hint_BL = torch.full(packed.ids_BL.shape, NO_HINT)
    hint_BL[:, 1 : 1 + layout.num_cells] = torch.from_numpy(np.stack([example.hints for example in examples]))
    return Batch(packed, target_BL, hint_BL, len(rows))


class DemonstrationBatches(Dataset):
    """Batch ``i`` is a pure function of (config, i), so a resumed run sees what it would have seen."""

    def __init__(
        self,
        config: CorpusConfig,
        encoder: Encoder,
        num_batches: int,
        split: str = "train",
        multiples: tuple[int, int, int] = AS_LONG_AS_IT_IS,
    ) -> None:
        self.config, self.encoder = config, encoder
        self.num_batches, self.split, self.multiples = num_batches, split, multiples
        self.sources = [source_of(task) for task in config.tasks]  # for a process that does not know them yet

    def __len__(self) -> int:
        return self.num_batches

    def __getitem__(self, index: int) -> list[Batch]:
        """The batch in parts of rows of like length, so that little is padding."""
        for source in self.sources:
            known(source)
        config, layout = self.config, self.encoder.layout
        rng = numpy_generator("demonstrations", config.seed, index)
        examples = []
        for problem, full in drawn(config, config.full_share, self.split, index, rng):
            first_turn = 1
            if rng.random() < config.late_start_share:
                first_turn = int(rng.integers(1, max(2, LAST_TURN - problem.turns + 1)))
            examples.append(self.encoder.example(problem, full, first_turn))
        if config.causal:
            examples.sort(key=lambda example: example.length)
            sizes = [len(example.prompt) + layout.num_cells + example.length for example in examples]
            return [collate_causal(examples[part], layout, self.multiples) for part in _parts(sizes, config)]
        rows = [noisy_row(example, config.num_copies, layout, rng) for example in examples]
        if layout.attention == "full":
            rows = sorted((each for row in rows for each in whole_rows(row)), key=lambda row: row.length)
        else:
            rows.sort(
                key=lambda row: (widest_edit(row.noisy) >= layout.num_cells, len(row.noisy), widest_edit(row.noisy))
            )
        return [collate(rows[part], layout, self.multiples) for part in _parts([row.length for row in rows], config)]


def needed_slots(config: CorpusConfig) -> dict[str, int]:
    """Slots of a text by task: the words of the longest one that is demonstrated, at any difficulty, and ``<end>``."""
    return {task: 1 + max(len(text.split()) for text in _texts(task, config.seed)) for task in config.tasks}


def _texts(name: str, seed: int) -> Iterator[str]:
    """What demonstrations of a task say: of every row of a dataset, of many problems of a generator."""
    task = TASKS[name]
    if isinstance(task, DataTask):
        yield from task.texts()
        return
    for difficulty, index in itertools.product(task.turns, range(COUNTED)):
        shown = demonstrated(name, make_problem(name, difficulty, seed, "train", index).spec)
        yield from (shown.answer, *(step.thought for step in shown.steps))


def _parts(lengths: Sequence[int], config: CorpusConfig) -> list[slice]:
    """Cut rows of the given lengths, sorted, into parts that stay under both limits (but for a longer row)."""
    parts, start = [], 0
    for stop in range(1, len(lengths) + 1):
        widest = max(lengths[start:stop])
        count = stop - start
        if count > config.rows_per_part or (count > 1 and widest * count > config.tokens_per_part):
            parts.append(slice(start, stop - 1))
            start = stop - 1
    return [*parts, slice(start, len(lengths))]


def drawn(
    config: LessonsConfig, full_share: float, split: str, index: int, rng: np.random.Generator
) -> Iterator[tuple[Problem, bool]]:
    """The problems of batch ``index``, and whether the edits of each redraw the whole canvas, ``full_share`` of them.

    One by one, as who asks draws from ``rng`` for a problem before the next one is drawn.
    """
    difficulties = {task: config.difficulties_of(task) for task in config.tasks}
    for i in range(config.problems_per_batch):
        task = draw(config.tasks, rng)
        difficulty = draw(difficulties[task], rng)
        problem = make_problem(task, difficulty, config.seed, split, index * config.problems_per_batch + i)
        yield problem, bool(rng.random() < full_share)


def draw(weights: Mapping[str, float], rng: np.random.Generator) -> str:
    """One of the names, in proportion to their weights."""
    names = list(weights)
    up_to = list(itertools.accumulate(weights.values()))
    return names[min(bisect_right(up_to, rng.random() * up_to[-1]), len(names) - 1)]
