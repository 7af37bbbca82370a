"""What is refused, and that a refused call leaves nothing behind."""

import json

import pytest
from controlplane_bench import FUNCTION_URI, Bench

from socketstack.core.model import Record
from socketstack.errors import BadRequest, Conflict, ServiceError, TooManyRequests

API: Record = {
    "Name": "chat",
    "ProtocolType": "WEBSOCKET",
    "RouteSelectionExpression": "$request.body.action",
}
AUTHORIZER: Record = {
    "AuthorizerType": "REQUEST",
    "AuthorizerUri": FUNCTION_URI,
    "IdentitySource": [],
    "Name": "token",
}


def state(bench: Bench, api: str) -> object:
    """Everything that configures one API, to compare before and after."""
    kinds = ("Route", "Integration", "Authorizer", "Model", "Stage", "Deployment")
    rows = [bench.store.children(("Api", api), kind) for kind in kinds]
    return bench.store.get(("Api", api)), rows


@pytest.mark.parametrize(
    ("members", "hint"),
    [
        pytest.param({"RouteSelectionExpression": None}, "RouteSelectionExpression", id="1.14"),
        pytest.param({"RouteSelectionExpression": "$nothing"}, "no variable", id="unparsable"),
        pytest.param(
            {"RouteSelectionExpression": "$request.header.x"}, "cannot be read here", id="header"
        ),
        pytest.param({"Name": None}, "missing name", id="1.13-missing"),
        pytest.param({"Name": ""}, "0 characters", id="1.13-empty"),
        pytest.param({"Name": "n" * 129}, "129 characters", id="1.13-long"),
        pytest.param({"ProtocolType": "TCP"}, "valid values are WEBSOCKET, HTTP", id="enum"),
        pytest.param({"ApiKeySelectionExpression": "$context.x"}, "usageIdentifierKey", id="1.19"),
        pytest.param({"CorsConfiguration": {"MaxAge": 3}}, "only for HTTP APIs", id="1.21-cors"),
        pytest.param({"Target": FUNCTION_URI}, "only for HTTP APIs", id="1.21-target"),
        pytest.param({"RouteKey": "$default"}, "only for HTTP APIs", id="1.21-route-key"),
        pytest.param({"IpAddressType": "ipv6"}, "ipv4, dualstack", id="1.109"),
        pytest.param({"DisableExecuteApiEndpoint": "true"}, "expected boolean", id="type"),
        pytest.param({"Tags": ["a"]}, "expected map, got list", id="tags-type"),
        pytest.param({"Tags": {"a": 1}}, "expected string, got integer", id="tag-value-type"),
        pytest.param({"Tags": {"AWS:x": "1"}}, "cannot start with 'aws:'", id="1.25"),
        pytest.param({"Tags": {"": "1"}}, "1 to 128", id="tag-key-empty"),
        pytest.param({"Tags": {"a": "v" * 257}}, "256", id="tag-value-long"),
        pytest.param({"Tags": {f"k{n}": "v" for n in range(51)}}, "50", id="tags-many"),
    ],
)
def test_bad_api_is_refused(bench: Bench, members: Record, hint: str) -> None:
    """An API that AWS would refuse is refused with the reason, and none is made."""
    with pytest.raises(BadRequest, match=hint):
        bench.call("CreateApi", **{**API, **members})

    assert bench.items("GetApis") == []


@pytest.mark.parametrize(
    "expression",
    ["$request.body.action", "${request.body.a.b}", "${request.body.a}/${request.body.b}", "x"],
)
def test_route_selection_expressions_are_accepted(bench: Bench, expression: str) -> None:
    """Every form that a message can be routed by is accepted. Rules 5.07 to 5.11."""
    api_id = bench.api(RouteSelectionExpression=expression)

    assert bench.call("GetApi", ApiId=api_id)["RouteSelectionExpression"] == expression


