"""Trace version 2: prompts and rollouts of any system in one file, or in lines that each hold some of them.

``{"version": 2, "prompts": […], "rollouts": […]}`` is a whole file.  As JSON lines every line is such an object, so
that a run can append to it; a prompt stands in the line of its first rollout or before.  Unknown fields are kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from itertools import islice
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from mmreason.disk import one_line, quoted
from mmreason.errors import TraceError
from mmreason.traces.picture import Shelf
from mmreason.traces.plain import check_plain, place_of
from mmreason.traces.rollouts import MAX_CHARS, MAX_PARTS, MAX_PROMPTS, MAX_ROLLOUTS, Part, Prompt, Region, Rollout
from mmreason.traces.schema import Probability, Score, not_bool

OF_OURS = frozenset(("logprob",))  # fields of our traces that look like known ones
_MAX_TOKENS = 100_000  # of one part
_MAX_SIDE = 100_000  # pixels or cells
_MAX_LOOKED_AT = 100  # unknown fields of a kind that are held against the known ones


Id = Annotated[str, StringConstraints(min_length=1, max_length=500)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Text = Annotated[str, StringConstraints(max_length=MAX_CHARS)]
Image = Annotated[str, StringConstraints(min_length=1)]  # a data URL, or the path of a file beside this one
Scores = Annotated[dict[Name, Score | None], Field(max_length=256)]
Place = Annotated[int, Field(ge=1, le=_MAX_SIDE)]
Position = Annotated[int, Field(ge=0, lt=_MAX_TOKENS)]
Turn = Annotated[int, Field(ge=1, le=MAX_PARTS)]


class _Open(BaseModel):
    """Known fields are checked, unknown ones kept."""

    model_config = ConfigDict(extra="allow", strict=True, allow_inf_nan=False, frozen=True)


class RegionEntry(_Open):
    """Boxes ``[top, left, bottom, right]``, inclusive and counted from 1, or a mask that is white where edited."""

    unit: Literal["pixels", "cells"] = "pixels"
    boxes: (
        Annotated[
            list[Annotated[list[Place], Field(min_length=4, max_length=4)]], Field(min_length=1, max_length=MAX_PARTS)
        ]
        | None
    ) = None
    mask: Image | None = None

    @model_validator(mode="before")
    @classmethod
    def _object(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            got = one_line(repr(value), 40)
            raise ValueError(f'must be {{"boxes": [[top, left, bottom, right]], "unit": "pixels"}}, got {got}')
        return value

    @model_validator(mode="after")
    def _one(self) -> RegionEntry:
        if (self.boxes is None) == (self.mask is None):
            raise ValueError("must hold 'boxes' or 'mask', one of them")
        for top, left, bottom, right in self.boxes or ():
            if top > bottom or left > right:
                raise ValueError("'boxes' must be [top, left, bottom, right], top and left first")
        return self


class StepEntry(_Open):
    """A denoising step: the tokens after it, null where still masked, and which were committed, how surely."""

    step: Annotated[int, Field(ge=0, le=1_000_000)]
    tokens: Annotated[list[str | int | None], Field(max_length=_MAX_TOKENS)] | None = None
    committed: Annotated[list[Position], Field(max_length=_MAX_TOKENS)] | None = None
    probability: Annotated[list[Probability], Field(max_length=_MAX_TOKENS)] | None = None


class _Judged(_Open):
    turn: Turn | None = None  # by default a text after a picture begins the next turn
    reward: Score | None = None
    rewards: Scores | None = None
    right: bool | None = None
    tokens: Annotated[list[str | int | None], Field(max_length=_MAX_TOKENS)] | None = None
    logprobs: Annotated[list[Annotated[float, Field(le=1e-3)] | None], Field(max_length=_MAX_TOKENS)] | None = None
    steps: Annotated[list[StepEntry], Field(max_length=10_000)] | None = None

    @model_validator(mode="after")
    def _aligned(self) -> _Judged:
        if self.tokens is not None and self.logprobs is not None and len(self.tokens) != len(self.logprobs):
            raise ValueError("'logprobs' must be as long as 'tokens'")
        return self


class TextEntry(_Judged):
    """A thought or an answer."""

    type: Literal["text"]
    kind: Literal["thought", "answer"] = "thought"
    text: Text


class ImageEntry(_Judged):
    """A picture as it was after this part; without a region it was made whole."""

    type: Literal["image"]
    image: Image | None  # null while it is not finished
    region: RegionEntry | None = None
    grid: Annotated[list[Place], Field(min_length=2, max_length=2)] | None = None


class GivenText(_Open):
    """Words of a prompt."""

    type: Literal["text"]
    text: Text
    role: Literal["user", "system"] = "user"


class GivenImage(_Open):
    """A picture of a prompt."""

    type: Literal["image"]
    image: Image
    role: Literal["user", "system"] = "user"


class PromptEntry(_Open):
    """What was given."""

    id: Id
    parts: Annotated[list[Annotated[GivenText | GivenImage, Field(discriminator="type")]], Field(max_length=MAX_PARTS)]


class RolloutEntry(_Open):
    """What was generated for the prompt whose id is ``prompt``; ``rewards`` are of the whole, by component."""

    id: Id | None = None
    prompt: Id
    parts: Annotated[list[Annotated[TextEntry | ImageEntry, Field(discriminator="type")]], Field(max_length=MAX_PARTS)]
    rewards: Scores | None = None
    success: bool | None = None
    answer: Any = None
    settings: dict[Name, Any] | None = None
    cost: dict[Name, Any] | None = None


class RolloutsFile(_Open):
    """A file, or a line of one."""

    version: Annotated[Literal[2], BeforeValidator(not_bool)]
    prompts: Annotated[list[PromptEntry], Field(max_length=MAX_PROMPTS)] = []
    rollouts: Annotated[list[RolloutEntry], Field(max_length=MAX_ROLLOUTS)] = []
    judges: dict[Literal["text", "image"], Annotated[list[Name], Field(max_length=256)]] | None = None


def check_two(data: dict[str, Any]) -> RolloutsFile:
    """``data`` as the validated model; raises TraceError that names the first field that is wrong."""
    check_plain(data)
    try:
        return RolloutsFile.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        message = first["msg"].removeprefix("Value error, ").replace("Input should", "should")
        if first["type"] not in ("missing", "value_error"):  # of which one has no value, and the other says it
            message = f"{one_line(message, 200)}, got {one_line(repr(first['input']), 40)}"
        place = place_of(tuple(key for key in first["loc"] if key not in ("text", "image") or first["loc"][-1] == key))
        raise TraceError(f"trace field {place}: {one_line(message, 250)}") from None


def read_two(data: dict[str, Any], shelf: Shelf) -> tuple[list[Prompt], list[Rollout], dict[str, tuple[str, ...]]]:
    """The prompts, rollouts and judges of a version 2 object; rollouts without an id have an empty one."""
    file = check_two(data)
    judges = {modality: tuple(names) for modality, names in (file.judges or {}).items()}
    prompts = [
        Prompt(entry.id, tuple(_given(part, shelf) for part in entry.parts), _more(entry)) for entry in file.prompts
    ]
    return prompts, [_rollout(entry, shelf) for entry in file.rollouts], judges


def _given(entry: GivenText | GivenImage, shelf: Shelf) -> Part:
    if isinstance(entry, GivenText):
        return Part("text", "given", text=entry.text, role=entry.role, more=_more(entry))
    return Part("image", "given", picture=shelf.picture(entry.image), role=entry.role, more=_more(entry))


def _rollout(entry: RolloutEntry, shelf: Shelf) -> Rollout:
    parts: list[Part] = []
    turn = 1
    for part in entry.parts:
        after_picture = bool(parts) and parts[-1].modality == "image"
        turn = part.turn or (turn + 1 if part.type == "text" and after_picture else turn)
        parts.append(_part(part, turn, shelf))
    return Rollout(
        entry.id or "",
        entry.prompt,
        tuple(parts),
        known(entry.rewards or {}),
        entry.success,
        entry.answer,
        entry.settings or {},
        entry.cost or {},
        _more(entry),
    )


def _part(entry: TextEntry | ImageEntry, turn: int, shelf: Shelf) -> Part:
    rewards = known(entry.rewards or {})
    shared: dict[str, Any] = {
        "turn": turn,
        "reward": entry.reward if "reward" in entry.model_fields_set else sum(rewards.values()) if rewards else None,
        "rewards": rewards,
        "right": entry.right,
        "tokens": tuple(entry.tokens or ()),
        "logprobs": tuple(entry.logprobs or ()),
        "steps": tuple(step.model_dump(exclude_none=True) for step in entry.steps or ()),
        "more": _more(entry),
    }
    if isinstance(entry, TextEntry):
        return Part("text", entry.kind, text=entry.text, **shared)
    region = entry.region and Region(
        entry.region.unit,
        tuple((box[0], box[1], box[2], box[3]) for box in entry.region.boxes or ()),
        None if entry.region.mask is None else shelf.picture(entry.region.mask),
    )
    picture = None if entry.image is None else shelf.picture(entry.image)
    grid = (entry.grid[0], entry.grid[1]) if entry.grid else None
    return Part("image", "edit", picture=picture, region=region, grid=grid, **shared)


def misspelt(data: dict[str, Any]) -> list[str]:
    """A sentence for each unknown field that is nearly a known one; all unknown fields are kept, and not acted on."""
    kinds: list[tuple[str, type[BaseModel], list[Any]]] = [("the file", RolloutsFile, [data])]
    rollouts, prompts = _dicts(data.get("rollouts")), _dicts(data.get("prompts"))
    parts = [part for rollout in rollouts for part in _dicts(rollout.get("parts"))]
    kinds += [("a prompt", PromptEntry, prompts), ("a rollout", RolloutEntry, rollouts)]
    kinds += [("a text", TextEntry, [part for part in parts if part.get("type") == "text"])]
    kinds += [("an image", ImageEntry, [part for part in parts if part.get("type") == "image"])]
    found = []
    for called, kind, entries in kinds:
        fields = list(kind.model_fields)
        unknown = dict.fromkeys(str(name) for entry in entries for name in entry if name not in fields)
        for name in islice(unknown, _MAX_LOOKED_AT):
            near = get_close_matches(name, fields, 1, 0.8) if name not in OF_OURS else []
            if near:
                found.append(f"field {quoted(name)} of {called} is not known and does nothing; {near[0]!r} is")
    return found


def regions_outside(rollouts: Sequence[Rollout]) -> list[str]:
    """A sentence for each region that reaches beyond its picture, or beyond the part's ``grid`` of cells."""
    found = []
    for part in (part for rollout in rollouts for part in rollout.parts):
        if part.region is None:
            continue
        if part.region.unit == "cells":
            size = part.grid
        else:
            size = (part.picture.height, part.picture.width) if part.picture and not part.picture.broken else None
        if size is not None:
            found += [outside_words(box, *size) for box in part.region.boxes if outside(box, *size)]
        elif part.region.unit == "cells" and part.region.boxes:
            found.append("a region in cells is not outlined where its part says no 'grid', [rows, columns]")
    return found


def outside(box: Sequence[int], height: int, width: int) -> bool:
    """Whether ``box`` (top, left, bottom, right) reaches beyond a picture."""
    return len(box) == 4 and (box[2] > height or box[3] > width)


def outside_words(box: Sequence[int], height: int, width: int) -> str:
    """What is said of such a box."""
    return (
        f"field 'region' must be [top, left, bottom, right] inside the picture, up to [1, 1, {height}, {width}], "
        f"got {list(box)}"
    )


def _dicts(entries: Any) -> list[dict[str, Any]]:
    return [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []


def known(rewards: Mapping[str, float | None]) -> dict[str, float]:
    """The rewards that are not null."""
    return {name: float(value) for name, value in rewards.items() if value is not None}


def _more(entry: BaseModel) -> dict[str, Any]:
    return dict(entry.model_extra or {})
