"""An adapter merged into its base: a whole checkpoint under the published names, in files laid out as the base's.

Files of weights are copied tensor by tensor, so that no more than one is in memory.  Nothing of a checkpoint is
executed.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import torch

from mmreason.backbones.adapter import PREFIX, stored_adapter, stored_weights
from mmreason.backbones.family import CODEC, MAGVIT_SOURCE, family_of, find
from mmreason.backbones.loading import INDEX, check_tensors, native_name, read_json, shards, stored_shape
from mmreason.codecs import magvit
from mmreason.disk import free_bytes, names_in, quoted, reason_of
from mmreason.errors import CheckpointError, ConfigError, MMReasonError, WriteError

CONFIG = "config.json"  # written last: without it no code takes the folder for a checkpoint
TYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
# Weights beside those that are read, and what a training left: not those of the merged network
UNREAD = (".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".gguf", ".h5", ".msgpack", ".onnx", ".index.json")
OnFile = Callable[[int, int, str], None]  # files of weights written, all of them, name of the last


def merge(
    folder: Path,
    base: tuple[str, Path],
    output: str,
    family: str | None = None,
    beside: Sequence[str] = (),
    on_file: OnFile = lambda *_: None,
) -> dict[str, Any]:
    """Write ``base`` (name, folder) with the adapter in ``folder`` merged in to ``output``, a new or an empty folder.

    W + alpha / rank · B A of every adapted matrix is computed in 32 bits at least and stored in W's type; every other
    tensor, and every file but weights, is the base's.  ``family`` is what the adapter was trained as, if not what
    the base says; files called ``beside`` are the adapter's, where it has them.  Returns ``output``, ``family``,
    ``rank``, ``tensors`` (merged ones), ``bytes``, ``written`` and ``left_out``.

    Raises CheckpointError where adapter or base is damaged or they do not go together, ConfigError for an ``output``
    that will not do, WriteError; what was written is then removed.
    """
    name, whole = base
    _check_output(output, whole)
    config = read_json(whole / CONFIG)
    shape = stored_shape(whole, config)
    check_tensors(whole, shape)
    rank, alpha = stored_adapter(folder, shape)
    family = family or family_of(name, config)
    text = _config(whole, name, output, family)
    weights = shards(whole)
    others, left_out = _others(whole, {CONFIG, INDEX, *(file.name for file in weights)})
    if (whole / INDEX).is_file():
        others[INDEX] = whole / INDEX
    others |= _codec_of_hub(name, whole, family)
    others |= {each: folder / each for each in beside if (folder / each).is_file()}
    _check_room(output, [*weights, *others.values()])
    adapter = stored_weights(folder)
    with _filling(Path(output)) as create:
        tensors = 0
        for i, file in enumerate(weights, start=1):
            with create(file.name) as out:
                tensors += _copy_merged(file, out, adapter, alpha / rank)
            on_file(i, len(weights), file.name)
        for each, source in sorted(others.items()):
            with create(each) as out, source.open("rb") as opened:
                shutil.copyfileobj(opened, out)
        with create(CONFIG) as out:
            out.write(text)
    written = sorted([*(file.name for file in weights), *others, CONFIG])
    size = sum((Path(output) / each).stat().st_size for each in written)
    facts = {"output": output, "family": family, "rank": rank, "tensors": tensors, "bytes": size}
    return facts | {"written": written, "left_out": left_out}


def _copy_merged(file: Path, out: BinaryIO, adapter: dict[str, torch.Tensor], scale: float) -> int:
    """Copy ``file``, a safetensors file, byte by byte but for the tensors that ``adapter`` changes; returns how many.

    Raises CheckpointError where one of them is not finite then.
    """
    merged = 0
    with file.open("rb") as opened:
        size = opened.read(8)
        head = opened.read(int.from_bytes(size, "little"))
        out.write(size + head)
        entries = {name: entry for name, entry in json.loads(head).items() if name != "__metadata__"}
        for name, entry in sorted(entries.items(), key=lambda item: item[1]["data_offsets"]):
            begin, end = entry["data_offsets"]
            content = bytearray(end - begin)
            if opened.readinto(content) != len(content):
                raise CheckpointError(f"{file.name} cannot be read: it ends within tensor {name}")
            pair = f"{PREFIX}{(native_name(name) or '').removesuffix('.weight')}"
            if f"{pair}.lora_A.weight" not in adapter:
                out.write(content)
                continue
            weight = torch.frombuffer(content, dtype=TYPES[entry["dtype"]]).view(entry["shape"])
            new = merged_weight(weight, adapter[f"{pair}.lora_A.weight"], adapter[f"{pair}.lora_B.weight"], scale)
            if not bool(new.isfinite().all()):
                raise CheckpointError(
                    f"tensor {name} must hold finite numbers, and does not with the adapter merged in"
                )
            out.write(new.view(torch.uint8).numpy().data)
            merged += 1
    return merged


def merged_weight(weight: torch.Tensor, down: torch.Tensor, up: torch.Tensor, scale: float) -> torch.Tensor:
    """``weight`` (rows, columns) + ``scale`` · ``up`` (rows, rank) @ ``down`` (rank, columns), in its own type."""
    wide = torch.promote_types(weight.dtype, torch.float32)
    return (weight.to(wide) + (up.float() @ down.float() * scale).to(wide)).to(weight.dtype)


def _config(whole: Path, name: str, output: str, family: str) -> bytes:
    """``config.json`` of the base; where it would be read as of another family by its new name, it says its old one.

    Raises ConfigError where the new name speaks against it.
    """
    config = read_json(whole / CONFIG)
    if family_of(output, config) == family:
        return (whole / CONFIG).read_bytes()
    for said in (os.path.basename(name), family):
        changed = config | {"_name_or_path": said}
        if family_of(output, changed) == family:
            return f"{json.dumps(changed, indent=2)}\n".encode()
    raise ConfigError(
        f"--output must not say another family than the adapter's, {family}: a checkpoint of that name is read as "
        f"{family_of(output, config)}, got {output!r:.200}"
    )


def _others(whole: Path, taken: set[str]) -> tuple[dict[str, Path], list[str]]:
    """Files of a checkpoint but those ``taken``, by their path in it, and what of it is left out.

    Left out are other weights of the network, names with a dot in front, and what is no file.  Links are followed,
    those to folders from the checkpoint's own only.
    """
    found: dict[str, Path] = {}
    left_out = []
    for top in sorted(whole.iterdir()):
        if top.name in taken:
            continue
        if top.name.startswith(".") or (top.is_file() and top.name.endswith(UNREAD)):
            left_out.append(top.name)
            continue
        paths = [top]
        if top.is_dir():
            paths = [Path(where, each) for where, folders, files in os.walk(top) for each in (*folders, *files)]
        for path in paths:
            name = path.relative_to(whole).as_posix()
            if path.is_file():
                found[name] = path
            elif path.is_symlink() or not path.is_dir():
                left_out.append(name)
    return found, sorted(left_out)


def _codec_of_hub(name: str, whole: Path, family: str) -> dict[str, Path]:
    """The codec's files of an MMaDA-8B from the Hub, which is published without; none where it has its own."""
    if family != "mmada" or os.path.isdir(name) or (whole / CODEC).is_dir():
        return {}
    return {f"{CODEC}/{each}": find(MAGVIT_SOURCE) / each for each in (magvit.CONFIG, magvit.WEIGHTS)}


