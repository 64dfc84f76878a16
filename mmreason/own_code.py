"""A file of the user's own code (a task, a reward) as a module."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any


def module_of(path: str) -> ModuleType:
    """The file at ``path`` as a module, run once; raises FileNotFoundError, and whatever the file raises."""
    place = Path(os.path.expanduser(path))
    if not os.path.isfile(place):  # nor is a name that is too long, or a home of nobody
        raise FileNotFoundError(f"there is no file {path!r:.200}")
    name = f"mmreason_own_{place.stem}_{hashlib.blake2b(str(place.resolve()).encode(), digest_size=4).hexdigest()}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, place)
    assert spec is not None and spec.loader is not None, "a file that ends in .py has a loader"
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # before it runs: dataclasses look their module up there
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def file_fingerprint(made: Any) -> str:
    """Twelve hex digits of the file in which ``made``, a class or a function, is written; "" where there is none."""
    file = getattr(sys.modules.get(made.__module__), "__file__", None)
    if not file or not os.path.isfile(file):
        return ""
    return hashlib.blake2b(Path(file).read_bytes(), digest_size=6).hexdigest()
