"""What commands print."""

import os
import sys


def say(text: str, *, error: bool = False) -> None:
    """Print a text and a line's end, on the error output for errors."""
    stream = sys.stderr if error else sys.stdout
    try:
        stream.write(f"{text}\n")
        stream.flush()
    except BrokenPipeError:
        # Whoever read it has left, as `head` does. What is done is done all the same.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
