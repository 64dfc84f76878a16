"""The tab Inspect in a real browser, on the real app: groups, segments, what-if, files, and changed minds."""

from __future__ import annotations

import copy
import io
import json
import re
from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, Route, expect

from mmreason.errors import MMReasonError
from mmreason.rewards.verify import Verifier
from mmreason.tasks import make_problem
from mmreason.traces.file import load, save, to_json
from mmreason.traces.recorder import Recorder
from mmreason.ui.host.settings import name_of
from mmreason.ui.inspect.bundled import bundled
from mmreason.ui.inspect.events import CALLED, on_link, on_roll_typed, on_sample
from mmreason.ui.inspect.leak import bundled_leak
from mmreason.ui.inspect.sources import group_request, roll_link
from mmreason.ui.shell.component import read, script
from mmreason.ui.shell.field import at_field
from mmreason.ui.shell.words import sentence as sentence_of
from tests.helpers.browser import HOSTILE, ROOT, leaves, part, reload, settle
from tests.helpers.standin import SHEET, WORDS, stand_in_trace

GROUPS = sorted((ROOT / "assets" / "groups").glob("*.json"))
TRACE = ROOT / "assets" / "examples" / "maze.json"
# The leak's component with another value, as gradio draws it.
DRAW = """([template, script, value]) => {
  const element = document.querySelector('.mm-leak').parentElement;
  element.innerHTML = template;
  new Function('element', 'props', 'trigger', 'watch', script)(element, { value }, () => {}, () => {});
}"""


def inspect(visit, app: str, **options) -> Page:
    page = visit(app, **options)
    page.get_by_role("tab", name="Inspect").click()
    page.locator(".mm-group .cell").first.wait_for()
    return page


def inspect_maze(visit, app: str, **options) -> Page:
    """The sample with solved and unsolved rollouts."""
    page = visit(f"{app}/?group=maze-hard-2", **options)
    page.locator(".mm-group .about-name").get_by_text("maze, hard").wait_for()
    return page


def sentence(page: Page) -> str:
    return page.locator(".mm-group .sentence").inner_text()


def notice(page: Page) -> str:
    line = page.locator("#inspect-notice .notice:not([hidden])")
    line.wait_for()
    return line.inner_text()


def choose(page: Page, control: str, name: str) -> None:
    page.locator(f"#{control}").get_by_label(name, exact=True).click()


def upload(page: Page, *files: Path) -> None:
    choose(page, "source", "File")
    page.locator("#upload input[type=file]").wait_for(state="attached")
    page.locator("#upload input[type=file]").set_input_files([str(path) for path in files])


def saved(page: Page, place: str, ending: str) -> bytes:
    """What the first Save menu inside ``place`` gives."""
    menu = page.locator(f"{place} .mm-save").first
    menu.locator("summary").click()
    with page.expect_download() as download:
        menu.get_by_text(ending, exact=True).click()
    assert download.value.suggested_filename.endswith(ending.lower())
    return download.value.path().read_bytes()


# What is there on arrival


def test_a_sample_with_interference_is_open_on_arrival(app, visit):
    page = inspect(visit, app)
    assert "Joint pushes it" in sentence(page) and "factorized would push it" in sentence(page)
    expect(page.locator(".mm-group .counts")).to_contain_text(
        "rollout-modality pairs joint reverses the sign", use_inner_text=True
    )
    assert page.locator(".mm-group .bars .value-joint").inner_text()[0] in "+−"
    expect(page.locator(".mm-group .scroller")).to_contain_text("✗ unsolved", use_inner_text=True)
    page.locator(".mm-group .point").click()
    expect(page.locator(".mm-group .warning")).to_contain_text("Joint pushes this", use_inner_text=True)
    assert page.locator(".mm-leak .bars rect").count() >= 22
    expect(page.locator(".mm-leak figcaption")).to_contain_text("stronger one in", use_inner_text=True)


def test_a_mark_is_never_colour_alone(app, visit):
    page = inspect(visit, app)
    cell = page.locator(".mm-group .cell.harms").first
    expect(cell).to_contain_text("⚠", use_inner_text=True)
    assert "pushed against its own reward" in (cell.get_attribute("aria-label") or "")
    assert {"✓", "✗"} & set(cell.inner_text())


def rows(page: Page) -> list[str]:
    """The rows' heads from top to bottom."""
    return page.locator(".mm-group .line").evaluate_all(
        "lines => lines.sort((a, b) => a.ariaRowIndex - b.ariaRowIndex).map(l => l.firstElementChild.innerText)"
    )


