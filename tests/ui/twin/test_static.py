"""The page as a folder: opened from the disk with the network off, every section drawn, nothing asked for."""

from __future__ import annotations

import io
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import axe_playwright_python
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from mmreason.__main__ import main
from mmreason.rewards.assignment import GRANULARITIES, SCALES
from mmreason.traces.file import load
from mmreason.traces.opening import open_rollouts
from mmreason.ui import twin
from mmreason.ui.browser import files as files_module
from mmreason.ui.group.gather import group_of
from mmreason.ui.group.view import found_in
from mmreason.ui.group.whatif import WhatIf, push_value
from mmreason.ui.inspect.bundled import bundled, open_bundled
from mmreason.ui.twin import MAX_BYTES
from tests.helpers.browser import HOSTILE
from tests.helpers.firefox import firefox
from tests.helpers.firefox import opened as opened_firefox

ROOT = Path(__file__).parents[3]
AXE = Path(axe_playwright_python.__file__).with_name("axe.min.js")
# Times between turns of the page's own event loop, in ms.
TURNS = """() => {
  let last = performance.now();
  window.turns = [];
  setInterval(() => {
    window.turns.push(performance.now() - last);
    last = performance.now();
  }, 5);
}"""
pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("static") / "twin"
    assert main(["make", "static", "--output", str(made)]) == 0
    return made


