"""One AWS call as plain values: what the front door hands over and gets back.

No server's own classes cross this border, so the services can be driven by a socket, by a test
or by another part of the engine alike.
"""

from dataclasses import dataclass

Headers = tuple[tuple[str, str], ...]
"""Header pairs in the order of the wire; names as they were sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsRequest:
    """A whole request.

    ``host`` is the ``Host`` header. ``path`` and ``query_string`` are raw, that is percent-encoded
    as they were sent; the query string has no question mark. ``body`` is complete: the transfer
    encoding of HTTP is undone, the content encoding (``aws-chunked``, ``gzip``) is not.
    """

    method: str
    host: str
    path: str
    query_string: str = ""
    headers: Headers = ()
    body: bytes = b""

    def header(self, name: str) -> str | None:
        """The last value of a header, whatever the case of its name; None when absent."""
        wanted = name.lower()
        return next((v for k, v in reversed(self.headers) if k.lower() == wanted), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsResponse:
    """A whole answer.

    ``headers`` have one ``Content-Length``: the body's own, except for an answer to HEAD, which
    has no body and names the size that GET would give; answers with 204 and 304 have none.
    """

    status: int
    headers: Headers = ()
    body: bytes = b""

    def header(self, name: str) -> str | None:
        """The last value of a header, whatever the case of its name; None when absent."""
        wanted = name.lower()
        return next((v for k, v in reversed(self.headers) if k.lower() == wanted), None)