def test_rollouts_are_sorted_and_filtered_by_what_is_chosen(app, visit):
    page = inspect_maze(visit, app, height=1600)
    page.locator(".mm-group .mode").select_option("marks")
    assert [int(text.split()[0]) for text in rows(page)] == list(range(1, 9))
    page.locator(".mm-group .sort").select_option("success")
    solved = ["✓" in text for text in rows(page)]
    assert solved == sorted(solved, reverse=True) and len(set(solved)) == 2
    page.locator(".mm-group .sort").select_option("reward")
    sums = [sum(map(float, text.replace("–", "0").split("words ")[1].split("pict. "))) for text in rows(page)]
    assert sums == sorted(sums, reverse=True) and len(set(sums)) > 1
    page.locator(".mm-group .filter").select_option("solved")
    assert len(rows(page)) == sum(solved) and page.locator(".mm-group .shown").inner_text().startswith("2 of 8")
    page.locator(".mm-group .clear").click()
    assert len(rows(page)) == 8


def test_a_segment_shows_tokens_pictures_rewards_and_four_advantages(app, visit):
    page = inspect_maze(visit, app)
    page.locator(".mm-group .cell.text[data-g='0'][data-s='0']").click()
    page.get_by_text("joint, turn by turn").wait_for()
    expect(page.locator(".mm-group .segment-title")).to_have_text("Rollout 1 · turn 1 · words", use_inner_text=True)
    tokens = page.locator(".mm-group .token")
    assert tokens.count() > 4 and "step" in tokens.first.inner_text() and "%" in tokens.first.inner_text()
    table = saved(page, ".mm-group .token-files", "CSV").splitlines()
    assert table[0] == b"position,token,probability,step" and len(table) == 1 + tokens.count()
    four = page.locator(".mm-group .four li")
    expect(four).to_have_count(4)
    for name in (
        "joint, whole rollout",
        "factorized, whole rollout",
        "joint, turn by turn",
        "factorized, turn by turn",
    ):
        expect(four.filter(has_text=name)).to_have_count(1)
    assert "/ (" in four.first.inner_text() and "0.0001" in four.first.inner_text()
    page.locator(".mm-group .close").click()
    page.locator(".mm-group .cell.image[data-g='0'][data-s='1']").click()
    page.locator(".mm-group .difference figcaption").get_by_text("of the pixels").wait_for()
    expect(page.locator(".mm-group .canvases figure")).to_have_count(5)
    with Image.open(io.BytesIO(saved(page, ".mm-group .picture-files", "PNG"))) as strip:
        assert strip.width == 5 * 408, "five pictures in a row"
        sides = [strip.convert("RGB").crop((at, 64, at + 380, 444)) for at in range(0, 5 * 408, 408)]
    assert all(len(side.getcolors(1 << 20) or ()) > 8 for side in sides), "each is drawn"
    assert len({side.tobytes() for side in sides}) == 5
    assert saved(page, ".mm-group .picture-files", "CSV").startswith(b"row,column,probability\r\n2,7,0.9")
    assert "%" in (page.locator(".mm-group .sure .frame").get_attribute("aria-label") or "")


def test_the_grid_is_walked_by_arrow_keys(app, visit):
    page = inspect(visit, app)
    page.locator(".mm-group .cell[data-g='0'][data-s='0']").click()
    for key, title in (
        ("ArrowRight", "Rollout 1 · turn 1 · picture"),
        ("ArrowDown", "Rollout 2 · turn 1 · picture"),
        ("ArrowLeft", "Rollout 2 · turn 1 · words"),
        ("ArrowUp", "Rollout 1 · turn 1 · words"),
    ):
        page.keyboard.press(key)
        assert page.locator(".mm-group .segment-title").inner_text() == title
    focused = "[document.activeElement.classList[0], document.activeElement.dataset.g]"
    assert page.evaluate(focused) == ["cell", "0"], "who walks stays in the grid"
    page.keyboard.press("Escape")
    assert page.locator(".mm-group .segment").is_hidden() and page.evaluate(focused) == ["cell", "0"]
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    assert page.evaluate(focused) == ["segment", None], "Enter leads into the drawer"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('.segment') !== null")
    page.keyboard.press("Escape")
    assert page.locator(".mm-group .segment").is_hidden() and page.evaluate(focused) == ["cell", "1"]
    scroller = page.locator(".mm-group .scroller")
    scroller.evaluate("one => { one.style.height = '160px'; one.scrollTo(0, one.scrollHeight); }")
    expect(page.locator(".mm-group .line[aria-rowindex='2']")).to_have_count(0)  # it is out of sight
    assert page.evaluate(focused) == ["cell", "1"], "who scrolls keeps the focus"
    expect(page.locator(".mm-group .cell[tabindex='0']")).to_have_count(1)
    page.locator(".mm-group .filter").select_option("unsolved")
    expect(page.locator(".mm-group .cell[tabindex='0']")).to_have_count(1)


# What if


