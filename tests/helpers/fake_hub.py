"""A Hub on this machine: it takes what the real client sends to make a repository and to commit files into it."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

GOOD, ANOTHER, BAD = "hf_good", "hf_another", "hf_bad"
ACCOUNTS = {GOOD: "somebody", ANOTHER: "somebody-else"}


class FakeHub:
    """Repositories by name, each with its files; ``refuse`` is answered to whoever wants to make one."""

    def __init__(self) -> None:
        self.repositories: dict[str, dict[str, bytes]] = {}
        self.refuse: int | None = None
        self.address = ""

    def answer(self, path: str, token: str, body: bytes) -> tuple[int, dict[str, Any]]:
        """Status and content of the answer to one request."""
        account = ACCOUNTS.get(token)
        if account is None:
            return 401, {"error": "Invalid credentials"}
        if path == "/api/whoami-v2":
            return 200, {"name": account, "type": "user"}
        if path == "/api/repos/create":
            return self._create(json.loads(body), account)
        name, _, act = path.removeprefix("/api/models/").rpartition("/")
        if path.startswith("/api/models/") and act == "main":
            name, _, act = name.rpartition("/")
            if act == "preupload":
                files = [
                    {"path": file["path"], "uploadMode": "regular", "shouldIgnore": False}
                    for file in json.loads(body)["files"]
                ]
                return 200, {"files": files}
            return self._commit(name, body)
        return (200, {"errors": [], "warnings": []}) if path == "/api/validate-yaml" else (404, {"error": path})

    def _create(self, asked: dict[str, Any], account: str) -> tuple[int, dict[str, Any]]:
        if self.refuse is not None:
            return self.refuse, {"error": "You don't have the rights to create a model under this namespace"}
        name = f"{asked.get('organization') or account}/{asked['name']}"
        if name in self.repositories:
            return 409, {"error": "You already created this model repo", "url": f"{self.address}/{name}"}
        self.repositories[name] = {}
        return 200, {"url": f"{self.address}/{name}", "name": name}

    def _commit(self, name: str, body: bytes) -> tuple[int, dict[str, Any]]:
        for line in map(json.loads, body.splitlines()):
            if line["key"] == "file":
                self.repositories[name][line["value"]["path"]] = base64.b64decode(line["value"]["content"])
        oid = "0" * 40
        return 200, {"success": True, "commitOid": oid, "commitUrl": f"{self.address}/{name}/commit/{oid}"}


@contextmanager
def fake_hub() -> Iterator[FakeHub]:
    """One that listens while the block lasts."""
    hub = FakeHub()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
            self._say(*hub.answer(self.path.partition("?")[0], token, body))

        do_GET = do_POST

        def _say(self, status: int, content: dict[str, Any]) -> None:
            said = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.address = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
