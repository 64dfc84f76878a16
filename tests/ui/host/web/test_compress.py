"""What a browser accepts compressed it gets compressed: pages whole, streams without holding a message back."""

import gzip
import zlib

import brotli
import pytest

from mmreason.ui.host.web.compress import Compress
from tests.helpers.apart import run_apart

PAGE = b"<html>" + b"a maze " * 1000


def answer(kind: bytes, *bodies: bytes, accepts: bytes = b"gzip, br", method: str = "GET", headers=()):
    """The headers and the bodies as they are sent, for an app that answers ``bodies`` one by one."""
    sent = []

    async def app(scope, receive, send):
        length = str(sum(map(len, bodies))).encode()
        start = [(b"content-type", kind), (b"content-length", length), *headers]
        await send({"type": "http.response.start", "status": 200, "headers": start})
        for i, body in enumerate(bodies):
            await send({"type": "http.response.body", "body": body, "more_body": i < len(bodies) - 1})

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": method, "headers": [(b"accept-encoding", accepts)]}
    run_apart(Compress(app)(scope, None, send))
    return dict(sent[0]["headers"]), [message["body"] for message in sent[1:]]


@pytest.mark.parametrize(
    ("accepts", "encoding", "opened"),
    [(b"gzip, deflate, br", b"br", brotli.decompress), (b"gzip;q=0.5", b"gzip", gzip.decompress)],
)
def test_a_page_is_sent_whole_and_small(accepts, encoding, opened):
    headers, (body,) = answer(b"text/html; charset=utf-8", PAGE[:500], PAGE[500:], accepts=accepts)
    assert headers[b"content-encoding"] == encoding
    assert headers[b"content-length"] == str(len(body)).encode()
    assert len(body) < len(PAGE) / 10
    assert opened(body) == PAGE


def test_each_message_of_a_stream_can_be_read_when_it_is_sent():
    said = [b"data: one\n\n", b"data: two\n\n", b""]
    headers, bodies = answer(b"text/event-stream", *said)
    assert headers[b"content-encoding"] == b"gzip"
    assert b"content-length" not in headers
    opener = zlib.decompressobj(16 + zlib.MAX_WBITS)
    assert [opener.decompress(body) for body in bodies] == said
    assert opener.eof


@pytest.mark.parametrize(
    "options",
    [
        {"accepts": b""},
        {"accepts": b"identity, br;q=0, gzip;q=0"},
        {"method": "HEAD"},
        {"headers": [(b"content-encoding", b"br")]},
    ],
)
def test_what_cannot_be_compressed_stays(options):
    headers, bodies = answer(b"text/html", PAGE, **options)
    assert bodies == [PAGE]
    assert headers[b"content-length"] == str(len(PAGE)).encode()


def test_files_and_small_pages_stay():
    assert answer(b"image/png", PAGE)[1] == [PAGE]
    assert answer(b"text/html", b"<html>")[1] == [b"<html>"]
