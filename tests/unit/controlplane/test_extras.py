import json

import pytest
from controlplane_bench import Bench

from socketstack.core.model import Record
from socketstack.errors import BadRequest, NotFound


def arn(api: str, rest: str = "", region: str = "us-east-1") -> str:
    """The ARN of an API or of something below it."""
    return f"arn:aws:apigateway:{region}::/apis/{api}{rest}"


@pytest.mark.parametrize(
    "rest", [pytest.param("", id="api"), pytest.param("/stages/dev", id="stage")]
)
def test_tags_are_merged_and_removed_by_key(bench: Bench, api: str, rest: str) -> None:
    """Tags belong to APIs and stages, and read back on the resource. Rules 1.23, 1.24."""
    bench.stage(api, Tags={"a": "0"})
    bench.call("TagResource", ResourceArn=arn(api), Tags={"a": "0"})

    bench.call("TagResource", ResourceArn=arn(api, rest), Tags={"a": "1", "b": "2"})
    bench.call("UntagResource", ResourceArn=arn(api, rest), TagKeys=["b", "unknown"])

    read = (
        bench.call("GetStage", ApiId=api, StageName="dev")
        if rest
        else bench.call("GetApi", ApiId=api)
    )
    assert bench.call("GetTags", ResourceArn=arn(api, rest)) == {"Tags": {"a": "1"}}
    assert read["Tags"] == {"a": "1"}


@pytest.mark.parametrize(
    ("rest", "region", "error"),
    [
        pytest.param("/routes/abc", "us-east-1", BadRequest, id="1.24-route"),
        pytest.param("/stages/none", "us-east-1", NotFound, id="unknown-stage"),
        pytest.param("", "eu-west-1", NotFound, id="other-region"),
        pytest.param("x", "us-east-1", NotFound, id="unknown-api"),
    ],
)
def test_unknown_resources_take_no_tags(
    bench: Bench, api: str, rest: str, region: str, error: type[Exception]
) -> None:
    """An ARN of something else is refused, and the API keeps its tags."""
    for operation, members in (
        ("TagResource", {"Tags": {"a": "1"}}),
        ("UntagResource", {"TagKeys": ["a"]}),
        ("GetTags", {}),
    ):
        with pytest.raises(error):
            bench.call(operation, ResourceArn=arn(api, rest, region), **members)

    assert bench.call("GetApi", ApiId=api)["Tags"] == {}


def test_reserved_tag_key_is_refused(bench: Bench, api: str) -> None:
    """A key that starts with aws: is refused in AWS's words, and none is set. Rule 1.25."""
    with pytest.raises(BadRequest) as caught:
        bench.call("TagResource", ResourceArn=arn(api), Tags={"b": "1", "Aws:x": "1"})

    assert caught.value.message == (
        "Invalid tag key. Tag keys cannot start with 'aws:' (case insensitive)"
    )
    assert bench.call("GetTags", ResourceArn=arn(api)) == {"Tags": {}}


def test_tags_together_keep_the_limit(bench: Bench, api: str) -> None:
    """Fifty tags fit; one more is refused, and the fifty stay."""
    bench.call("TagResource", ResourceArn=arn(api), Tags={f"k{n}": "v" for n in range(50)})

    with pytest.raises(BadRequest, match="50"):
        bench.call("TagResource", ResourceArn=arn(api), Tags={"more": "v"})

    assert len(dict(bench.call("GetTags", ResourceArn=arn(api))["Tags"] or {})) == 50  # type: ignore[call-overload]


def test_route_parameter_is_deleted_once(bench: Bench, api: str) -> None:
    """Deleting a request parameter removes that key; again it is not found. Rule 1.43."""
    a, b = "route.request.header.a", "route.request.header.b"
    route_id = bench.route(
        api, "$connect", RequestParameters={a: {"Required": True}, b: {"Required": False}}
    )
    place: Record = {"ApiId": api, "RouteId": route_id}

    bench.call("DeleteRouteRequestParameter", **place, RequestParameterKey=a)
    left = bench.call("GetRoute", **place)["RequestParameters"]
    with pytest.raises(NotFound):
        bench.call("DeleteRouteRequestParameter", **place, RequestParameterKey=a)
    bench.call("DeleteRouteRequestParameter", **place, RequestParameterKey=b)

    assert left == {b: {"Required": False}}
    assert "RequestParameters" not in bench.call("GetRoute", **place)