@pytest.fixture
def opened(browser: Browser, folder: Path) -> Iterator[Page]:
    """The folder in a browser without a network; at the end the console must be clean, and nothing asked for."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, offline=True, accept_downloads=True)
    page = context.new_page()
    troubles: list[str] = []
    asked: list[str] = []
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("console", lambda said: troubles.append(said.text) if said.type in ("error", "warning") else None)
    page.on(
        "request", lambda sent: None if sent.url.startswith(("file:", "data:", "blob:")) else troubles.append(sent.url)
    )
    page.on("requestfailed", lambda sent: troubles.append(f"not there: {sent.url}"))
    page.goto((folder / "index.html").as_uri())
    yield page
    assert page.evaluate("window.PWNED") is None
    assert troubles == []
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
    context.close()


def section(page: Page, name: str) -> None:
    page.get_by_role("tab", name=name, exact=True).click()
    expect(page.locator(f"#{name.lower()}")).to_be_visible()


def colours(page: Page, selector: str) -> int:
    """How many there are on a canvas as it is seen."""
    shot = Image.open(io.BytesIO(page.locator(selector).first.screenshot())).convert("RGB")
    return len(shot.getcolors(1 << 24) or ())


def test_every_section_is_drawn_from_the_disk_without_a_network(opened):
    expect(opened.locator(".mm-player .puzzle-name")).to_contain_text("maze, medium")
    expect(opened.locator(".mm-player .card")).not_to_have_count(0, timeout=20_000)
    assert colours(opened, ".mm-player .canvas") > 50  # the codes' pictures
    opened.locator(".examples").select_option(label="sudoku, medium")
    expect(opened.locator(".mm-player .puzzle-name")).to_contain_text("sudoku, medium")
    section(opened, "Inspect")
    name, sentence = opened.locator(".mm-group .about-name"), opened.locator(".mm-group .sentence")
    expect(name).to_contain_text("maze")
    expect(sentence).to_contain_text("Joint pushes it")
    expect(opened.locator(".mm-group .scroller img").first).to_be_visible()
    whole = "all => all.every((image) => image.complete && image.naturalWidth > 0)"
    opened.wait_for_function(f"() => ({whole})([...document.querySelectorAll('.mm-group .scroller img')].slice(0, 2))")
    opened.locator(".mm-group .point").click()
    expect(opened.locator(".mm-group .segment")).to_be_visible()
    opened.locator(".groups").select_option(index=1)
    expect(name).to_contain_text("jigsaw")
    section(opened, "Cost")
    expect(opened.locator("#cost .race")).to_be_visible()
    expect(opened.locator("#cost .arm")).to_have_count(4)
    knob = opened.locator("#cost [role=slider]")
    knob.press("End")
    expect(opened.locator("#cost .reads")).to_contain_text("At 100 % of the canvas")
    section(opened, "Results")
    expect(opened.locator("#results .mm-chart")).to_have_count(5)
    expect(opened.locator("#results")).to_contain_text("factorized")
    opened.reload()
    expect(opened.locator("#results")).to_be_visible()  # the address names the section


def test_its_figures_are_saved_from_the_disk(opened):
    section(opened, "Results")
    opened.locator("#results .mm-save summary").first.click()
    for_sure = opened.locator("#results .mm-save[open]")
    with opened.expect_download() as download:
        for_sure.get_by_role("button", name="PNG").click()
    assert Path(str(download.value.path())).read_bytes().startswith(b"\x89PNG")
    section(opened, "Inspect")
    opened.locator(".mm-group .cell.image").first.click()
    opened.locator(".mm-group .difference figcaption").get_by_text("of the pixels").wait_for()
    opened.locator(".mm-group .picture-files summary").click()
    with opened.expect_download() as download:
        opened.locator(".mm-group .picture-files").get_by_role("button", name="PNG").click()
    with Image.open(str(download.value.path())) as strip:
        assert len(strip.convert("RGB").getcolors(1 << 24) or ()) > 50  # the pictures themselves


def test_it_fits_a_phone(opened):
    opened.set_viewport_size({"width": 390, "height": 844})
    for name in ("Watch", "Inspect", "Cost", "Results"):
        section(opened, name)
        assert opened.evaluate("document.documentElement.scrollWidth") == 390, name


def test_a_puzzle_is_solved_in_the_browser_to_its_verdict(opened):
    """From the disk, without a network: nothing is loaded before it is asked for, and the page stays responsive."""
    assert opened.evaluate("Object.keys(twin.solver)") == []
    says = opened.locator(".solver-says")
    expect(says).to_contain_text("checkpoint base (3.7 million parameters")
    expect(says).to_contain_text("10 MB that are loaded once")
    opened.locator(".solver-difficulty").select_option("easy")
    expect(opened.locator(".mm-player .puzzle-name")).to_have_text("maze, easy, seed 1")
    assert opened.evaluate("Object.keys(twin.solver)") == ["puzzles"]
    opened.locator(".solver-solve").click()
    opened.locator(".mm-player[data-state=running]").wait_for(timeout=60_000)
    opened.evaluate(TURNS)
    expect(opened.locator(".solver")).to_have_count(1)  # no part of a component has its name, or its style
    opened.locator(".mm-player[data-state=finished]").wait_for(timeout=120_000)
    turns = opened.evaluate("window.turns")
    opened.locator(".mm-player .live").click()
    expect(opened.locator(".mm-player .result-line")).to_contain_text("Solved in")
    expect(opened.locator(".mm-player .cost")).to_contain_text("blocks attention")
    expect(opened.locator(".mm-player .card").last).to_contain_text("moves")
    expect(opened.locator(".solver-state")).to_contain_text("It took this browser")
    print(opened.locator(".solver-state").inner_text(), f"The page stood still for {max(turns):.0f} ms at most.")
    assert len(turns) > 20
    opened.locator(".mm-player .show-expected").click()
    expect(opened.locator(".mm-player .expected li")).not_to_have_count(0)
    opened.add_script_tag(content=AXE.read_text())
    found = opened.evaluate(
        "async () => (await axe.run('.solver', { preload: false })).violations.map((each) => each.id)"
    )
    assert found == []


@pytest.mark.slow
@pytest.mark.skipif(firefox() is None, reason="no Firefox is installed")
def test_firefox_solves_from_the_disk_as_well(folder, tmp_path):
    with opened_firefox(tmp_path / "profile", {}) as page:
        page.goto((folder / "index.html").as_uri(), 390, 844)
        page.ask(
            "(() => { const choice = document.querySelector('.solver-difficulty'); choice.value = 'easy';"
            "choice.dispatchEvent(new Event('change')); })()"
        )
        page.click(".solver-solve")
        page.wait("document.querySelector('.mm-player').dataset.state === 'finished'")
        page.click(".mm-player .live")
        assert "Solved in" in page.wait("document.querySelector('.mm-player .result-line')?.textContent")
        print("Firefox:", page.ask("document.querySelector('.solver-state').textContent"))
        assert page.errors == []


def test_a_solve_in_the_browser_stops_when_it_is_told(opened):
    opened.locator(".solver-difficulty").select_option("hard")
    opened.locator(".solver-solve").press("Enter")
    opened.locator(".mm-player[data-state=running]").wait_for(timeout=60_000)
    opened.locator(".solver-stop").press("Enter")
    expect(opened.locator(".solver-state")).to_have_text("Stopped.")
    expect(opened.locator(".mm-player")).to_have_attribute("data-state", "stopped")
    expect(opened.locator(".solver-solve")).to_be_focused()
    frames = opened.locator(".mm-player .scrub").get_attribute("max")
    opened.wait_for_timeout(500)
    assert opened.locator(".mm-player .scrub").get_attribute("max") == frames
    opened.locator(".solver-solve").click()
    opened.locator(".mm-player[data-state=running]").wait_for()
    opened.locator(".examples").select_option(label="sudoku, medium")  # what was being solved is given up
    expect(opened.locator(".mm-player .puzzle-name")).to_contain_text("sudoku, medium")
    expect(opened.locator(".solver-stop")).to_be_hidden()


def test_files_that_are_not_there_are_named_and_asked_for_again(browser, folder, tmp_path):
    """So are broken weights, and a worker that does not start: whatever failed, the next try begins anew."""
    copied = tmp_path / "twin"
    shutil.copytree(folder, copied)
    (copied / "solver" / "weights.js").rename(copied / "weights.js")
    page = browser.new_context(offline=True).new_page()
    page.goto((copied / "index.html").as_uri())
    page.locator(".solver-solve").click()
    expect(page.locator("#watch .trouble")).to_have_text(
        "The file of weights is not in the folder: make the folder again."
    )
    whole = (copied / "weights.js").read_text()
    broken = "twin.whole = twin.solver.weights.numbers;\ntwin.solver.weights.numbers = twin.whole.slice(4);\n"
    (copied / "solver" / "weights.js").write_text(whole + broken)
    page.locator(".solver-solve").click()
    expect(page.locator("#watch .trouble")).to_have_text("The weights are not whole.", timeout=60_000)
    expect(page.locator(".solver-stop")).to_be_hidden()
    page.evaluate("twin.solver.weights.numbers = twin.whole; twin.works = twin.worker; twin.worker = 'nothing.here'")
    page.locator(".solver-solve").click()
    expect(page.locator("#watch .trouble")).to_contain_text("its worker does not start")
    page.evaluate("twin.worker = twin.works")
    page.locator(".solver-solve").click()
    page.locator(".mm-player[data-state=running]").wait_for(timeout=60_000)
    expect(page.locator("#watch .trouble")).to_be_hidden()
    page.context.close()


def test_a_folder_without_a_solver_offers_none(browser, tmp_path, monkeypatch):
    monkeypatch.setattr(twin, "_groups", lambda: {})
    assert main(["make", "static", "--no_solver", "--output", str(tmp_path / "twin")]) == 0
    assert not (tmp_path / "twin" / "solver").exists()
    page = browser.new_context(offline=True).new_page()
    page.goto((tmp_path / "twin" / "index.html").as_uri())
    expect(page.locator(".examples")).to_be_visible()
    expect(page.locator(".solver")).to_be_hidden()
    page.context.close()


def test_a_trace_that_a_visitor_opens_is_played_and_its_hostile_words_stay_text(opened, tmp_path):
    trace = load(ROOT / "assets" / "examples" / "jigsaw.json")  # of version 1, as ``solve`` once wrote it
    trace["problem"]["question"], trace["segments"][0]["frames"][-1]["tokens"][0] = HOSTILE
    path = tmp_path / "trace.json"
    path.write_text(json.dumps(trace))
    opened.locator(".trace-file").set_input_files(path)
    expect(opened.locator(".mm-player .puzzle-question")).to_have_text(HOSTILE[0])
    expect(opened.locator(".mm-player")).to_contain_text(HOSTILE[1], timeout=20_000)
    for content, said in (
        ("{", "is not JSON"),
        ("{}", "is not a trace of ours: it must have version, problem"),
        ('{"version": 1, "traces": []}', "is not"),
    ):
        path.write_text(content)
        opened.locator(".trace-file").set_input_files(path)
        expect(opened.locator("#watch .trouble")).to_contain_text(said)


def test_rollouts_that_a_visitor_opens_are_inspected_from_the_disk(opened, tmp_path):
    """A recorder's file with hostile words: grid, switch, every choice under What if, the drawer; then an older group
    that is drawn from its codes, and a file that is refused in a sentence and leaves what was open."""
    path = tmp_path / "rollouts.jsonl"
    assert main(["make", "rollouts", "--output", str(path), "--side", "64", "--turns", "2"]) == 0
    lines = path.read_text().splitlines()
    first = json.loads(lines[0])
    first["rollouts"][0]["parts"][0]["text"] = HOSTILE[0]
    path.write_text("\n".join([json.dumps(first), *lines[1:]]))
    group = group_of(open_rollouts(path), "")
    section(opened, "Inspect")
    expect(opened.locator(".mm-group .sentence")).to_contain_text("Joint pushes it")
    opened.locator(".rollouts-file").set_input_files(path)
    expect(opened.locator(".mm-group .about-source")).to_have_text("from rollouts.jsonl, read in this browser")
    expect(opened.locator(".mm-group .sentence")).to_have_text(push_value(group, 0, WhatIf())["sentence"])
    expect(opened.locator(".mm-group .rollout")).to_have_count(6)
    cell = opened.locator(".mm-group .cell[data-g='0'][data-s='0']")
    expect(cell).to_contain_text(HOSTILE[0][:40])
    whole = "() => [...document.querySelectorAll('.mm-group .scroller img')].every((one) => one.naturalWidth === 64)"
    opened.wait_for_function(whole)
    pushed = opened.locator(".mm-group .cell .push")
    joint = pushed.all_inner_texts()
    opened.locator(".mm-group .choice .factorized").click()
    assert pushed.all_inner_texts() != joint
    opened.locator(".mm-group .choice .joint").click()
    opened.locator(".mm-group .what-if summary").click()
    opened.locator(".mm-group .weight-image").fill("0")
    opened.locator(".mm-group .weight-image").press("Tab")
    expect(opened.locator(".mm-group .sentence")).to_have_text(push_value(group, 0, WhatIf(image=0.0))["sentence"])
    opened.locator(".mm-group .words").fill(HOSTILE[0][:12])
    expect(opened.locator(".mm-group .rollout")).to_have_count(1)
    cell.click()
    expect(opened.locator(".mm-group .segment-said")).to_have_text(HOSTILE[0])
    expect(opened.locator(".mm-group .four li")).to_have_count(4)
    opened.locator(".mm-group .close").click()
    opened.locator(".mm-group .clear").click()
    opened.locator(".mm-group .later").click()
    expect(opened.locator(".mm-group .rollout")).to_have_count(6)
    opened.locator(".rollouts-file").set_input_files(bundled()["jigsaw-hard-2"].path)
    expect(opened.locator(".mm-group .about-name")).to_have_text("jigsaw, hard, seed 1")
    opened.wait_for_function(whole.replace("64", "128"))
    opened.locator(".mm-group .cell.image").first.click()
    opened.locator(".mm-group .difference figcaption").get_by_text("of the pixels").wait_for()
    path.write_text(json.dumps({"version": 2, "prompts": [], "rollouts": [{"prompt": "x", "parts": []}]}))
    opened.locator(".rollouts-file").set_input_files(path)
    expect(opened.locator("#inspect > .trouble")).to_have_text(
        'In the file, rollouts[0].prompt must be the id of a prompt that stands before it, got "x".'
    )
    expect(opened.locator(".mm-group .about-name")).to_have_text("jigsaw, hard, seed 1")
    opened.locator(".groups").select_option(index=0)
    expect(opened.locator(".mm-group .about-name")).to_contain_text("maze")
    expect(opened.locator("#inspect > .trouble")).to_be_hidden()
    expect(opened.locator(".mm-group .weight-image")).to_be_hidden()


def test_the_inspector_shows_what_the_live_page_would_answer(opened):
    """Each recorded push is that of the live page, and a choice that was not recorded is refused in a sentence."""
    section(opened, "Inspect")
    expect(opened.locator(".mm-group .sentence")).not_to_be_empty()
    for token in bundled():
        group = open_bundled(token)
        for way in (WhatIf(granularity, scale) for granularity in GRANULARITIES for scale in SCALES):
            asked = {"prompt": 0, "granularity": way.granularity, "scale": way.scale}
            told = opened.evaluate("([token, asked]) => mm.ask(token, 'push', asked)", [token, asked])
            assert told == json.loads(json.dumps(push_value(group, 0, way)))
        found = opened.evaluate("([token]) => mm.ask(token, 'find', { prompt: 0, words: 'e' })", [token])
        assert [place[:2] for place in found] == [list(place) for place in found_in(group, 0, "e")]
    refused = opened.evaluate("(token) => mm.ask(token, 'push', { text: '2' }).catch((error) => error.message)", token)
    assert "computed by the live page" in refused


def test_the_folder_is_small_and_holds_each_sheet_once(folder):
    files = [path for path in folder.rglob("*") if path.is_file()]
    solver = [path for path in files if path.parent.name == "solver"]
    assert sum(path.stat().st_size for path in files) - sum(path.stat().st_size for path in solver) <= MAX_BYTES
    assert {path.name for path in solver} == {"weights.js", "puzzles.js"}
    assert sum(path.stat().st_size for path in solver) <= files_module.MAX_BYTES
    data = (folder / "data.js").read_text()
    assert data.count("data:image/png") == len(set(re.findall(r'sheets\["([0-9a-f]{16})"\]', data)))
    assert "</script" not in data


def test_a_folder_that_is_taken_is_left_as_it_is(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(twin, "_data", lambda: {})
    monkeypatch.setattr(twin, "_groups", lambda: {})
    words = ["make", "static", "--no_solver", "--output", str(tmp_path / "twin")]
    (tmp_path / "twin").mkdir()
    (tmp_path / "twin" / "thesis.txt").write_text("x")
    assert main(words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "holds thesis.txt" in line and "--overwrite" in line
    assert [path.name for path in (tmp_path / "twin").iterdir()] == ["thesis.txt"]
    assert main([*words, "--overwrite"]) == 0 and (tmp_path / "twin" / "thesis.txt").read_text() == "x"
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "index.html").write_text("mine")
    assert main(["make", "static", "--output", str(tmp_path / "other"), "--overwrite"]) == 2
    assert (tmp_path / "other" / "index.html").read_text() == "mine"


def test_overwriting_removes_what_it_wrote_and_nothing_else(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(twin, "_data", lambda: {})
    monkeypatch.setattr(twin, "_groups", lambda: {"groups/old.js": b'twin.groups["old"] = {};\n'})
    folder = tmp_path / "twin"
    words = ["make", "static", "--no_solver", "--output", str(folder), "--overwrite"]
    for name, text in (("groups/thesis.js", "mine"), ("solver/notes.txt", "mine")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    assert main(words) == 2 and "holds groups, which is not of this command" in capsys.readouterr().err
    (folder / "groups").rename(tmp_path / "groups")
    (folder / "solver").rename(tmp_path / "solver")
    assert main(words) == 0 and (folder / "groups" / "old.js").is_file()
    (tmp_path / "groups" / "thesis.js").rename(folder / "groups" / "thesis.js")
    (tmp_path / "solver").rename(folder / "solver")
    monkeypatch.setattr(twin, "_groups", lambda: {"groups/new.js": b'twin.groups["new"] = {};\n'})
    assert main(words) == 0
    assert sorted(path.name for path in (folder / "groups").iterdir()) == ["new.js", "thesis.js"]
    assert (folder / "solver" / "notes.txt").read_text() == "mine"


def test_too_large_a_folder_is_refused_in_a_sentence(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(twin, "_data", lambda: {"much": "x" * MAX_BYTES})
    assert main(["make", "static", "--no_solver", "--output", str(tmp_path / "twin")]) == 2
    assert "must have at most" in capsys.readouterr().err and not (tmp_path / "twin").exists()
