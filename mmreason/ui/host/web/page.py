"""The page itself, made once for all who ask by the same name, with the files that it needs at once named at its top.

So is gradio's description of it (``/config``).  Whatever has to be made is made one at a time, as each takes a while.

A browser would find gradio's files one after the other: the script that the page names, what that imports, what this
loads for each kind of component, and what these import.  Named at the top, all are fetched together.  What cannot be
read out of gradio's files is left out, and found as before.

After them stands a script that lets the page rest: of gradio's "Loading…" a timer goes on, frame by frame, long after
that has gone.  As no event here shows its progress, no timer of that kind is missed.
"""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import AsyncExitStack
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

MOST = 16  # pages and descriptions that are kept, one of each for every name by which the server is reached
# All headers by which gradio says where the page is, who may read it or who may see it.
_SAYS_WHERE = re.compile(rb"host|x-forwarded-(?:host|proto)|x-gradio-server|origin|cookie|authorization")
_ANSWERS = (b"page", b"deep_link", b"all_endpoints")  # parameters that gradio itself answers with another page
_CONFIG, _RUNS = ("/config", "/config/"), "/gradio_api/runs"  # the latter is a page as well
_BASE = re.compile(rb"<base [^>]*>")  # which addresses hang on; nothing is fetched before it

PAGE, CONFIG = b"text/html", b"application/json"

# The timer is told by its text, as gradio 6.31 writes it; should that change, it goes on as gradio lets it.
REST = (
    "<script>{ const ask = requestAnimationFrame.bind(window);"
    " window.requestAnimationFrame = (act) => /performance\\.now\\(\\)-.*\\/1e3/.test(act) ? 0 : ask(act); }</script>"
)

_NAME = r"([\w.-]+\.(?:js|css))"
_FIRST = re.compile(rf'<script type="module"[^>]* src="\./assets/{_NAME}"')
_LISTED = re.compile(r"m\.f=\[([^\]]*)\]")  # what a script may load later, which it names by number
_LATER = re.compile(rf"import\(`\./{_NAME}`\)(?:\.then\([^)]*\)|;return{{.*?}}}})?,__vite__mapDeps\(\[([\d,]+)\]\)")
_KIND = re.compile(r"[{,](\w+):\{((?:(?:base|example|component):[^{}]*?import\.meta\.url\),?)+)\}")
_ALWAYS = ("Index-", "Blocks-")  # of what the first scripts load later, all that a page without a login needs


class KeepPage:
    """Answers for the page and its description; all other requests go on."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self._kept: OrderedDict[Any, tuple[Any, bytes]] = OrderedDict()
        self._making = asyncio.Lock()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """One request."""
        kind = _kind_of(scope)
        if not kind:
            await self.app(scope, receive, send)
            return
        asked = [pair for pair in scope["headers"] if _SAYS_WHERE.fullmatch(pair[0])]
        name = (scope["scheme"], scope.get("root_path", ""), scope["path"], tuple(asked))
        asked_for = {parameter for parameter, _ in parse_qsl(scope["query_string"], keep_blank_values=True)}
        keeps = asked_for.isdisjoint(_ANSWERS)
        start: Any = None
        parts: list[bytes] = []

        async def named(message: Any) -> None:
            nonlocal start
            if message["type"] == "http.response.start" and _is_whole(message, kind):
                start = message
            elif start is None:
                await turn.aclose()
                await send(message)
            else:
                parts.append(message.get("body", b""))
                if message.get("more_body"):
                    return
                body = b"".join(parts)
                if kind == PAGE:
                    names = (links(scope["app"].get_blocks().config) + REST).encode()
                    body = _BASE.sub(lambda base: base[0] + names, body, count=1)
                if keeps and not any(name.lower() == b"set-cookie" for name, _ in start["headers"]):
                    self._kept[name] = start, body
                    while len(self._kept) > MOST:
                        self._kept.popitem(last=False)
                await turn.aclose()
                await _answer(start, body, send)

        async with AsyncExitStack() as turn:
            if not (keeps and name in self._kept):
                await turn.enter_async_context(self._making)
            if not (keeps and name in self._kept):  # nor made while waiting
                await self.app(scope, receive, named)
                return
        self._kept.move_to_end(name)
        await _answer(*self._kept[name], send)


def _kind_of(scope: Any) -> bytes:
    """The type of the page or of its description, whichever is asked for; empty for all else."""
    if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
        return b""
    path, root = scope["path"], scope.get("root_path", "")
    path = path.removeprefix(root) if root and path.startswith(f"{root}/") else path
    if path in _CONFIG:
        return CONFIG
    return PAGE if path == _RUNS or (path.endswith("/") and not path.endswith("/mcp/")) else b""


async def _answer(start: Any, body: bytes, send: Any) -> None:
    headers = [pair for pair in start["headers"] if pair[0].lower() != b"content-length"]
    await send(start | {"headers": [*headers, (b"content-length", str(len(body)).encode())]})
    await send({"type": "http.response.body", "body": body})


def _is_whole(start: Any, kind: bytes) -> bool:
    types = [value for name, value in start["headers"] if name.lower() == b"content-type"]
    return start["status"] == 200 and any(each.startswith(kind) for each in types)


def links(config: Mapping[str, Any]) -> str:
    """HTML that names the files for a page of gradio's ``config``; empty where they cannot be read."""
    parts = config["components"]
    kinds = {part["type"] for part in parts if part["props"].get("visible") is not False}  # those of closed tabs, too
    try:
        names = files_of(kinds)
    except (OSError, ValueError, LookupError, StopIteration):
        return ""
    scripts = [f'<link rel="modulepreload" crossorigin href="./assets/{name}">' for name in names if ".js" in name]
    styles = [
        f'<link rel="preload" as="style" crossorigin href="./assets/{name}">' for name in names if ".css" in name
    ]
    own = f'<link rel="preload" as="style" href="./theme.css?v={config.get("theme_hash")}">'
    return "".join([*scripts, own, *styles])


def files_of(kinds: set[str]) -> list[str]:
    """Names of gradio's scripts and styles that components of ``kinds`` need; raises where they cannot be read."""
    (first,) = _FIRST.findall((_frontend() / "index.html").read_text(encoding="utf-8"))
    found = {first: None}
    for script in (first, *(name for name in _later(_read(first)) if name.startswith("Index-"))):
        for name, needed in _later(_read(script)).items():
            if name.startswith(_ALWAYS):
                found |= dict.fromkeys(needed)
    text = _read(next(name for name in found if name.startswith("core-")))
    for kind, ways in _KIND.findall(text):
        if kind in kinds:
            needed = _later(ways.partition("component:")[2], text)
            found |= dict.fromkeys(next(iter(needed.values()), ()))
    return list(found)


def _later(text: str, names_in: str = "") -> dict[str, list[str]]:
    """What ``text`` loads later, and all that each of these needs; their names stand in ``names_in``."""
    listed = _LISTED.search(names_in or text)
    names = [name.strip('"').removeprefix("./") for name in listed[1].split(",")] if listed else []
    return {name: [names[int(number)] for number in numbers.split(",")] for name, numbers in _LATER.findall(text)}


@cache
def _frontend() -> Path:
    spec = find_spec("gradio")
    return Path(str(spec and spec.origin)).parent / "templates" / "frontend"


def _read(name: str) -> str:
    return (_frontend() / "assets" / name).read_text(encoding="utf-8")
