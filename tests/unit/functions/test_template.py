"""The template: what SAM makes of it, who may do what, and that AWS's linter accepts it."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

ROOT = Path(__file__).parents[3]
TEMPLATE = ROOT / "infra" / "template.yaml"
Resources = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def template() -> dict[str, Any]:
    """The template as written, with the long forms of functions."""
    parsed: dict[str, Any] = yaml_parse(TEMPLATE.read_text())
    return parsed


@pytest.fixture(scope="module")
def transformed() -> dict[str, Any]:
    """What the SAM transform makes of it, with code in a bucket."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        source = yaml_parse(TEMPLATE.read_text())
        for resource in source["Resources"].values():
            for name in ("CodeUri", "ContentUri"):
                if name in resource.get("Properties", {}):
                    resource["Properties"][name] = "s3://some-bucket/key"
        done: dict[str, Any] = Translator({}, Parser()).translate(source, {})
        return done


@pytest.fixture(scope="module")
def resources(transformed: dict[str, Any]) -> Resources:
    """The plain CloudFormation resources."""
    found: Resources = transformed["Resources"]
    return found


def of_type(resources: Resources, kind: str) -> dict[str, dict[str, Any]]:
    """Properties by logical id."""
    return {
        name: resource.get("Properties", {})
        for name, resource in resources.items()
        if resource["Type"] == kind
    }


def statements(resources: Resources) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every statement of every role's own policies and of others, with the role's or its name."""
    for name, role in of_type(resources, "AWS::IAM::Role").items():
        for policy in either(role["Policies"]):
            for statement in policy["PolicyDocument"]["Statement"]:
                yield name, statement
    for name, policy in of_type(resources, "AWS::IAM::Policy").items():
        for statement in policy["PolicyDocument"]["Statement"]:
            yield name, statement


def either(values: list[Any]) -> Iterator[Any]:
    """A list's members, and of a condition what it gives both ways."""
    for value in values:
        if set(value) == {"Fn::If"}:
            yield from either(value["Fn::If"][1:])
        else:
            yield value


def as_list(value: Any) -> list[Any]:
    """One or many, as many."""
    return value if isinstance(value, list) else [value]


def test_only_connect_is_authorized_and_by_the_authorizer(resources: Resources) -> None:
    """$connect has the Lambda authorizer; the other routes reuse its decision (3.01)."""
    routes = {
        properties["RouteKey"]: properties
        for properties in of_type(resources, "AWS::ApiGatewayV2::Route").values()
    }

    assert set(routes) == {"$connect", "$disconnect", "$default", "echo", "send"}
    assert routes["$connect"]["AuthorizationType"] == "CUSTOM"
    assert routes["$connect"]["AuthorizerId"] == {"Ref": "ApiConnectAuthorizer"}
    assert not [key for key in routes if key != "$connect" and "AuthorizerId" in routes[key]]


def test_authorizer_reads_the_token_from_the_query_string(resources: Resources) -> None:
    """One identity source, in the form of WebSocket APIs (1.67), and nothing of HTTP APIs."""
    (authorizer,) = of_type(resources, "AWS::ApiGatewayV2::Authorizer").values()

    assert authorizer["IdentitySource"] == ["route.request.querystring.token"]
    assert authorizer["AuthorizerType"] == "REQUEST"
    assert "AuthorizerFunction" in json.dumps(authorizer["AuthorizerUri"])
    assert not {"AuthorizerPayloadFormatVersion", "EnableSimpleResponses"} & set(authorizer)


def test_two_way_routes_have_route_responses(resources: Resources) -> None:
    """What echo, send and $default return reaches the client (5.27); nothing else answers."""
    responses = of_type(resources, "AWS::ApiGatewayV2::RouteResponse").values()
    answered = {resources[one["RouteId"]["Ref"]]["Properties"]["RouteKey"] for one in responses}

    assert answered == {"echo", "send", "$default"}
    assert {one["RouteResponseKey"] for one in responses} == {"$default"}