def test_factorized_takes_every_mark_away_and_joint_brings_them_back(app, visit):
    page = inspect(visit, app)
    before = page.locator(".mm-group .cell.against").count()
    page.get_by_role("radio", name="factorized").click()
    assert before > 3 and page.locator(".mm-group .cell.against").count() == 0
    page.get_by_role("radio", name="joint").click()
    expect(page.locator(".mm-group .cell.against")).to_have_count(before)


def test_weights_turns_and_group_size_change_the_advantages(app, visit):
    page = inspect(visit, app)
    before = sentence(page)
    differs = "text => document.querySelector('.mm-group .sentence').textContent !== text"
    page.locator(".mm-group .what-if summary").click()
    for name, value in (("weight-image", "0"), ("size", "3")):
        field = page.locator(f".mm-group .{name}")
        field.fill(value)
        field.press("Tab")
        page.wait_for_function(differs, arg=before)
        page.get_by_role("button", name="As in training").click()
        page.get_by_text(before).wait_for()
    assert page.locator(".mm-group .discount").is_hidden()
    page.locator(".mm-group .granularity").select_option("turn")
    page.locator(".mm-group .what-if-said").get_by_text("turns compared").wait_for()
    assert page.locator(".mm-group .discount").is_visible()
    wrong = {"weight-text": ("999", "number from 0 to 100"), "size": ("99", "whole number from 1 to 8")}
    for name, (value, says) in (wrong | {"discount": ("", "number from 0 to 1")}).items():
        field = page.locator(f".mm-group .{name}")
        kept = field.input_value()
        field.fill(value)
        field.press("Tab")
        expect(field).to_have_attribute("aria-invalid", "true")
        expect(page.locator(f"#{field.get_attribute('aria-describedby')}")).to_contain_text(says)
        assert page.locator(".mm-group .trouble").is_hidden()  # the field itself says what would be right
        field.fill(kept)
        expect(page.locator(".mm-group .wrong-says")).to_have_count(0)
        expect(field).to_have_attribute("aria-invalid", "false")


def test_until_another_group_is_there_the_old_one_answers_for_itself_and_then_it_is_as_in_training(app, visit):
    """Its rewards are asked for once, with its own rollouts; what was chosen and searched before is not."""
    page = visit(f"{app}/?group=photographs")
    page.locator(".mm-group .about-source").get_by_text("another system").wait_for()
    asked: list[str] = []
    held: list[Route] = []
    page.on("request", lambda sent: asked.append(sent.url) if "/push?" in sent.url else None)
    page.locator(".mm-group .words").fill("r")
    page.locator(".mm-group .cell.hit").first.wait_for()
    page.route(re.compile("/rollouts/[^/]+/group[?]"), lambda route: held.append(route))
    page.get_by_role("combobox", name="Shipped sample").click()
    page.get_by_role("option", name="maze", exact=False).first.click()
    page.locator(".mm-group[aria-busy]").wait_for()
    before = sentence(page)
    page.locator(".mm-group .what-if summary").click()
    page.locator(".mm-group .weight-image").fill("0")
    page.locator(".mm-group .weight-image").press("Tab")
    expect(page.locator(".mm-group .sentence")).not_to_have_text(before)
    assert len(asked) == 1 and "/maze" not in asked[0]
    page.locator(".mm-group .later").click()  # of a group that is on its way out
    while not held:
        page.wait_for_timeout(20)
    held.pop().continue_()
    expect(page.locator(".mm-group .about-name")).to_contain_text("maze")
    expect(page.locator(".mm-group .weight-image")).to_have_value("1")
    expect(page.locator(".mm-group .words")).to_have_value("")
    expect(page.locator(".mm-group .cell.hit")).to_have_count(0)
    page.locator(".mm-group .look:not([hidden])").wait_for()
    assert len(asked) == 2 and "/maze-hard-2/" in asked[1]


# Rollouts of other systems


def test_a_group_of_photographs_is_filtered_sorted_recoloured_and_opened(app, visit):
    page = visit(f"{app}/?group=photographs")
    page.locator(".mm-group .about-source").get_by_text("another system").wait_for()
    shown = page.locator(".mm-group .cell img").first
    page.wait_for_function("document.querySelector('.mm-group .cell img').naturalWidth > 0")
    assert shown.evaluate("image => image.naturalWidth") <= 160
    page.locator(".mm-group .finding").get_by_text("right answers stand on a wrong last picture").click()
    assert page.locator(".mm-group .shown").inner_text().split()[0] == str(len(rows(page))) != "4"
    page.locator(".mm-group .clear").click()
    page.locator(".mm-group .sort").select_option("apart")
    assert len(rows(page)) == 4
    page.locator(".mm-group .words").fill("LOWER LEFT")
    page.locator(".mm-group .cell.hit").first.wait_for()
    assert 0 < page.locator(".mm-group .cell.hit").count() < 8
    page.locator(".mm-group .clear").click()
    page.get_by_role("radio", name="factorized").click()
    expect(page.locator(".mm-group .cell.against")).to_have_count(0)
    page.locator(".mm-group .later").click()
    page.locator(".mm-group .about-name").get_by_text("Which button").wait_for()
    page.locator(".mm-group .cell.image[data-g='1']").click()
    page.locator(".mm-group .difference figcaption").get_by_text("of the pixels").wait_for()
    expect(page.locator(".mm-group .where")).to_contain_text("480 × 320 pixels", use_inner_text=True)
    assert page.url.endswith("?group=photographs&prompt=2&rollout=2&segment=2")


