"""A codebook's picture is fetched once, from an address that says what is on it."""

import base64

import numpy as np

from mmreason.traces.schema import PNG_PREFIX
from mmreason.traces.sheet import sheet_pixels, sheet_value
from mmreason.ui.cost.racing import bundled_race
from mmreason.ui.host.web.sheets import SHEETS, ServeSheets, Sheets
from mmreason.ui.watch.handlers import example_value
from tests.helpers.apart import run_apart
from tests.helpers.standin import SHEET


def ask(sheets: Sheets, path: str) -> tuple[int, dict[bytes, bytes], bytes]:
    told = []

    async def beyond(scope, receive, send):
        await send({"type": "http.response.start", "status": 299, "headers": []})
        await send({"type": "http.response.body", "body": b"beyond"})

    async def send(message):
        told.append(message)

    scope = {"type": "http", "path": path, "method": "GET"}
    run_apart(ServeSheets(beyond, sheets)(scope, None, send))
    return told[0]["status"], dict(told[0]["headers"]), told[1]["body"]


def test_the_address_answers_with_the_picture_for_ever():
    sheets = Sheets()
    value = sheets.link(SHEET)
    status, headers, body = ask(sheets, f"/{value['image']}")
    assert status == 200
    assert b"immutable" in headers[b"cache-control"]
    inline = value | {"image": PNG_PREFIX + base64.b64encode(body).decode()}
    assert inline == sheet_value(SHEET)
    assert (sheet_pixels(inline)[: len(SHEET)] == SHEET).all()
    assert ask(sheets, f"/below/{value['image']}")[0] == 200


def test_the_same_pictures_have_one_address_and_others_another():
    sheets = Sheets()
    assert sheets.link(SHEET) == sheets.link(SHEET.copy())
    assert sheets.link(SHEET) != sheets.link(255 - SHEET)


def test_what_was_used_longest_ago_goes_first():
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, (16, 16, 16, 3)).astype(np.uint8) for _ in range(3)]
    sheets = Sheets(most=40_000)  # a picture of noise takes 12 kB and more
    paths = [f"/{sheets.link(picture)['image']}" for picture in pictures]
    assert [ask(sheets, path)[0] for path in paths] == [200, 200, 200]
    ask(sheets, paths[0])
    sheets.link(rng.integers(0, 256, (16, 16, 16, 3)).astype(np.uint8))
    assert [ask(sheets, path)[0] for path in paths] == [200, 404, 200]


def test_what_is_pinned_stays_however_much_comes_after_it_and_takes_no_room():
    rng = np.random.default_rng(0)
    first, second, *others = (rng.integers(0, 256, (16, 16, 16, 3)).astype(np.uint8) for _ in range(6))
    sheets = Sheets(most=30_000)  # two pictures of noise
    paths = [f"/{sheets.link(picture)['image']}" for picture in (first, second)]
    sheets.link(first, pinned=True)
    paths.append(f"/{sheets.link(others[0])['image']}")
    assert [ask(sheets, path)[0] for path in paths] == [200, 200, 200]
    for picture in (first, *others[1:]):
        sheets.link(picture)
    assert [ask(sheets, path)[0] for path in paths] == [200, 404, 404]


def test_the_pictures_of_the_page_as_it_is_built_are_pinned():
    value, _ = example_value()
    for shown in (value, bundled_race()):
        name = shown["sheet"]["image"].removeprefix("sheet/").removesuffix(".png")
        assert name in SHEETS._pinned


def test_other_addresses_go_on():
    for path in ("/", "/sheet/", "/sheet/ABCDEFABCDEFABCD.png", "/sheet/0123456789abcdef.png/more", "/sheet/../x.png"):
        assert ask(Sheets(), path)[2] == b"beyond"
    assert ask(Sheets(), "/sheet/0123456789abcdef.png")[0] == 404
