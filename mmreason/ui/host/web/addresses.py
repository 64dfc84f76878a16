"""Addresses of the page's own, beside gradio's: what its scripts ask for without an event.

A tab offers a prefix and a function that answers; requests are answered by a few threads of their own.  What follows
the prefix begins with a token; the requests of an address for a token are a line, and lines take turns.  So many may
wait, in all and from one address; where there are too many in all, the longest line loses its last.  Who has hung up
when their turn comes is passed over.
"""

from __future__ import annotations

import asyncio
import gzip
import json
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from threading import RLock
from typing import Any
from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import Response

from mmreason.ui.host.visitor import address_of

Answer = tuple[int, str, bytes]  # status, type, body
Answering = Callable[[str, bytes], Answer]  # of what follows the prefix, and the query
Line = tuple[str | None, str]  # who asks, where that is known, and for which token

MIN_PACKED = 2000  # bytes of a body that is worth packing

MOST, OF_AN_ADDRESS = 512, 128  # questions that may wait or be answered; a page asks a few dozen at a time
FULL = "Too many questions wait here already; please try again in a moment."
BUSY: Answer = (503, "application/json", json.dumps({"error": FULL}).encode())

_OFFERED: dict[str, Answering] = {}


def offer(prefix: str, answering: Answering) -> None:
    """Answer requests whose path begins with ``prefix`` from now on."""
    _OFFERED[prefix] = answering


class Questions:
    """What waits for an answer, and what is being answered."""

    def __init__(self, most: int = MOST, of_an_address: int = OF_AN_ADDRESS) -> None:
        self.most, self.of_an_address = most, of_an_address
        self._workers = ThreadPoolExecutor(2, "addresses")  # a picture takes a core; visitors' solves need the others
        self._asked: Counter[str | None] = Counter()  # by address, None where it is not known
        self._waiting: dict[Line, deque[tuple[Future[Answer], Callable[[], Answer]]]] = {}  # whose turn first
        self._lock = RLock()

    def ask(self, address: str | None, answering: Answering, rest: str, query: bytes) -> Future[Answer] | None:
        """The answer to come; None where too many wait."""
        line, job = (address, unquote(rest.partition("/")[0])), Future()
        with self._lock:
            if address and self._asked[address] >= self.of_an_address:
                return None
            if self._asked.total() >= self.most and not self._make_room(len(self._waiting.get(line, ())) + 1):
                return None
            self._asked[address] += 1
            self._waiting.setdefault(line, deque()).append((job, partial(answering, rest, query)))
        job.add_done_callback(lambda _: self._answered(line, job))
        self._workers.submit(self._answer_next)
        return job

    def _make_room(self, of_theirs: int) -> bool:
        """Turn away the last question of the longest line, if that has more than ``of_theirs``."""
        most = max(self._waiting, key=lambda line: len(self._waiting[line]), default=None)
        if most is None or len(self._waiting[most]) <= of_theirs:
            return False
        job, _ = self._waiting[most].pop()
        if job.set_running_or_notify_cancel():
            job.set_result(BUSY)
        return True

    def _answer_next(self) -> None:
        with self._lock:
            if not self._waiting:  # who asked has left
                return
            line = next(iter(self._waiting))
            waiting = self._waiting.pop(line)
            job, answer = waiting.popleft()
            if waiting:
                self._waiting[line] = waiting
            if not job.set_running_or_notify_cancel():
                return
        try:
            job.set_result(answer())
        except BaseException as error:
            job.set_exception(error)

    def _answered(self, line: Line, job: Future[Answer]) -> None:
        address, _ = line
        with self._lock:
            left = deque(each for each in self._waiting.get(line, ()) if each[0] is not job)
            if left:
                self._waiting[line] = left
            else:
                self._waiting.pop(line, None)
            self._asked[address] -= 1
            if not self._asked[address]:
                del self._asked[address]


QUESTIONS = Questions()


class OwnAddresses:
    """Answers such requests; all others go on."""

    def __init__(self, app: Any, questions: Questions = QUESTIONS) -> None:
        self.app, self.questions = app, questions

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """One request."""
        path = scope.get("path", "")
        root = scope.get("root_path", "")
        path = path.removeprefix(root) if root and path.startswith(f"{root}/") else path
        prefix = next((one for one in _OFFERED if path.startswith(one)), None)
        if scope["type"] != "http" or prefix is None or scope["method"] != "GET":
            await self.app(scope, receive, send)
            return
        rest, query = path.removeprefix(prefix), scope["query_string"]
        job = self.questions.ask(address_of(Request(scope)), _OFFERED[prefix], rest, query)
        if job is None:
            status, kind, body = BUSY
        elif await _has_left(receive, job):
            return
        else:
            status, kind, body = job.result()
        picture = kind.startswith("image/")
        headers = {
            "content-type": kind,
            "x-content-type-options": "nosniff",
            "content-security-policy": "default-src 'none'; sandbox",
            "cache-control": "private, max-age=86400" if picture else "no-store",
            "referrer-policy": "no-referrer",
        }
        if not picture and len(body) > MIN_PACKED and _takes_gzip(scope["headers"]):
            body = gzip.compress(body, 4)
            headers["content-encoding"] = "gzip"
        await Response(body, status, headers)(scope, receive, send)


async def _has_left(receive: Any, job: Future[Answer]) -> bool:
    """Wait for the answer; True if the client hangs up before, and nobody begins with it any more."""
    left, done = asyncio.ensure_future(_left(receive)), asyncio.wrap_future(job)
    try:
        await asyncio.wait({left, done}, return_when=asyncio.FIRST_COMPLETED)
        return not done.done()
    finally:
        left.cancel()
        done.cancel()  # and with it ``job``, if it has not begun


async def _left(receive: Any) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _takes_gzip(headers: list[tuple[bytes, bytes]]) -> bool:
    return any(name == b"accept-encoding" and b"gzip" in value for name, value in headers)
