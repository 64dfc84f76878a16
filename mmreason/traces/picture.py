"""Pictures of any size: PNG, JPEG or WebP, as data or as files beside the rollouts, checked before they are decoded.

Axes: H W pixels.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Protocol

import numpy as np
from PIL import Image

from mmreason.disk import quoted
from mmreason.errors import TraceError
from mmreason.handed import Folder, inner_parts
from mmreason.viewer import as_shown, upright, upright_size
from mmreason.zipped import Zip

FORMATS = ("PNG", "JPEG", "WEBP")
MAX_PIXELS = 32_000_000  # 8000 × 4000
MAX_PICTURE_BYTES = 32 * 2**20
MAX_EXACT, MAX_EXACT_BYTES = 256, 6000  # pixels, and bytes of a thumbnail
MAX_HELD_BYTES = 2**30  # of all pictures that are held in memory, packed as they are

_GREY = 127  # what is lighter is white
_DATA = re.compile(r"data:image/(?:png|jpe?g|webp);base64,", re.ASCII)


class BrokenPicture(TraceError):
    """A picture that is missing, damaged or elsewhere: the rest of the file can be shown without it."""


class Beside(Protocol):
    """Where the files stand that a file of rollouts names."""

    def open(self, name: Any) -> BinaryIO:
        """The file called ``name``; raises TraceError."""
        ...


class Nowhere:
    """What came through a pipe or was pasted has no files beside it."""

    def open(self, name: Any) -> BinaryIO:
        """Refuse; raises TraceError."""
        raise BrokenPicture(f"picture {quoted(str(name))} must be data: no files stand beside what is piped or pasted")


class Given:
    """Pictures handed over with a file, by their names: a path in the file means the one of its last part."""

    def __init__(self, pictures: Sequence[tuple[str, bytes]]) -> None:
        """``pictures``: names and contents."""
        self.by_name: dict[str, set[bytes]] = {}
        for name, content in pictures:
            self.by_name.setdefault(PurePosixPath(name).name, set()).add(content)
        self._meant: dict[str, str] = {}

    def open(self, name: Any) -> BinaryIO:
        """The picture called ``name``; raises TraceError, also where more than one may be meant."""
        called, last = f"picture {quoted(str(name))}", PurePosixPath(str(name)).name
        found = self.by_name.get(last, set())
        if not found:
            raise BrokenPicture(
                f"{called} was not handed over: choose it together with the file, or put both into one zip"
            )
        if len(found) > 1 or self._meant.setdefault(last, str(name)) != str(name):
            raise TraceError(f"{called} is one of several of that name: put the file and its pictures into one zip")
        return io.BytesIO(next(iter(found)))


def is_picture(content: bytes) -> bool:
    """Does it begin as a PNG, JPEG or WebP does?"""
    return content.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")) or (
        content[:4] == b"RIFF" and content[8:12] == b"WEBP"
    )


class Archive:
    """The members of a zip file, those in its folder ``within``."""

    def __init__(self, archive: Zip, within: str = "") -> None:
        self.archive, self.within = archive, within

    def open(self, name: Any) -> BinaryIO:
        """The member called ``name``, whole in memory; raises TraceError."""
        parts = inner_parts(name)
        if parts is None:
            called = f"picture {quoted(str(name))}"
            raise TraceError(f"{called} must be a path inside the zip file, without '..'; nothing else is opened")
        return io.BytesIO(self.archive.read(self.within + "/".join(parts), MAX_PICTURE_BYTES, "picture"))


def folder(root: str | Path) -> Folder:
    """The folder ``root`` as a place of pictures."""
    return Folder(root, "picture", MAX_PICTURE_BYTES, TraceError, BrokenPicture)


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture: its size and format from its header; the bytes are held, or read again from where they stand."""

    width: int
    height: int
    format: str  # PNG, JPEG or WEBP
    key: str  # equal for equal pictures of one file of rollouts
    content: bytes | None = None
    beside: Beside | None = None
    name: str = ""
    broken: str = ""  # why it cannot be shown; its size is not known then

    @property
    def size(self) -> str:
        return "unknown" if self.broken else f"{self.width}×{self.height}"

    def read(self) -> bytes:
        """The file's bytes; raises TraceError."""
        if self.broken:
            raise BrokenPicture(self.broken)
        if self.content is not None:
            return self.content
        assert self.beside is not None
        with self.beside.open(self.name) as file:
            return file.read(MAX_PICTURE_BYTES)

    def pixels(self) -> np.ndarray:
        """(H, W, 3) uint8; raises TraceError if it is damaged."""
        return np.asarray(decoded(self.read(), self.name or "picture"))

    def mask(self) -> np.ndarray:
        """(H, W) bool: where it is white, however transparent; raises TraceError if it is damaged."""
        return np.asarray(decoded(self.read(), self.name or "picture", upright)).max(axis=-1) > _GREY

    def url(self) -> str:
        """The same as a data URL, inert whatever the file holds."""
        return f"data:image/{self.format.lower()};base64,{base64.b64encode(self.read()).decode('ascii')}"


def marked_broken(why: str) -> Picture:
    """A picture that cannot be shown, and ``why``."""
    return Picture(1, 1, "", f"broken: {why}", broken=why)


