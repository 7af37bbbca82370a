"""List answers in pages. Rule 1.09."""

import base64
import json
from collections.abc import Sequence
from typing import Final

from socketstack.core.model import Record
from socketstack.errors import BadRequest
from socketstack.store import Path

_PAGE_SIZE: Final = 25
_PAGE_MAX: Final = 500


def page(rows: Sequence[tuple[Path, Record]], parameters: Record, scope: str) -> Record:
    """One page of rows: ``Items``, and ``NextToken`` when there are more.

    Args:
        rows: All rows in order, with their paths.
        parameters: ``MaxResults`` and ``NextToken`` as texts; both may be missing.
        scope: Names the list; a token of another list is refused.

    Raises:
        BadRequest: ``MaxResults`` is no number in range, or ``NextToken`` is not one of ours.
    """
    size = _size(parameters.get("MaxResults"))
    token = parameters.get("NextToken")
    start = 0 if token is None else _start(rows, str(token), scope)
    shown = rows[start : start + size]
    result: Record = {"Items": [record for _path, record in shown]}
    if start + size < len(rows):
        result["NextToken"] = _token(scope, start + size, shown[-1][0][-1])
    return result


def _size(text: object) -> int:
    if text is None:
        return _PAGE_SIZE
    number = str(text)
    if not (number.isascii() and number.isdigit() and 1 <= int(number) <= _PAGE_MAX):
        raise BadRequest(f"Invalid maxResults {number!r}: use a number from 1 to {_PAGE_MAX}.")
    return int(number)


def _token(scope: str, position: int, last_id: str) -> str:
    """Where the next page starts: after ``last_id``, and by number should that be deleted."""
    return base64.urlsafe_b64encode(json.dumps([scope, position, last_id]).encode()).decode()


def _start(rows: Sequence[tuple[Path, Record]], token: str, scope: str) -> int:
    try:
        found_scope, position, last_id = json.loads(base64.b64decode(token, b"-_", validate=True))
    except (ValueError, TypeError) as error:
        raise BadRequest("Invalid nextToken.") from error
    if found_scope != scope or not isinstance(position, int) or position < 1:
        raise BadRequest("Invalid nextToken.")
    ids = [path[-1] for path, _record in rows]
    return ids.index(last_id) + 1 if last_id in ids else position - 1
