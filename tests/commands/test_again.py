"""The command that a results file notes: given again, it does the same."""

from __future__ import annotations

import importlib
import shlex

import pytest

from mmreason.__main__ import build_parser
from mmreason.commands._options.again import again

ELSEWHERE = "--checkpoint 'a folder' --ar b"
SAID = {
    "compute": [
        "",
        "--tasks maze sudoku --problems 8 --temperature 0.7 --no_memory",
        "--bidirectional a/b",
        ELSEWHERE,
    ],
    "report": ["", "--tasks maze --problems 12 --temperature 0", "--checkpoint 'my $HOME' --history 'on it.md'"],
    "race": ["", "--task transform --seed 9007199254740991 --against diffusion_full", ELSEWHERE],
    "make preset-gain": ["", "--seeds 3 --threads 1 --checkpoint 'my base'"],
    "make train-rate": ["", "--checkpoint 'my base' --output rate.json"],
}


def parsed(name: str, words: list[str]):
    first, *rest = name.split()
    return build_parser([first])[0].parse_args([first, *rest, *words])


def module(name: str):
    return importlib.import_module(f"mmreason.commands.{name.replace(' ', '.').replace('-', '_')}")


@pytest.mark.parametrize(("name", "words"), [(name, words) for name, all_of in SAID.items() for words in all_of])
def test_given_again_it_is_the_same(name, words):
    args = parsed(name, shlex.split(words))
    said = again(name, module(name).add_arguments, args, "seed", "checkpoint")
    start, *noted = said.partition(f"python -m mmreason {name}")[1:]
    assert start and parsed(name, shlex.split("".join(noted))) == args


def test_what_is_always_said_is_said_and_what_is_not_to_be_is_not():
    args = parsed("race", ["--seed", "7", "--out", "mine.json"])
    said = again("race", module("race").add_arguments, args, "task", "sampling_seed", without=("out",))
    assert said == "python -m mmreason race --task maze --seed 7 --sampling_seed 0"
