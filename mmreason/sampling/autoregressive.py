"""The autoregressive baseline's sampler: one token a forward, on the same cache and the same account.

The problem, which is given, is encoded at once and sees all of itself; after it every token sees those
before it.  A segment is generated in raster order of its cells, a text up to its ``<end>``.  The last token
of a segment is forwarded together with the place of the next segment's first one, so each token is
forwarded once (that of the problem's last cell twice: when it is encoded, and to begin the first thought).

Axes: B rollouts in a batch, L block positions, P position fields, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from mmreason.backbones.causal import CausalRows
from mmreason.errors import ConfigError
from mmreason.layouts.cells import NEXT_FIELDS, Piece
from mmreason.sampling.rollout import Rollout
from mmreason.sampling.sampler import Sampler
from mmreason.sampling.unmask import log_distribution, sample_tokens


class AutoregressiveSampler(Sampler):
    """Runs rollouts in lockstep, a token at a time; ``num_steps``, ``threshold`` and ``order`` play no part."""

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        for name, right in (("region", "stated or full"), ("default_region", "end, all or a box")):
            if getattr(self.config, name) == "confidence":
                raise ConfigError(f"{name} must be {right} for an autoregressive model, got 'confidence'")

    def begin_with(self, segments, generator) -> None:
        """Going on from changed segments is the diffusion sampler's; raises ConfigError."""
        raise ConfigError(
            "checkpoint must be a diffusion policy to go on from changed segments, got an autoregressive one"
        )

    def _encode_problems(self) -> None:
        prompts = [self.vocabulary.prompt(r.problem) for r in self.rollouts]
        self.last = [  # of each row, the piece whose last token begins the next segment
            self.layout.problem_piece(asked, r.canvas_tokens) for asked, r in zip(prompts, self.rollouts, strict=True)
        ]
        first = self.rollouts[:: self.num_generations]
        problems, following = self.last[:: self.num_generations], self.layout.text_positions(1)[0]
        self.causal, done = CausalRows.encoded(self.model, problems, self.vocabulary.pad, following)
        self._count(first, done, 0)
        if self.num_generations > 1:
            self.causal = self.causal.select([r for r in range(len(first)) for _ in range(self.num_generations)])

    def _leave_out_others(self, going: list[int]) -> None:
        self.causal = self.causal.select(going)

    def _finish(self, active: list[Rollout]) -> None:
        self.last: list[Piece] = [self.layout.clean_piece(rollout.segments[-1]) for rollout in active]

    def _denoise(self, active: list[Rollout]) -> Iterator[None]:
        """Generate one segment a row; the last tokens of the segments before begin it.

        Rows that are done leave the forward; what they have cached stays.
        """
        last = [piece.last for piece in self.last]
        ids_B = torch.tensor([int(piece.ids[0]) for piece in last], device=self.device)
        own_BP = np.stack([piece.positions[0] for piece in last])
        drafts = [rollout.draft for rollout in active if rollout.draft]
        width, is_text = max(draft.length for draft in drafts), drafts[0].words > 0
        allowed_V = self.allowed["text" if is_text else "image"]
        places = [draft.piece(self.layout, np.zeros(draft.length, np.int64)).positions for draft in drafts]
        tokens_BL = torch.full((len(active), width), self.vocabulary.mask, device=self.device)
        rows, here = list(range(len(active))), self.causal
        for j in range(width):
            going = [b for b in rows if active[b].draft is not None]
            if not going:
                break
            if len(going) < len(rows):
                self._take_back(rows, here)
                rows, here = going, self.causal.select(going)
            rollouts = [active[b] for b in rows]
            place_BP = np.stack([places[b][j] for b in rows])
            position_BP = np.concatenate([own_BP[rows], place_BP[:, NEXT_FIELDS]], axis=1)
            done = here.forward(ids_B[rows], torch.from_numpy(position_BP))
            self._count(rollouts, done, 1)
            logits_BV = self.model.logits(done.hidden_BLD[:, 0])
            logp_BV = log_distribution(logits_BV, allowed_V, self.config.temperature)
            uniform_B = self._uniform(rollouts, 1, [1] * len(rows))[:, 0]
            drawn_B = sample_tokens(logp_BV[:, None], uniform_B[:, None], self.config.temperature)[:, 0]
            logprobs = logp_BV.gather(-1, drawn_B[:, None])[:, 0].tolist()
            ids_B[rows] = tokens_BL[rows, j] = drawn_B
            own_BP[rows] = place_BP
            tokens, at = tokens_BL[rows].tolist(), [i == j for i in range(width)]
            for row, rollout in enumerate(rollouts):
                if is_text and tokens[row][j] == self.vocabulary.end:
                    rollout.shorten(j + 1)
                rollout.add_frame(j + 1, tokens[row], at, [logprobs[row] if now else 0.0 for now in at])
            yield None
        self._take_back(rows, here)

    def _take_back(self, rows: list[int], here: CausalRows) -> None:
        """Keep what ``rows`` have appended to a cache of their own."""
        if here is not self.causal:
            self.causal.put(rows, here)
