"""What the page says of itself: three figures, each from a file that a command wrote, and where all comes from."""

from __future__ import annotations

import json
import os
import re
from typing import Any

from mmreason import places
from mmreason.ui.host import checkpoints
from mmreason.ui.host.settings import read_settings
from mmreason.ui.host.web.documents import address, document
from mmreason.ui.shell.words import count, percent, seconds

PAPER_TITLE = "Efficient Reinforcement for Visual-Textual Thinking with Discrete Diffusion Model"
PAPER_ID = "2606.14792"
PAPER_ADDRESS = f"https://arxiv.org/abs/{PAPER_ID}"
CITE = f"""@misc{{kim2026efficient,
  title = {{{PAPER_TITLE}}},
  author = {{Kim and Takida and Lai and Yang and Mitsufuji}},
  year = {{2026}},
  eprint = {{{PAPER_ID}}},
  archivePrefix = {{arXiv}},
  url = {{{PAPER_ADDRESS}}}
}}"""
SPACE = "SPACE_ID"  # the environment variable by which a Space knows its name
_SPACE_NAME = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)
COSTS = "assets/results/compute.json"
Link = tuple[str, str]  # what is read, where it leads


def header_value() -> dict[str, Any]:
    """What the component ``header`` shows."""
    paper = {"title": PAPER_TITLE, "id": PAPER_ID, "address": PAPER_ADDRESS}
    return {"paper": paper, "figures": figures(), "links": [*_code(), ("Use via API", "?view=api")], "cite": CITE}


def still_header_value() -> dict[str, Any]:
    """The same without what only a server answers, for a page of plain files."""
    live = header_value()
    return live | {"figures": [figure | {"link": ""} for figure in live["figures"]], "links": _code()}


def footer_value(build: str = "") -> dict[str, Any]:
    """What the component ``footer`` shows; ``build`` are versions and fingerprints."""
    cards = [(f"Model card: {name}", f"checkpoints/{name}/README.md") for name in checkpoints.checkpoint_names()]
    papers = [("Read me", "README.md"), *cards, ("Licence: Apache 2.0", "LICENSE")]
    links = [*_code(), *((says, address(name)) for says, name in papers if document(name))]
    return {"links": links, "build": build}


def figures() -> list[dict[str, str]]:
    """How small, how quick and how thrifty the model is: ``value``, ``says``, ``link`` and the ``source`` in words."""
    found = []
    card = "checkpoints/base/README.md"
    if (path := document(card)) and (parameters := re.search(r"([\d,]+) parameters", path.read_text("utf-8"))):
        number = int(parameters[1].replace(",", ""))
        found.append(_figure(count(number), "parameters", card, "the model card of the checkpoint base"))
    try:
        costs = json.loads((places.ROOT / COSTS).read_text(encoding="utf-8"))
        local, full = (costs["arms"][f"diffusion_{region}"] for region in ("local", "full"))
        source = f"{costs['command']}, on one core"
        share = percent(local["tokens_forwarded"] / full["tokens_forwarded"])
        found += [
            _figure(seconds(local["seconds_single"]), "to sample a solve, on average", COSTS, source),
            _figure(share, "of a full redraw's tokens, on average", COSTS, source),
        ]
    except (OSError, ValueError, KeyError, TypeError, ZeroDivisionError):
        pass
    return found


def _figure(value: str, says: str, name: str, source: str) -> dict[str, str]:
    return {"value": value, "says": says, "link": address(name), "source": f"Measured by: {source}"}


def _code() -> list[Link]:
    """Where the code is, and how to have a page like this; on a Space these are the Space's own."""
    space = os.environ.get(SPACE, "")
    if _SPACE_NAME.fullmatch(space):
        home = f"https://huggingface.co/spaces/{space}"
        return [("Code", f"{home}/tree/main"), ("Duplicate this Space", f"{home}?duplicate=true")]
    code = read_settings().code
    return [("Code", code)] if code.startswith("https://") else []
