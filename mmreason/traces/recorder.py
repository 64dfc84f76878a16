"""Rollouts recorded from anybody's training script, as lines of trace version 2.

::

    with Recorder("run/rollouts.jsonl") as record:
        record.rollout(prompt).text("I see …", reward=1.0).image(picture, region=(1, 1, 64, 64), reward=0.5)

Each rollout is one whole line, appended when the next one begins or the recorder closes, so that the file can be read
while it grows.  Half a line, which a run that was killed may leave, is cut off before the next is appended.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from PIL import Image

from mmreason.disk import append_line, end_lines, finite, one_line, quoted, reason_of
from mmreason.errors import TraceError, WriteError
from mmreason.traces.formats.row import whole
from mmreason.traces.versions.ours import VERSION_TWO
from mmreason.traces.versions.two import check_two, outside, outside_words
from mmreason.viewer import as_shown, upright, upright_size

Picture = Image.Image | np.ndarray
Reward = float | Mapping[str, float | None] | None


class Recorded:
    """A rollout in the making; every method returns it, so that calls can be chained."""

    def __init__(self, prompt: str, fields: Mapping[str, Any]) -> None:
        self.entry: dict[str, Any] = {"prompt": prompt, "parts": [], **fields}

    def text(self, text: str, reward: Reward = None, kind: str = "thought", **fields: Any) -> Recorded:
        """Words that were generated; ``reward`` is a number, numbers by component, or None for not judged."""
        return self._add({"type": "text", "text": text, "kind": kind}, reward, fields)

    def answer(self, text: str, reward: Reward = None, **fields: Any) -> Recorded:
        """The words that answer."""
        return self.text(text, reward, "answer", **fields)

    def image(
        self, picture: Picture, region: Any = None, reward: Reward = None, unit: str = "pixels", **fields: Any
    ) -> Recorded:
        """The picture after an edit of ``region``; raises TraceError.

        ``region`` is a box (top, left, bottom, right), inclusive and from 1, several of them, or a mask as a picture
        or a boolean (H, W) array; None if the picture was made whole.
        """
        entry: dict[str, Any] = {"type": "image", "image": picture_url(picture)}
        if region is not None:
            entry["region"] = {"unit": unit, **_region(region)}
            if unit == "pixels":
                width, height = picture.shape[1::-1] if isinstance(picture, np.ndarray) else upright_size(picture)
                for box in entry["region"].get("boxes", ()):
                    if outside(box, height, width):
                        raise TraceError(outside_words(box, height, width))
        return self._add(entry, reward, fields)

    def whole(self, **fields: Any) -> Recorded:
        """What is known only at the end: ``rewards`` by component, ``success``, ``cost``, any; raises TraceError."""
        self.entry |= _checked(fields)
        return self

    def _add(self, entry: dict[str, Any], reward: Reward, fields: Mapping[str, Any]) -> Recorded:
        entry["rewards" if isinstance(reward, Mapping) else "reward"] = reward
        part = _numbered({**entry, **fields})
        check_two({"version": VERSION_TWO, "rollouts": [{"prompt": self.entry["prompt"], "parts": [part]}]})
        self.entry["parts"].append(part)
        return self


class Recorder:
    """The file that rollouts are appended to; one that exists is continued."""

    def __init__(self, path: str | Path, judges: Mapping[str, Sequence[str]] | None = None) -> None:
        """``judges`` says which components of ``rewards`` of a whole rollout judge words and pictures.

        Raises WriteError where the folder of ``path`` cannot be made.
        """
        self.path = Path(path)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WriteError(f"cannot write {quoted(str(path))}: {reason_of(error)}") from None
        self._judges = {modality: list(names) for modality, names in (judges or {}).items()}
        self._written: set[str] = set()  # prompts
        self._given: list[dict[str, Any]] = []
        self._open: Recorded | None = None
        self._ends = False  # is it known that the file ends with a whole line?

    def rollout(self, prompt: Any, **fields: Any) -> Recorded:
        """Begin a rollout of ``prompt``: text, a picture, or a list of both; raises TraceError.

        ``fields`` are of the whole: ``id``, ``rewards``, ``success``, ``answer``, ``settings``, ``cost``, the ``step``
        of the training, which tells its groups apart, or any other.
        """
        self.flush()
        checked = _checked(fields)
        parts = [_given(part) for part in (prompt if isinstance(prompt, list | tuple) else [prompt])]
        called = hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]
        self._given = [] if called in self._written else [{"id": called, "parts": parts}]
        self._open = Recorded(called, checked)
        return self._open

    def flush(self) -> None:
        """Append the rollout in the making; raises TraceError if it holds what no trace may, or WriteError."""
        recorded, self._open = self._open, None
        if recorded is None:
            return
        line: dict[str, Any] = {"version": VERSION_TWO, "prompts": self._given, "rollouts": [recorded.entry]}
        if self._judges:
            line["judges"] = self._judges
        check_two(line)
        if not self._ends:
            end_lines(self.path)
        self._ends = False
        append_line(self.path, json.dumps(line, allow_nan=False, separators=(",", ":")))
        self._ends = True
        self._written.add(recorded.entry["prompt"])

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, place: TracebackType | None
    ) -> None:
        if error is None:  # else the rollout in the making is half of one
            self.flush()


def picture_url(picture: Picture, drawn: Callable[[Image.Image], Image.Image] = as_shown) -> str:
    """A picture, ``drawn`` as a viewer shows it, as a PNG data URL; raises TraceError.

    It is a Pillow picture, or a uint8 or boolean array (H, W) or (H, W, 1 to 4).
    """
    image = _image_of(picture) if isinstance(picture, np.ndarray) else picture
    if not isinstance(image, Image.Image):
        raise TraceError(f"a picture must be a Pillow image or an array, got {type(image).__name__}")
    buffer = io.BytesIO()
    try:
        shown = drawn(image)
        (shown if shown.mode in ("RGB", "L", "P") else shown.convert("RGB")).save(buffer, "PNG")
    except Exception as error:  # Pillow's writers raise many kinds
        got = f"{image.mode} of {image.width} × {image.height} pixels"
        raise TraceError(f"a picture must be one that PNG can hold, got {got}: {reason_of(error)}") from None
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def _image_of(pixels: np.ndarray) -> Image.Image:
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    known = pixels.dtype in (np.uint8, np.bool_) and pixels.ndim in (2, 3) and 1 <= channels <= 4
    if not known or not pixels.size:
        raise TraceError(
            f"a picture must be (H, W) or (H, W, 1 to 4) uint8 or bool, got {pixels.shape} {pixels.dtype}"
        )
    flat = pixels[..., 0] if pixels.ndim == 3 and channels == 1 else pixels
    return Image.fromarray(flat.astype(np.uint8) * 255 if flat.dtype == np.bool_ else flat)


def _given(part: Any) -> dict[str, Any]:
    return {"type": "text", "text": part} if isinstance(part, str) else {"type": "image", "image": picture_url(part)}


def _region(region: Any) -> dict[str, Any]:
    if isinstance(region, Image.Image | np.ndarray):
        return {"mask": picture_url(region, upright)}
    boxes = [list(region)] if len(region) == 4 and not isinstance(region[0], Sequence) else [list(b) for b in region]
    return {"boxes": [[int(side) for side in box] for box in boxes]}


def _checked(fields: Mapping[str, Any]) -> dict[str, Any]:
    """``fields`` of a whole rollout as JSON has them; raises TraceError."""
    found = _numbered(fields)
    check_two({"version": VERSION_TWO, "rollouts": [{"prompt": "p", "parts": [], **found}]})
    if found.get("step") is not None and whole(found, "step") is None:
        raise TraceError(f"field 'step' must be a whole number, got {one_line(repr(found['step']), 40)}")
    return found


def _numbered(fields: Mapping[str, Any]) -> dict[str, Any]:
    """``fields`` as JSON has them, rewards that are true or false as 1 and 0."""
    found = _plain(fields)
    for name in found.keys() & {"reward", "rewards"}:
        value = found[name]
        found[name] = (
            {key: _score(score) for key, score in value.items()} if isinstance(value, dict) else _score(value)
        )
    return found


def _score(value: Any) -> Any:
    return float(value) if isinstance(value, bool) else value


def _plain(value: Any) -> Any:
    """``value`` as JSON has it: numpy's and torch's numbers become Python's, what is not finite null."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    return finite(value)
