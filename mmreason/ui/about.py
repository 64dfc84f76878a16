"""What the page says of itself: three figures, each from a file that a command wrote, and where all comes from."""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Callable, Mapping
from typing import Any

from mmreason.analysis.results_file import stored_or_none
from mmreason.ui.host import checkpoints
from mmreason.ui.host.settings import read_settings
from mmreason.ui.host.web.documents import address, document
from mmreason.wording import count, percent, seconds

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
CITE_SHEET = ("Cite", "Cite the method", CITE)
API = """# pip install gradio_client
from gradio_client import Client

client = Client("{here}")
end = client.predict(task="maze", difficulty="medium", seed=7, api_name="/solve")
print(end["state"], end["trace"]["rollouts"][0]["success"])

# The endpoints; client.view_api() tells their parameters:"""
SPACE = "SPACE_ID"  # the environment variable by which a Space knows its name
_SPACE_NAME = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)
COSTS = "assets/results/compute.json"
Link = tuple[str, str]  # what is read, where it leads


def header_value(endpoints: Mapping[str, Callable[..., Any]]) -> dict[str, Any]:
    """What the component ``header`` shows; ``endpoints`` are for programs, by name."""
    paper = {"title": PAPER_TITLE, "id": PAPER_ID, "address": PAPER_ADDRESS}
    return {"paper": paper, "figures": figures(), "links": _code(), "sheets": [_api(endpoints), CITE_SHEET]}


def still_header_value() -> dict[str, Any]:
    """The same without what only a server answers, for a page of plain files."""
    live = header_value({})
    return live | {"figures": [figure | {"link": ""} for figure in live["figures"]], "sheets": [CITE_SHEET]}


def _api(endpoints: Mapping[str, Callable[..., Any]]) -> tuple[str, str, str]:
    """The sheet for programs: how they ask, and what may be asked."""
    told = [f"# /{name}: {inspect.getdoc(run)}".splitlines()[0] for name, run in endpoints.items()]
    return "Use via API", "The same answers for a program", "\n".join([API, *told])


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
        found.append(_figure(count(number), "parameters", card, "From the model card of the checkpoint base"))
    try:
        costs = stored_or_none("compute") or {}
        local, full = (costs["arms"][f"diffusion_{region}"] for region in ("local", "full"))
        source = f"Measured by: {costs['command']}, on {costs['machine']['threads']} threads"
        solve = f"to sample a solve at threshold {costs['sampling']['threshold']:g}"
        share = percent(local["tokens_forwarded"] / full["tokens_forwarded"])
        found += [
            _figure(seconds(local["seconds_single"]), solve, COSTS, source),
            _figure(share, "of a full redraw's tokens, on average", COSTS, source),
        ]
    except (ValueError, KeyError, TypeError, ZeroDivisionError):
        pass
    return found


def _figure(value: str, says: str, name: str, source: str) -> dict[str, str]:
    return {"value": value, "says": says, "link": address(name), "source": source}


def _code() -> list[Link]:
    """Where the code is, and how to have a page like this; on a Space these are the Space's own."""
    space = os.environ.get(SPACE, "")
    if _SPACE_NAME.fullmatch(space):
        home = f"https://huggingface.co/spaces/{space}"
        return [("Code", f"{home}/tree/main"), ("Duplicate this Space", f"{home}?duplicate=true")]
    code = read_settings().code
    return [("Code", code)] if code.startswith("https://") else []
