"""Runs inside a function's process, in the place of ``/var/runtime/bootstrap.py`` on AWS.

Everything the handler sees is done by AWS's own ``awslambdaric``: loading the handler, the
context object, marshalling, error objects and log formats. This file brings what surrounds it
on AWS: the import paths in AWS's order, where names lead, and a client that talks to the engine
over a socket pair instead of the HTTP runtime API. It imports nothing of the engine and is
started as a copy in the runtime folder, by an interpreter that sees no site packages.

Frames in both directions are a length (4 bytes) and a kind (1 byte), then the body. The engine
sends SETTINGS once, then one CALL at a time; this side sends READY once, or INIT_ERROR, then one
RESULT or ERROR for each CALL. A CALL starts with a length (4 bytes) and a head of lines: request
id, ARN, deadline in epoch milliseconds, custom domain names; then the event. What a function prints
goes through a pipe and never here.
"""

import errno
import json
import os
import re
import select
import site
import socket
import struct
import sys
import time
from typing import Any, Self

HEAD = struct.Struct(">IB")
CALL_HEAD = struct.Struct(">I")
READY, INIT_ERROR, RESULT, ERROR = 1, 2, 3, 4
RECEIVED_AT_ONCE_BYTES = 64 * 1024
RESULT_MAX_BYTES = 6_291_556
# Variables that awslambdaric reads when it is imported.
READ_AT_IMPORT = {"AWS_LAMBDA_LOG_FORMAT", "AWS_LAMBDA_LOG_LEVEL"}
DEBUGGER_ATTEMPTS = 50
DEBUGGER_PAUSE_SECONDS = 0.1
# Custom domain names of API Gateway, as they are when a call begins.
ENGINE_NAMES: set[str] = set()
MANAGED_HOST = re.compile(r"[^.]+\.execute-api\.[a-z0-9-]+\.amazonaws\.com(\.cn)?")


WRITING_FLAGS = os.O_WRONLY | os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_TRUNC
# Audit events of what changes the file system, and which of their arguments are paths.
WRITES = {
    "os.chmod": 1,
    "os.chown": 1,
    "os.link": 2,
    "os.mkdir": 1,
    "os.remove": 1,
    "os.rename": 2,
    "os.rmdir": 1,
    "os.symlink": 2,
    "os.truncate": 1,
    "os.utime": 1,
}


class Channel:
    """The child's end of the socket pair, kept from every process that the function starts."""

    def __init__(self, descriptor: int) -> None:
        os.set_inheritable(descriptor, False)  # noqa: FBT003 - nothing that is executed gets it
        self._descriptor = descriptor
        self._arrival = select.poll()
        self._arrival.register(descriptor, select.POLLIN)
        self._received = b""
        os.register_at_fork(after_in_child=self._leave)  # and no fork keeps it

    def receive(self) -> bytes:
        """The next frame's body; ends this process when the engine is gone."""
        self._fill(HEAD.size)
        length, _kind = HEAD.unpack_from(self._received)
        end = HEAD.size + length
        self._fill(end)
        body = self._received[HEAD.size : end]
        self._received = self._received[end:]
        return body

    def send(self, kind: int, body: bytes) -> None:
        """Send one frame."""
        if self._descriptor < 0:
            os._exit(0)  # a fork of the function came back from the handler: not the function
        rest = memoryview(HEAD.pack(len(body), kind) + body)
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]

    def _fill(self, size: int) -> None:
        if len(self._received) >= size:
            return
        chunks = [self._received]
        missing = size - len(self._received)
        while missing > 0:
            chunk = self._read(max(missing, RECEIVED_AT_ONCE_BYTES))
            chunks.append(chunk)
            missing -= len(chunk)
        self._received = b"".join(chunks)

    def _read(self, size: int) -> bytes:
        # Who sleeps in a read of a socket pair wakes whenever its other end reads, too: for
        # nothing, and in the place of the engine, which has just read the answer.
        self._arrival.poll()
        try:
            chunk = os.read(self._descriptor, size)
        except OSError:
            chunk = b""
        if not chunk:
            os._exit(0)
        return chunk

    def _leave(self) -> None:
        os.close(self._descriptor)
        self._descriptor = -1


