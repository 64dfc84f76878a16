"""What the page says of itself: figures from files, links, words that explain themselves, keys."""

import json
import re
import subprocess
import sys
import urllib.request
from http.client import HTTPConnection
from posixpath import dirname, join, normpath
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from mmreason.places import ROOT
from mmreason.ui import about
from mmreason.ui.api import ENDPOINTS
from mmreason.ui.host.web.documents import address, document, documents, readable
from mmreason.ui.host.web.sheets import sheet_link
from mmreason.wording import seconds
from tests.helpers.browser import settle
from tests.helpers.standin import SHEET


def test_each_figure_is_that_of_the_file_it_links_to():
    parameters, time, share = about.figures()
    card = (ROOT / parameters["link"].removeprefix("about/")).read_text()
    assert (
        parameters["value"] == f"{int(re.search(r'([0-9,]+) parameters', card)[1].replace(',', '')) / 1e6:.1f} million"
    )
    arms = json.loads((ROOT / time["link"].removeprefix("about/")).read_text())["arms"]
    local, full = arms["diffusion_local"], arms["diffusion_full"]
    assert time["value"] == seconds(local["seconds_single"])
    assert share["value"] == f"{100 * local['tokens_forwarded'] / full['tokens_forwarded']:.1f} %"


def test_only_documents_are_served(scripted):
    for name in documents():
        with urllib.request.urlopen(f"{scripted.address}/{address(name)}") as answer:
            assert answer.read() == (ROOT / name).read_bytes()
            assert answer.headers["content-type"].startswith("text/plain")
    for name in (
        "app.py",
        "../app.py",
        "checkpoints/../app.py",
        "checkpoints/base/model_index.json",
        "assets/results/",
    ):
        assert document(name) is None
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(f"{scripted.address}/about/app.py")


def test_the_head_of_a_document_and_of_a_sheet_says_their_length_and_brings_nothing_of_them(scripted):
    place = urlsplit(scripted.address)
    connection = HTTPConnection(place.hostname or "", place.port, timeout=20)
    for path in (address("LICENSE"), sheet_link(SHEET)["image"]):
        connection.request("GET", f"/{path}")
        whole = connection.getresponse()
        content = whole.read()
        for _ in range(2):  # on the same connection, where a body would be taken for the next answer
            connection.request("HEAD", f"/{path}")
            head = connection.getresponse()
            assert (head.status, head.read()) == (200, b"")
            assert head.headers["content-length"] == whole.headers["content-length"] == str(len(content))
            assert head.headers["content-type"] == whole.headers["content-type"]
    connection.close()


def test_a_browser_is_given_every_document_as_a_page_to_read(scripted):
    for name in documents():
        asked = urllib.request.Request(
            f"{scripted.address}/{address(name)}", headers={"Accept": "text/html,*/*;q=0.8"}
        )
        with urllib.request.urlopen(asked) as answer:
            page = answer.read().decode()
            assert answer.headers["content-type"].startswith("text/html")
        assert '<meta name="viewport"' in page and "<!-- " not in page and "license: apache" not in page
        for link in re.findall(r'href="([^"#]+)', page):
            assert link.startswith("http") or document(normpath(join(dirname(name), link)))


def test_a_document_runs_nothing():
    page = readable(
        "README.md", "<script>alert(1)</script> [go](javascript:alert(1)) [out](../../secret) ![a **maze**](x.png)"
    )
    assert "<script" not in page and "href=" not in page and "<img" not in page and "maze" in page
    assert "<script" not in readable("assets/results/x.json", "<script>alert(1)</script>")


@pytest.mark.parametrize("space", ["me/mmreason", "", "javascript:alert(1)", "a/b/c"])
def test_links_to_the_code_are_those_of_the_space(monkeypatch, space):
    monkeypatch.setenv(about.SPACE, space)
    links = dict(about.header_value({})["links"])
    home = "https://huggingface.co/spaces/me/mmreason"
    wanted = {"Code": f"{home}/tree/main", "Duplicate this Space": f"{home}?duplicate=true"}
    assert links == (wanted if space == "me/mmreason" else {})


def test_the_code_of_another_host_is_where_the_setting_says(monkeypatch):
    monkeypatch.delenv(about.SPACE, raising=False)
    monkeypatch.setenv("MMREASON_CODE", "https://example.org/code")
    assert ("Code", "https://example.org/code") in about.footer_value()["links"]
    monkeypatch.setenv("MMREASON_CODE", "javascript:alert(1)")
    assert about.still_header_value()["links"] == []
    assert not any(figure["link"] for figure in about.still_header_value()["figures"])


def test_the_method_is_named_linked_and_can_be_cited(scripted, visit):
    page = visit(scripted.address)
    paper = page.locator("#header .paper")
    assert about.PAPER_TITLE in paper.inner_text() and about.PAPER_ID in paper.inner_text()
    assert paper.get_attribute("href") == about.PAPER_ADDRESS
    page.get_by_role("button", name="Cite").click()
    expect(page.locator("#header .sheet-text")).to_contain_text("eprint = {2606.14792}", use_inner_text=True)
    page.keyboard.press("Escape")
    assert page.locator("#header .sheet").is_hidden()
    page.get_by_role("button", name="Use via API").click()
    snippet = page.locator("#header .sheet-text").inner_text()
    assert all(f"# /{name}: " in snippet for name in ENDPOINTS)
    program = "\n".join(line for line in snippet.splitlines() if not line.startswith("#"))
    end = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert end.returncode == 0 and "finished" in end.stdout, end.stderr
    page.keyboard.press("Escape")
    assert page.get_by_role("link", name="Licence").get_attribute("href") == "about/LICENSE"
    assert page.locator("#footer .running").is_hidden()
    page.get_by_text("About this build").click()
    page.get_by_text("gradio 6", exact=False).first.wait_for()


def test_tabs_go_by_arrows_and_words_explain_themselves(scripted, visit):
    page = visit(scripted.address)
    settle(page)
    page.get_by_role("tab", name="Watch", exact=True).focus()
    for name in ("Inspect", "Train", "Cost", "Results"):
        page.keyboard.press("ArrowRight")
        page.locator(f"[role=tab][aria-selected=true]:text-is('{name}')").wait_for()
    page.keyboard.press("ArrowRight")
    page.locator("[role=tab][aria-selected=true]:text-is('Watch')").wait_for()
    page.evaluate("document.querySelector('#header .figures').append(mm.term('leak', 'leaks'))")
    word = page.locator("#header .mm-term")
    word.focus()
    tip = page.locator("#mm-tip")
    expect(tip).to_contain_text("joint rewards", use_inner_text=True)
    assert word.get_attribute("aria-describedby") == "mm-tip"
    page.keyboard.press("Escape")
    assert tip.is_hidden()
