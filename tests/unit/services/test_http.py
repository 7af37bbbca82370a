from socketstack.services.http import AwsRequest, AwsResponse

HEADERS = (("X-A", "1"), ("x-a", "2"))


def test_headers_are_found_whatever_their_case() -> None:
    """The last value counts; absent headers are None."""
    request = AwsRequest(method="GET", host="h", path="/", headers=HEADERS)
    response = AwsResponse(status=200, headers=HEADERS)

    assert (request.header("X-a"), request.header("X-B")) == ("2", None)
    assert (response.header("X-a"), response.header("X-B")) == ("2", None)
