"""Integrations that map: MOCK, functions and a queue behind templates; models of messages."""

import json
import re
from typing import Any

import pytest
from parity.account import Account, Answer, Event, Function, Stage, refusal
from parity.apis import ApiBuilder, Route
from parity.sockets import SOCKET_ID, Client, connect, error_frame, refused

rule = pytest.mark.rule
DEFAULT = "$default"
OK = '{"statusCode": 200}'
ECHO_STATUS = '{"statusCode": $input.path("$.status")}'
INTERNAL = error_frame("Internal server error")
_TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "apigateway.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    ],
}
NUMBER = {
    "$schema": "http://json-schema.org/draft-04/schema#",
    "type": "object",
    "required": ["amount"],
    "properties": {"amount": {"type": "number"}},
}


def response(template: str | None = None, key: str = DEFAULT, **members: Any) -> dict[str, Any]:
    """An integration response with one template, which is always chosen."""
    templates = {} if template is None else {DEFAULT: template}
    chosen = {} if template is None else {"TemplateSelectionExpression": "\\$default"}
    return {
        "IntegrationResponseKey": key,
        "ResponseTemplates": templates,
        **chosen,
        **members,
    }


def mock(
    key: str, *responses: dict[str, Any], request: str = OK, members: Any = None, **integration: Any
) -> Route:
    """A two-way route to a MOCK integration."""
    return Route(
        key=key,
        is_two_way=not key.startswith("$"),
        integration={
            "IntegrationType": "MOCK",
            "RequestTemplates": {DEFAULT: request},
            "TemplateSelectionExpression": "\\$default",
            **integration,
        },
        responses=responses,
        members=members or {},
    )


@pytest.fixture(scope="module")
def mocks(account: Account) -> Stage:
    """MOCK integrations, one for each thing that templates do."""
    chosen = {"a": OK, DEFAULT: '{"statusCode": 404}'}
    body_kind = "$request.body.kind"
    return (
        ApiBuilder(account, "mocks")
        .add(
            mock("hello", response("hello")),
            mock(
                "status",
                response("fine", r"/2\d\d/"),
                response("lost", "/404/"),
                response("other"),
                request=ECHO_STATUS,
            ),
            mock("silent"),
            mock("strict-keys", response("lost", "/404/")),
            mock("no-json", response("hello"), request="no JSON"),
            mock("no-status", response("hello"), request="{}"),
            mock(
                "never",
                response("hello"),
                RequestTemplates={"a": OK},
                TemplateSelectionExpression=body_kind,
                PassthroughBehavior="NEVER",
            ),
            mock(
                "chosen",
                response("first", "/200/"),
                response("default"),
                RequestTemplates=chosen,
                TemplateSelectionExpression=body_kind,
            ),
            mock(
                "answers",
                response(
                    ResponseTemplates={"a": "first", DEFAULT: "default"},
                    TemplateSelectionExpression="${request.body.kind}",
                ),
            ),
            mock(
                "context",
                response("$context.apiId $context.stage $context.routeKey $context.eventType"),
            ),
            mock("variables", response("$stageVariables.colour")),
            mock(
                "tools",
                response("$util.base64Encode('hi') $util.urlEncode('a b&') #set($x = 2)$x"),
            ),
            mock("loop", response("#foreach($i in [1..3])$i,#end")),
            mock("endless", response("#foreach($i in [1..1500])x#end")),
            mock("id", response("$context.connectionId")),
        )
        .deploy(variables={"colour": "red"})
    )


@rule("5.50", "5.54")
def test_mock_answers_by_its_template(account: Account, mocks: Stage) -> None:
    """A MOCK integration calls nobody, and its response template is what the client gets."""
    with connect(account, mocks) as client:
        assert client.ask('{"action":"hello"}') == "hello"