def test_api_gateway_may_invoke_each_function_for_this_api_only(resources: Resources) -> None:
    """Every permission names the service and this API's ARN (3.26, 5.68); none a wildcard API."""
    permissions = of_type(resources, "AWS::Lambda::Permission")
    ((by_rule, rule_permission),) = [
        (name, each)
        for name, each in permissions.items()
        if each["Principal"] == "events.amazonaws.com"
    ]
    del permissions[by_rule]

    assert rule_permission["FunctionName"] == {"Ref": "SweeperFunction"}
    assert rule_permission["SourceArn"] == {"Fn::GetAtt": ["SweeperFunctionEveryMinute", "Arn"]}
    assert len(permissions) == 6
    for permission in permissions.values():
        assert permission["Principal"] == "apigateway.amazonaws.com"
        assert permission["Action"] == "lambda:InvokeFunction"
        arn = json.dumps(permission["SourceArn"])
        assert "${Api.ApiId}/" in arn or '"Ref": "Api"' in arn
        assert arn.count("*") == (1 if "/authorizers/*" in arn else 0)


def test_no_role_has_a_wildcard_action_or_resource(resources: Resources) -> None:
    """Each statement names its actions and resources of this stack."""
    for name, statement in statements(resources):
        assert statement["Effect"] == "Allow", name
        if name == "TracesPolicy":
            continue  # X-Ray knows no resources: held to its actions by a test of its own
        assert not [a for a in as_list(statement["Action"]) if "*" in a], name
        for resource in as_list(statement["Resource"]):
            assert resource != "*", name
            assert isinstance(resource, dict), f"{name} names a fixed resource: {resource}"
            if "*" in json.dumps(resource):
                assert re.search(
                    r"\$\{Api\}/\$\{Stage\}/(POST|DELETE)/@connections/\*$", resource["Fn::Sub"]
                )


def test_functions_are_traced_only_where_that_is_wanted(resources: Resources) -> None:
    """Every function follows the parameter, and may write traces and nothing else with it."""
    for function in of_type(resources, "AWS::Lambda::Function").values():
        assert function["TracingConfig"] == {
            "Mode": {"Fn::If": ["TracesFunctions", "Active", "PassThrough"]}
        }
    policy = resources["TracesPolicy"]
    (statement,) = policy["Properties"]["PolicyDocument"]["Statement"]
    assert policy["Condition"] == "TracesFunctions"
    roles = {
        json.dumps(role.get("Fn::If", [role])[-2 if "Fn::If" in role else 0])
        for role in policy["Properties"]["Roles"]
    }
    assert roles == {json.dumps({"Ref": name}) for name in of_type(resources, "AWS::IAM::Role")}
    assert statement["Action"] == ["xray:PutTraceSegments", "xray:PutTelemetryRecords"]


def test_domain_is_mapped_to_the_stage_where_one_is_named(resources: Resources) -> None:
    """Name, mapping and record exist with their parameters only; the address has no stage."""
    domain, mapping = resources["CustomDomain"], resources["CustomDomainMapping"]
    record = resources["CustomDomainRecord"]

    assert [one["Condition"] for one in (domain, mapping, record)] == [
        "HasDomain",
        "HasDomain",
        "HasZone",
    ]
    (configuration,) = domain["Properties"]["DomainNameConfigurations"]
    assert configuration["SecurityPolicy"] == "TLS_1_2"
    assert mapping["Properties"]["Stage"] == {"Ref": "ApiStage"}
    assert "ApiMappingKey" not in mapping["Properties"]
    variables = resources["MessagesFunction"]["Properties"]["Environment"]["Variables"]
    assert variables["CALLBACK_URL"]["Fn::If"][0] == "PostsToDomain"


