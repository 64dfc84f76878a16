"""The page in a browser: what the tests of all tabs do there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Locator, Page

from mmreason.commands.make.screenshots import free_port
from mmreason.ui import page as page_module
from mmreason.ui.host import checkpoints
from mmreason.ui.host.serving import launch_options
from mmreason.ui.host.settings import read_settings
from mmreason.ui.host.temporary import hold_gradios_files
from tests.helpers.scripted import ScriptedPipe

ROOT = Path(__file__).parents[2]
# What the scripted server replaces.
LOAD_PIPELINE, CHECKPOINT_NAMES = checkpoints.load_pipeline, checkpoints.checkpoint_names
HOSTILE = (
    "${Object.assign(window,{PWNED:1})} <img src=x onerror='window.PWNED=1'> {{#each value}}",
    "<script>window.PWNED=1</script>`${window.PWNED=1}`",
)


@dataclass(frozen=True, slots=True)
class Scripted:
    """The page on a scripted pipeline, in this process."""

    address: str
    pipe: ScriptedPipe


@contextmanager
def launched() -> Iterator[str]:
    """The page served from this process as ``app.py`` serves it; gives its address."""
    hold_gradios_files()
    blocks = page_module.build_page()
    _, address, _ = blocks.launch(
        server_port=free_port(), prevent_thread_lock=True, quiet=True, **launch_options(read_settings())
    )
    yield address
    blocks.close()


def part(page: Page, name: str) -> Locator:
    """A part of the player."""
    return page.locator(f".mm-player .{name}")


def live(page: Page, status: str) -> None:
    """Wait until the player says so of a run that goes on; the example on arrival may say the same."""
    page.locator(".mm-player[data-state=running] .status").get_by_text(status).wait_for()


def solve(page: Page) -> None:
    page.get_by_role("button", name="Solve", exact=True).click()


def reload(page: Page) -> None:
    """Load the page anew."""
    leaves(page)
    page.reload()


def leaves(page: Page) -> None:
    """To be called before the page is left: what gradio says of answers that this cuts off is no fault."""
    page.evaluate("""() => {
      console.error = () => undefined;
      addEventListener('unhandledrejection', (event) => event.preventDefault());
    }""")


def settle(page: Page) -> None:
    """Wait until the page has been told all that it asks for on arrival."""
    page.locator(".mm-footer .running:not(:empty)").wait_for(state="attached")
    page.locator("#expect .notice:not([hidden])").wait_for(state="attached")


def share(page: Page, name: str) -> None:
    """Choose from the player's Share menu."""
    part(page, "share-head").click()
    part(page, name).click()


def take(page: Page, kind: str, path: Path) -> bytes:
    """Take away the run's file of this ``kind``, to ``path``."""
    with page.expect_download() as waiting:
        share(page, f"take-{kind}")
    waiting.value.save_as(path)
    return path.read_bytes()


def set_sampling_seed(page: Page, seed: int) -> None:
    """Open the settings and type a sampling seed."""
    page.get_by_role("button", name="More settings").click()
    type_number(page.get_by_label("Sampling seed"), seed)


def type_number(field: Locator, number: float) -> None:
    """Type into a field that may just have been opened, as slowly as a person: Gradio sets it once it is seen."""
    field.wait_for()
    field.page.wait_for_timeout(300)
    field.fill(str(number))
    field.press("Tab")


def to_the_end(page: Page) -> None:
    """Wait for the end of the run and jump to it."""
    page.locator(".mm-player[data-state=finished]").wait_for()
    part(page, "scrub").press("End")
    part(page, "result").wait_for()