def _check_output(output: str, whole: Path) -> None:
    """Refuse a folder that is not empty, or that lies in the base's; raises ConfigError."""
    if names_in(output, "--output"):
        raise ConfigError(f"--output must be a new or an empty folder, got {output!r}")
    if Path(os.path.realpath(output)).is_relative_to(os.path.realpath(whole)):
        raise ConfigError(f"--output must lie outside the base's folder {str(whole)!r}, got {output!r}")


def _check_room(output: str, files: Sequence[Path]) -> None:
    """Refuse a disk that cannot take ``files``; raises ConfigError."""
    needed, free = sum(file.stat().st_size for file in files), free_bytes(output)
    if needed > free:
        raise ConfigError(
            f"--output must be on a disk with {needed / 1e9:.2f} GB free, and that of {output!r} has {free / 1e9:.2f}"
        )


@contextlib.contextmanager
def _filling(folder: Path) -> Iterator[Callable[[str], contextlib.AbstractContextManager[BinaryIO]]]:
    """What opens a new file of ``folder`` by its path in there; all of them are removed where anything fails.

    Raises WriteError.
    """
    made: list[Path] = []

    def make(place: Path) -> None:
        if not place.is_dir():
            make(place.parent)
            place.mkdir()
            made.append(place)

    @contextlib.contextmanager
    def create(name: str) -> Iterator[BinaryIO]:
        make((folder / name).parent)
        with (folder / name).open("xb") as out:
            made.append(folder / name)
            yield out
            out.flush()
            os.fsync(out.fileno())

    try:
        try:
            yield create
        except BaseException:
            for each in reversed(made):
                with contextlib.suppress(OSError):  # it holds something else by now
                    each.rmdir() if each.is_dir() else each.unlink()
            raise
    except MMReasonError:
        raise
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        which = getattr(error, "filename", None) or folder  # it may be one of the base's
        raise WriteError(
            f"cannot merge into {quoted(str(folder))}: {quoted(str(which))}: {reason_of(error)}"
        ) from None
