"""IAM's wildcards: ``*`` for any run of characters, ``?`` for exactly one.

Written out and not built on regular expressions: a policy comes from outside, and a pattern
of many stars must not make the engine backtrack for minutes.

Rules: 3.13 to 3.15.
"""

from typing import Final

ARN_PARTS: Final = 6


def matches(pattern: str, text: str) -> bool:
    """Whether a whole text matches a pattern, case-sensitively; ``*`` crosses ``/``.

    Takes at most ``len(pattern) * len(text)`` steps.
    """
    if "?" in pattern:
        return _matches_slowly(pattern, text)
    first, *rest = pattern.split("*")
    if not rest:
        return pattern == text
    *inner, last = rest
    end = len(text) - len(last)
    position = len(first)
    if position > end or not (text.startswith(first) and text.endswith(last)):
        return False
    # Each part as early as it can be: whatever stands later can then be found too.
    for part in inner:
        found = text.find(part, position, end)
        if found < 0:
            return False
        position = found + len(part)
    return True


def _matches_slowly(pattern: str, text: str) -> bool:
    """The same for all patterns, character by character."""
    at, star, resume = 0, -1, 0
    position = 0
    while position < len(text):
        if at < len(pattern) and pattern[at] == "*":
            star, resume = at, position
            at += 1
        elif at < len(pattern) and pattern[at] in {"?", text[position]}:
            at += 1
            position += 1
        elif star >= 0:
            resume += 1
            at, position = star + 1, resume
        else:
            return False
    return not pattern[at:].strip("*")


def arn_matches(pattern: str, arn: str) -> bool:
    """Whether an ARN matches a pattern part by part: no wildcard crosses a colon.

    Only the sixth part, the resource, may hold further colons. A lone ``*`` matches all.
    """
    if pattern == "*":
        return True
    patterns = pattern.split(":", ARN_PARTS - 1)
    parts = arn.split(":", ARN_PARTS - 1)
    return len(patterns) == len(parts) == ARN_PARTS and all(map(matches, patterns, parts))


def is_arn_pattern(text: str) -> bool:
    """Whether a text can stand in a policy's Resource: ``*``, or six parts from ``arn:`` on."""
    return text == "*" or (text.startswith("arn:") and text.count(":") >= ARN_PARTS - 1)