class Invocation:
    """One call, with the attributes that awslambdaric reads."""

    x_amzn_trace_id = None
    client_context = None
    cognito_identity = None
    tenant_id = None
    invocation_id = None
    content_type = "application/json"

    def __init__(self, body: bytes) -> None:
        (head_length,) = CALL_HEAD.unpack_from(body)
        payload = CALL_HEAD.size + head_length
        head = body[CALL_HEAD.size : payload].decode()
        self.invoke_id, self.invoked_function_arn, deadline, *names = head.split("\n")
        self.deadline_time_in_ms = int(deadline)
        ENGINE_NAMES.clear()
        ENGINE_NAMES.update(names)
        self.event_body = body[payload:]


class RuntimeClient:
    """What ``awslambdaric.bootstrap.run`` expects of a client of the runtime API.

    ``stash`` is that of a fork: as long as nothing of it was used, memory is borrowed.
    """

    def __init__(self, channel: Channel, marshaller: object, stash: Any) -> None:
        self.marshaller = marshaller
        self._channel = channel
        self._stash = stash
        self._is_ready = False

    def wait_next_invocation(self) -> Invocation:
        """The next call; the first time it also says that the handler is loaded."""
        if not self._is_ready:
            self._is_ready = True
            is_borrowing = self._stash is not None and not self._stash.is_used
            self._channel.send(READY, b"borrowing" if is_borrowing else b"")
        return Invocation(self._channel.receive())

    def post_invocation_result(self, _id: str, result_data: bytes | str, *_: object) -> None:
        """Send the handler's answer, unless AWS would refuse its size."""
        data = result_data if isinstance(result_data, bytes) else result_data.encode()
        if len(data) > RESULT_MAX_BYTES:
            self._channel.send(ERROR, too_large(len(data)))
        else:
            self._channel.send(RESULT, data)

    def post_invocation_error(self, _id: str, error_response_data: str, *_: object) -> None:
        """Send the error object of a handler that raised."""
        data = error_response_data.encode("utf-8", "replace")
        self._channel.send(ERROR, data if len(data) <= RESULT_MAX_BYTES else too_large(len(data)))

    def post_init_error(self, error_response_data: dict[str, Any], *_: object) -> None:
        """Send why the handler could not be loaded."""
        self._channel.send(INIT_ERROR, json.dumps(error_response_data).encode())


def too_large(size: int) -> bytes:
    """Lambda's error object for an answer of ``size`` bytes."""
    message = (
        f"Response payload size ({size} bytes) exceeded maximum allowed payload size "
        f"({RESULT_MAX_BYTES} bytes)."
    )
    error = {"errorMessage": message, "errorType": "Function.ResponseSizeTooLarge"}
    return json.dumps(error).encode()


class LineSink:
    """Log records of awslambdaric as one line each.

    On AWS a record is one log event, however many lines it has. Here it crosses a pipe of
    lines, so its inner line ends become carriage returns, which the engine turns back.
    """

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def log(self, msg: str, frame_type: object = None) -> None:  # noqa: ARG002 - AWS's own framing
        """Write one record."""
        sys.stdout.write(msg.removesuffix("\n").replace("\n", "\r") + "\n")

    def log_error(self, message_lines: list[str]) -> None:
        """Write an error and its stack as one record."""
        self.log("\n".join(message_lines))


def set_paths(task: str, layers: str, runtime: str) -> None:
    """Bring ``sys.path`` into AWS's order: task root, layers, runtime, standard library.

    ``.pth`` files in the task root and in the layers count, as on AWS; a ``PYTHONPATH`` of the
    function's own takes the place of the layers' folders.
    """
    own = [part for part in os.environ.get("PYTHONPATH", "").split(os.pathsep) if part]
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    forms = [f"{layers}/python/lib/{version}/site-packages", f"{layers}/python"]
    front = [task, *(own or forms)]
    sys.path[:] = [*front, runtime, *(path for path in sys.path if path != runtime)]
    for folder in [task] if own else [task, *forms]:
        if os.path.isdir(folder):  # noqa: PTH112 - loads nothing that the handler may not need
            site.addsitedir(folder)
    os.environ.setdefault("PYTHONPATH", runtime)


