"""Blocks of a README that commands write: what stands between ``<!-- name -->`` and ``<!-- /name -->``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from mmreason.disk import quoted, write_whole
from mmreason.errors import ConfigError
from mmreason.handed import Handed

README = Handed("README", 8 * 2**20, ConfigError, "a Markdown file")


def replace_block(text: str, name: str, content: str) -> str:
    """``text`` with the part between ``<!-- name -->`` and ``<!-- /name -->`` replaced, if it has these marks."""
    around = _around_block(text, name)
    return text if around is None else f"\n{content}\n".join(around)


def _around_block(text: str, name: str) -> tuple[str, str] | None:
    """``text`` up to the end of the mark that opens a block, and from the one that closes it; None without both."""
    before, start, rest = text.partition(f"<!-- {name} -->")
    _, end, after = rest.partition(f"<!-- /{name} -->")
    return (before + start, end + after) if end else None


def check_readme(path: str | None, *names: str) -> None:
    """Refuse a README that was asked for and is not there or lacks a block of ``names``; raises ConfigError."""
    if path is None:
        return
    text = README.text(README.read(path), path)
    for name in names:
        if _around_block(text, name) is None:
            raise ConfigError(f"README {quoted(path)} must have the block <!-- {name} --> … <!-- /{name} -->")


def update_readme(path: str | Path | None, blocks: Mapping[str, str]) -> None:
    """Replace ``blocks`` (name → content) of the README at ``path``, where it and they exist."""
    if path is not None and os.path.isfile(path):
        text = README.text(README.read(path), str(path))
        for name, content in blocks.items():
            text = replace_block(text, name, content)
        write_whole(path, text.encode())
