"""The autoregressive baseline's sampler: one token a forward, on the same cache and the same account.

The problem, which is given, is encoded at once and sees all of itself; after it every token sees those
before it.  A segment is generated in raster order of its cells, a text up to its ``<end>``.  The last token
of a segment is forwarded together with the place of the next segment's first one, so each token is
forwarded once (that of the problem's last cell twice: when it is encoded, and to begin the first thought).

Axes: B rollouts in a batch, L block positions, P position fields, V vocabulary.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
import torch

from mmreason.errors import ConfigError
from mmreason.models.cache import PrefixCache
from mmreason.sampling.rollout import Rollout
from mmreason.sampling.sampler import Sampler
from mmreason.sampling.unmask import log_distribution, sample_tokens
from mmreason.tokenizers.layout import NEXT_FIELDS, PADDING, Piece, pack, positions, problem_piece


class AutoregressiveSampler(Sampler):
    """Runs rollouts in lockstep, a token at a time; ``num_steps``, ``threshold`` and ``order`` play no part."""

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        if self.config.region == "confidence":
            raise ConfigError("region must be stated or full for an autoregressive model, got 'confidence'")
        tokens = [self.vocabulary.prompt(r.problem) for r in self.rollouts]
        self.problems = [problem_piece(token, r.canvas_tokens) for token, r in zip(tokens, self.rollouts, strict=True)]

    def begin_with(self, segments, generator) -> None:
        """Going on from changed segments is the diffusion sampler's; raises ConfigError."""
        raise ConfigError(
            "checkpoint must be a diffusion policy to go on from changed segments, got an autoregressive one"
        )

    def _encode_problems(self) -> None:
        first = self.rollouts[:: self.num_generations]
        packed = pack([[piece] for piece in self.problems[:: self.num_generations]], self.vocabulary.pad).with_next()
        row_B, keep_BL = torch.arange(len(first)), packed.segment_BL != PADDING
        last_B = keep_BL.sum(dim=1) - 1  # forwarded again, with the place of the first thought
        packed.positions_BLP[row_B, last_B, -len(NEXT_FIELDS) :] = torch.from_numpy(
            positions("text", 1)[0, NEXT_FIELDS]
        )
        keep_BL[row_B, last_B] = False
        self.cache.allocate(self.model.norm.weight, len(first))
        width = packed.ids_BL.shape[1]
        self.cache.reserve(width)
        began = time.perf_counter()
        packed = packed.to(self.device)
        self.model(
            packed.ids_BL,
            packed.positions_BLP,
            packed.causal_mask(),
            cache=self.cache,
            keep_BL=keep_BL.to(self.device),
        )
        self._count(first, width, 0, 0, time.perf_counter() - began)
        self._share_problems()

    def _denoise(
        self, modality, active: list[Rollout], pending: list[Piece | None], turn: int, kinds
    ) -> Iterator[None]:
        """Generate one segment a row; ``pending`` holds the segments before, whose last tokens begin it.

        Rows that are done leave the forward; what they have cached stays.
        """
        if pending[0] is None:
            pending = list(self.problems)  # the first thought: no rollout has ended yet
        last = [piece.last for piece in pending if piece is not None]
        ids_B = torch.tensor([int(piece.ids[0]) for piece in last], device=self.device)
        own_BP = np.stack([piece.positions[0] for piece in last])
        places = [positions("text", turn) if cells is None else positions("image", turn)[cells] for cells, _ in kinds]
        width = max(length for _, length in kinds)
        tokens_BL = torch.full((len(active), width), self.vocabulary.mask, device=self.device)
        rows, cache = list(range(len(active))), self.cache
        for j in range(width):
            going = [b for b in rows if active[b].draft is not None]
            if not going:
                break
            if len(going) < len(rows):
                self._take_back(rows, cache)
                rows, cache = going, self.cache.select(torch.tensor(going, device=self.device))
            rollouts = [active[b] for b in rows]
            place_BP = np.stack([places[b][j] for b in rows])
            position_BP = np.concatenate([own_BP[rows], place_BP[:, NEXT_FIELDS]], axis=1)
            logits_BV = self._next_logits(ids_B[rows], torch.from_numpy(position_BP), rollouts, cache)
            logp_BV = log_distribution(logits_BV, self.allowed[modality], self.config.temperature)
            uniform_B = self._uniform(rollouts, 1, [(None, 1)] * len(rows))[:, 0]
            drawn_B = sample_tokens(logp_BV[:, None], uniform_B[:, None], self.config.temperature)[:, 0]
            logprobs = logp_BV.gather(-1, drawn_B[:, None])[:, 0].tolist()
            ids_B[rows] = tokens_BL[rows, j] = drawn_B
            own_BP[rows] = place_BP
            tokens, at = tokens_BL[rows].tolist(), [i == j for i in range(width)]
            for row, rollout in enumerate(rollouts):
                if modality == "text" and tokens[row][j] == self.vocabulary.end:
                    rollout.shorten(j + 1)
                rollout.add_frame(j + 1, tokens[row], at, [logprobs[row] if here else 0.0 for here in at])
            yield None
        self._take_back(rows, cache)

    def _take_back(self, rows: list[int], cache: PrefixCache) -> None:
        """Keep what ``rows`` have appended to a cache of their own."""
        if cache is not self.cache:
            self.cache.put(torch.tensor(rows, device=self.device), cache)

    def _next_logits(
        self, ids_B: torch.Tensor, position_BP: torch.Tensor, rollouts: list[Rollout], cache: PrefixCache
    ) -> torch.Tensor:
        """(B, V) scores of the next token of each row; the token that it follows is appended to ``cache``."""
        columns = cache.num_columns
        cache.reserve(columns + 1)
        seen_BM = torch.arange(columns + 1, device=self.device) < (cache.length_B + 1)[:, None]
        began = time.perf_counter()
        hidden_BLD = self.model(
            ids_B[:, None],
            position_BP[:, None].to(self.device),
            seen_BM[:, None, None],
            cache=cache,
            keep_BL=torch.ones(len(ids_B), 1, dtype=torch.bool, device=self.device),
            read_back=True,
        ).hidden_BLD
        self._count(rollouts, 1, columns, 1, time.perf_counter() - began)
        return self.model.logits(hidden_BLD[:, 0])