def test_a_link_opens_its_segment(app, visit):
    page = visit(f"{app}/?group=photographs&prompt=2&rollout=3&segment=1")
    page.locator(".mm-group .segment-title").get_by_text("Rollout 3 · turn 1 · words").wait_for()
    assert page.get_by_role("tab", name="Inspect").get_attribute("aria-selected") == "true"
    assert "?group=photographs" in page.url
    page.get_by_role("tab", name="Cost").click()
    page.wait_for_function("() => location.search === '?tab=cost'")  # the address names nothing that is not looked at
    page.go_back()
    expect(page.get_by_role("tab", name="Inspect")).to_have_attribute("aria-selected", "true")
    assert "?group=photographs" in page.url
    page.go_forward()
    expect(page.get_by_role("tab", name="Cost")).to_have_attribute("aria-selected", "true")
    reload(page)
    expect(page.get_by_role("tab", name="Cost")).to_have_attribute("aria-selected", "true")
    assert page.url.endswith("/?tab=cost")
    settle(page)
    leaves(page)
    page.go_back()  # to what was shown before the page was loaded again
    page.locator(".mm-group .segment-title").get_by_text("Rollout 3 · turn 1 · words").wait_for()
    page.get_by_role("tab", name="Watch").click()
    page.wait_for_function("() => !location.search")


def test_where_nothing_can_be_copied_the_link_is_shown_and_selected(app, visit):
    page = visit(f"{app}/?group=photographs&prompt=2&rollout=3&segment=1")
    page.locator(".mm-group .segment-title").get_by_text("Rollout 3 · turn 1 · words").wait_for()
    page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    copy, field = page.locator(".mm-group .copy"), page.locator(".mm-group .copy-from")
    expect(field).to_be_hidden()
    copy.click()
    expect(copy).to_have_text("Press Ctrl+C to copy", use_inner_text=True)
    assert page.evaluate("getSelection().toString()") == field.input_value() == page.url
    page.keyboard.press("Escape")
    page.locator(".mm-group .cell[data-g='0'][data-s='0']").click()
    expect(copy).to_have_text("Copy link", use_inner_text=True)
    expect(field).to_be_hidden()


def test_figures_are_saved_as_pictures_and_tables(app, visit):
    page = inspect(visit, app)
    for place, ending, begins in (
        (".mm-group .marks-files", "CSV", b"rollout,segment,turn"),
        (".mm-group .marks-files", "SVG", b"<svg"),
        (".mm-group .dot-files", "PNG", b"\x89PNG"),
        (".mm-leak", "CSV", b"on,layer"),
    ):
        content = saved(page, place, ending)
        assert content.startswith(begins) and len(content) > 200


def test_the_leak_over_training_is_saved_too(app, visit):
    page = inspect(visit, app)
    value = bundled_leak()
    assert value is not None
    value["training"] = [
        {"step": step, "sign_conflict": share, "idle_push": 0.5} for step, share in ((1, 0.4), (9, 0.1))
    ]
    page.evaluate(DRAW, [read("leak/leak.html"), script("leak/leak"), value])
    expect(page.locator(".mm-leak .curve-title")).to_contain_text("first 40.0 %, last 10.0 %")
    assert saved(page, ".mm-leak .curve", "CSV") == b"step,sign conflict,idle push\r\n1,0.4,0.5\r\n9,0.1,0.5\r\n"
    assert saved(page, ".mm-leak .curve", "PNG").startswith(b"\x89PNG")


# Files


def test_good_files_are_opened_one_or_several(app, visit, tmp_path):
    page = inspect(visit, app)
    upload(page, GROUPS[1])
    page.get_by_text(f"from {GROUPS[1].name}").wait_for()
    whole = load(TRACE)
    for name in ("a", "b"):
        (tmp_path / f"{name}.json").write_text(json.dumps(whole))
    page.locator("#upload").get_by_label("Clear").or_(page.locator("#upload button[aria-label='Clear']")).first.click()
    upload(page, tmp_path / "a.json", tmp_path / "b.json")
    page.get_by_text("from 2 files").wait_for()
    assert len(rows(page)) == 2