def test_route_settings_are_deleted_by_key(bench: Bench, api: str) -> None:
    """Deleting route settings removes one key; another one is not found. Rule 1.99."""
    bench.stage(api, RouteSettings={"$connect": {}, "$default": {}})
    place: Record = {"ApiId": api, "StageName": "dev"}

    bench.call("DeleteRouteSettings", **place, RouteKey="$connect")
    with pytest.raises(NotFound):
        bench.call("DeleteRouteSettings", **place, RouteKey="$connect")

    settings = bench.call("GetStage", **place)["RouteSettings"]
    assert isinstance(settings, dict)
    assert set(settings) == {"$default"}


def test_access_log_settings_are_deleted(bench: Bench, api: str) -> None:
    """Deleting access log settings stops the log; doing it twice is no error."""
    bench.can_log = True
    settings = {"DestinationArn": "arn:aws:logs:x", "Format": "$context.requestId"}
    bench.stage(api, AccessLogSettings=settings)
    place: Record = {"ApiId": api, "StageName": "dev"}

    bench.call("DeleteAccessLogSettings", **place)
    bench.call("DeleteAccessLogSettings", **place)

    assert "AccessLogSettings" not in bench.call("GetStage", **place)


def test_settings_of_unknown_stage_are_not_found(bench: Bench, api: str) -> None:
    """Single settings can only be deleted from a stage that exists. Rule 1.103."""
    with pytest.raises(NotFound):
        bench.call("DeleteAccessLogSettings", ApiId=api, StageName="none")
    with pytest.raises(NotFound):
        bench.call("DeleteRouteSettings", ApiId=api, StageName="none", RouteKey="$connect")


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        pytest.param(
            {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "integer"}}},
            '{\n  "a" : "foo",\n  "b" : 42\n}',
            id="object",
        ),
        pytest.param(
            {"properties": {"a": {"properties": {"b": {"type": "boolean"}}}}},
            '{\n  "a" : {\n    "b" : true\n  }\n}',
            id="nested",
        ),
        pytest.param(
            {"type": "array", "items": {"type": "number"}},
            "[\n##TODO: Update this foreach loop to reference array from input json\n"
            "#foreach($elem in $inputRoot)\n  3.149\n#if($foreach.hasNext),#end\n#end\n]",
            id="array",
        ),
        pytest.param({}, '"foo"', id="anything"),
    ],
)
def test_model_template_shows_sample_values(
    bench: Bench, api: str, schema: Record, expected: str
) -> None:
    """A model gives a mapping template with a sample value for each member."""
    model_id = bench.model(api, "M", json.dumps(schema))

    template = bench.call("GetModelTemplate", ApiId=api, ModelId=model_id)["Value"]

    assert template == "#set($inputRoot = $input.path('$'))\n" + expected


def test_model_template_of_another_format_is_bare(bench: Bench, api: str) -> None:
    """A schema that is not JSON gives the head of a template only."""
    made = bench.call("CreateModel", ApiId=api, Name="M", Schema="<x/>", ContentType="text/xml")

    template = bench.call("GetModelTemplate", ApiId=api, ModelId=made["ModelId"])["Value"]

    assert template == "#set($inputRoot = $input.path('$'))\n"


def test_model_template_of_endless_depth_ends(bench: Bench, api: str) -> None:
    """A schema nested deeper than any message still gives a template."""
    schema: object = {"type": "string"}
    for _ in range(80):
        schema = {"properties": {"a": schema}}
    model_id = bench.model(api, "M", json.dumps(schema))

    template = bench.call("GetModelTemplate", ApiId=api, ModelId=model_id)["Value"]

    assert '"foo"' in str(template)


def test_cache_of_authorizers_is_reset_without_effect(bench: Bench, api: str) -> None:
    """WebSocket APIs keep no decisions, so nothing changes but that it is told. Rule 1.04."""
    bench.stage(api)
    before = bench.call("GetStage", ApiId=api, StageName="dev")

    assert bench.call("ResetAuthorizersCache", ApiId=api, StageName="dev") == {}
    assert bench.call("GetStage", ApiId=api, StageName="dev") == before


@pytest.mark.parametrize(("known", "stage"), [(True, "prod"), (False, "dev")])
def test_cache_of_an_unknown_stage_is_not_found(
    bench: Bench, api: str, *, known: bool, stage: str
) -> None:
    """Resetting what is not there is 404. Rules 1.04, 1.103."""
    bench.stage(api)

    with pytest.raises(NotFound):
        bench.call("ResetAuthorizersCache", ApiId=api if known else "nosuchapi1", StageName=stage)
