"""``python -m tests.load.rollouts``: what a large file of rollouts costs the server that opens it.

Writes a file in a temporary folder, 64 rollouts of 40 segments, every picture another photograph of 1024 × 768 pixels,
inside the file or (``--beside``) next to it, and opens it in a process of its own as the tab Inspect does.  Prints
JSON: seconds until it is open, until its grid and its advantages are answered and until a picture of a card is, and by
how many megabytes the process grew.
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mmreason.ui.host.settings import name_of
from tests.load.crowd import megabytes

FILE = "rollouts.jsonl"
CARD = 160  # pixels of a card's picture


def write(folder: Path, rollouts: int, turns: int, side: int, beside: bool = False) -> int:
    """Write the file, each turn words and a picture; returns how many pictures it has, no two alike."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[: side * 3 // 4, :side]
    smooth = 120 + 60 * np.sin(x / 70) + 40 * np.cos(y / 90)
    grained = smooth[..., None] + rng.normal(0, 10, (*smooth.shape, 3))
    photograph = Image.fromarray(grained.clip(0, 255).astype(np.uint8))
    with open(folder / FILE, "w", encoding="utf-8") as file:
        for g in range(rollouts):
            parts: list[dict[str, Any]] = []
            for turn in range(turns):
                number = g * turns + turn
                for bit in range(16):  # its number as squares, which no JPEG smears
                    left, top = 8 * (bit % 4), 8 * (bit // 4)
                    photograph.paste("white" if number >> bit & 1 else "black", (left, top, left + 8, top + 8))
                content = io.BytesIO()
                photograph.save(content, "JPEG", quality=85)
                name = f"{number}.jpg"
                if beside:
                    (folder / name).write_bytes(content.getvalue())
                data = f"data:image/jpeg;base64,{base64.b64encode(content.getvalue()).decode()}"
                region = {"unit": "pixels", "boxes": [[1, 1, side // 4, side // 4]]}
                reward = [float(each) for each in rng.integers(0, 2, 2)]
                parts.append({"type": "text", "text": "words " * 60, "reward": reward[0], "turn": turn + 1})
                picture = {"type": "image", "image": name if beside else data, "region": region}
                parts.append(picture | {"reward": reward[1], "turn": turn + 1})
            prompts = [] if g else [{"id": "p", "parts": [{"type": "text", "text": "Draw."}]}]
            file.write(json.dumps({"version": 2, "prompts": prompts, "rollouts": [{"prompt": "p", "parts": parts}]}))
            file.write("\n")
    return rollouts * turns


def opened(folder: Path) -> dict[str, Any]:
    """Seconds and megabytes of opening the file, in this process."""
    os.environ[name_of("rollouts")] = str(folder)
    from mmreason.ui.inspect import sources
    from mmreason.ui.inspect.questions import answer

    found: dict[str, Any] = {}

    def timed(name: str, act: Callable[[], Any]) -> Any:
        began = time.perf_counter()
        result = act()
        found[f"{name}_seconds"] = round(time.perf_counter() - began, 3)
        return result

    before = megabytes(os.getpid(), "VmRSS")
    group = timed("open", lambda: sources.open_path(FILE))
    found["memory_mb"] = megabytes(os.getpid(), "VmRSS") - before
    timed("grid", lambda: answer(f"{group.token}/group", b""))
    timed("advantages", lambda: answer(f"{group.token}/push", b""))
    timed("picture", lambda: answer(f"{group.token}/picture/0", f"side={CARD}".encode()))
    counts = {"rollouts": len(group.rollouts.rollouts), "pictures": len(group.pictures)}
    return counts | found | {"open_memory_mb": megabytes(os.getpid(), "VmRSS") - before}


def measure(rollouts: int, turns: int, side: int, beside: bool) -> dict[str, Any]:
    """Write the file and open it in a fresh process, whose memory is its own."""
    with tempfile.TemporaryDirectory(prefix="mmreason-rollouts-") as name:
        folder = Path(name)
        write(folder, rollouts, turns, side, beside)
        file_mb = round(sum(path.stat().st_size for path in folder.iterdir()) / 2**20)
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            found = pool.apply(opened, (folder,))
    return {"segments": 2 * turns, "side": side, "beside": beside, "file_mb": file_mb} | found


def main() -> int:
    """Print the report as JSON."""
    parser = argparse.ArgumentParser(prog="python -m tests.load.rollouts", description=__doc__)
    parser.add_argument("--rollouts", type=int, default=64)
    parser.add_argument("--turns", type=int, default=20, help="of each rollout, two segments each (default: 20)")
    parser.add_argument("--side", type=int, default=1024, help="width of the pictures in pixels (default: 1024)")
    parser.add_argument("--beside", action="store_true", help="pictures as files next to it")
    parser.add_argument("--out", type=Path, metavar="FILE", help="where to write the report, too")
    args = parser.parse_args()
    text = json.dumps(measure(args.rollouts, args.turns, args.side, args.beside), indent=1)
    print(text)
    if args.out:
        args.out.write_text(text + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