@rule("5.54", "5.57")
@pytest.mark.parametrize(
    ("status", "answer"), [(200, "fine"), (204, "fine"), (404, "lost"), (500, "other")]
)
def test_status_chooses_the_integration_response(
    account: Account, mocks: Stage, status: int, answer: str
) -> None:
    """The status of the rendered template is matched with the keys, then ``$default`` is taken."""
    with connect(account, mocks) as client:
        assert client.ask(json.dumps({"action": "status", "status": status})) == answer


@rule("5.39", "5.56")
@pytest.mark.parametrize("action", ["silent", "strict-keys"])
def test_no_integration_response_is_an_error(account: Account, mocks: Stage, action: str) -> None:
    """Without an integration response that fits, the client gets the error frame."""
    with connect(account, mocks) as client:
        frame = client.ask(json.dumps({"action": action}))

        assert re.fullmatch(INTERNAL, frame), frame
        assert client.ask('{"action":"hello"}') == "hello"


@rule("5.54")
@pytest.mark.parametrize("action", ["no-json", "no-status"])
def test_mock_without_a_status_is_an_error(account: Account, mocks: Stage, action: str) -> None:
    """The template of a MOCK integration must give JSON with a status."""
    with connect(account, mocks) as client:
        frame = client.ask(json.dumps({"action": action}))

    assert re.fullmatch(INTERNAL, frame), frame


@rule("5.46")
@pytest.mark.parametrize(("kind", "answer"), [("a", "first"), ("b", "default")])
def test_request_template_is_chosen_by_the_message(
    account: Account, mocks: Stage, kind: str, answer: str
) -> None:
    """The template whose key the expression gives, else that of ``$default``."""
    with connect(account, mocks) as client:
        assert client.ask(json.dumps({"action": "chosen", "kind": kind})) == answer


@rule("5.59")
@pytest.mark.parametrize(("kind", "answer"), [("a", "first"), ("b", "default")])
def test_response_template_is_chosen_by_the_message(
    account: Account, mocks: Stage, kind: str, answer: str
) -> None:
    """An integration response has a selection expression of its own."""
    with connect(account, mocks) as client:
        assert client.ask(json.dumps({"action": "answers", "kind": kind})) == answer


@rule("5.40")
def test_message_without_template_is_refused_when_nothing_passes(
    account: Account, mocks: Stage
) -> None:
    """With NEVER a message that no template fits gets a frame and no answer; the socket stays."""
    with connect(account, mocks) as client:
        refusal_frame = json.loads(client.ask('{"action":"never","kind":"b"}'))
        answer = client.ask('{"action":"never","kind":"a"}')

    assert {"message", "connectionId"} <= set(refusal_frame)
    assert answer == "hello"


@pytest.mark.parametrize(
    ("action", "answer"),
    [
        pytest.param("variables", "red", id="5.50-variables", marks=rule("5.50")),
        pytest.param("tools", "aGk= a+b%26 2", id="5.50-tools", marks=rule("5.50")),
        pytest.param("loop", "1,2,3,", id="5.50-loop", marks=rule("5.50")),
        pytest.param("endless", "x" * 1000, id="5.53-loop", marks=rule("5.53")),
    ],
)
def test_template_is_velocity(account: Account, mocks: Stage, action: str, answer: str) -> None:
    """Templates have references, directives, stage variables and ``$util``."""
    with connect(account, mocks) as client:
        assert client.ask(json.dumps({"action": action})).strip() == answer


@rule("9.01")
def test_template_reads_the_context(account: Account, mocks: Stage) -> None:
    """API, stage, route, kind of event and connection have names below ``$context``."""
    with connect(account, mocks) as client:
        context = client.ask('{"action":"context"}')
        ids = {client.ask('{"action":"id"}') for _ in range(2)}

    assert context == f"{mocks.api_id} {mocks.name} context MESSAGE"
    assert len(ids) == 1
    assert re.fullmatch(SOCKET_ID, ids.pop())


# Handshakes