def lead_names(engine_host: str, engine_port: int) -> None:
    """Let execute-api hosts of AWS and custom domain names lead to the engine.

    ``*.localhost`` leads to this machine.
    """
    ask = socket.getaddrinfo

    def getaddrinfo(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        name = host.decode("ascii", "replace") if isinstance(host, (bytes, bytearray)) else host
        if isinstance(name, str):
            name = name.lower().rstrip(".")
            is_custom = name in ENGINE_NAMES or f"*.{name.partition('.')[2]}" in ENGINE_NAMES
            if is_custom or MANAGED_HOST.fullmatch(name):
                return ask(engine_host, engine_port, *args, **kwargs)
            if name.endswith(".localhost"):
                return ask("127.0.0.1", port, *args, **kwargs)
        return ask(host, port, *args, **kwargs)

    socket.getaddrinfo = getaddrinfo


def forbid_writing(folders: list[str]) -> None:
    """Let Python code change nothing below these folders, which AWS mounts read-only.

    Compiled modules are let through: AWS refuses them without a word, and here they make the next
    start faster. What native libraries write is not seen.
    """
    roots = tuple(os.path.join(os.path.realpath(folder), "") for folder in folders)  # noqa: PTH118

    def is_below(path: object) -> bool:
        if not isinstance(path, (str, bytes, os.PathLike)):
            return False  # a file descriptor
        text = os.path.abspath(os.fsdecode(path))  # noqa: PTH100 - called for every file opened
        return text.startswith(roots) and "__pycache__" not in text

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            paths = arguments[:1] if (arguments[2] or 0) & WRITING_FLAGS else ()
        elif event in WRITES:
            paths = arguments[: WRITES[event]]
        else:
            return
        for path in paths:
            if is_below(path):
                raise OSError(errno.EROFS, os.strerror(errno.EROFS), os.fsdecode(path))

    sys.addaudithook(watch)


def open_debugger(folder: str, host: str, port: int) -> None:
    """Let a debugger attach on a port, without waiting for it."""
    sys.path.append(folder)
    import debugpy  # noqa: PLC0415, T100 - only when the user asked to debug

    debugpy.configure(subProcess=False)
    reason: Exception | None = None
    for _ in range(DEBUGGER_ATTEMPTS):
        try:
            debugpy.listen((host, port))  # noqa: T100
        except RuntimeError as error:
            reason = error
            time.sleep(DEBUGGER_PAUSE_SECONDS)  # the process before this one is still leaving
        else:
            return
    print(f"socketstack: no debugger on port {port}: {reason}")


def forget_coercion() -> None:
    """Take back the variable by which Python makes up for a locale this machine lacks."""
    if os.environ.get("LC_CTYPE") == "C.UTF-8":
        del os.environ["LC_CTYPE"]


def be_forked(control: int) -> tuple[int, Any]:
    """Be the warm parent; returns in forks: the channel's descriptor, and the stash of modules."""
    runtime = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 - as above
    sys.path.append(runtime)
    # What ``main`` imports before anything of the function's own.
    import awslambdaric.bootstrap  # noqa: PLC0415
    import awslambdaric.lambda_runtime_marshaller  # noqa: F401, PLC0415

    base = set(sys.modules)
    nursery = os.path.join(os.path.dirname(runtime), "nursery")  # noqa: PTH118, PTH120
    sys.path.append(nursery)
    channel, stash = __import__("warm").serve(control, base)
    sys.path.remove(nursery)
    sys.path.remove(runtime)
    if os.environ.keys() & READ_AT_IMPORT:
        for name in [name for name in sys.modules if name.startswith("awslambdaric")]:
            del sys.modules[name]
    return channel, stash


def main() -> None:
    """Load the handler and answer calls until the engine ends this process."""
    descriptor = int(sys.argv.pop())
    stash: Any = None
    if sys.argv[1:] == ["warm"]:
        sys.argv.pop()
        descriptor, stash = be_forked(descriptor)
    channel = Channel(descriptor)
    forget_coercion()
    settings = json.loads(channel.receive())
    sys.path.append(settings["paths"]["runtime"])
    from awslambdaric import bootstrap  # noqa: PLC0415 - its path is known only now
    from awslambdaric.lambda_runtime_marshaller import LambdaMarshaller  # noqa: PLC0415

    set_paths(**settings["paths"])
    lead_names(settings["host"], settings["port"])
    forbid_writing(settings["read_only"])
    if settings["debugger"]:
        open_debugger(**settings["debugger"])
    bootstrap.create_log_sink = LineSink
    bootstrap.run(settings["handler"], RuntimeClient(channel, LambdaMarshaller(), stash))


if __name__ == "__main__":
    main()
