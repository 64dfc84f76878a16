"""requirements.txt names all that is imported, in the versions that are tried."""

from __future__ import annotations

import ast
import sys
from importlib.metadata import packages_distributions, version
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# Not ours to require: there where the host, or an extra, brings them; each is asked for with a way to go on without.
OPTIONAL = {"spaces": "on ZeroGPU", "mcp": "the extra gradio[mcp]"}
FOLDERS = {"mmreason": ("mmreason", "app.py"), "tests": ("tests",)}


def required() -> dict[str, str]:
    """Versions by distribution, in lower case with dashes."""
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    pairs = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {name.partition("[")[0].lower().replace("_", "-"): number for name, number in pairs}


def files_of(places: tuple[str, ...]) -> list[Path]:
    found = [ROOT / place for place in places]
    return [file for path in found for file in (path.rglob("*.py") if path.is_dir() else [path])]


def imported(source: str) -> set[str]:
    """Top names of what ``source`` imports absolutely, in functions too."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add((node.module or "").partition(".")[0])
    return names


@pytest.mark.parametrize("which", FOLDERS)
def test_all_that_is_imported_is_required(which):
    own = {path.stem for path in (ROOT / "tests").rglob("*")} | {"mmreason", "tests", "app"}
    names = {name for path in files_of(FOLDERS[which]) for name in imported(path.read_text(encoding="utf-8"))}
    foreign = names - set(sys.stdlib_module_names) - own - set(OPTIONAL)
    distributions = packages_distributions()
    missing = {
        name: distributions.get(name)
        for name in foreign
        if not {each.lower().replace("_", "-") for each in distributions.get(name, [])} & set(required())
    }
    assert missing == {}


def test_every_requirement_is_pinned_and_is_what_is_tried_here():
    assert {name: version(name).partition("+")[0] for name in required()} == required()


def test_the_walk_sees_every_form_of_import():
    source = "import a.b\nfrom c.d import e\nfrom . import f\ndef g():\n import h as i"
    assert imported(source) == {"a", "c", "h"}