@pytest.fixture(scope="module")
def doorman(account: Account) -> Stage:
    """A stage where a template decides who gets in."""
    decide = "#if($input.params('token') == 'yes')#set($s = 200)#else#set($s = 401)#end"
    subprotocol = {"method.response.header.Sec-WebSocket-Protocol": "'chat'"}
    return (
        ApiBuilder(account, "doorman")
        .add(
            mock(
                "$connect",
                response(ResponseParameters=subprotocol),
                request=f'{decide}{{"statusCode": $s}}',
            ),
            mock("hello", response("hello")),
        )
        .deploy()
    )


@rule("5.51", "5.55", "2.26")
def test_mock_lets_in_whom_its_template_lets_in(account: Account, doorman: Stage) -> None:
    """The template reads the query; 200 opens, and the subprotocol is the response's."""
    with connect(account, doorman, below="?token=yes", subprotocols=["other", "chat"]) as client:
        assert client.socket.subprotocol == "chat"
        assert client.ask('{"action":"hello"}') == "hello"


@rule("5.51")
@pytest.mark.parametrize("query", ["", "?token=no", "?Token=yes"])
def test_mock_keeps_out_whom_its_template_keeps_out(
    account: Account, doorman: Stage, query: str
) -> None:
    """Any other status refuses the handshake with it."""
    answer: Answer = refused(account, doorman, below=query)

    assert answer.status == 401


# Functions behind templates


@pytest.fixture(scope="module")
def mapped(account: Account, worker: Function) -> Stage:
    """Functions that get what a template makes of a message."""
    uri = worker.integration_uri(account.target.region)
    wrapped = (
        '{"requestContext": {"eventType": "MESSAGE"}, '
        '"body": "$util.escapeJavaScript($input.body)"}'
    )
    called = {
        "IntegrationType": "AWS",
        "IntegrationMethod": "POST",
        "IntegrationUri": uri,
        "RequestTemplates": {DEFAULT: wrapped},
        "TemplateSelectionExpression": "\\$default",
    }
    return (
        ApiBuilder(account, "mapped")
        .add(
            Route(
                key="call",
                is_two_way=True,
                integration=called,
                responses=(
                    response("lost", "/NotFound: .*/"),
                    response("got $input.path('$.statusCode')"),
                ),
            ),
            Route(
                key="proxy",
                function=worker,
                is_two_way=True,
                integration={"RequestTemplates": {DEFAULT: '{"a": 1}'}},
            ),
            Route(
                key="by-get",
                function=worker,
                is_two_way=True,
                integration={"IntegrationMethod": "GET"},
            ),
            Route(key=DEFAULT, function=worker, is_two_way=True),
        )
        .deploy()
    )


def message(action: str, **members: Any) -> str:
    """A message for a route."""
    return json.dumps({"action": action, **members})


def carrying(word: str) -> Any:
    """Tells events that carry a word."""

    def matches(event: Event) -> bool:
        return word in str(event.get("body"))

    return matches


@rule("5.50", "5.58")
@pytest.mark.parametrize(
    ("wish", "answer"),
    [(None, "got 200"), ({"raise": "NotFound: room 5"}, "lost"), ({"raise": "Else"}, "got ")],
)
def test_error_of_a_function_chooses_its_response(
    account: Account, mapped: Stage, wish: Any, answer: str
) -> None:
    """The function gets the rendered template; its error text is matched with the keys."""
    with connect(account, mapped) as client:
        assert client.ask(message("call", wish=wish)) == answer


@rule("5.49")
def test_proxy_integrations_ignore_templates(account: Account, mapped: Stage) -> None:
    """A Lambda proxy gets the whole event, whatever templates there are."""
    with connect(account, mapped) as client:
        event = client.event(action="proxy")

    assert event["body"] == json.dumps({"action": "proxy"})