@pytest.mark.parametrize(
    ("members", "hint"),
    [
        pytest.param({"RouteKey": None}, "missing route key", id="1.29"),
        pytest.param({"RouteKey": ""}, "route key must not be empty", id="empty-key"),
        pytest.param({"RouteKey": "$other"}, "reserved", id="1.32"),
        pytest.param({"Target": "x"}, "integrations/", id="1.34"),
        pytest.param({"Target": "integrations/nothere"}, "no integration", id="1.35"),
        pytest.param({"AuthorizationType": "JWT", "RouteKey": "$connect"}, "JWT", id="1.37-jwt"),
        pytest.param({"AuthorizationType": "NO"}, "valid values are NONE", id="1.37-enum"),
        pytest.param(
            {"AuthorizationType": "AWS_IAM"},
            r"^Currently, authorization is restricted to the \$connect route only$",
            id="1.38-iam",
        ),
        pytest.param(
            {"AuthorizationType": "CUSTOM", "RouteKey": "$default"},
            r"^Currently, authorization is restricted to the \$connect route only$",
            id="1.38-custom",
        ),
        pytest.param(
            {"AuthorizationType": "CUSTOM", "RouteKey": "$connect"},
            "Invalid authorizer ID specified",
            id="1.41-missing",
        ),
        pytest.param(
            {"AuthorizationType": "CUSTOM", "RouteKey": "$connect", "AuthorizerId": "nope"},
            "Invalid authorizer ID specified",
            id="1.41-unknown",
        ),
        pytest.param({"RequestParameters": {"header.x": {}}}, "route.request.header", id="1.42"),
        pytest.param(
            {"RequestParameters": {"route.request.body.x": {}}}, "route.request", id="1.42-body"
        ),
        pytest.param(
            {"RequestParameters": {"route.request.header.x": True}}, "expected structure", id="type"
        ),
        pytest.param({"RouteResponseSelectionExpression": "$x"}, r"only \$default", id="1.44"),
        pytest.param({"RequestModels": {"a": "Nope"}}, "no such model", id="1.45"),
        pytest.param({"ModelSelectionExpression": "$x"}, "ModelSelectionExpression", id="model"),
        pytest.param({"AuthorizationScopes": ["a"]}, "only for HTTP APIs", id="scopes"),
        pytest.param({"OperationName": "o" * 65}, "65 characters", id="length"),
        pytest.param({"ApiKeyRequired": 1}, "expected boolean, got integer", id="boolean"),
    ],
)
def test_bad_route_is_refused(bench: Bench, api: str, members: Record, hint: str) -> None:
    """A route that AWS would refuse is refused with the reason, and none is made."""
    with pytest.raises(BadRequest, match=hint):
        bench.call("CreateRoute", ApiId=api, **{"RouteKey": "send", **members})

    assert bench.items("GetRoutes", ApiId=api) == []


def test_second_route_with_a_key_conflicts(bench: Bench, api: str) -> None:
    """Route keys are unique; Create and Update say so in AWS's words. Rule 1.33."""
    bench.route(api, "$connect")
    other = bench.route(api, "send")
    before = state(bench, api)

    with pytest.raises(Conflict, match=r"^Route with key \$connect already exists for this API$"):
        bench.route(api, "$connect")
    with pytest.raises(Conflict):
        bench.call("UpdateRoute", ApiId=api, RouteId=other, RouteKey="$connect")

    assert state(bench, api) == before


def test_route_may_keep_its_own_key(bench: Bench, api: str) -> None:
    """Sending a route's key again is no conflict."""
    route_id = bench.route(api, "send")

    changed = bench.call("UpdateRoute", ApiId=api, RouteId=route_id, RouteKey="send")

    assert changed["RouteKey"] == "send"


def test_protected_route_cannot_get_another_key(bench: Bench, api: str) -> None:
    """Renaming $connect while it is protected is refused, and it stays protected. 1.38."""
    route_id = bench.route(api, "$connect", AuthorizationType="AWS_IAM")

    with pytest.raises(BadRequest, match="restricted"):
        bench.call("UpdateRoute", ApiId=api, RouteId=route_id, RouteKey="send")

    kept = bench.call("GetRoute", ApiId=api, RouteId=route_id)
    assert (kept["RouteKey"], kept["AuthorizationType"]) == ("$connect", "AWS_IAM")


