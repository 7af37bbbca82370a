import pytest

from socketstack.services.aws_chunked import MalformedChunks, is_chunked, unchunk


@pytest.mark.parametrize(
    ("body", "data", "trailers"),
    [
        pytest.param(b"0\r\n\r\n", b"", {}, id="empty"),
        pytest.param(b"5\r\nhello\r\n0\r\n\r\n", b"hello", {}, id="one"),
        pytest.param(b"5\r\nhel\r\n\r\n2\r\nlo\r\n0\r\n\r\n", b"hel\r\nlo", {}, id="line-ends"),
        pytest.param(
            b"A;chunk-signature=ab\r\n0123456789\r\n0;chunk-signature=cd\r\n\r\n",
            b"0123456789",
            {},
            id="signed",
        ),
        pytest.param(
            b"2\r\nhi\r\n0\r\nX-Amz-Checksum-CRC32: AAAA==\r\nx-amz-other:1\r\n\r\n",
            b"hi",
            {"x-amz-checksum-crc32": "AAAA==", "x-amz-other": "1"},
            id="trailers",
        ),
    ],
)
def test_chunks_are_joined(body: bytes, data: bytes, trailers: dict[str, str]) -> None:
    """Data and trailing headers are found, signatures left out."""
    whole = unchunk(body)

    assert (whole.data, whole.trailers) == (data, trailers)


@pytest.mark.parametrize(
    "body",
    [b"", b"5", b"5\r\nhell", b"5\r\nhello", b"5\r\nhello!\r\n0\r\n\r\n", b"x\r\n\r\n", b"\r\n\r\n",
     b"5\r\nhello\r\n"],
)  # fmt: skip
def test_broken_chunks_are_refused(body: bytes) -> None:
    """A body that ends too early or does not fit its sizes is malformed, never half an object."""
    with pytest.raises(MalformedChunks):
        unchunk(body)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("STREAMING-UNSIGNED-PAYLOAD-TRAILER", True),
        ("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", True),
        ("UNSIGNED-PAYLOAD", False),
        (None, False),
    ],
)
def test_chunks_are_announced_by_the_hash(header: str | None, expected: object) -> None:
    """Only streaming hashes announce chunks."""
    assert is_chunked(header) is expected
