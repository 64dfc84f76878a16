"""Documents and measurements that the page links to, from this server: a page to read for a browser, else plain text.

Only files named here are served: the licence, model cards, and the files that commands wrote.
"""

from __future__ import annotations

import re
from functools import lru_cache
from html import escape
from pathlib import Path
from posixpath import dirname, join, normpath
from typing import Any
from urllib.parse import urlsplit

from markdown_it import MarkdownIt
from starlette.responses import Response

from mmreason import places

PREFIX = "about/"  # of their addresses
_NAMES = re.compile(r"LICENSE|README\.md|checkpoints/[\w-]+/README\.md|assets/results/\w+\.json", re.ASCII)
_PATH = re.compile(r"/about/([\w./-]+)\Z", re.ASCII)
_FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><style>
:root {{ color-scheme: light dark; }}
body {{ font: 16px/1.6 system-ui, sans-serif; max-width: 46rem; margin: 0 auto; padding: 24px 16px; }}
pre, table {{ display: block; overflow-x: auto; max-width: 100%; }}
pre, code {{ font: 14px/1.5 ui-monospace, monospace; }}
table {{ border-collapse: collapse; }}
th, td {{ border: 1px solid color-mix(in srgb, currentcolor 30%, transparent); padding: 4px 10px; text-align: left; }}
h1, h2, h3 {{ line-height: 1.25; }}
</style></head><body>{body}</body></html>"""


def document(name: str) -> Path | None:
    """The file called ``name``, if it is one that may be read and is here."""
    path = places.ROOT / name
    return path if _NAMES.fullmatch(name) and path.is_file() and not path.is_symlink() else None


def documents() -> list[str]:
    """Names of all documents that are here."""
    found = ["LICENSE", "README.md"]
    for pattern in ("checkpoints/*/README.md", "assets/results/*.json"):
        found += [path.relative_to(places.ROOT).as_posix() for path in sorted(places.ROOT.glob(pattern))]
    return [name for name in found if document(name)]


def address(name: str) -> str:
    """Where the page finds the document called ``name``, relative to itself."""
    return PREFIX + name


@lru_cache(maxsize=64)
def readable(name: str, text: str) -> str:
    """The document as a page of its own: Markdown set, all else as it stands; links lead to what is served here."""
    if not name.endswith(".md"):
        return _PAGE.format(title=escape(name), body=f"<h1>{escape(name)}</h1><pre tabindex=0>{escape(text)}</pre>")
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = markdown.parse(_COMMENT.sub("", _FRONT_MATTER.sub("", text)))
    for inline in (child for token in tokens for child in token.children or []):
        if inline.type == "link_open" and not _leads(name, str(inline.attrs["href"])):
            inline.attrs = {}
        elif inline.type == "image":
            inline.type, inline.tag = "text", ""  # pictures are not served: what they show, in words
    body = markdown.renderer.render(tokens, markdown.options, {})
    return _PAGE.format(title=escape(name), body=body)


def _leads(name: str, href: str) -> bool:
    """Whether a link in document ``name`` leads to the web, within it, or to another document."""
    parts = urlsplit(href)
    if parts.scheme:
        return parts.scheme in ("http", "https")
    return not parts.path or document(normpath(join(dirname(name), parts.path))) is not None


class ServeDocuments:
    """Answers requests for documents; all others go on."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """One request."""
        match = _PATH.search(scope["path"]) if scope["type"] == "http" else None
        if match is None:
            await self.app(scope, receive, send)
            return
        path = document(match[1])
        status, body, kind = 404, b"There is no such document.", "plain"
        if path is not None:
            status, body = 200, path.read_bytes()
            if b"text/html" in dict(scope["headers"]).get(b"accept", b""):
                body, kind = readable(match[1], body.decode("utf-8", "replace")).encode(), "html"
        headers = {
            "content-type": f"text/{kind}; charset=utf-8",
            "vary": "accept",
            "x-content-type-options": "nosniff",
            "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'",
        }
        await Response(body, status, headers)(scope, receive, send)