@rule("1.55")
def test_function_is_called_by_post_only(account: Account, mapped: Stage, worker: Function) -> None:
    """An integration with another method fails, and its function is not called."""
    with connect(account, mapped) as client:
        frame = client.ask(message("by-get", word="by-get-word"))

    assert re.fullmatch(INTERNAL, frame), frame
    assert not account.was_called(worker, carrying("by-get-word"))


# Queues


def _queue_role(account: Account, queue_arn: str) -> str:
    """A role by which API Gateway may send to a queue, and do nothing else."""
    iam, name = account.client("iam"), f"{account.prefix}-sender"
    made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(_TRUST))
    account.on_close(name, lambda: iam.delete_role(RoleName=name))
    send = {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": queue_arn}
    iam.put_role_policy(
        RoleName=name,
        PolicyName="send",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [send]}),
    )
    account.on_close(
        f"{name}/send", lambda: iam.delete_role_policy(RoleName=name, PolicyName="send")
    )
    arn: str = made["Role"]["Arn"]
    return arn


@rule("5.66", "5.61")
def test_message_goes_to_a_queue(account: Account) -> None:
    """An AWS integration sends to a queue as its role; another role, and none, may not."""
    sqs, name = account.client("sqs"), f"{account.prefix}-jobs"
    queue_url = sqs.create_queue(QueueName=name)["QueueUrl"]
    account.on_close(name, lambda: sqs.delete_queue(QueueUrl=queue_url))
    attributes = sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["QueueArn"])
    queue_arn = attributes["Attributes"]["QueueArn"]
    owner = queue_arn.split(":")[4]
    sending = {
        "IntegrationType": "AWS",
        "IntegrationMethod": "POST",
        "IntegrationUri": (f"arn:aws:apigateway:{account.target.region}:sqs:path/{owner}/{name}"),
        "RequestParameters": {
            "integration.request.header.Content-Type": "'application/x-www-form-urlencoded'"
        },
        "RequestTemplates": {
            DEFAULT: "Action=SendMessage&MessageBody=$util.urlEncode($input.body)"
        },
        "TemplateSelectionExpression": "\\$default",
        "CredentialsArn": _queue_role(account, queue_arn),
    }
    stage = (
        ApiBuilder(account, "queue")
        .add(
            Route(
                key="job",
                is_two_way=True,
                integration=sending,
                responses=(response("queued", r"/2\d\d/"), response("failed")),
            )
        )
        .deploy()
    )

    with connect(account, stage) as client:
        # A new role takes a while until it can be assumed on AWS.
        account.eventually(lambda: client.ask(message("job", n=7)) == "queued" or None)

    def received() -> str | None:
        found = sqs.receive_message(QueueUrl=queue_url, MaxNumberOfMessages=1).get("Messages")
        return found[0]["Body"] if found else None

    assert account.eventually(received) == message("job", n=7)


# Models


@pytest.fixture(scope="module")
def checked(account: Account, worker: Function) -> Stage:
    """Routes whose messages must fit a model."""
    builder = ApiBuilder(account, "models")
    account.gateway.create_model(
        ApiId=builder.api_id,
        Name="Number",
        ContentType="application/json",
        Schema=json.dumps(NUMBER),
    )
    by_kind = {"ModelSelectionExpression": "$request.body.kind", "RequestModels": {"a": "Number"}}
    always = {"ModelSelectionExpression": "\\$default", "RequestModels": {DEFAULT: "Number"}}
    return builder.add(
        mock("always", response("fine"), members=always),
        mock("by-kind", response("fine"), members=by_kind),
        mock("unused", response("fine"), members={"RequestModels": {DEFAULT: "Number"}}),
        Route(key="called", function=worker, is_two_way=True, members=always),
        Route(key=DEFAULT, function=worker, is_two_way=True),
    ).deploy()