@pytest.mark.parametrize(
    "key",
    [
        "route.request.header.Authorization",
        "route.request.querystring.auth.token",
        "route.request.multivalueheader.a",
    ],
)
def test_request_parameters_are_accepted(bench: Bench, api: str, key: str) -> None:
    """Headers and query strings can be declared on a route. Rule 1.42."""
    route_id = bench.route(api, "$connect", RequestParameters={key: {"Required": True}})

    kept = bench.call("GetRoute", ApiId=api, RouteId=route_id)

    assert kept["RequestParameters"] == {key: {"Required": True}}


@pytest.mark.parametrize("key", ["send", "$default", "$disconnect"])
def test_request_parameters_belong_to_connect(bench: Bench, api: str, key: str) -> None:
    """Only $connect has request parameters; another route with some is not made. 1.42."""
    needed = {"route.request.header.x": {"Required": True}}

    with pytest.raises(BadRequest, match=r"only supported for the \$connect route"):
        bench.route(api, key, RequestParameters=needed)

    assert bench.items("GetRoutes", ApiId=api) == []


@pytest.mark.parametrize(
    ("key", "value"),
    [
        pytest.param("method.response.header.X", "'text'", id="text"),
        pytest.param("route.response.header.X", "integration.response.header.Y", id="header"),
        pytest.param("method.response.header.X", "integration.response.body.a.b", id="body"),
    ],
)
def test_response_parameters_are_accepted(bench: Bench, api: str, key: str, value: str) -> None:
    """Headers of the response come from a text, a header or the body. 2.26."""
    made = bench.call(
        "CreateIntegrationResponse",
        ApiId=api,
        IntegrationId=bench.integration(api),
        IntegrationResponseKey="$default",
        ResponseParameters={key: value},
    )

    assert made["ResponseParameters"] == {key: value}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        pytest.param("header.X", "'text'", id="key"),
        pytest.param("method.response.header.X", "text", id="no-quotes"),
        pytest.param("method.response.header.X", "context.requestId", id="other-source"),
    ],
)
def test_bad_response_parameters_are_refused(bench: Bench, api: str, key: str, value: str) -> None:
    """A mapping that nothing could follow is refused, and no response is made. 2.26."""
    integration_id = bench.integration(api)

    with pytest.raises(BadRequest, match="Invalid mapping expression"):
        bench.call(
            "CreateIntegrationResponse",
            ApiId=api,
            IntegrationId=integration_id,
            IntegrationResponseKey="$default",
            ResponseParameters={key: value},
        )

    place = {"ApiId": api, "IntegrationId": integration_id}
    assert bench.items("GetIntegrationResponses", **place) == []


def test_route_may_name_models_of_its_api(bench: Bench, api: str) -> None:
    """A request model that exists is accepted. Rule 1.45."""
    bench.model(api, "Message")

    route_id = bench.route(api, "send", RequestModels={"$default": "Message"})

    kept = bench.call("GetRoute", ApiId=api, RouteId=route_id)
    assert kept["RequestModels"] == {"$default": "Message"}


@pytest.mark.parametrize(
    ("members", "error"),
    [
        pytest.param({"RouteResponseKey": "ok"}, BadRequest, id="1.47"),
        pytest.param({"RouteResponseKey": "$default"}, Conflict, id="second"),
        pytest.param({}, BadRequest, id="missing"),
        pytest.param(
            {"RouteResponseKey": "$default", "ResponseModels": {"a": "No"}},
            ServiceError,
            id="model",
        ),
    ],
)
def test_bad_route_response_is_refused(
    bench: Bench, api: str, members: Record, error: type[ServiceError]
) -> None:
    """A route has one response, with the key $default."""
    route_id = bench.route(api)
    bench.call("CreateRouteResponse", ApiId=api, RouteId=route_id, RouteResponseKey="$default")

    with pytest.raises(error):
        bench.call("CreateRouteResponse", ApiId=api, RouteId=route_id, **members)

    assert len(bench.items("GetRouteResponses", ApiId=api, RouteId=route_id)) == 1