def bad_files(folder: Path) -> list[tuple[Path, str]]:
    """Files that hold no rollouts, each with a word of its refusal that the one before lacks."""
    good = load(TRACE)

    def changed(**fields) -> bytes:
        return json.dumps({**copy.deepcopy(good), **fields}).encode()

    problem = good["problem"]
    contents = [
        (b"", "is not JSON"),
        (b'{"version": NaN}', "'version' must be 1 or 2"),
        (json.dumps(good).encode()[:-300], "is not JSON"),
        (b"[" * 100_000, "nested deeper"),
        (b"\x80\x04\x95pickle", "is not UTF-8 text"),
        (changed(version=3), "'version' must be 1 or 2"),
        (changed(problem={**problem, "image": "file:///etc/passwd"}), "problem.image"),
        (changed(segments=[{"kind": HOSTILE[0]}]), "segments"),
        (b"PK\x03\x04" + b"x" * 99, "must be a zip that can be read"),
        (b"PAR1" + b"x" * 99, "parquet"),
        (json.dumps({"version": 1, "traces": [good, 7]}).encode(), "traces[1]"),
    ]
    made = []
    for i, (content, says) in enumerate(contents):
        path = folder / f"bad{i}.json"
        path.write_bytes(content)
        made.append((path, says))
    return made


def test_bad_files_are_refused_in_a_sentence_each_and_the_group_stays_but_stands_back(app, visit, tmp_path):
    page = inspect(visit, app)
    before = sentence(page)
    expect(page.locator(".mm-group[data-stale]")).to_have_count(0)
    choose(page, "source", "File")
    for path, says in bad_files(tmp_path):
        page.locator("#upload input[type=file]").wait_for(state="attached")
        page.locator("#upload input[type=file]").set_input_files(str(path))
        page.wait_for_function(
            "says => (document.querySelector('#inspect-notice .notice').textContent || '').includes(says)", arg=says
        )
        assert "Traceback" not in notice(page) and sentence(page) == before
        expect(page.locator(".mm-group[data-stale]")).to_have_count(1)
        expect(page.locator("#upload button[aria-label='Clear']")).to_have_count(0)  # it has left the list
    good = tmp_path / "good.json"
    good.write_text(TRACE.read_text())
    page.locator("#upload input[type=file]").set_input_files(str(good))
    expect(page.locator("#inspect-notice .notice")).to_be_hidden()
    expect(page.locator(".mm-group[data-stale]")).to_have_count(0)
    assert ".json" in (page.locator("#upload input[type=file]").get_attribute("accept") or "")


def test_hostile_words_of_a_file_stay_text(app, visit, tmp_path):
    data = load(TRACE)
    for text in HOSTILE:
        spaced = "".join(text.split())[:60]
        data["end_reason"] = data["problem"]["question"] = text
        data["segments"][0]["text"] = text
        data["segments"][0]["frames"] = []
        data["segments"][0].pop("runners_up", None)
        data["segments"][0]["verdict"] = {"right": False, "reason": text, "components": {text[:60]: 1.0}}
        (tmp_path / "hostile.json").write_text(json.dumps(data))
        page = inspect(visit, app)
        upload(page, tmp_path / "hostile.json")
        page.get_by_text("from hostile.json").wait_for()
        page.locator(".mm-group .cell[data-g='0'][data-s='0']").click()
        page.locator(".mm-group .rewards dd").first.wait_for()
        page.wait_for_function(
            "text => document.querySelector('.mm-group .segment').textContent.replace(/\\s/g, '').includes(text)",
            arg=spaced[:20],
        )
        page.wait_for_timeout(300)
        assert page.evaluate("window.PWNED") is None


# Files that grow, and masks


@pytest.fixture()
def grown_file(tmp_path_factory, monkeypatch):
    """A file in the host's folder; the server of these tests runs in this process."""
    folder = tmp_path_factory.mktemp("host")
    monkeypatch.setenv(name_of("rollouts"), str(folder))
    return folder / "run.jsonl"


def record(path: Path, texts: str, prompt: str = "Where is it?") -> None:
    with Recorder(path) as recorder:
        for i, text in enumerate(texts):
            recorder.rollout([prompt, Image.new("RGB", (64, 48), "blue")]).text(f"words {text}", reward=i % 2).image(
                red(), region=ring(), reward=0.5
            )


def red() -> Image.Image:
    return Image.new("RGB", (64, 48), "red")


def ring() -> np.ndarray:
    mask = np.zeros((48, 64), bool)
    mask[8:40, 8:56] = True
    mask[16:32, 16:48] = False
    return mask


