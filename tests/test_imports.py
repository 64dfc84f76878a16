"""Imports run one way: up the floors of the table in the design."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "mmreason"

GROUND = {"records", "errors", "seeds", "limits", "settings", "places", "disk", "handed", "own_code", "startup"}
GROUND |= {"parquet", "zipped", "viewer", "kept", "wording"}
MAY_IMPORT: dict[str, set[str]] = {
    **{room: set() for room in GROUND},
    "disk": {"errors"},
    "handed": {"errors", "disk"},
    "limits": {"errors"},
    "parquet": {"errors", "disk"},
    "zipped": {"errors", "disk"},
    "settings": {"errors", "limits", "records"},
    **{room: GROUND for room in ("tasks", "models", "traces")},
}
MAY_IMPORT["layouts"] = GROUND | {"tasks"}
MAY_IMPORT["codecs"] = GROUND
MAY_IMPORT["backbones"] = GROUND | {"codecs", "layouts", "models"}
MAY_IMPORT["sampling"] = GROUND | {"tasks", "codecs", "layouts", "models", "backbones"}
MAY_IMPORT["rewards"] = GROUND | {"tasks"}
MAY_IMPORT["training"] = set(MAY_IMPORT)
MAY_IMPORT["analysis"] = set(MAY_IMPORT)
MAY_IMPORT["ui"] = set(MAY_IMPORT)
MAY_IMPORT["commands"] = set(MAY_IMPORT)
MAY_IMPORT["__main__"] = {"errors", "disk", "startup", "commands"}

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
    lazy = "def f():\n from mmreason.ui.shell.theme import X\n"
    source = lazy + "import mmreason.tasks.maze\nfrom mmreason import seeds"
    assert imported_rooms(source) == {"ui", "tasks", "seeds"}


UI_FLOORS = (
    {"shell"},
    {"host"},
    {"solve", "runs"},
    {"browser", "group", "train", "cost"},
    {"watch", "inspect", "results", "health", "about"},
    {"crossing", "api", "twin"},
    {"page"},
)


def rooms_of_ui(source: str) -> set[str]:
    """Rooms and single files of ``mmreason.ui`` that ``source`` imports."""
    rooms = set()
    for node in ast.walk(ast.parse(source)):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        rooms |= {name.split(".")[2] for name in names if name.startswith("mmreason.ui.")}
    return rooms


@pytest.mark.parametrize("path", sorted((PACKAGE / "ui").rglob("*.py")), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_room_of_the_page_imports_only_from_the_floors_below_it(path: Path) -> None:
    room = path.relative_to(PACKAGE / "ui").parts[0].removesuffix(".py")
    if room == "__init__":
        assert not rooms_of_ui(path.read_text())
        return
    below: set[str] = set()
    for floor in UI_FLOORS:
        if room in floor:
            break
        below |= floor
    else:
        pytest.fail(f"{room} has no floor in the page")
    upward = rooms_of_ui(path.read_text()) - below - {room}
    assert not upward, f"ui/{room} must not import {', '.join(sorted(upward))}"


def modules_imported(source: str, module: str) -> set[str]:
    """Modules of ours that ``source`` imports, whatever for."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {node.module or ""} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found - {module}


def test_no_module_is_in_a_circle() -> None:
    names = {".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts): path for path in FILES}
    left = {name: modules_imported(path.read_text(), name) & set(names) for name, path in names.items()}
    while free := {name for name, needs in left.items() if not needs & set(left)}:
        left = {name: needs for name, needs in left.items() if name not in free}
    assert not left, f"in circles, or above one: {', '.join(sorted(left))}"


@pytest.mark.parametrize(
    "module", "seeds places disk tasks sampling.config training.rl.config ui ui.host ui.host.gpu".split()
)
def test_what_help_and_forms_need_loads_no_torch(module: str) -> None:
    code = f"import sys, mmreason.{module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=PACKAGE.parent).returncode == 0