@pytest.mark.parametrize(
    ("members", "hint"),
    [
        pytest.param({"IntegrationType": None}, "missing integration type", id="1.51-missing"),
        pytest.param({"IntegrationType": "LAMBDA"}, "valid values are AWS", id="1.51"),
        pytest.param({"TimeoutInMillis": 29_001}, "between 50 ms and 29000 ms", id="1.54-long"),
        pytest.param({"TimeoutInMillis": 49}, "50 to 30000", id="1.54-short"),
        pytest.param({"TimeoutInMillis": "100"}, "expected integer, got string", id="1.54-text"),
        pytest.param({"TimeoutInMillis": True}, "expected integer, got boolean", id="1.54-bool"),
        pytest.param({"IntegrationMethod": "FETCH"}, "Invalid HTTP method", id="1.56"),
        pytest.param({"TemplateSelectionExpression": "$request.body["}, "Templ", id="1.57"),
        pytest.param(
            {"TemplateSelectionExpression": "${integration.response.statuscode}"},
            "cannot be read here",
            id="1.57-response",
        ),
        pytest.param({"RequestParameters": {"header.x": "'1'"}}, "header.x", id="1.58"),
        pytest.param(
            {"RequestParameters": {"integration.request.header.x": "1"}}, "mapping", id="1.58-value"
        ),
        pytest.param({"ConnectionType": "VPC_LINK"}, "HTTP or HTTP_PROXY", id="1.59-type"),
        pytest.param(
            {"ConnectionType": "VPC_LINK", "IntegrationType": "HTTP"}, "ConnectionId", id="1.59-id"
        ),
        pytest.param({"PayloadFormatVersion": "2.0"}, "use 1.0", id="1.60-version"),
        pytest.param({"IntegrationSubtype": "x"}, "only for HTTP APIs", id="1.60-subtype"),
        pytest.param(
            {"TlsConfig": {"ServerNameToVerify": "x"}}, "only for HTTP APIs", id="1.60-tls"
        ),
        pytest.param({"ResponseParameters": {"200": {"a": "b"}}}, "only for HTTP", id="1.60-resp"),
        pytest.param({"ContentHandlingStrategy": "BINARY"}, "CONVERT_TO", id="1.64"),
        pytest.param({"PassthroughBehavior": "ALWAYS"}, "WHEN_NO_MATCH", id="passthrough"),
        pytest.param(
            {
                "IntegrationType": "AWS_PROXY",
                "IntegrationUri": "arn:aws:lambda:us-east-1:000000000000:function:f",
            },
            "must contain path or action",
            id="1.55-plain-arn",
        ),
        pytest.param(
            {"IntegrationType": "HTTP", "IntegrationUri": "example.com"}, "HTTP endpoint", id="uri"
        ),
        pytest.param({"RequestTemplates": {"a": "x" * 32_769}}, "32768", id="template-size"),
    ],
)
def test_bad_integration_is_refused(bench: Bench, api: str, members: Record, hint: str) -> None:
    """An integration that AWS would refuse is refused with the reason, and none is made."""
    with pytest.raises(BadRequest, match=hint):
        bench.call("CreateIntegration", ApiId=api, **{"IntegrationType": "MOCK", **members})

    assert bench.items("GetIntegrations", ApiId=api) == []


@pytest.mark.parametrize(
    "members",
    [
        pytest.param({"IntegrationType": "AWS_PROXY", "IntegrationUri": FUNCTION_URI}, id="proxy"),
        pytest.param(
            {
                "IntegrationType": "AWS",
                "IntegrationUri": "arn:aws:apigateway:us-east-1:sqs:path/000000000000/queue",
                "IntegrationMethod": "POST",
                "CredentialsArn": "arn:aws:iam::000000000000:role/r",
                "RequestParameters": {
                    "integration.request.header.Content-Type": "'application/x-www-form-urlencoded'"
                },
                "TemplateSelectionExpression": "\\$default",
            },
            id="sqs",
        ),
        pytest.param(
            {
                "IntegrationType": "HTTP_PROXY",
                "IntegrationUri": "https://${stageVariables.host}/x",
                "IntegrationMethod": "POST",
                "RequestParameters": {
                    "integration.request.header.connectionId": "context.connectionId",
                    "integration.request.querystring.a": "route.request.querystring.a",
                    "integration.request.path.b": "route.request.body.b",
                    "integration.request.header.c": "stageVariables.c",
                },
                "ConnectionType": "VPC_LINK",
                "ConnectionId": "abc",
            },
            id="http-proxy",
        ),
        pytest.param(
            {
                "IntegrationType": "MOCK",
                "RequestTemplates": {"200": '{"statusCode":200}'},
                "TemplateSelectionExpression": "200",
                "TimeoutInMillis": 50,
            },
            id="mock",
        ),
    ],
)
def test_integrations_of_all_types_are_accepted(bench: Bench, api: str, members: Record) -> None:
    """What AWS accepts reads back as it was sent. Rules 1.51, 1.54, 1.57, 1.58, 1.59."""
    made = bench.call("CreateIntegration", ApiId=api, **members)

    assert {member: made[member] for member in members} == members


