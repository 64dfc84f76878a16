"""A zip that was handed over: nothing in it unpacks to more than it says, and each file is there once."""

from __future__ import annotations

import io
import struct
import tracemalloc
import warnings
import zipfile

import pytest

from mmreason.errors import TraceError
from mmreason.zipped import Zip
from tests.helpers.zips import zipped

BIG = bytes(2**24)


def opened(content: bytes, max_entries: int = 10) -> Zip:
    return Zip(io.BytesIO(content), "zip file 'a.zip'", max_entries, TraceError)


def peak_of(archive: Zip, name: str, max_bytes: int) -> tuple[str, int]:
    """How the member is refused, and how many bytes are held meanwhile."""
    tracemalloc.start()
    try:
        with pytest.raises(TraceError) as refused:
            archive.read(name, max_bytes)
        return str(refused.value), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_what_is_stored_or_deflated_comes_back_as_it_was(method):
    members = {"a/b.txt": b"words", "c": b"", "d": BIG}
    with opened(zipped(members, method)) as archive:
        assert {entry.filename: archive.read(entry.filename, len(BIG)) for entry in archive.entries} == members


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_what_python_unpacks_without_a_bound_is_refused_packed(method):
    said, peak = peak_of(opened(zipped({"a": BIG}, method, says=100)), "a", 100)
    assert said == f"file 'a' must be stored or deflated in the zip file, got method {method}" and peak < 2**20


def test_a_file_that_says_less_than_it_holds_is_refused_and_not_unpacked():
    said, peak = peak_of(opened(zipped({"a": BIG}, zipfile.ZIP_DEFLATED, says=100)), "a", 2**20)
    assert said == "file 'a' cannot be read from the zip file" and peak < 2**20


def test_a_file_that_says_too_much_is_refused_unread():
    archive = opened(zipped({"a": BIG}, zipfile.ZIP_DEFLATED))
    said, peak = peak_of(archive, "a", 2**23)
    assert said == "file 'a' is larger than 8 MB" and peak < 2**20
    assert peak_of(archive, "b", 2**23)[0] == "file 'b' is not in the zip file"


def test_too_many_files_one_name_twice_and_what_is_no_zip_are_refused():
    with pytest.raises(TraceError, match=r"'a\.zip' must hold at most 1 files, holds 2"):
        opened(zipped({"a": b"", "b": b""}), max_entries=1)
    twice = io.BytesIO()
    with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(twice, "w") as archive:
        archive.writestr("a", b"1")
        archive.writestr("a", b"2")
    with pytest.raises(TraceError, match=r"'a\.zip' must hold each file once, holds 'a' twice"):
        opened(twice.getvalue())
    for content in (b"", b"PK\x03\x04", b"no zip", zipped({"a": BIG})[-30:], struct.pack("<IIII", *range(4)) * 9):
        with pytest.raises(TraceError, match=r"'a\.zip' must be a zip that can be read: ") as refused:
            opened(content)
        assert "\n" not in str(refused.value)
