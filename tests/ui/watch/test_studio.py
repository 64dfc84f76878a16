"""Watch with a public checkpoint, on a stand-in: a picture, an instruction and a region of the visitor's own."""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from mmreason.ui.solve import film, picture
from mmreason.ui.solve.picture import OWN, PUZZLE
from tests.helpers.browser import HOSTILE

ASKED = {
    **{"checkpoint": "tiny", "kind": OWN, "instruction": "make it blue", "region": "r2c2:r3c4"},
    **{"task": "maze", "difficulty": "easy", "seed": 7, "attention": "full", "pixels": "128", "max_turns": 1},
    **{"num_steps": 2, "text_length": 4, "guidance": 0, "temperature": 1, "sampling_seed": 0, "order": "confidence"},
}
STEP = 16  # pixels of a cell


def photo(path: Path) -> Path:
    noise = np.random.default_rng(0).integers(0, 256, (80, 96, 3)).astype(np.uint8)
    Image.fromarray(noise).save(path)
    return path


def shown(values: list[dict]) -> list[np.ndarray]:
    """The picture of a film after each edit, put together as the page does it."""
    canvas = kept(values[-1]["picture"]["src"])
    found = [canvas]
    for segment in values[-1]["segments"]:
        if segment["kind"] == "edit" and segment["patch"]:
            left, top, width, height = segment["box"]
            canvas = canvas.copy()
            canvas[top : top + height, left : left + width] = kept(segment["patch"])
            found.append(canvas)
    return found


def kept(source: str) -> np.ndarray:
    from mmreason.ui.host.web.sheets import PICTURES

    match = re.fullmatch(r"picture/(\w{64})\.(png|webp)", source)
    assert match is not None
    content = PICTURES.get(match[1])
    assert content is not None
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


def run(asked: dict) -> tuple[list[dict], film.FilmRun]:
    """The values of a film, step by step, as the worker's thread gives traces."""
    wish, says = picture.read(asked)
    assert wish is not None, says
    ticket, showing = film.prepare(wish, "session")
    values = []
    for (trace,) in ticket.pipe.stream([ticket.problem], ticket.config, [ticket.seed]):
        if trace.segments:
            values.append(json.loads(json.dumps(showing.value(trace))))
        ticket.trace = trace
    ticket.state = "finished"
    end = showing.end(ticket)
    assert end.value is not None
    return [*values, end.value], end.finished


def test_the_picture_that_a_run_begins_with_is_encoded_once(public_host, tmp_path, monkeypatch) -> None:
    asked = ASKED | {"picture": photo(tmp_path / "photo.png")}
    wish, _ = picture.read(asked)
    assert wish is not None
    codec = type(wish.pipeline().model.codec)
    encode, encoded = codec.encode, []
    monkeypatch.setattr(codec, "encode", lambda self, image: encoded.append(image) or encode(self, image))
    values, _ = run(asked)
    assert len(encoded) == 1 and any(segment.get("patch") for segment in values[-1]["segments"])


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"attention": "prefix"},
        {"region": "20,20:60,40"},
        {"kind": PUZZLE},
        {"checkpoint": "joint"},
        {"checkpoint": "square"},
    ],
)
def test_outside_the_region_every_pixel_of_the_streamed_pictures_is_that_of_before(
    public_host, tmp_path, change
) -> None:
    asked = ASKED | {"picture": photo(tmp_path / "photo.png")} | change
    values, files = run(asked)
    edits = [segment for segment in values[-1]["segments"] if segment["kind"] == "edit"]
    pictures = shown(values)
    assert len(pictures) == len(edits) + 1 == 2
    for before, after, edit in zip(pictures, pictures[1:], edits, strict=False):
        inside = np.zeros(values[-1]["grid"], dtype=bool)
        inside.ravel()[edit["cells"]] = True
        inside = inside.repeat(STEP, axis=0).repeat(STEP, axis=1)
        assert (before[~inside] == after[~inside]).all()
        assert (before[inside] != after[inside]).any()
    assert (pictures[-1] == np.asarray(Image.open(files.picture))).all(), "what is taken away is what is shown"
    grown = [[(s["kind"], len(s["frames"])) for s in value["segments"]] for value in values]
    assert grown == sorted(grown, key=lambda each: sum(frames for _, frames in each)), "it only grows"
    assert any(f["sketch"] for value in values for s in value["segments"] if s["kind"] == "edit" for f in s["frames"])
    assert ("not native" in values[-1]["mode"]) == ("approximation" in values[-1]["mode"]) == ("attention" in change)
    data = json.loads(Path(files.trace).read_text())
    assert data["version"] == 2 and data["rollouts"][0]["settings"]["checkpoint"] == asked["checkpoint"]


def test_an_own_picture_is_edited_where_the_visitor_says(public_host, tmp_path) -> None:
    asked = ASKED | {"picture": photo(tmp_path / "photo.png")}
    by_cells, _ = run(asked)
    by_pixels, _ = run(asked | {"region": "16,16:64,48"})
    assert by_cells[-1]["segments"][1]["cells"] == by_pixels[-1]["segments"][1]["cells"]
    assert by_cells[-1]["segments"][1]["words"] == "r2c2 to r3c4"
    assert by_cells[-1]["success"] is None, "nobody judges it"


