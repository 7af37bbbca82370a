import pytest

from benchmarks.load.crowd import rates_of_parts
from benchmarks.load.echo import message
from benchmarks.load.report import dialled
from benchmarks.wire import FINAL_TEXT, FrameReader, text_frame


def _server_frame(payload: bytes) -> bytes:
    """As a server sends it: the client's frame without mask."""
    masked = text_frame(payload)
    head = len(masked) - len(payload) - 4
    return bytes([masked[0], masked[1] & 0x7F]) + masked[2:head] + payload


@pytest.mark.parametrize("size", [0, 1, 125, 126, 40_000])
@pytest.mark.parametrize("step", [1, 3, 100_000])
def test_reader_gives_whole_frames_however_they_are_cut(size: int, step: int) -> None:
    """Two frames, cut anywhere, are two frames."""
    reader = FrameReader()
    data = _server_frame(b"x" * size) + _server_frame(b"end")
    frames = [
        frame for at in range(0, len(data), step) for frame in reader.feed(data[at : at + step])
    ]
    assert frames == [(FINAL_TEXT, b"x" * size), (FINAL_TEXT, b"end")]


def test_reader_knows_lengths_of_64_bits() -> None:
    """A server may send more than 64 KB in one frame."""
    payload = b"y" * 70_000
    data = bytes([FINAL_TEXT, 127]) + len(payload).to_bytes(8, "big") + payload
    assert FrameReader().feed(data) == [(FINAL_TEXT, payload)]


def test_message_has_exactly_the_bytes_asked_for() -> None:
    """One kilobyte is what is measured."""
    assert len(message(1024)) == 1024
    assert message(1024).startswith(b'{"action":"echo"')


def test_rates_of_parts_are_of_each_part() -> None:
    """The second part took twice as long as the first; what is left over is no part."""
    assert rates_of_parts([1.0, 2.0, 4.0, 6.0, 7.0], 0.0, part=2) == [1.0, 0.5]


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("ws://a1.execute-api.localhost:4566/dev", ("127.0.0.1", 4566)),
        ("http://localhost:1/x", ("127.0.0.1", 1)),
        ("ws://engine/x", ("engine", 80)),
    ],
)
def test_names_below_localhost_lead_here(url: str, address: tuple[str, int]) -> None:
    """They need no entry in any name service."""
    assert dialled(url) == address
