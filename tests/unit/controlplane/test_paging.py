import base64
import json

import pytest

from socketstack.controlplane.paging import page
from socketstack.core.model import Record
from socketstack.errors import BadRequest
from socketstack.store import Path


def rows(count: int) -> list[tuple[Path, Record]]:
    """Rows r0, r1, ... below one API."""
    return [(("Api", "a", "Route", f"r{n}"), {"RouteId": f"r{n}"}) for n in range(count)]


def ids(result: Record) -> list[str]:
    """The ids on a page."""
    items = result["Items"]
    assert isinstance(items, list)
    return [item["RouteId"] for item in items]


def test_short_list_is_one_page_without_token() -> None:
    """A list that fits on one page gives no token."""
    result = page(rows(3), {}, "routes")

    assert ids(result) == ["r0", "r1", "r2"]
    assert "NextToken" not in result


def test_default_page_holds_25() -> None:
    """Without maxResults a page has 25 items."""
    result = page(rows(26), {}, "routes")

    assert len(ids(result)) == 25
    assert "NextToken" in result


def test_tokens_lead_through_all_rows_once() -> None:
    """Following the tokens visits each row exactly once."""
    seen: list[str] = []
    parameters: Record = {"MaxResults": "2"}
    while True:
        result = page(rows(5), parameters, "routes")
        seen += ids(result)
        if "NextToken" not in result:
            break
        parameters["NextToken"] = result["NextToken"]

    assert seen == ["r0", "r1", "r2", "r3", "r4"]


def test_row_deleted_between_pages_skips_none() -> None:
    """Deleting the last row of a page loses no row of the next one."""
    first = page(rows(4), {"MaxResults": "2"}, "routes")
    left = [row for row in rows(4) if row[0][-1] != "r1"]

    second = page(left, {"MaxResults": "2", "NextToken": first["NextToken"]}, "routes")

    assert ids(second) == ["r2", "r3"]


@pytest.mark.parametrize("text", ["0", "501", "-1", "ten", "", "1.5", "²"])
def test_bad_max_results_is_refused(text: str) -> None:
    """A page size that is no number from 1 to 500 is refused."""
    with pytest.raises(BadRequest, match="maxResults"):
        page(rows(3), {"MaxResults": text}, "routes")


@pytest.mark.parametrize(
    "token",
    [
        pytest.param("nonsense", id="not-base64"),
        pytest.param("ÄÖ", id="not-ascii"),
        pytest.param("", id="empty"),
        pytest.param(base64.urlsafe_b64encode(b"{}").decode(), id="not-ours"),
        pytest.param(base64.urlsafe_b64encode(b"\xff").decode(), id="not-text"),
        pytest.param(
            base64.urlsafe_b64encode(json.dumps(["stages", 1, "r0"]).encode()).decode(),
            id="of-another-list",
        ),
        pytest.param(
            base64.urlsafe_b64encode(json.dumps(["routes", -4, "x"]).encode()).decode(),
            id="negative",
        ),
    ],
)
def test_bad_token_is_refused(token: str) -> None:
    """A token that this list did not give is refused."""
    with pytest.raises(BadRequest, match="nextToken"):
        page(rows(3), {"NextToken": token}, "routes")
