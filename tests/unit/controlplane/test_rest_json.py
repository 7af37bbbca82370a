import json
from datetime import UTC, datetime, timedelta, timezone

import pytest

from socketstack.controlplane import rest_json, service
from socketstack.core.model import Record
from socketstack.errors import BadRequest, NotFound, ServiceError, TooManyRequests

SERVICE = service.load()


def decode(name: str, labels: dict[str, str], query: list[tuple[str, str]], body: bytes) -> Record:
    """Decode a request of one operation."""
    operation = SERVICE.operation(name)
    assert operation is not None
    return rest_json.decode(operation, labels, query, body)


def test_members_come_from_path_query_and_body() -> None:
    """Each member is read where the model puts it, nested members included."""
    body = json.dumps(
        {
            "routeKey": "$connect",
            "requestParameters": {"route.request.header.a": {"required": True}},
            "apiKeyRequired": False,
        }
    )

    parameters = decode("CreateRoute", {"apiId": "a1"}, [], body.encode())

    assert parameters == {
        "ApiId": "a1",
        "RouteKey": "$connect",
        "RequestParameters": {"route.request.header.a": {"Required": True}},
        "ApiKeyRequired": False,
    }


def test_repeated_query_pairs_make_a_list() -> None:
    """A list in the query is repeated pairs; other members take the last one."""
    keys = [("tagKeys", "a"), ("tagKeys", "b")]
    pages = [("maxResults", "1"), ("maxResults", "2")]

    assert decode("UntagResource", {"resource-arn": "x"}, keys, b"")["TagKeys"] == ["a", "b"]
    assert decode("GetApis", {}, pages, b"") == {"MaxResults": "2"}


def test_path_wins_over_the_body() -> None:
    """A member of the path cannot be replaced in the body."""
    parameters = decode("UpdateRoute", {"apiId": "a", "routeId": "r"}, [], b'{"apiId":"b"}')

    assert parameters == {"ApiId": "a", "RouteId": "r"}


def test_nulls_and_unknown_members_are_left_out() -> None:
    """JSON null means not sent, also inside structures."""
    body = b'{"description":null,"accessLogSettings":{"format":null},"other":1}'

    assert decode("UpdateStage", {}, [], body) == {"AccessLogSettings": {}}


def test_wrong_types_are_passed_on() -> None:
    """Decoding judges no types; conform names the member later."""
    assert decode("CreateApi", {}, [], b'{"tags":[1],"name":2}') == {"Tags": [1], "Name": 2}


@pytest.mark.parametrize("body", [b"{", b'"text"', b"[1]", b"\xff", b"null", b"[" * 100_000])
def test_body_that_is_no_object_is_refused(body: bytes) -> None:
    """Only a JSON object is accepted as body."""
    with pytest.raises(BadRequest, match="Could not parse request body into json"):
        decode("CreateApi", {}, [], body)


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("CreateApi", 201),
        ("GetApi", 200),
        ("UpdateApi", 200),
        ("DeleteApi", 204),
        ("TagResource", 201),
        ("UntagResource", 204),
        ("GetApis", 200),
        ("DeleteRouteSettings", 204),
    ],
)
def test_status_codes_are_those_of_the_model(name: str, status: int) -> None:
    """Creates 201, reads and updates 200, deletes 204 without body. Rules 1.03, 1.04."""
    operation = SERVICE.operation(name)
    assert operation is not None

    answer = rest_json.encode(operation, {})

    assert answer.status == status
    assert answer.body == (b"" if status == 204 else b"{}")


def test_dates_are_iso_8601_in_utc() -> None:
    """Any time zone comes out as UTC with a Z. Rule 1.11."""
    operation = SERVICE.operation("GetApi")
    assert operation is not None
    moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=1)))

    answer = rest_json.encode(operation, {"CreatedDate": moment, "Name": None, "Region": "x"})

    assert json.loads(answer.body) == {"createdDate": "2026-01-02T02:04:05Z"}


def test_unreadable_date_stays_a_text() -> None:
    """A timestamp that is none is not converted, and raises nothing."""
    operation = SERVICE.operation("GetApi")
    assert operation is not None
    assert operation.output_shape is not None

    read = rest_json.from_wire(
        operation.output_shape, {"createdDate": "2026-01-02T02:04:05Z", "name": "x"}
    )
    odd = rest_json.from_wire(operation.output_shape, {"createdDate": "soon"})

    assert read == {"CreatedDate": datetime(2026, 1, 2, 2, 4, 5, tzinfo=UTC), "Name": "x"}
    assert odd == {"CreatedDate": "soon"}


@pytest.mark.parametrize(
    ("error", "status", "code", "document"),
    [
        pytest.param(
            NotFound("gone", resourceType="Api"),
            404,
            "NotFoundException",
            {"message": "gone", "resourceType": "Api"},
            id="not-found",
        ),
        pytest.param(
            TooManyRequests("full", limitType="Stages per API"),
            429,
            "TooManyRequestsException",
            {"message": "full", "limitType": "Stages per API"},
            id="too-many",
        ),
        pytest.param(
            ServiceError("x"), 500, "InternalServerErrorException", {"message": "x"}, id="internal"
        ),
    ],
)
def test_error_travels_in_header_and_body(
    error: ServiceError, status: int, code: str, document: Record
) -> None:
    """The error's name is in x-amzn-ErrorType, its members in the body. Rules 1.05, 1.06."""
    answer = rest_json.encode_error(error)

    assert answer.status == status
    assert answer.headers["x-amzn-ErrorType"] == code
    assert json.loads(answer.body) == document
