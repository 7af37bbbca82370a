"""What a deployed example consists of, read through the services' own APIs and without names."""

import json
from typing import Any

from example_system import System

_VOLATILE = (
    "CreatedDate",
    "LastUpdatedDate",
    "LastDeploymentStatusMessage",
    "ResponseMetadata",
    "Tags",
    "DeploymentId",
)
"""Moments, and what one tool adds on its own (SAM tags what it makes)."""


def describe(system: System, api_id: str, name: str) -> dict[str, Any]:
    """The API, functions, roles, table, rules, queues, logs and alarms under one prefix.

    Ids and the prefix are replaced.
    """
    functions = system.client("lambda").list_functions()["Functions"]
    found = sorted(each["FunctionName"] for each in functions)
    described = {
        "api": _api(system, api_id),
        "functions": {
            each.removeprefix(f"{name}-"): _function(system, each)
            for each in found
            if each.startswith(f"{name}-")
        },
        "rules": _rules(system, name),
        "queues": _queues(system, name),
        "table": _table(system, name),
        "log groups": _log_groups(system, name),
        "alarms": _alarms(system, name),
    }
    text = json.dumps(described, sort_keys=True, default=str)
    for actual, neutral in ((api_id, "API"), (f"{name}-", "NAME-")):
        text = text.replace(actual, neutral)
    neutral_description: dict[str, Any] = json.loads(text)
    return neutral_description


def _without(record: dict[str, Any], *names: str) -> dict[str, Any]:
    return {k: v for k, v in record.items() if k not in (*_VOLATILE, *names)}


def _api(system: System, api_id: str) -> dict[str, Any]:
    client = system.client("apigatewayv2")
    integrations = {
        i["IntegrationId"]: _without(i, "IntegrationId")
        for i in client.get_integrations(ApiId=api_id)["Items"]
    }
    authorizers = {
        a["AuthorizerId"]: _without(a, "AuthorizerId")
        for a in client.get_authorizers(ApiId=api_id)["Items"]
    }
    routes = {}
    for route in client.get_routes(ApiId=api_id)["Items"]:
        responses = client.get_route_responses(ApiId=api_id, RouteId=route["RouteId"])["Items"]
        routes[route["RouteKey"]] = {
            **_without(route, "RouteId", "Target", "AuthorizerId"),
            "integration": integrations[route["Target"].removeprefix("integrations/")],
            "authorizer": authorizers.get(route.get("AuthorizerId", "")),
            "responses": [_without(response, "RouteResponseId") for response in responses],
        }
    stages = [_without(stage) for stage in client.get_stages(ApiId=api_id)["Items"]]
    return {
        **_without(client.get_api(ApiId=api_id), "ApiId", "Name"),
        "routes": routes,
        "integrations": len(integrations),
        "authorizers": len(authorizers),
        "stages": stages,
    }


def _function(system: System, name: str) -> dict[str, Any]:
    client = system.client("lambda")
    found = client.get_function_configuration(FunctionName=name)
    kept = (
        "Runtime",
        "Handler",
        "Timeout",
        "MemorySize",
        "Architectures",
        "CodeSha256",
        "TracingConfig",
    )
    variables = found.get("Environment", {}).get("Variables", {})
    statements = json.loads(client.get_policy(FunctionName=name)["Policy"])["Statement"]
    return {
        **{member: found[member] for member in kept},
        "variables": {k: v for k, v in variables.items() if k not in _OWN_NAMES},
        "variable names": sorted(variables),
        "layers": len(found.get("Layers", [])),
        "reserved": client.get_function_concurrency(FunctionName=name).get(
            "ReservedConcurrentExecutions"
        ),
        "permissions": sorted(
            [s["Action"], s["Principal"]["Service"], s["Condition"]["ArnLike"]["AWS:SourceArn"]]
            for s in statements
        ),
        "events": _event_settings(client, name),
        "role": _role(system, found["Role"].rpartition("/")[2]),
    }


def _event_settings(client: Any, name: str) -> dict[str, Any]:
    try:
        found = client.get_function_event_invoke_config(FunctionName=name)
    except client.exceptions.ResourceNotFoundException:
        return {}
    destinations = {
        outcome: destination["Destination"]
        for outcome, destination in found.get("DestinationConfig", {}).items()
        if destination
    }
    return {
        "destinations": destinations,
        **_without(found, "LastModified", "FunctionArn", "DestinationConfig"),
    }


def _rules(system: System, name: str) -> dict[str, Any]:
    client = system.client("events")
    return {
        rule["Name"]: {
            **{member: rule.get(member) for member in ("ScheduleExpression", "State")},
            "targets": [
                _without(target, "Id")
                for target in client.list_targets_by_rule(Rule=rule["Name"])["Targets"]
            ],
        }
        for rule in client.list_rules(NamePrefix=f"{name}-")["Rules"]
    }


def _queues(system: System, name: str) -> dict[str, Any]:
    client = system.client("sqs")
    kept = ("MessageRetentionPeriod", "SqsManagedSseEnabled", "VisibilityTimeout")
    described = {}
    for url in client.list_queues(QueueNamePrefix=f"{name}-").get("QueueUrls", []):
        found = client.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        statements = json.loads(found["Policy"])["Statement"]
        described[url.rpartition("/")[2]] = {
            **{member: found[member] for member in kept},
            "policy": sorted(statements, key=str),
        }
    return described


_OWN_NAMES = ("TABLE_NAME", "TOKEN_SECRET_ARN")
"""Values that each description names in its own way."""


def _role(system: System, role: str) -> dict[str, Any]:
    client = system.client("iam")
    names = client.list_role_policies(RoleName=role)["PolicyNames"]
    return {
        name: sorted(
            sorted(_actions(statement))
            for statement in client.get_role_policy(RoleName=role, PolicyName=name)[
                "PolicyDocument"
            ]["Statement"]
        )
        for name in sorted(names)
    }


def _actions(statement: dict[str, Any]) -> list[str]:
    actions = statement["Action"]
    return [actions] if isinstance(actions, str) else list(actions)


def _table(system: System, name: str) -> dict[str, Any]:
    client = system.client("dynamodb")
    (table,) = [t for t in client.list_tables()["TableNames"] if t.startswith(name)]
    found = client.describe_table(TableName=table)["Table"]
    return {
        "keys": found["KeySchema"],
        "attributes": sorted(found["AttributeDefinitions"], key=str),
        "indexes": [
            {k: index[k] for k in ("IndexName", "KeySchema", "Projection")}
            for index in found["GlobalSecondaryIndexes"]
        ],
        "billing": found["BillingModeSummary"]["BillingMode"],
        "ttl": client.describe_time_to_live(TableName=table)["TimeToLiveDescription"],
        "backups": client.describe_continuous_backups(TableName=table)[
            "ContinuousBackupsDescription"
        ]["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"],
    }


def _log_groups(system: System, name: str) -> dict[str, Any]:
    groups = system.client("logs").describe_log_groups(logGroupNamePrefix=f"/aws/lambda/{name}-")
    return {g["logGroupName"]: g.get("retentionInDays") for g in groups["logGroups"]}


def _alarms(system: System, name: str) -> list[Any]:
    found = system.client("cloudwatch").describe_alarms()["MetricAlarms"]
    kept = (
        "AlarmDescription", "Namespace", "MetricName", "Statistic", "Period", "Threshold",
        "EvaluationPeriods", "ComparisonOperator", "TreatMissingData", "AlarmActions",
    )  # fmt: skip
    return sorted(
        (
            [alarm[member] for member in kept]
            for alarm in found
            if alarm["AlarmName"].startswith(name)
        ),
        key=str,
    )
