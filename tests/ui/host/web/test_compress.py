"""What a browser accepts compressed it gets compressed: pages whole, streams without holding a message back."""

import gzip
import zlib

import brotli
import pytest

from mmreason.ui.host.web.compress import Compress, Packed
from tests.helpers.apart import run_apart

PAGE = b"<html>" + b"a maze " * 1000


def answer(
    kind: bytes,
    *bodies: bytes,
    accepts: bytes = b"gzip, br",
    method: str = "GET",
    headers=(),
    path="/",
    packed=None,
    asked=(),
    status=200,
):
    """The headers and the bodies as they are sent, for an app that answers ``bodies`` one by one."""
    sent = []

    async def app(scope, receive, send):
        length = str(sum(map(len, bodies))).encode()
        start = [(b"content-type", kind), (b"content-length", length), *headers]
        await send({"type": "http.response.start", "status": status, "headers": start})
        for i, body in enumerate(bodies):
            await send({"type": "http.response.body", "body": body, "more_body": i < len(bodies) - 1})

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": method, "path": path, "headers": [(b"accept-encoding", accepts), *asked]}
    run_apart(Compress(app, packed or Packed())(scope, None, send))
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


SCRIPT = b"".join(b"let puzzle%d = draw(%d);\n" % (i * i % 97, i) for i in range(3000))


def test_a_script_of_gradios_is_packed_small_once_and_for_all():
    packed = Packed()
    sent = []
    for _ in range(2):
        headers, (body,) = answer(b"text/javascript", SCRIPT, path="/assets/index-DphvyggB.js", packed=packed)
        assert headers[b"content-encoding"] == b"br"
        assert b"immutable" in headers[b"cache-control"]
        assert brotli.decompress(body) == SCRIPT
        sent.append(body)
        packed.settle()
    assert len(sent[1]) < len(sent[0])
    assert sent[1] == brotli.compress(SCRIPT, quality=11)


def test_a_page_is_packed_small_when_it_is_asked_for_again():
    packed = Packed()
    sizes = []
    for _ in range(3):
        sizes.append(len(answer(b"text/html", SCRIPT, packed=packed)[1][0]))
        packed.settle()
    assert sizes[0] == sizes[1] > sizes[2]


def test_of_more_bodies_than_are_kept_the_oldest_goes():
    packed = Packed(most=1)
    for script in (SCRIPT, SCRIPT[::-1], SCRIPT):
        assert brotli.decompress(packed.pack(script, at_first=True)) == script
        packed.settle()
    assert len(packed._kept) == 1


@pytest.mark.parametrize(
    "options",
    [
        {"path": "/gradio_api/file=/home/assets/index.js"},
        {"path": "/assets/index.js", "asked": [(b"range", b"bytes=0-9")]},
        {"path": "/assets/index.js", "status": 404},
        {"path": "/assets/index.js", "accepts": b"gzip"},
    ],
)
def test_what_is_not_the_whole_of_such_a_file_stays(options):
    assert answer(b"text/javascript", SCRIPT, **options)[1] == [SCRIPT]


def test_files_and_small_pages_stay():
    assert answer(b"image/png", PAGE)[1] == [PAGE]
    assert answer(b"text/html", b"<html>")[1] == [b"<html>"]


@pytest.mark.parametrize("script", [SCRIPT, b"let puzzle;"], ids=["large", "small"])
def test_a_file_that_is_named_by_its_hash_is_read_once_and_answered_alike_ever_after(script):
    """Whatever layers outside do with what they were given."""
    read, sent = [], []

    async def app(scope, receive, send):
        read.append(scope["path"])
        headers = [(b"content-type", b"text/javascript"), (b"content-length", str(len(script)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": script})

    async def send(message):
        sent.append(message | {"headers": list(message.get("headers", ()))})
        message.get("headers", []).append((b"vary", b"anything"))

    packed = Packed()
    layer = Compress(app, packed)
    for name in ("Index-DphvyggB.js", "Index-DphvyggB.js", "index.js", "index.js"):
        scope = {"type": "http", "method": "GET", "path": f"/assets/{name}", "headers": [(b"accept-encoding", b"br")]}
        run_apart(layer(scope, None, send))
        packed.settle()
    assert read == ["/assets/Index-DphvyggB.js", "/assets/index.js", "/assets/index.js"]
    heads, bodies = sent[::2], [message["body"] for message in sent[1::2]]
    opened = [body if body == script else brotli.decompress(body) for body in bodies]
    assert opened == [script] * 4
    first, again = (dict(head["headers"]) for head in heads[:2])
    assert again == first | {b"content-length": str(len(bodies[1])).encode()}