def test_only_messages_may_push_and_only_through_this_stage(resources: Resources) -> None:
    """Messages may post and close, the sweeper close, at this stage; nobody else may (7.07)."""
    granted = {
        name: (
            statement["Action"],
            [each["Fn::Sub"].partition("${Api}")[2] for each in as_list(statement["Resource"])],
        )
        for name, statement in statements(resources)
        if any(action.startswith("execute-api") for action in as_list(statement["Action"]))
    }

    posting, closing = "/${Stage}/POST/@connections/*", "/${Stage}/DELETE/@connections/*"
    assert granted == {
        "MessagesRole": ("execute-api:ManageConnections", [posting, closing]),
        "SweeperRole": ("execute-api:ManageConnections", [closing]),
    }


def test_sweeper_exists_with_ends_of_sessions_only(transformed: dict[str, Any]) -> None:
    """Function, rule, permission, queue, logs and alarms come and go together."""
    conditions = transformed["Conditions"]
    resources = transformed["Resources"]
    conditional = {
        name for name, each in resources.items() if each.get("Condition") == "EndsSessions"
    }

    assert conditions["EndsSessions"] == {
        "Fn::Or": [
            {"Fn::Equals": [{"Ref": "EnforceTokenExpiry"}, "true"]},
            {"Condition": "UsesTickets"},
        ]
    }
    assert conditional == {
        "SweeperFunction",
        "SweeperFunctionEventInvokeConfig",
        "SweeperFunctionEveryMinute",
        "SweeperFunctionEveryMinutePermission",
        "SweeperRole",
        "SweeperLogGroup",
        "SweeperErrorAlarm",
        "SweeperThrottleAlarm",
        "DeadLetterQueue",
        "DeadLetterPolicy",
        "DeadLetterAlarm",
    }


def test_sweeper_runs_every_minute_and_leaves_dead_letters(resources: Resources) -> None:
    """A sweep is due before the one before could be tried again; what failed is kept two weeks."""
    rule = resources["SweeperFunctionEveryMinute"]["Properties"]
    (target,) = rule["Targets"]
    kept = resources["SweeperFunctionEventInvokeConfig"]["Properties"]
    function = resources["SweeperFunction"]["Properties"]
    queue = {"Fn::GetAtt": ["DeadLetterQueue", "Arn"]}

    assert rule["ScheduleExpression"] == "rate(1 minute)"
    assert target["DeadLetterConfig"] == {"Arn": queue}
    assert target["RetryPolicy"]["MaximumEventAgeInSeconds"] <= 60
    assert kept["MaximumRetryAttempts"] == 0
    assert kept["DestinationConfig"] == {"OnFailure": {"Destination": queue}}
    assert function["Timeout"] <= 60
    assert function["ReservedConcurrentExecutions"]["Fn::If"][::2] == [
        "CapsSweeper",
        {"Ref": "AWS::NoValue"},
    ]
    assert resources["DeadLetterQueue"]["Properties"]["MessageRetentionPeriod"] == 14 * 86_400
    assert resources["DeadLetterQueue"]["Properties"]["SqsManagedSseEnabled"] is True


