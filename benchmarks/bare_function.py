"""The process behind ``benchmarks.bare function``: events in, answers out, by AWS's own runtime.

An event and an answer are a length (4 bytes) and JSON. Ends when the server is gone.
"""

import socket
import sys
from typing import Any

from awslambdaric import bootstrap
from awslambdaric.lambda_runtime_marshaller import LambdaMarshaller

from benchmarks.bare import FRAME
from benchmarks.system.system import echo

_RECEIVED_AT_ONCE_BYTES = 64 * 1024


class _Client:
    """What awslambdaric tells the answer to."""

    def __init__(self, channel: socket.socket) -> None:
        self.marshaller = LambdaMarshaller()
        self._channel = channel

    def post_invocation_result(self, _id: str, result: str, *_: object) -> None:
        """Send the answer."""
        data = result.encode()
        self._channel.sendall(FRAME.pack(len(data)) + data)

    def post_invocation_error(self, _id: str, error: str, *_: object) -> None:
        """The bench's function does not fail."""
        raise RuntimeError(error)


def _main(channel: socket.socket) -> None:
    client: Any = _Client(channel)
    received = b""
    while chunk := channel.recv(_RECEIVED_AT_ONCE_BYTES):
        received += chunk
        if len(received) < FRAME.size:
            continue
        end = FRAME.size + FRAME.unpack_from(received)[0]
        if len(received) < end:
            continue
        event, received = received[FRAME.size : end], received[end:]
        bootstrap.handle_event_request(
            lambda_runtime_client=client,
            request_handler=echo,
            invoke_id="id",
            event_body=event,
            content_type="application/json",
            client_context_json=None,
            cognito_identity_json=None,
            invoked_function_arn="arn",
            epoch_deadline_time_in_ms=0,
            tenant_id=None,
            log_sink=None,
        )


if __name__ == "__main__":
    _main(socket.socket(fileno=int(sys.argv[1])))
