"""Imports run one way: up the floors of the table in the design."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "mmreason"

GROUND = {"records", "errors", "seeds", "disk", "handed", "limits"}
MAY_IMPORT: dict[str, set[str]] = {
    **{room: set() for room in GROUND},
    "disk": {"errors"},
    "handed": {"errors", "disk"},
    "limits": {"errors"},
    **{room: GROUND for room in ("tasks", "tokenizers", "models", "traces")},
}
MAY_IMPORT["layouts"] = GROUND | {"tokenizers"}
MAY_IMPORT["codecs"] = GROUND
MAY_IMPORT["backbones"] = GROUND | {"codecs", "layouts", "models"}
MAY_IMPORT["sampling"] = GROUND | {"tasks", "tokenizers", "codecs", "layouts", "models", "backbones"}
MAY_IMPORT["rewards"] = GROUND | {"tasks", "tokenizers"}
MAY_IMPORT["training"] = set(MAY_IMPORT)
MAY_IMPORT["analysis"] = set(MAY_IMPORT)
MAY_IMPORT["ui"] = set(MAY_IMPORT)
MAY_IMPORT["commands"] = set(MAY_IMPORT)
MAY_IMPORT["__main__"] = {"errors", "disk", "commands"}

FILES = sorted(PACKAGE.rglob("*.py"))


def room_of(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def imported_rooms(source: str) -> set[str]:
    """Rooms of ours that ``source`` imports, in functions and under TYPE_CHECKING too."""
    rooms = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            rooms |= {room_of(alias.name) for alias in node.names if alias.name.split(".")[0] == "mmreason"}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports name their module in full"
            if node.module == "mmreason":
                rooms |= {alias.name for alias in node.names}
            elif (node.module or "").startswith("mmreason."):
                rooms.add(room_of(node.module or ""))
    return rooms


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_room_imports_only_from_the_floors_below_it(path: Path) -> None:
    room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if room == "__init__":
        assert imported_rooms(path.read_text()) <= GROUND
        return
    assert room in MAY_IMPORT, f"{room} has no place in the design's table"
    upward = imported_rooms(path.read_text()) - MAY_IMPORT[room] - {room}
    assert not upward, f"{room} must not import {', '.join(sorted(upward))}"


def test_the_walk_sees_every_form_of_import() -> None:
    lazy = "def f():\n from mmreason.ui.theme import X\n"
    source = lazy + "import mmreason.tasks.maze\nfrom mmreason import seeds"
    assert imported_rooms(source) == {"ui", "tasks", "seeds"}
