"""A results file as the page reads it: checked, or one sentence that says what is wrong and what makes it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, Field, ValidationError

from mmreason import places
from mmreason.disk import one_line
from mmreason.errors import ConfigError
from mmreason.handed import Handed

Finite = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]
MAX_BYTES = 4 * 1024 * 1024
_FILE = Handed("results file", MAX_BYTES, ConfigError)

Content = TypeVar("Content", bound=BaseModel)


def results_path(name: str) -> Path:
    """Where the command that writes file ``name`` puts it."""
    return places.ASSETS / "results" / name


def stored(name: str) -> dict[str, Any]:
    """What file ``name`` holds; raises ConfigError."""
    return _FILE.load(results_path(f"{name}.json"))


def stored_or_none(name: str) -> dict[str, Any] | None:
    """The same for what is left out where it was not measured: None if the file is missing or holds no object."""
    return object_or_none(results_path(f"{name}.json"))


def object_or_none(path: Path) -> dict[str, Any] | None:
    """What the results file at ``path`` holds, None if it is missing or holds no object."""
    try:
        found = _FILE.parse(path.read_bytes(), str(path))
    except (OSError, ConfigError):
        return None
    return found if isinstance(found, dict) else None


def read_results(model: type[Content], name: str, command: str, what: str) -> tuple[Content | None, str]:
    """The file's content, or None and a sentence with the ``command`` that makes ``what``."""
    try:
        with results_path(name).open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            why = "it is larger than 4 MB"
        else:
            return model.model_validate(json.loads(content)), ""
    except FileNotFoundError:
        return None, f"Nothing has been measured yet. This command measures {what}: {command}"
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        place = ".".join(str(key) for key in first["loc"]) or "it"
        why = one_line(f"{place}: {first['msg'].removeprefix('Value error, ')}", 160)
    except (OSError, ValueError, RecursionError):
        why = "it is not JSON"
    return None, f"The file assets/results/{name} cannot be used ({why}). This command makes it anew: {command}"