class Shelf:
    """The pictures of one file of rollouts; equal ones are held once."""

    def __init__(self, beside: Beside, hold: Callable[[int], None] = lambda size: None) -> None:
        """``hold`` is told the bytes of each picture before it is held, and may refuse them."""
        self.beside, self._hold = beside, hold
        self._known: dict[str, Picture] = {}
        self._held_bytes = 0

    def picture(self, value: Any) -> Picture:
        """The picture that a field holds: bytes, a data URL, a path, or an object of one of these.

        Objects are ``{"bytes": …, "path": …}`` (datasets) and ``{"url": …}`` (chat).  One that is missing, damaged or
        an address is marked ``broken``, one that is so marked stays.  Raises TraceError for what no picture may be,
        such as a path that leads out.
        """
        if isinstance(value, Picture):
            return value
        try:
            return self._found(value)
        except BrokenPicture as error:
            found = marked_broken(str(error))
            return self._known.setdefault(found.key, found)

    def _found(self, value: Any) -> Picture:
        if isinstance(value, dict):
            given = [value.get(key) for key in ("bytes", "url", "image", "path") if value.get(key) is not None]
            if not given:
                raise BrokenPicture("a picture must be a path, a data URL or bytes, got an object without any")
            value = given[0]
        if isinstance(value, bytes):
            return self._held(value)
        if not isinstance(value, str):
            raise TraceError(f"a picture must be a path, a data URL or bytes, got {type(value).__name__}")
        if value[:5].lower() == "data:":
            return self._held(_decode_url(value))
        return self._known.get(value) or self._named(value)

    def _held(self, content: bytes) -> Picture:
        if len(content) > MAX_PICTURE_BYTES:
            raise TraceError(f"a picture is larger than {MAX_PICTURE_BYTES // 2**20} MB")
        key = hashlib.sha256(content).hexdigest()
        if key not in self._known:
            header = _header(io.BytesIO(content), "a picture")
            self._held_bytes += len(content)
            if self._held_bytes > MAX_HELD_BYTES:
                raise TraceError(
                    f"the pictures take more than {MAX_HELD_BYTES // 2**20} MB; give them as files beside"
                )
            self._hold(len(content))
            self._known[key] = Picture(*header, key, content)
        return self._known[key]

    def _named(self, name: str) -> Picture:
        if "://" in name:
            raise BrokenPicture(f"picture {quoted(name)} is an address: nothing is fetched; give a file or a data URL")
        with self.beside.open(name) as file:
            size = _header(file, f"picture {quoted(name)}")
            if isinstance(self.beside, (Archive, Given)):  # gone before the picture is shown
                file.seek(0)
                found = replace(self._held(file.read()), name=name)
            else:
                found = Picture(*size, name, None, self.beside, name)
        self._known[name] = found
        return found


def decoded(content: bytes, called: str, drawn: Callable[[Image.Image], Image.Image] = as_shown) -> Image.Image:
    """``content`` as an RGB picture, ``drawn`` as a viewer shows it; raises TraceError."""
    _header(io.BytesIO(content), called)
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            return drawn(image).convert("RGB")
    except Exception:  # Pillow's readers raise many kinds on forged chunks
        raise BrokenPicture(f"{called} is damaged: its pixels cannot be decoded") from None


def sized(picture: Picture, side: int) -> tuple[str, bytes]:
    """Type and bytes of ``picture`` drawn anew, at most ``side`` pixels long; raises TraceError.

    Small PNGs stay exact where there is room, all else becomes JPEG.
    """
    content = picture.read()
    _header(io.BytesIO(content), picture.name or "a picture")
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            image.draft("RGB", (side, side))  # of a JPEG, only as much is decoded
            shown = as_shown(image).convert("RGB")
    except Exception:  # as in ``decoded``
        raise TraceError(f"{picture.name or 'a picture'} is damaged: its pixels cannot be decoded") from None
    if max(shown.size) > side:
        shown.thumbnail((side, side), Image.Resampling.BILINEAR, reducing_gap=2.0)
    out = io.BytesIO()
    if picture.format == "PNG" and max(picture.width, picture.height) <= MAX_EXACT:
        shown.save(out, "PNG")
        if side > MAX_EXACT or len(out.getvalue()) <= MAX_EXACT_BYTES:
            return "image/png", out.getvalue()
        out = io.BytesIO()
    shown.save(out, "JPEG", quality=82)
    return "image/jpeg", out.getvalue()


def _header(file: BinaryIO, called: str) -> tuple[int, int, str]:
    """Width, height and format, with nothing decoded; raises TraceError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(file, formats=FORMATS) as image:
                width, height, kind = *upright_size(image), image.format or ""
    except Image.DecompressionBombError:
        raise TraceError(_too_many(called)) from None
    except Exception:  # as in ``decoded``
        raise BrokenPicture(f"{called} is not a PNG, JPEG or WebP picture") from None
    if width * height > MAX_PIXELS:
        raise TraceError(_too_many(called))
    return width, height, "JPEG" if kind == "MPO" else kind


def _too_many(called: str) -> str:
    return f"{called} holds more than {MAX_PIXELS // 10**6} million pixels"


def _decode_url(url: str) -> bytes:
    match = _DATA.match(url)
    if match is None:
        raise TraceError(f"a picture's data URL must begin with data:image/png;base64, got {quoted(url[:40])}")
    if len(url) > MAX_PICTURE_BYTES * 4 // 3 + 100:
        raise TraceError(f"a picture is larger than {MAX_PICTURE_BYTES // 2**20} MB")
    try:
        return base64.b64decode(url[match.end() :], validate=True)
    except (binascii.Error, ValueError):
        raise BrokenPicture("a picture's data URL is not base64") from None