def test_a_file_that_grows_is_followed_rollout_by_rollout_and_a_cut_is_said(scripted_server, visit, grown_file):
    record(grown_file, "ab")
    page = visit(f"{scripted_server.address}?group=file:run.jsonl")
    page.locator(".mm-group .cell").first.wait_for()
    page.get_by_label("Follow the file as it grows").check()
    said = page.locator(".mm-group .followed")
    expect(said).to_contain_text("Nothing has been written")
    for count, text in ((3, "c"), (4, "d")):
        record(grown_file, text)
        expect(page.locator(".mm-group .shown")).to_have_text(f"{count} rollouts")
        expect(said).to_contain_text(f"{count} rollouts. The last came just now.")
    page.locator(".mm-group .cell[data-g='0'][data-s='0']").focus()
    record(grown_file, "e")
    expect(page.locator(".mm-group .shown")).to_have_text("5 rollouts")
    assert page.evaluate("document.activeElement.dataset.g") == "0", "the focus stays"
    record(grown_file, "f", prompt="Another?")
    expect(page.locator(".mm-group .about-name")).to_have_text("Another?")
    grown_file.write_text(grown_file.read_text().splitlines(keepends=True)[0])
    expect(said).to_contain_text("was cut or written anew: it held 6 rollouts and holds 1")
    expect(page.locator(".mm-group .shown")).to_have_text("1 rollout")
    assert "cut" in said.get_attribute("class")


def test_a_mask_is_drawn_on_the_picture_as_it_is(scripted_server, visit, grown_file):
    record(grown_file, "ab")
    page = visit(f"{scripted_server.address}?group=file:run.jsonl&rollout=1&segment=2")
    drawn = page.locator(".mm-group .canvases .mask-outline .over")
    drawn.nth(2).wait_for(state="attached")
    expect(drawn).to_have_count(3)  # before, after, and the difference
    expect(page.locator(".mm-group .mask-outline .hatch")).to_have_count(1)
    assert drawn.first.get_attribute("d").count("M") == 2
    expect(page.locator(".mm-group .where")).to_contain_text("what its mask covers (33 % of the picture), outlined")
    expect(page.locator(".mm-group .cell .mask-outline .over").first).to_be_attached()
    assert page.locator(".mm-group .outline").count() == 0, "no box around it"


# Rollouts, and changed minds


def roll_out(page, count):
    choose(page, "source", "Roll out")
    page.get_by_label("Rollouts", exact=True).fill(str(count))
    page.get_by_label("Rollouts", exact=True).press("Tab")
    page.locator("#roll-out").click()


def test_a_group_is_rolled_out_and_a_changed_thought_is_followed(app, visit):
    page = inspect(visit, app)
    roll_out(page, 2)
    page.get_by_text("rolled out by base at temperature 1").wait_for(timeout=120_000)
    assert len(rows(page)) == 2
    page.locator(".mm-group .cell[data-g='0'][data-s='0']").click()
    field = page.locator(".mm-group .mind-text")
    field.wait_for()
    old = field.input_value()
    page.locator(".mm-group .go-on").click()
    assert "change the words first" in notice(page).lower()
    field.fill("fly away")
    page.locator(".mm-group .go-on").click()
    page.get_by_text("does not know the word 'fly'").wait_for()
    head, _, region = old.partition(" <edit>")
    field.fill(head + " <edit> r1c1 r2c2" if region.strip() != "r1c1 r2c2" else head + " <edit> r1c3 r2c4")
    page.locator(".mm-group .go-on").click()
    page.locator("#duet .mm-duet:not([hidden])").wait_for(timeout=60_000)
    expect(page.locator("#duet .duet-title")).to_contain_text("instead of", use_inner_text=True)
    expect(page.locator("#duet .first-difference")).to_have_count(1)
    expect(page.locator("#duet .side .sums").first).to_have_text(re.compile("^words"), use_inner_text=True)


def test_what_is_opened_while_rollouts_run_stays_and_they_end(app, visit):
    page = inspect(visit, app)
    roll_out(page, 16)
    expect(page.locator("#roll-out")).to_be_disabled()
    upload(page, TRACE)
    page.get_by_text(f"from {TRACE.name}").wait_for()
    choose(page, "source", "Roll out")
    expect(page.locator("#roll-out")).to_be_enabled(timeout=60_000)
    expect(page.get_by_text(f"from {TRACE.name}")).to_be_visible()
    page.locator("#roll-out").click()  # another one is taken: the first has ended
    page.get_by_text("rolled out by base at temperature 1").wait_for(timeout=120_000)
    expect(page.locator("#roll-out")).to_be_enabled()


def test_what_is_opened_while_seven_more_run_stays(app, visit):
    page = visit(app)
    page.get_by_role("button", name="Inspect this").click()
    page.get_by_text(re.compile("Rolling out 7 more|segments so far")).first.wait_for()
    upload(page, TRACE)
    page.get_by_text(f"from {TRACE.name}").wait_for()
    roll_out(page, 2)  # another is taken: the seven have ended
    page.get_by_text("rolled out by base at temperature 1").wait_for(timeout=120_000)
    assert len(rows(page)) == 2


