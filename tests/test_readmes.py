"""The READMEs: their links and anchors lead somewhere, and their tables are those of the files."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from urllib.parse import unquote

import pytest

from mmreason.__main__ import build_parser
from mmreason.analysis.figures import tables
from mmreason.commands import command_names
from mmreason.commands._options.files import page_of
from mmreason.places import ANALYSIS_PAGE, CHECKPOINTS_PAGE

ROOT = Path(__file__).parents[1]
LISTED = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True).stdout
COMMITTED = [name for name in LISTED.split("\0") if name and (ROOT / name).exists()]
PAGES = sorted(name for name in COMMITTED if Path(name).name == "README.md")
RESULTS = ROOT / "assets" / "results"
MAX_BYTES = 8 * 1024  # a newcomer reads the first page to its end


def read(name: str) -> dict:
    return json.loads((RESULTS / f"{name}.json").read_text())


BLOCKS = tables()


def prose(page: str) -> str:
    """A page without its code."""
    text = re.sub(r"^ *```.*?^ *```", "", (ROOT / page).read_text(), flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"`[^`\n]*`", lambda code: code[0][1:-1].replace("[", "").replace("]", ""), text)


def anchors(page: Path) -> set[str]:
    """What GitHub makes of the headings."""
    headings = re.findall(r"^#+ (.*)$", prose(str(page.relative_to(ROOT))), flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_to_a_committed_file_and_a_heading_that_is_there(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = unquote(link).partition("#")
        target = ((ROOT / page).parent / path).resolve() if path else ROOT / page
        assert target.is_relative_to(ROOT) and target.exists(), link
        assert any((ROOT / name).is_relative_to(target) for name in COMMITTED), link
        assert not anchor or anchor in anchors(target), link


def test_every_rooms_page_is_reached_from_the_first_one():
    seen, left = set(), ["README.md"]
    while left:
        page = left.pop()
        if page not in seen:
            seen.add(page)
            links = re.findall(r"\]\(([^)\s#]+\.md)", prose(page))
            left += [str(((ROOT / page).parent / link).resolve().relative_to(ROOT)) for link in links]
    of_weights = re.compile(r"checkpoints/\w+/\w+/")  # the cards of what comparisons start from
    rooms = {page for page in PAGES if page.startswith(("mmreason/", "checkpoints/")) and not of_weights.match(page)}
    assert rooms <= seen


def test_the_first_page_is_one_that_is_read_to_its_end():
    assert (ROOT / "README.md").stat().st_size <= MAX_BYTES


def test_every_picture_is_shown_somewhere():
    shown = "".join((ROOT / page).read_text() for page in PAGES)
    assert [name for name in COMMITTED if re.match(r"assets/[^/]+\.png", name) and Path(name).name not in shown] == []


@pytest.mark.parametrize(("page", "name"), BLOCKS, ids=lambda value: value)
def test_a_table_is_the_one_that_its_file_gives(page, name):
    begin, end = f"<!-- {name} -->\n", f"\n<!-- /{name} -->"
    assert (ROOT / page).read_text().partition(begin)[2].partition(end)[0] == BLOCKS[page, name]


@pytest.mark.parametrize(
    ("command", "page", "block"),
    [
        ("report", CHECKPOINTS_PAGE, "success:base"),
        ("compute", ANALYSIS_PAGE, "compute"),
        ("reproduce", ANALYSIS_PAGE, "reproduce"),
    ],
)
def test_a_command_that_writes_a_table_says_where_and_there_it_stands(command, page, block):
    assert f"(default: {page}," in " ".join(build_parser([command])[1][command].format_help().split())
    assert (page, block) in BLOCKS


def test_of_a_result_elsewhere_only_the_page_that_is_asked_for_is_written():
    assert page_of(None, ANALYSIS_PAGE, is_usual=True) == ANALYSIS_PAGE
    assert page_of(None, ANALYSIS_PAGE, is_usual=False) is None
    assert page_of("own.md", ANALYSIS_PAGE, is_usual=False) == "own.md"


@pytest.mark.parametrize("which", ["first", "second", "third"])
def test_what_earlier_comparisons_found_is_reported_as_it_was(which):
    found = json.loads((RESULTS / "earlier" / f"{which}.json").read_text())
    page = (ROOT / "mmreason/analysis/README.md").read_text()
    (row,) = re.findall(rf"^\| {which} \|.*$", page, flags=re.MULTILINE)
    for difference in (found["difference"], found["greedy"]["difference"]):
        low, high = difference["ci95"]
        assert f"| {difference['mean']:+.4f} ({low:+.4f} to {high:+.4f}) |" in row
    for number in (found["base"]["mean"], found["joint"]["mean"], found["factorized"]["mean"]):
        assert f"| {number:.3f} |" in row
    for gain in ("gain_over_joint", "gain_over_base"):
        assert f"| {found[gain]['mean']:+.1%} |" in row
    assert f"| {found['protocol']['points'][-1]} | {len(found['paired_seeds'])}" in row


def test_the_frozen_map_is_reported_as_it_was():
    page = (ROOT / "mmreason/analysis/README.md").read_text()
    for place in json.loads((RESULTS / "earlier" / "map.json").read_text())["places"]:
        low, high = place["ci95"]
        rates = " | ".join(f"{place[arm]:.3f}" for arm in ("base", "joint", "factorized"))
        assert f"| {place['place']} | {rates} | {place['difference']:+.3f} ({low:+.3f} to {high:+.3f}) |" in page


@pytest.mark.parametrize("page", PAGES)
def test_the_commands_that_a_page_names_are_there(page):
    for name in re.findall(r"python -m mmreason ([a-z][\w-]*)", (ROOT / page).read_text()):
        assert name in command_names()
