"""A management API that a test can look into: plain HTTP, real boto3 talks to it."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote


class ConnectionsStub:
    """Keeps what was posted; answers 200 unless told otherwise."""

    def __init__(self) -> None:
        self.url = ""
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        """Forget what happened and what was told."""
        self.posted: list[tuple[str, bytes]] = []
        self.closed: list[str] = []
        self.calls: list[str] = []
        """Connection ids of every request, answered well or not."""
        self.refusals: dict[str, list[tuple[int, str]]] = {}
        """By connection id: statuses and error codes of the next answers."""
        self.lasting: dict[str, tuple[int, str]] = {}
        """By connection id: what every request is answered with."""
        self.together: threading.Barrier | None = None
        """Where requests meet before any of them is answered."""
        self.most_at_once = 0
        self._running = 0

    def answer(self, connection_id: str, body: bytes | None) -> tuple[int, str]:
        """Status and error code for one POST, or for one DELETE, which has no body."""
        with self._lock:
            self._running += 1
            self.most_at_once = max(self.most_at_once, self._running)
        if self.together is not None:
            self.together.wait()
        with self._lock:
            self._running -= 1
            return self._decide(connection_id, body)

    def _decide(self, connection_id: str, body: bytes | None) -> tuple[int, str]:
        self.calls.append(connection_id)
        if connection_id in self.lasting:
            return self.lasting[connection_id]
        if self.refusals.get(connection_id):
            return self.refusals[connection_id].pop(0)
        if body is None:
            self.closed.append(connection_id)
            return 204, ""
        self.posted.append((connection_id, body))
        return 200, ""


@contextmanager
def connections_stub() -> Iterator[ConnectionsStub]:
    """A stub that serves while the context is open."""
    stub = ConnectionsStub()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            """Answer PostToConnection."""
            self._answer(self.rfile.read(int(self.headers.get("Content-Length", "0"))))

        def do_DELETE(self) -> None:
            """Answer DeleteConnection."""
            self._answer(None)

        def _answer(self, body: bytes | None) -> None:
            status, code = stub.answer(unquote(self.path).rpartition("/@connections/")[2], body)
            answer = b"" if status < 300 else json.dumps({"message": code}).encode()
            self.send_response(status)
            self.send_header("x-amzn-ErrorType", code)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - base class
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        stub.url = f"http://127.0.0.1:{server.server_port}/dev"
        try:
            yield stub
        finally:
            server.shutdown()
            thread.join()