def test_a_redrawn_cell_is_followed(app, visit):
    page = inspect(visit, app)
    page.locator(".mm-group .cell.image[data-g='0'][data-s='1']").click()
    page.locator(".mm-group .mind-cell").wait_for()
    assert page.url.endswith("&rollout=1&segment=2")
    page.locator(".mm-group .go-on").click()
    page.locator("#duet .mm-duet:not([hidden])").wait_for(timeout=60_000)
    expect(page.locator("#duet .duet-title")).to_contain_text("shows", use_inner_text=True)
    assert page.locator(".mm-group .segment").is_hidden(), "the drawer would lie over the second board"
    assert page.evaluate("location.search") == f"?group={next(iter(bundled()))}", "no segment is open"
    page.locator(".mm-group .cell[data-g='0'][data-s='0']").click()
    page.locator(".mm-group .to-watch").wait_for()
    drawer = page.locator(".mm-group .segment")
    drawer.evaluate("drawer => drawer.scrollTo(0, 300)")
    page.locator(".mm-group .cell[data-g='0'][data-s='2']").dispatch_event("click")
    assert drawer.evaluate("drawer => drawer.scrollTop") == 0, "what is newly chosen is read from its head"
    page.locator(".mm-group .scroller").evaluate("scroller => scroller.scrollTo(0, 300)")
    upload(page, TRACE)
    page.get_by_text(f"from {TRACE.name}").wait_for()
    page.locator("#duet .mm-duet[hidden]").wait_for(state="attached")  # it was of the group before
    assert page.evaluate("[location.search, document.querySelector('.mm-group .scroller').scrollTop]") == [
        "?tab=inspect",
        0,
    ]


def test_a_run_goes_from_watch_to_inspect_and_a_rollout_back(app, visit):
    page = visit(app)
    page.get_by_role("button", name="Inspect this").click()
    page.locator(".mm-group .cell[data-g='7']").first.wait_for(timeout=60_000)  # seven more, this one first
    page.get_by_text("Rollout 1 is yours").wait_for()
    assert page.evaluate("[scrollY, location.search]") == [0, "?tab=inspect"], "a reload opens what is looked at"
    page.locator(".mm-group .cell").first.click()
    page.get_by_role("button", name="Open this rollout in Watch").click()
    page.locator(".mm-player[data-state=opened]").wait_for()
    page.wait_for_function("() => location.search === ''")
    page.go_back()
    page.locator(".mm-group .cell").first.wait_for()
    page.go_forward()
    page.locator(".mm-player[data-state=opened]").wait_for()
    part(page, "scrub").press("End")
    expect(part(page, "result-line")).to_contain_text("Solved", use_inner_text=True)


def test_side_by_side_is_of_the_prompt_that_is_looked_at(scripted, visit, tmp_path):
    for task in ("maze", "jigsaw"):
        trace = Verifier(WORDS, SHEET).score(stand_in_trace(make_problem(task, "easy", 7)))
        save(tmp_path / f"{task}.json", to_json(trace, WORDS, SHEET))
    page = inspect(visit, scripted.address)
    upload(page, tmp_path / "maze.json", tmp_path / "jigsaw.json")
    page.get_by_text("from 2 files").wait_for()
    page.locator(".mm-group .later").click()
    expect(page.locator(".mm-group .about-name")).to_contain_text("jigsaw")
    page.locator("#compare button").first.click()
    page.locator("#run-compare").click()
    expect(page.locator("#duet .duet-title")).to_contain_text("Jigsaw, easy", use_inner_text=True)


def test_a_mind_is_changed_in_watch_too(app, visit):
    page = visit(app)
    page.get_by_role("button", name="Change its mind").click()
    words = page.locator("#mind-words textarea, #mind-words input").first
    page.wait_for_function(
        "document.querySelector('#mind-words textarea, #mind-words input').value.includes('<edit>')"
    )
    words.fill("down 1 total 1 <edit> r1c1 r2c1")
    page.locator("#mind-go").click()
    page.locator("#mind-duet .mm-duet:not([hidden])").wait_for(timeout=60_000)
    expect(page.locator("#mind-duet .side")).to_have_count(2)


def test_on_a_phone_nothing_is_wider_than_the_page(app, visit):
    page = inspect(visit, app, width=390, height=844)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_how_sure_is_dark_on_amber_in_the_dark_and_without_figures_where_cells_are_narrow(app, visit):
    page = inspect_maze(visit, app, width=390, height=844, color_scheme="dark")
    page.locator(".mm-group .cell.image[data-g='0'][data-s='1']").click()
    sure = page.locator(".mm-group .sure-cell").first
    expect(sure).to_have_attribute("title", re.compile(r"r\dc\d .* %"))
    assert sure.evaluate("each => getComputedStyle(each).color") == "rgb(22, 24, 29)"
    figure = sure.locator(".sure-figure")
    expect(figure).to_be_hidden()
    sure.evaluate("each => { each.style.width = '24px'; }")
    expect(figure).to_be_visible()