@pytest.mark.parametrize(
    ("change", "field", "says"),
    [
        ({"picture": None}, "picture", "none is chosen"),
        ({"picture": "/nowhere.png"}, "picture", "no longer on this server"),
        ({"picture": __file__}, "picture", "This file is not a PNG, JPEG or WebP picture"),
        ({"instruction": " "}, "instruction", "got nothing"),
        ({"instruction": "x" * 2001}, "instruction", "at most 2000 letters"),
        ({"instruction": "a </user> b"}, "instruction", "must not hold '</user>'"),
        ({"region": "r9c1:r9c9"}, "region", "5 rows and 6 columns"),
        ({"region": "left"}, "region", "two cells like r2c2:r5c6"),
        ({"region": "0,0:97,5"}, "region", "inside the picture of 96 × 80 pixels"),
        ({"region": "5,5:5,9"}, "region", "inside the picture"),
        ({"kind": PUZZLE, "seed": -1}, "puzzle", "Seed must be"),
        ({"kind": PUZZLE, "task": "chess"}, "puzzle", "Task must be one of"),
        ({"num_steps": 0}, "settings", "Steps per segment must be a whole number from 1 to 64"),
        ({"text_length": 2000}, "settings", "Text length must be"),
        ({"guidance": "x"}, "settings", "Guidance must be a number from 0 to 20"),
        ({"attention": "blocks"}, "settings", "must be one of full, prefix"),
        ({"pixels": "100"}, "settings", "Size must be one of"),
    ],
)
def test_what_is_wrong_is_said_at_its_field(public_host, tmp_path, change, field, says) -> None:
    wish, said = picture.read(ASKED | {"picture": photo(tmp_path / "photo.png")} | change)
    assert wish is None and says in said[field]
    assert str(tmp_path) not in "".join(said.values())


def choose(page: Page) -> None:
    page.locator("#checkpoint input").click()
    page.get_by_role("option", name="tiny", exact=True).click()
    page.locator("#studio").wait_for()


def set_number(page: Page, label: str, value: str) -> None:
    page.locator("#studio").get_by_label(label).fill(value)
    page.locator("#studio").get_by_label(label).press("Tab")


def pixels(page: Page) -> np.ndarray:
    """What the canvas shows."""
    url = page.locator(".mm-film .canvas").evaluate("canvas => canvas.toDataURL('image/png')")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))).convert("RGB"))


def test_a_picture_an_instruction_and_a_region_of_ones_own(public_page, visit: Callable[..., Page], tmp_path) -> None:
    page = visit(public_page)
    choose(page)
    page.locator("#studio-about").get_by_text("Lumina-DiMOO · 17.").wait_for()
    for gone in ("#theatre", "#difficulty", "#seed", "#task", "#mind", "#more", "#solve"):
        assert not page.locator(gone).is_visible(), f"{gone} knows only our own kind"
    page.locator("#studio-file").locator("xpath=..").locator("input[type=file]").set_input_files(
        photo(tmp_path / "mine.png")
    )
    caption = page.locator(".mm-film .caption")
    caption.get_by_text("96 × 80 pixels, 5 rows and 6 columns").wait_for()
    instruction = page.get_by_label("Instruction")
    instruction.fill(HOSTILE[0])
    region = page.get_by_label("Region", exact=False).first
    region.fill("r9c9")
    page.locator("#region-says").get_by_text("Region must lie inside the picture").wait_for()
    assert page.locator("#studio-solve").is_disabled()
    region.fill("r2c2:r3c4")
    caption.get_by_text("What may change: r2c2 to r3c4").wait_for()
    page.get_by_role("button", name="More settings").last.click()
    set_number(page, "Text length", "6")
    set_number(page, "Steps per segment", "3")
    before = pixels(page)
    page.locator("#studio-solve:not([disabled])").click()
    page.locator(".mm-film[data-state=finished]").wait_for()
    page.locator(".mm-film .result").get_by_text("nothing here can judge").wait_for()
    page.locator(".mm-film .mode").get_by_text("Full attention, native").wait_for()
    page.locator(".mm-film .turn .thumb").nth(1).wait_for()
    after = pixels(page)
    inside = np.zeros((80, 96), dtype=bool)
    inside[16:48, 16:64] = True
    assert (before[~inside] == after[~inside]).all() and (before[inside] != after[inside]).any()
    assert page.locator(".mm-film .question").inner_text() == HOSTILE[0]
    page.locator(".mm-film .scrub").press("Home")
    assert (pixels(page) == before).all(), "the start is there again"
    with page.expect_download() as download:
        page.locator("#film-trace").click()
    assert json.loads(Path(download.value.path()).read_text())["version"] == 2
    page.get_by_label("prefix, not native").check()
    page.locator(".mm-film .mode").get_by_text("approximation of this checkpoint").wait_for()
    page.locator("#film-inspect").click()
    page.locator(".mm-group").get_by_text("the run from Watch").first.wait_for()
    page.locator(".mm-group .cell").nth(2).wait_for()


def test_a_region_is_drawn_on_the_picture(public_page, visit: Callable[..., Page]) -> None:
    page = visit(public_page)
    choose(page)
    page.locator(".mm-film .caption").get_by_text("No region").wait_for()
    page.get_by_role("button", name="Draw a region").click()
    box = page.locator(".mm-film .canvas").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 4, box["y"] + box["height"] / 4)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, steps=3)
    page.mouse.up()
    page.locator(".mm-film .caption").get_by_text("What may change: r").wait_for()
    assert re.fullmatch(r"\d+,\d+:\d+,\d+", page.get_by_label("Region", exact=False).first.input_value())


def test_a_page_without_a_public_checkpoint_has_no_studio(scripted, visit: Callable[..., Page]) -> None:
    page = visit(scripted.address)
    expect(page.locator("#studio, #film, #studio-faults")).to_have_count(0)
    assert page.evaluate("typeof mm.compose") == "undefined", "nor its scripts"
