"""Makes what the training of ``checkpoints/scenes`` starts from; its TRAINING.md says how it goes on from there.

    python checkpoints/begin_scenes.py --output runs/scenes-begin

An image tokenizer for the drawings of the two tasks, and a policy whose layers and whose vectors of common words are
those of a checkpoint that already reads boards and names regions.  Its other vectors are new.  Those of numbers get
points on circles besides, in which sums are turns, so that addition need not be learnt pair by pair.

Axes: V vocabulary, D width, N numbers, F features.
"""

from __future__ import annotations

import argparse
import math

import torch

from mmreason.layouts.vocabulary import MAX_NUMBER, Vocabulary, build_text_tokenizer
from mmreason.models.modeling import InterleavedDiffusionModel
from mmreason.sampling.generators import torch_generator
from mmreason.sampling.pipeline import InterleavedReasoningPipeline
from mmreason.sampling.scheduler import MaskedDiffusionScheduler
from mmreason.training.supervised.pretrain import build_policy
from mmreason.training.supervised.vqvae import VQTrainConfig, codes_needed, train_vqvae

TASKS = ("visual_search", "chart_refocus")
PERIODS = (130.0, 65.0, 32.0, 20.0, 16.0, 10.0, 8.0, 5.0, 4.0, 3.0, 2.0)
SIZES = ("hidden_size", "intermediate_size", "num_attention_heads", "num_hidden_layers", "hint_layer")
OF_A_VOCABULARY = ("tokens.weight", "output.weight", "hints.weight")


def with_body(body: InterleavedReasoningPipeline, vocabulary: Vocabulary, seed: int) -> InterleavedDiffusionModel:
    """A policy for ``vocabulary`` with the layers of ``body``; words that both know keep their vectors."""
    sizes = {name: getattr(body.transformer.config, name) for name in SIZES}
    policy = build_policy(vocabulary, seed, grid_size=vocabulary.grid, **sizes)
    new, old, generator = policy.state_dict(), body.transformer.state_dict(), torch_generator("body", seed)
    for name, weight in old.items():
        if name not in OF_A_VOCABULARY:
            new[name] = weight.clone()
            continue
        new[name] = torch.randn(new[name].shape, generator=generator) * weight.std()
        if name != "hints.weight":
            for word in vocabulary.words.keys() & body.vocabulary.words.keys():
                new[name][vocabulary.words[word]] = weight[body.vocabulary.words[word]]
    policy.load_state_dict(new)
    return policy


@torch.no_grad()
def put_on_circles(policy: InterleavedDiffusionModel, vocabulary: Vocabulary, seed: int) -> None:
    """Add to the vectors of the numbers their places on circles of several periods, and on a line."""
    number_N1 = torch.arange(MAX_NUMBER + 1.0)[:, None]
    angle_NF = 2 * math.pi * number_N1 / torch.tensor(PERIODS)
    features_NF = torch.cat((angle_NF.cos(), angle_NF.sin(), 2 * number_N1 / MAX_NUMBER - 1), dim=1)
    features_NF /= features_NF.norm(dim=1, keepdim=True)
    width = policy.config.hidden_size
    turned_DD = torch.linalg.qr(torch.randn(width, width, generator=torch_generator("circles", seed))).Q
    ids = [vocabulary.words[str(number)] for number in range(MAX_NUMBER + 1)]
    for table_VD, share in ((policy.tokens.weight, 1.0), (policy.output.weight, 0.7)):
        length = table_VD[ids].norm(dim=1).mean()
        table_VD[ids] += share * length * features_NF @ turned_DD[: features_NF.shape[1]]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--output", required=True, help="folder of the checkpoint that is written")
    parser.add_argument("--body", default="checkpoints/next/small", help="checkpoint whose layers it begins with")
    parser.add_argument("--vq_steps", type=int, default=1000, help="steps of the image tokenizer before its codes")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    vqvae = train_vqvae(VQTrainConfig(codes_needed(TASKS), args.vq_steps, seed=args.seed, tasks=TASKS))
    tokenizer = build_text_tokenizer(TASKS)
    vocabulary = Vocabulary.of(tokenizer, vqvae.config["num_vq_embeddings"])
    policy = with_body(InterleavedReasoningPipeline.from_pretrained(args.body), vocabulary, args.seed)
    put_on_circles(policy, vocabulary, args.seed)
    pipe = InterleavedReasoningPipeline(policy, vqvae, tokenizer, MaskedDiffusionScheduler())
    pipe.save_pretrained(args.output, max_shard_size="9MB")


if __name__ == "__main__":
    main()