def test_only_the_rule_may_send_to_the_queue_and_never_in_clear(resources: Resources) -> None:
    """The queue's own policy lets this rule in; the function sends by its role's permission."""
    document = resources["DeadLetterPolicy"]["Properties"]["PolicyDocument"]
    allow, deny = document["Statement"]

    assert allow["Principal"] == {"Service": "events.amazonaws.com"}
    assert allow["Action"] == "sqs:SendMessage"
    assert allow["Condition"] == {
        "ArnEquals": {"aws:SourceArn": {"Fn::GetAtt": ["SweeperFunctionEveryMinute", "Arn"]}}
    }
    assert (deny["Effect"], deny["Principal"]) == ("Deny", "*")
    assert deny["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_only_the_authorizer_reads_the_secret(resources: Resources) -> None:
    """No other function can sign a token."""
    readers = {
        name
        for name, statement in statements(resources)
        if any(action.startswith("secretsmanager") for action in as_list(statement["Action"]))
    }

    assert readers == {"AuthorizerRole"}


def test_authorizer_uses_tickets_up_or_reads_the_key(resources: Resources) -> None:
    """With tickets it may update their table, without it may read the secret; never both."""
    (choice,) = [
        policy["Fn::If"]
        for policy in resources["AuthorizerRole"]["Properties"]["Policies"]
        if "Fn::If" in policy
    ]

    condition, with_tickets, without = choice
    assert condition == resources["TicketTable"]["Condition"] == "UsesTickets"
    (statement,) = with_tickets["PolicyDocument"]["Statement"]
    assert statement["Action"] == "dynamodb:UpdateItem"
    assert statement["Resource"] == {"Fn::GetAtt": ["TicketTable", "Arn"]}
    assert without["PolicyName"] == "token-secret"


def test_ticket_table_has_the_names_of_the_code(resources: Resources) -> None:
    """Key and time to live are what the authorizer reads; the table exists only where used."""
    table = resources["TicketTable"]["Properties"]

    assert table["KeySchema"] == [{"AttributeName": "ticketHash", "KeyType": "HASH"}]
    assert table["TimeToLiveSpecification"] == {"AttributeName": "expiresAt", "Enabled": True}


def test_roles_are_assumed_by_lambda_and_have_no_managed_policies(resources: Resources) -> None:
    """Only Lambda assumes them, and nothing wider is attached."""
    roles = of_type(resources, "AWS::IAM::Role")

    assert set(roles) == {"AuthorizerRole", "ConnectionsRole", "MessagesRole", "SweeperRole"}
    for role in roles.values():
        assert "ManagedPolicyArns" not in role
        (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
        assert trust["Principal"] == {"Service": "lambda.amazonaws.com"}


def test_every_function_has_its_role_and_a_log_group_with_retention(resources: Resources) -> None:
    """Logs go to a group of this stack, which exists before the function and does not grow."""
    groups = {
        json.dumps(group["LogGroupName"]): group
        for group in of_type(resources, "AWS::Logs::LogGroup").values()
    }
    functions = of_type(resources, "AWS::Lambda::Function")

    assert len(functions) == 4
    for logical_id, function in functions.items():
        name = function["FunctionName"]["Fn::Sub"]
        group = groups[json.dumps({"Fn::Sub": f"/aws/lambda/{name}"})]
        assert group["RetentionInDays"] == {"Ref": "LogRetentionDays"}
        assert function["Role"]["Fn::GetAtt"][0] == logical_id.replace("Function", "Role")
        assert resources[logical_id]["DependsOn"] == logical_id.replace("Function", "LogGroup")


def test_connection_table_expires_rows_and_finds_them(resources: Resources) -> None:
    """Time to live and indexes have the names that the push library uses."""
    from functions.push.push.table import INDEX_BY_END, INDEX_BY_USER

    table = resources["ConnectionTable"]["Properties"]

    assert table["TimeToLiveSpecification"] == {"AttributeName": "expiresAt", "Enabled": True}
    by_user, by_end = table["GlobalSecondaryIndexes"]
    assert by_user["IndexName"] == INDEX_BY_USER
    assert by_user["KeySchema"] == [{"AttributeName": "userId", "KeyType": "HASH"}]
    assert by_end["IndexName"] == INDEX_BY_END
    assert by_end["KeySchema"] == [
        {"AttributeName": "sessionShard", "KeyType": "HASH"},
        {"AttributeName": "sessionEndsAt", "KeyType": "RANGE"},
    ]
    assert {"AttributeName": "sessionEndsAt", "AttributeType": "N"} in table["AttributeDefinitions"]
    assert table["KeySchema"] == [{"AttributeName": "connectionId", "KeyType": "HASH"}]


def test_outputs_are_what_clients_need(transformed: dict[str, Any]) -> None:
    """The web client and the tools read these; those of an option only with it."""
    outputs = transformed["Outputs"]

    assert set(outputs) == {
        "ApiId",
        "Stage",
        "WebSocketUrl",
        "ConnectionsUrl",
        "TableName",
        "TokenSecretArn",
        "TokenIssuer",
        "TokenAudience",
        "JwksUrl",
        "TicketTableName",
        "DomainUrl",
        "DomainTarget",
        "SweeperFunctionName",
        "DeadLetterQueueUrl",
    }
    assert outputs["WebSocketUrl"]["Value"] == {"Fn::Sub": "${Api.ApiEndpoint}/${Stage}"}
    assert {
        name: output["Condition"] for name, output in outputs.items() if "Condition" in output
    } == {
        "JwksUrl": "UsesKeySet",
        "TicketTableName": "UsesTickets",
        "DomainUrl": "HasDomain",
        "DomainTarget": "HasDomain",
        "SweeperFunctionName": "EndsSessions",
        "DeadLetterQueueUrl": "EndsSessions",
    }


def test_stage_has_a_throttle_that_lets_something_pass(template: dict[str, Any]) -> None:
    """One stage cannot use up the account's requests, and 0 cannot be given by mistake (6.16)."""
    settings = template["Resources"]["Api"]["Properties"]["DefaultRouteSettings"]

    assert set(settings) == {"ThrottlingRateLimit", "ThrottlingBurstLimit"}
    for limit, most in (("ThrottlingRateLimit", 10_000), ("ThrottlingBurstLimit", 5_000)):
        parameter = template["Parameters"][settings[limit]["Ref"]]
        assert 0 < parameter["Default"] < most
        assert parameter["MinValue"] == 1


def test_every_function_that_is_throttled_raises_an_alarm(resources: Resources) -> None:
    """Functions share the account's concurrency; who runs out of it is told."""
    watched = {
        alarm["Dimensions"][0]["Value"]["Ref"]
        for alarm in of_type(resources, "AWS::CloudWatch::Alarm").values()
        if alarm["MetricName"] == "Throttles"
    }

    assert watched == set(of_type(resources, "AWS::Lambda::Function"))


def test_access_logs_hold_no_query_string(resources: Resources) -> None:
    """The token travels in the query string, so no access log variable may show it."""
    form = json.dumps(resources["ApiStage"]["Properties"]["AccessLogSettings"])
    logged = json.loads(json.loads(form)["Fn::If"][1]["Format"])

    assert logged["authorizerError"] == "$context.authorizer.error"
    assert not re.search(r"querystring|\$context\.path|input\.|request\.", form)


def test_template_knows_no_target(template: dict[str, Any]) -> None:
    """Nothing in the template or the functions names a local engine or an account."""
    texts = [json.dumps(template)]
    texts += [path.read_text() for path in (ROOT / "functions").rglob("*.py")]

    for text in texts:
        assert not re.search(
            r"localstack|socketstack_|4566|AWS_ENDPOINT_URL|\b\d{12}\b", text, re.IGNORECASE
        )


def test_template_has_no_yaml_alias() -> None:
    """CloudFormation reads no aliases."""
    from yaml import parse
    from yaml.events import AliasEvent

    assert not [e for e in parse(TEMPLATE.read_text()) if isinstance(e, AliasEvent)]


@pytest.mark.parametrize("form", ["written", "transformed"])
def test_linter_accepts_the_template(
    transformed: dict[str, Any], tmp_path: Path, form: str
) -> None:
    """cfn-lint finds nothing, in the template as written and in what SAM makes of it."""
    path = TEMPLATE
    if form == "transformed":
        plain = {name: part for name, part in transformed.items() if name != "Metadata"}
        path = tmp_path / "plain.json"
        path.write_text(json.dumps(plain))

    done = subprocess.run(
        [str(Path(sys.executable).parent / "cfn-lint"), str(path)],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )

    assert (done.returncode, done.stdout) == (0, "")