def _templates(size: int) -> dict[str, str]:
    """Templates of so many bytes together, none of them too long; two bytes a character."""
    full, rest = divmod(size // 2, 30_000)
    return {f"t{number}": "\u00e9" * 30_000 for number in range(full)} | {"rest": "\u00e9" * rest}


@pytest.mark.parametrize("side", ["request", "response"])
def test_templates_have_300_kb_together(bench: Bench, api: str, side: str) -> None:
    """As many templates as fit into 307200 bytes are taken, and not two bytes more. Rule 5.52."""
    if side == "request":
        operation, listed = "CreateIntegration", "GetIntegrations"
        member, place = "RequestTemplates", {"ApiId": api}
        sent = {**place, "IntegrationType": "MOCK"}
    else:
        operation, listed = "CreateIntegrationResponse", "GetIntegrationResponses"
        member, place = "ResponseTemplates", {"ApiId": api, "IntegrationId": bench.integration(api)}
        sent = {**place, "IntegrationResponseKey": "$default"}

    with pytest.raises(BadRequest, match="307202 bytes together, 307200 are allowed"):
        bench.call(operation, **sent, **{member: _templates(307_202)})
    refused = bench.items(listed, **place)
    made = bench.call(operation, **sent, **{member: _templates(307_200)})

    assert refused == []
    assert made[member] == _templates(307_200)


@pytest.mark.parametrize("key", ["ok", "/", "//", "/[/", "200"])
def test_bad_integration_response_key_is_refused(bench: Bench, api: str, key: str) -> None:
    """The key is $default or a regular expression between slashes. Rule 1.62."""
    place = {"ApiId": api, "IntegrationId": bench.integration(api)}

    with pytest.raises(BadRequest, match="between slashes"):
        bench.call("CreateIntegrationResponse", **place, IntegrationResponseKey=key)

    assert bench.items("GetIntegrationResponses", **place) == []


def test_second_integration_response_with_a_key_conflicts(bench: Bench, api: str) -> None:
    """Integration response keys are unique within their integration."""
    place = {"ApiId": api, "IntegrationId": bench.integration(api)}
    sent = {
        **place,
        "IntegrationResponseKey": r"/2\d\d/",
        "TemplateSelectionExpression": "${integration.response.statuscode}",
    }
    bench.call("CreateIntegrationResponse", **sent)

    with pytest.raises(Conflict):
        bench.call("CreateIntegrationResponse", **sent)

    assert len(bench.items("GetIntegrationResponses", **place)) == 1


@pytest.mark.parametrize(
    ("members", "hint"),
    [
        pytest.param(
            {"AuthorizerType": None},
            r"^Invalid request input\. CreateAuthorizer input is missing authorizer type\.$",
            id="1.66",
        ),
        pytest.param({"AuthorizerType": "JWT"}, "REQUEST authorizers only", id="1.65-jwt"),
        pytest.param({"AuthorizerType": "TOKEN"}, "valid values are REQUEST", id="1.65-token"),
        pytest.param(
            {"IdentitySource": ["$request.header.Auth"]},
            r"route\.request\.header\.Auth",
            id="1.67-http-form",
        ),
        pytest.param(
            {"IdentitySource": ["method.request.querystring.t"]},
            r"route\.request\.querystring\.t",
            id="1.67-rest-form",
        ),
        pytest.param({"IdentitySource": ["token"]}, "route.request.header.NAME", id="1.67-other"),
        pytest.param({"IdentitySource": "route.request.header.a"}, "expected list", id="1.67-text"),
        pytest.param({"AuthorizerPayloadFormatVersion": "1.0"}, "only for HTTP APIs", id="1.70"),
        pytest.param({"EnableSimpleResponses": True}, "only for HTTP APIs", id="1.71-simple"),
        pytest.param({"AuthorizerResultTtlInSeconds": 300}, "only for HTTP APIs", id="1.71-ttl"),
        pytest.param({"JwtConfiguration": {"Issuer": "x"}}, "only for HTTP APIs", id="jwt"),
        pytest.param({"AuthorizerUri": None}, "Invalid Authorizer URI", id="uri-missing"),
        pytest.param({"AuthorizerUri": "arn:aws:lambda:x"}, "Invalid Authorizer URI", id="uri"),
        pytest.param({"Name": None}, "missing name", id="name"),
    ],
)
def test_bad_authorizer_is_refused(bench: Bench, api: str, members: Record, hint: str) -> None:
    """An authorizer that AWS would refuse is refused with the reason, and none is made."""
    with pytest.raises(BadRequest, match=hint):
        bench.call("CreateAuthorizer", ApiId=api, **{**AUTHORIZER, **members})

    assert bench.items("GetAuthorizers", ApiId=api) == []


@pytest.mark.parametrize(
    "sources",
    [
        pytest.param([], id="1.68-none"),
        pytest.param(["route.request.header.Auth"], id="header"),
        pytest.param(
            ["route.request.querystring.t", "context.identity.sourceIp", "stageVariables.s"],
            id="three",
        ),
    ],
)
def test_identity_sources_are_accepted(bench: Bench, api: str, sources: list[str]) -> None:
    """The forms of WebSocket APIs, and none at all, are accepted. Rules 1.67, 1.68."""
    made = bench.call("CreateAuthorizer", ApiId=api, **{**AUTHORIZER, "IdentitySource": sources})

    assert made["IdentitySource"] == sources


def test_identity_source_form_is_checked_on_update(bench: Bench, api: str) -> None:
    """An update to the form of HTTP APIs is refused, and the old sources stay."""
    authorizer_id = bench.authorizer(api)
    before = state(bench, api)

    with pytest.raises(BadRequest, match=r"route\.request\.header\.a"):
        bench.call(
            "UpdateAuthorizer",
            ApiId=api,
            AuthorizerId=authorizer_id,
            IdentitySource=["$request.header.a"],
        )

    assert state(bench, api) == before


def test_authorizer_names_are_unique(bench: Bench, api: str) -> None:
    """A second authorizer with one name is refused in AWS's words. Rule 1.69."""
    bench.authorizer(api)

    with pytest.raises(
        BadRequest,
        match=r"^Authorizer name must be unique\. "
        r"Authorizer token already exists in this RestApi\.$",
    ):
        bench.authorizer(api)

    assert len(bench.items("GetAuthorizers", ApiId=api)) == 1


@pytest.mark.parametrize(
    ("members", "hint"),
    [
        pytest.param({"Name": "my-model"}, "alphanumeric", id="1.75-name"),
        pytest.param({"Name": "n" * 129}, "129 characters", id="1.74-long"),
        pytest.param({"Schema": "{"}, "not JSON", id="1.75-schema"),
        pytest.param({"Schema": "[]"}, "JSON object", id="1.74-list"),
        pytest.param({"Schema": '{"type": "strin"}'}, "at #/type", id="1.74-type"),
        pytest.param({"Schema": '{"required": true}'}, "at #/required", id="1.74-draft-3"),
        pytest.param(
            {"Schema": '{"$schema": "http://json-schema.org/draft-07/schema#"}'},
            "draft 4",
            id="1.74-draft-7",
        ),
        pytest.param({"Schema": " " * 32_769}, "32768", id="1.74-size"),
        pytest.param({"Schema": None}, "missing schema", id="missing"),
    ],
)
def test_bad_model_is_refused(bench: Bench, api: str, members: Record, hint: str) -> None:
    """A model that AWS would refuse is refused with the reason, and none is made."""
    with pytest.raises(BadRequest, match=hint):
        bench.call("CreateModel", ApiId=api, **{"Name": "M", "Schema": "{}", **members})

    assert bench.items("GetModels", ApiId=api) == []


def test_model_may_refer_to_models_of_its_api(bench: Bench, api: str) -> None:
    """A schema refers to another model of its API by URL, and to nobody else's. 1.74."""
    bench.model(api, "Text", '{"type": "string"}')
    url = "https://apigateway.amazonaws.com/restapis/%s/models/%s"

    bench.model(api, "Chat", json.dumps({"properties": {"t": {"$ref": url % (api, "Text")}}}))
    for target in (url % (api, "Nobody"), url % ("zzzzzzzzzz", "Text"), "http://example.com/x"):
        with pytest.raises(BadRequest, match=r"Invalid model schema specified: \$ref"):
            bench.model(api, "Bad", json.dumps({"$ref": target}))

    assert len(bench.items("GetModels", ApiId=api)) == 2


def test_model_names_are_unique(bench: Bench, api: str) -> None:
    """A second model with one name conflicts."""
    bench.model(api, "Message")

    with pytest.raises(Conflict):
        bench.model(api, "Message")

    assert len(bench.items("GetModels", ApiId=api)) == 1


def test_only_json_models_need_a_json_schema(bench: Bench, api: str) -> None:
    """The schema of another content type is kept as it is."""
    made = bench.call("CreateModel", ApiId=api, Name="M", Schema="<x/>", ContentType="text/xml")

    assert made["Schema"] == "<x/>"


def test_integration_in_use_cannot_be_deleted(bench: Bench, api: str) -> None:
    """Deleting an integration that a route targets conflicts, naming the route. Rule 1.61."""
    integration_id = bench.integration(api)
    route_id = bench.route(api, "send", Target=f"integrations/{integration_id}")

    with pytest.raises(Conflict) as caught:
        bench.call("DeleteIntegration", ApiId=api, IntegrationId=integration_id)

    assert caught.value.message == (
        "Cannot delete Integration because it is referenced by the following Routes with Ids: "
        f"[{route_id}]"
    )
    assert len(bench.items("GetIntegrations", ApiId=api)) == 1


def test_authorizer_in_use_cannot_be_deleted(bench: Bench, api: str) -> None:
    """Deleting an authorizer that protects a route conflicts, naming it. Rule 1.72."""
    authorizer_id = bench.authorizer(api)
    bench.route(api, "$connect", AuthorizationType="CUSTOM", AuthorizerId=authorizer_id)

    with pytest.raises(Conflict) as caught:
        bench.call("DeleteAuthorizer", ApiId=api, AuthorizerId=authorizer_id)

    assert caught.value.message == (
        "Cannot delete authorizer 'token', is referenced in route: $connect"
    )
    assert len(bench.items("GetAuthorizers", ApiId=api)) == 1


def test_model_in_use_cannot_be_deleted(bench: Bench, api: str) -> None:
    """Deleting a model that a route validates with conflicts; another one goes."""
    used, free = bench.model(api, "Used"), bench.model(api, "Free")
    bench.route(api, "send", RequestModels={"a": "Used"})

    with pytest.raises(Conflict, match="Used"):
        bench.call("DeleteModel", ApiId=api, ModelId=used)
    bench.call("DeleteModel", ApiId=api, ModelId=free)

    assert [model["Name"] for model in bench.items("GetModels", ApiId=api)] == ["Used"]


@pytest.mark.parametrize(
    ("kind", "count"),
    [("Route", 300), ("Integration", 300), ("Authorizer", 10), ("Stage", 10)],
)
def test_quota_refuses_one_too_many(bench: Bench, api: str, kind: str, count: int) -> None:
    """Quotas per API hold: the last one fits, the next is refused. Rule 1.28."""

    def create(number: int) -> None:
        own: dict[str, Record] = {
            "Route": {"RouteKey": f"k{number}"},
            "Integration": {"IntegrationType": "MOCK"},
            "Authorizer": {**AUTHORIZER, "Name": f"a{number}"},
            "Stage": {"StageName": f"s{number}"},
        }
        bench.call(f"Create{kind}", ApiId=api, **own[kind])

    for number in range(count):
        create(number)
    with pytest.raises(TooManyRequests) as caught:
        create(count)

    assert caught.value.members["limitType"] == f"{kind}s per API"
    assert len(bench.store.children(("Api", api), kind)) == count
