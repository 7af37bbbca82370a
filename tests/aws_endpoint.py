"""moto behind a real address: boto3 and other processes reach it as they reach an engine."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from botocore.awsrequest import AWSPreparedRequest
from botocore.compat import HTTPHeaders
from moto import mock_aws
from moto.core.models import botocore_stubber

REGION = "us-east-1"


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        """Give an AWS call to moto, under the host that its signature names."""
        scope = self.headers["Authorization"].partition("Credential=")[2].split("/")
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        headers = HTTPHeaders()
        for name, value in self.headers.items():
            if name.lower() != "host":
                headers[name] = value
        url = f"https://{scope[3]}.{REGION}.amazonaws.com{self.path}"
        request = AWSPreparedRequest("POST", url, headers, body, stream_output=False)
        with _lock:
            answer = botocore_stubber.process_request(request)
        assert answer is not None, f"moto does not know {url}"
        status, answered, text = answer
        data = text.encode() if isinstance(text, str) else text
        self.send_response(status)
        for name, value in answered.items():
            if name.lower() not in {"content-length", "date", "server"}:
                self.send_header(name, str(value))
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - base class
        """Say nothing."""


_lock = threading.Lock()


@contextmanager
def aws_endpoint() -> Iterator[str]:
    """The address of an empty account, while the context is open."""
    with mock_aws(), ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://localhost:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
