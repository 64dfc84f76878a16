"""What the page without a server reads of our files is what is read here: one list of expectations for both.

``expected_ours.json`` holds them; ``tests/ui/components/opening.test.js`` holds the page's reader against it.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from mmreason import places
from mmreason.traces.group import load_group

EXPECTED: dict[str, list[dict[str, Any]]] = json.loads((Path(__file__).parent / "expected_ours.json").read_text())


def digest(url: str | None) -> str | None:
    return url and hashlib.sha256(url.encode()).hexdigest()[:16]


def told(trace: dict[str, Any]) -> dict[str, Any]:
    """What a reader must get right of a trace."""
    return {
        "task": trace["problem"]["task"],
        "question": trace["problem"]["question"],
        "success": trace["success"],
        "end_reason": trace["end_reason"],
        "codes": trace["canvas_codes"],
        "segments": [
            {
                **{name: segment[name] for name in ("kind", "turn", "text", "region", "cells", "reward")},
                "right": segment["verdict"] and segment["verdict"]["right"],
                "pictures": [digest(segment[name]) for name in ("before", "after")],
                "frames": len(segment["frames"]),
                "committed": [frame["committed"] for frame in segment["frames"]],
            }
            for segment in trace["segments"]
        ],
    }


@pytest.mark.parametrize("name", EXPECTED)
def test_a_kept_file_is_read_as_expected(name: str) -> None:
    assert [told(trace) for trace in load_group(places.ROOT / name)] == EXPECTED[name]


def test_files_of_both_versions_and_of_several_rollouts_are_among_them() -> None:
    versions = {json.loads((places.ROOT / name).read_text())["version"] for name in EXPECTED}
    assert versions == {1, 2} and {len(traces) > 1 for traces in EXPECTED.values()} == {True, False}