def test_a_sample_that_is_open_already_is_not_opened_again():
    first, other, *_ = bundled()
    assert all(update == gr.skip() for update in on_sample(first, first))
    assert on_sample(first, other)[0] == other


def test_a_link_to_a_roll_out_fills_its_numbers_and_says_what_to_do():
    request, size = group_request("sudoku", "hard", 12, "base", 0.5, 4, 5)
    link = roll_link(request, size)
    answered = on_link(None, SimpleNamespace(query_params={"group": link, "rollout": "3"}))
    assert answered[2].endswith("Roll out makes the same ones again; it points to rollout 3.")
    assert answered[3:6] == ("sudoku", "hard", 12) and answered[7:11] == (0.5, 4, 5, "Roll out")
    assert answered[6].value == "base"
    for wrong, says in ((link.replace("base", "none"), "is not here"), (link.replace("size=5", "size=99"), "must be")):
        answered = on_link(None, SimpleNamespace(query_params={"group": wrong}))
        assert says in answered[2] and answered[3:10] == (gr.skip(),) * 7


def test_a_wrong_number_of_roll_out_is_told_at_its_field():
    for values, at in (
        ((-1, 1, 0, 8), "roll-seed"),
        ((1, 3, 0, 8), "roll-temperature"),
        ((1, 1, 0, 1000), "roll-size"),
    ):
        seed, temperature, sampling_seed, size = values
        with pytest.raises(MMReasonError) as found:
            group_request("maze", "easy", seed, "base", temperature, sampling_seed, size)
        said = at_field(sentence_of(found.value), CALLED)
        assert isinstance(said, dict) and said["at"] == at and "must be" in said["says"]
    assert at_field("All is well.", CALLED) == "All is well."


def test_roll_out_is_off_while_a_number_is_wrong_and_its_words_go_when_it_is_right():
    visit = SimpleNamespace(session_hash="nobody")
    right, wrong = ("maze", "easy", 1, "base", 1, 0, 8), ("maze", "easy", 1, "base", 1, 0, 0)
    says, button = on_roll_typed(visit, "Roll out", *wrong)
    assert says["at"] == "roll-size" and not button.interactive
    assert on_roll_typed(visit, "File", *wrong)[0] == ""
    says, button = on_roll_typed(visit, "Roll out", *right)
    assert says == "" and button.interactive


def test_a_link_to_what_is_not_there_opens_what_is_and_says_so():
    for asked, at, says in (
        ({"prompt": "2", "rollout": "3"}, (1, 2, 0), ""),
        ({"prompt": "2"}, (1, None, 0), ""),
        ({"rollout": "99"}, (0, None, 0), "The link names rollout 99, which is not here: there are 4"),
        ({"prompt": "0", "rollout": "1"}, (0, None, 0), "prompt 0, which is not here"),
        ({"rollout": "2", "segment": "x" * 99}, (0, 1, 0), "names segment xxx"),
    ):
        token, value, notice, *_ = on_link(None, SimpleNamespace(query_params={"group": "photographs", **asked}))
        assert (token, value["at"]) == ("photographs", at)
        assert says in notice and bool(says) == bool(notice)


def test_a_link_to_the_sample_that_a_page_opens_with_opens_nothing_again():
    first, other, *_ = bundled()
    link = lambda **asked: on_link(None, SimpleNamespace(query_params=asked))  # noqa: E731
    assert all(update == gr.skip() for update in link(group=first))
    assert link(group=first, rollout="2")[0] == first and link(group=other)[0] == other


def test_a_link_to_a_sample_that_is_gone_says_so():
    answered = on_link(None, SimpleNamespace(query_params={"group": "zzz"}))
    assert answered[:3] == (gr.skip(), gr.skip(), "This link's sample is not here any more.")


def test_a_link_to_a_file_of_the_host_sets_the_list_of_files_to_it(grown_file):
    record(grown_file, "ab")
    record(grown_file.with_name("another.jsonl"), "c")  # the first of the list
    *_, source, sample, listed = on_link(None, SimpleNamespace(query_params={"group": "file:run.jsonl"}))
    assert source == "File" and sample == gr.skip()
    assert (listed.value, [name for name, _ in listed.choices]) == ("run.jsonl", ["another.jsonl", "run.jsonl"])
    for link in (next(iter(bundled())), "file:none.jsonl"):
        *_, listed = on_link(None, SimpleNamespace(query_params={"group": link}))
        assert listed == gr.skip()
