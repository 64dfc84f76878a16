"""Blends the weights of two checkpoints of one training, of which each is better at something else.

    python checkpoints/blend.py EARLIER LATER --share 0.6 --output OUT

OUT is LATER with ``share`` of its transformer's weights and the rest of EARLIER's; where both lie in one basin, the
blend is often better than either (model soups, Wortsman et al. 2022, arXiv 2203.05482).
"""

from __future__ import annotations

import argparse

import torch

from mmreason.sampling.pipeline import InterleavedReasoningPipeline


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("earlier")
    parser.add_argument("later")
    parser.add_argument("--share", type=float, default=0.5, help="of the later one's weights (default: 0.5)")
    parser.add_argument("--output", required=True, metavar="DIR")
    args = parser.parse_args()
    if not 0 <= args.share <= 1:
        parser.error(f"--share must be from 0 to 1, got {args.share:g}")
    earlier, later = (InterleavedReasoningPipeline.from_pretrained(path) for path in (args.earlier, args.later))
    shapes = [{name: w.shape for name, w in pipe.transformer.state_dict().items()} for pipe in (earlier, later)]
    if shapes[0] != shapes[1]:
        parser.error(f"{args.earlier} and {args.later} must be of one training, got weights of unlike shapes")
    with torch.no_grad():
        for ours, theirs in zip(later.transformer.parameters(), earlier.transformer.parameters(), strict=True):
            ours.copy_(torch.lerp(theirs, ours, args.share))
    later.save_pretrained(args.output, max_shard_size="9MB")


if __name__ == "__main__":
    main()