def assert_bad_body(client: Client, text: str) -> None:
    """A message is answered with the frame for bad bodies; whose id it names is open (5.37)."""
    frame = json.loads(client.ask(text))
    assert frame.get("message") == "Bad request body", frame


@rule("5.36", "5.72", "5.74")
def test_message_must_fit_the_model(account: Account, checked: Stage) -> None:
    """A message that fits is answered, one that does not gets the frame; the socket stays."""
    with connect(account, checked) as client:
        assert_bad_body(client, message("always", amount="seven"))
        assert_bad_body(client, message("always"))
        assert client.ask(message("always", amount=7)) == "fine"


@rule("5.36", "5.74")
def test_message_that_does_not_fit_calls_nothing(
    account: Account, checked: Stage, worker: Function
) -> None:
    """The function behind the model does not see what it refuses."""
    with connect(account, checked) as client:
        assert_bad_body(client, message("called", amount="bad-amount-word"))
        event = client.event(message("called", amount=7))

    assert json.loads(event["body"])["amount"] == 7
    assert not account.was_called(worker, carrying("bad-amount-word"))


@rule("5.72", "5.73")
def test_model_is_chosen_by_the_message(account: Account, checked: Stage) -> None:
    """The expression names the model; a key that there is not, and no ``$default``, fails."""
    with connect(account, checked) as client:
        assert client.ask(message("by-kind", kind="a", amount=7)) == "fine"
        assert_bad_body(client, message("by-kind", kind="a", amount="seven"))
        assert_bad_body(client, message("by-kind", kind="b", amount=7))


@rule("5.71")
def test_model_without_an_expression_checks_nothing(account: Account, checked: Stage) -> None:
    """Models of a route count only when the route selects one."""
    with connect(account, checked) as client:
        assert client.ask(message("unused", amount="seven")) == "fine"


@rule("1.74")
@pytest.mark.parametrize(
    ("name", "schema"),
    [("not-alphanumeric", "{}"), ("", "{}"), ("Unread", "{"), ("Long", "x" * 32_769)],
    ids=["name", "no-name", "no-json", "too-long"],
)
def test_bad_model_is_refused(account: Account, checked: Stage, name: str, schema: str) -> None:
    """A model has an alphanumeric name and a JSON schema of at most 32768 characters."""
    refused_with = refusal(
        account.gateway.create_model,
        ApiId=checked.api_id,
        Name=name,
        Schema=schema,
        ContentType="application/json",
    )

    models = account.gateway.get_models(ApiId=checked.api_id)["Items"]
    assert refused_with.status == 400
    assert [each["Name"] for each in models] == ["Number"]


# Throttles of routes


@rule("2.20", "5.38", "6.18")
def test_closed_route_lets_nothing_pass(account: Account, worker: Function) -> None:
    """A route throttled to 0 answers messages with a frame, and handshakes with 429."""
    builder = ApiBuilder(account, "throttled").add(
        Route(key="$connect", function=worker),
        mock("closed", response("fine")),
        mock("open", response("fine")),
    )
    stage = builder.deploy()
    none = {"ThrottlingBurstLimit": 0, "ThrottlingRateLimit": 0.0}

    def limit(key: str) -> None:
        account.gateway.update_stage(
            ApiId=builder.api_id, StageName=stage.name, RouteSettings={key: none}
        )

    limit("closed")
    with connect(account, stage) as client:
        account.eventually(lambda: "Too Many" in client.ask(message("closed")) or None)
        frame = client.ask(message("closed"))
        answer = client.ask(message("open"))
    limit("$connect")
    turned_away = account.eventually(lambda: _throttled(account, stage))

    assert re.fullmatch(error_frame("Too Many Requests"), frame), frame
    assert answer == "fine"
    assert turned_away.status == 429


def _throttled(account: Account, stage: Stage) -> Answer | None:
    try:
        answer = refused(account, stage)
    except AssertionError:
        return None  # the limit is not seen yet
    return answer if answer.status == 429 else None
