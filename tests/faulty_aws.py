"""A proxy before an engine that answers some AWS calls as AWS does on a bad day."""

import http.client
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

_QUERY_ERROR = (
    "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code>"
    "<Message>{message}</Message></Error><RequestId>fault</RequestId></ErrorResponse>"
)
_S3_ERROR = "<Error><Code>{code}</Code><Message>{message}</Message></Error>"
_REST_PATHS = frozenset({"/account"})
"""Of API Gateway; all other paths without a version are S3's."""
_NOT_PASSED_ON = frozenset({"transfer-encoding", "connection", "date", "server", "content-length"})


@dataclass(frozen=True)
class Fault:
    """One refusal: its HTTP status, AWS code and message."""

    status: int
    code: str
    message: str = "as the test wants it"


@dataclass
class FaultyAws:
    """What goes wrong, and what was called. Operations are named as botocore names them."""

    url: str
    calls: list[str] = field(default_factory=list)
    _faults: dict[str, list[Fault | None]] = field(default_factory=dict)

    def fail(self, operation: str, fault: Fault, *, after: int = 0, times: int = 1000) -> None:
        """Refuse an operation so many times, after so many that go through."""
        self._faults[operation] = [*[None] * after, *[fault] * times]

    def fault_of(self, operation: str) -> Fault | None:
        """The refusal that is due, and used up."""
        planned = self._faults.get(operation)
        return planned.pop(0) if planned else None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    aws: FaultyAws
    port: int

    def _answer(self) -> None:
        body = self._body()
        operation = _operation(self, body)
        self.aws.calls.append(operation)
        fault = self.aws.fault_of(operation)
        if fault is None:
            self._forward(body)
        else:
            self._refuse(fault)

    def _body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _forward(self, body: bytes) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        try:
            headers = {
                name: value
                for name, value in self.headers.items()
                if name.lower() not in {"transfer-encoding", "content-length", "expect"}
            }
            connection.request(self.command, self.path, body=body, headers=headers)
            answer = connection.getresponse()
            content = answer.read()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in _NOT_PASSED_ON:
                    self.send_header(name, value)
            self._finish(content, answer.getheader("Content-Length"))
        finally:
            connection.close()

    def _refuse(self, fault: Fault) -> None:
        form = _QUERY_ERROR if self.command == "POST" else _S3_ERROR
        self.send_response(fault.status)
        self.send_header("x-amzn-ErrorType", fault.code)  # where JSON's clients look
        self.send_header("Content-Type", "text/xml")
        content = form.format(code=fault.code, message=fault.message).encode()
        self._finish(b"" if self.command == "HEAD" else content, None)

    def _finish(self, content: bytes, told_length: str | None) -> None:
        is_told = self.command == "HEAD" and told_length is not None
        self.send_header("Content-Length", str(told_length if is_told else len(content)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(content)
        self.close_connection = True

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = _answer  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


@contextmanager
def faulty_aws(port: int) -> Iterator[FaultyAws]:
    """The proxy before the engine on this port, while the context is open."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = False
    aws = FaultyAws(f"http://127.0.0.1:{server.server_address[1]}")
    server.RequestHandlerClass = type("Handler", (_Handler,), {"aws": aws, "port": port})
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield aws
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _operation(request: BaseHTTPRequestHandler, body: bytes) -> str:
    action = parse_qs(body.decode(errors="replace")).get("Action") if body else None
    if action:
        return action[0]
    parts = urlsplit(request.path)
    if parts.path.startswith("/2") or target_of(request):
        return target_of(request) or f"{request.command} {parts.path}"
    if parts.path in _REST_PATHS:
        return f"{request.command} {parts.path}"
    is_object = re.fullmatch(r"/[^/]+/.+", parts.path) is not None
    noun = "Object" if is_object else "Bucket"
    setting = parts.query.partition("=")[0].partition("&")[0]
    verb = {"PUT": "Put" if is_object else "Create", "GET": "Get", "HEAD": "Head"}
    return f"{verb.get(request.command, request.command.title())}{noun}" + (
        f":{setting}" if setting else ""
    )


def target_of(request: BaseHTTPRequestHandler) -> str:
    """The operation of a JSON protocol's call; empty for others."""
    return request.headers.get("X-Amz-Target", "").rpartition(".")[2]
