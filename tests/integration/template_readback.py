"""Reads every resource of a stack, and every property, back through its own service's API.

``differences`` takes the stack's processed template, resolves it against what exists, and
compares it with what Lambda, DynamoDB, API Gateway and so on say. A type without a reader is a
difference too, so nothing can be left out unnoticed.
"""

import base64
import hashlib
import json
import string
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from socketstack.services.cfn.template import parse
from socketstack.services.cfn.values import (
    NO_VALUE,
    Scope,
    evaluate_condition,
    resolve,
)

Properties = dict[str, Any]
Client = Callable[[str], Any]
Reader = Callable[[Client, str, Properties], Properties]

_ABSENT = "(absent)"


def differences(client: Client, stack_name: str) -> tuple[list[str], int]:
    """What a stack's resources lack, one text each; and how many properties were compared."""
    client = cache(client)
    formation = client("cloudformation")
    stack = formation.describe_stacks(StackName=stack_name)["Stacks"][0]
    template = formation.get_template(StackName=stack_name, TemplateStage="Processed")
    body = template["TemplateBody"]
    document = parse(body) if isinstance(body, str) else body
    resources = formation.describe_stack_resources(StackName=stack_name)["StackResources"]
    physical = {r["LogicalResourceId"]: r["PhysicalResourceId"] for r in resources}
    lookup = _Lookup(client, document, stack, physical)
    found: list[str] = []
    count = 0
    for logical_id, definition in document["Resources"].items():
        if "Condition" in definition and not lookup.condition(definition["Condition"]):
            if logical_id in physical:
                found.append(f"{logical_id} exists although its condition is false")
            continue
        where = f"{definition['Type']} {logical_id}"
        reader = READERS.get(definition["Type"])
        if reader is None or logical_id not in physical:
            found.append(f"{where}: {'no reader' if reader is None else 'does not exist'}")
            continue
        expected = resolve(definition.get("Properties", {}), lookup)
        actual = reader(client, physical[logical_id], expected)
        for name, value in expected.items():
            count += 1
            found += _compare(f"{where}.{name}", value, actual.get(name, _ABSENT))
    return found, count


def _compare(where: str, expected: Any, actual: Any) -> list[str]:
    if isinstance(expected, dict) and isinstance(actual, dict):
        return [
            fault
            for name, value in expected.items()
            for fault in _compare(f"{where}.{name}", value, actual.get(name, _ABSENT))
        ]
    if isinstance(expected, list) and isinstance(actual, list) and len(expected) == len(actual):
        pairs = zip(sorted(expected, key=_order), sorted(actual, key=_order), strict=True)
        return [f for index, (e, a) in enumerate(pairs) for f in _compare(f"{where}.{index}", e, a)]
    if _plain(expected) == _plain(actual):
        return []
    return [f"{where}: the template says {expected!r}, the service says {actual!r}"]


def _order(value: Any) -> str:
    if isinstance(value, dict):
        names = ("Key", "IndexName", "AttributeName", "PolicyName", "Id", "Name")
        return str(next((value[name] for name in names if name in value), value))
    return str(value)


def _plain(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return str(float(value))
    if isinstance(value, str):
        try:
            return str(float(value))
        except ValueError:
            return value
    return value


class _Lookup(Scope):
    """Resolves a template against what exists."""

    def __init__(
        self, client: Client, document: Properties, stack: Any, physical: Mapping[str, str]
    ) -> None:
        self._client, self._document, self._physical = client, document, physical
        account, region = stack["StackId"].split(":")[4], stack["StackId"].split(":")[3]
        self._values: dict[str, Any] = {
            "AWS::AccountId": account,
            "AWS::NoValue": NO_VALUE,
            "AWS::Partition": "aws",
            "AWS::Region": region,
            "AWS::StackId": stack["StackId"],
            "AWS::StackName": stack["StackName"],
            "AWS::URLSuffix": "amazonaws.com",
            **{p["ParameterKey"]: p["ParameterValue"] for p in stack.get("Parameters", [])},
        }

    def ref(self, name: str) -> object:
        """A parameter, or a physical id."""
        return self._values[name] if name in self._values else self._physical[name]

    def attribute(self, logical_id: str, attribute: str) -> object:
        """An attribute, as the service tells it."""
        kind = self._document["Resources"][logical_id]["Type"]
        return _ATTRIBUTES[kind, attribute](self._client, self._physical[logical_id])

    def condition(self, name: str) -> bool:
        """A condition of the template."""
        return evaluate_condition(self._document["Conditions"][name], self)

    def mapping(self, name: str) -> Mapping[str, Any]:
        """A map of the template."""
        found: Mapping[str, Any] = self._document["Mappings"][name]
        return found

    def imported(self, export_name: str) -> object:
        """An export of another stack."""
        exports = self._client("cloudformation").list_exports()["Exports"]
        return next(e["Value"] for e in exports if e["Name"] == export_name)


def _tags(pairs: Any) -> list[dict[str, str]]:
    items = pairs.items() if isinstance(pairs, dict) else ((t["Key"], t["Value"]) for t in pairs)
    return [{"Key": key, "Value": value} for key, value in items]


def _api_gateway(name: str, *parents: str) -> Reader:
    def read(client: Client, physical_id: str, expected: Properties) -> Properties:
        ids = {parent: expected[parent] for parent in parents}
        own = "StageName" if name == "Stage" else f"{name}Id"
        verb = "".join(f"_{c.lower()}" if c.isupper() else c for c in f"Get{name}").lstrip("_")
        record: Properties = getattr(client("apigatewayv2"), verb)(**ids, **{own: physical_id})
        return {**ids, **record}

    return read


def _deployment(client: Client, physical_id: str, expected: Properties) -> Properties:
    api = {"ApiId": expected["ApiId"]}
    record = client("apigatewayv2").get_deployment(**api, DeploymentId=physical_id)
    return {**api, **record, "StageName": expected.get("StageName")}


def _s3_digest(client: Client, code: Properties) -> str:
    body = client("s3").get_object(Bucket=code["S3Bucket"], Key=code["S3Key"])["Body"].read()
    return base64.b64encode(hashlib.sha256(body).digest()).decode()


def _function(client: Client, name: str, expected: Properties) -> Properties:
    found = client("lambda").get_function(FunctionName=name)
    configuration = found["Configuration"]
    same_code = configuration["CodeSha256"] == _s3_digest(client, expected["Code"])
    return {
        **configuration,
        "Code": expected["Code"] if same_code else configuration["CodeSha256"],
        "Layers": [layer["Arn"] for layer in configuration.get("Layers", [])],
        "Tags": _tags(found.get("Tags", {})),
        **found.get("Concurrency", {}),
    }


def _layer(client: Client, arn: str, expected: Properties) -> Properties:
    name, version = arn.rsplit(":", 1)
    found = client("lambda").get_layer_version(LayerName=name, VersionNumber=int(version))
    same_code = found["Content"]["CodeSha256"] == _s3_digest(client, expected["Content"])
    return {
        **found,
        "LayerName": name.rsplit(":", 1)[-1],
        "Content": expected["Content"] if same_code else found["Content"],
    }


def _permission(client: Client, statement_id: str, expected: Properties) -> Properties:
    policy = json.loads(
        client("lambda").get_policy(FunctionName=expected["FunctionName"])["Policy"]
    )
    statement = next(s for s in policy["Statement"] if s["Sid"] == statement_id)
    assert statement["Effect"] == "Allow"
    conditions = statement.get("Condition", {})
    arn = next(
        (v for c in conditions.values() for k, v in c.items() if k.lower() == "aws:sourcearn"), None
    )
    given = expected["FunctionName"]
    principal = statement["Principal"]
    return {
        "Action": statement["Action"],
        "FunctionName": given if statement["Resource"].endswith(given.rsplit(":", 1)[-1]) else None,
        "Principal": principal.get("Service") if isinstance(principal, dict) else principal,
        "SourceArn": arn,
    }


def _version(client: Client, arn: str, expected: Properties) -> Properties:
    found = client("lambda").get_function_configuration(FunctionName=arn)
    assert found["Version"] == arn.rsplit(":", 1)[-1]
    same = found["FunctionName"] == str(expected["FunctionName"]).rsplit(":", 1)[-1]
    return {**found, "FunctionName": expected["FunctionName"] if same else found["FunctionName"]}


def _alias(client: Client, arn: str, expected: Properties) -> Properties:
    name = arn.rsplit(":", 1)[-1]
    found = client("lambda").get_alias(FunctionName=expected["FunctionName"], Name=name)
    return {**found, "FunctionName": expected["FunctionName"]}


def _invoke_config(client: Client, _: str, expected: Properties) -> Properties:
    place = {name: expected[name] for name in ("FunctionName", "Qualifier")}
    return {**place, **client("lambda").get_function_event_invoke_config(**place)}


def _role(client: Client, name: str, _: Properties) -> Properties:
    iam = client("iam")
    role = iam.get_role(RoleName=name)["Role"]
    names = iam.list_role_policies(RoleName=name)["PolicyNames"]
    policies = [iam.get_role_policy(RoleName=name, PolicyName=one) for one in names]
    attached = iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
    return {
        **role,
        "AssumeRolePolicyDocument": role["AssumeRolePolicyDocument"],
        "ManagedPolicyArns": [one["PolicyArn"] for one in attached],
        "Policies": [
            {"PolicyName": one["PolicyName"], "PolicyDocument": one["PolicyDocument"]}
            for one in policies
        ],
        "Tags": _tags(role.get("Tags", [])),
    }


def _table(client: Client, name: str, _: Properties) -> Properties:
    dynamodb = client("dynamodb")
    table = dynamodb.describe_table(TableName=name)["Table"]
    ttl = dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    backups = dynamodb.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
    recovery = backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"]
    encryption = table.get("SSEDescription", {})
    return {
        **table,
        "BillingMode": table["BillingModeSummary"]["BillingMode"],
        "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": recovery == "ENABLED"},
        "SSESpecification": {
            "SSEEnabled": encryption.get("Status") == "ENABLED",
            "SSEType": encryption.get("SSEType"),
        },
        "TimeToLiveSpecification": {
            "AttributeName": ttl.get("AttributeName"),
            "Enabled": ttl["TimeToLiveStatus"] == "ENABLED",
        },
        "Tags": _tags(dynamodb.list_tags_of_resource(ResourceArn=table["TableArn"])["Tags"]),
    }


def _secret(client: Client, arn: str, expected: Properties) -> Properties:
    secrets = client("secretsmanager")
    described = secrets.describe_secret(SecretId=arn)
    value = secrets.get_secret_value(SecretId=arn)["SecretString"]
    options = expected.get("GenerateSecretString", {})
    return {
        **described,
        "SecretString": value,
        "GenerateSecretString": options if _fits(value, options) else "a value that does not fit",
        "Tags": _tags(described.get("Tags", [])),
    }


def _fits(value: str, options: Properties) -> bool:
    if "SecretStringTemplate" in options:
        parts = json.loads(value)
        if not json.loads(options["SecretStringTemplate"]).items() <= parts.items():
            return False
        value = parts[options["GenerateStringKey"]]
    banned = set(options.get("ExcludeCharacters", ""))
    classes = (
        ("ExcludePunctuation", string.punctuation),
        ("ExcludeNumbers", string.digits),
        ("ExcludeUppercase", string.ascii_uppercase),
        ("ExcludeLowercase", string.ascii_lowercase),
    )
    for option, characters in classes:
        if str(options.get(option, False)).lower() == "true":
            banned |= set(characters)
    return len(value) == int(options.get("PasswordLength", 32)) and not banned & set(value)


def _log_group(client: Client, name: str, _: Properties) -> Properties:
    logs = client("logs")
    found = logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"][0]
    return {
        "LogGroupName": found["logGroupName"],
        "RetentionInDays": found.get("retentionInDays"),
        "Tags": _tags(logs.list_tags_log_group(logGroupName=name)["tags"]),
    }


def _account(client: Client, _name: str, _: Properties) -> Properties:
    return {"CloudWatchRoleArn": client("apigateway").get_account()["cloudwatchRoleArn"]}


def _alarm(client: Client, name: str, _: Properties) -> Properties:
    found = client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"][0]
    tags = client("cloudwatch").list_tags_for_resource(ResourceARN=found["AlarmArn"])["Tags"]
    return {**found, "Tags": _tags(tags)}


def _queue(client: Client, url: str, _: Properties) -> Properties:
    sqs = client("sqs")
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    redrive = (
        {"RedrivePolicy": json.loads(found["RedrivePolicy"])} if "RedrivePolicy" in found else {}
    )
    tags = _tags(sqs.list_queue_tags(QueueUrl=url).get("Tags", {}))
    return {**found, **redrive, "QueueName": url.rsplit("/", 1)[-1], "Tags": tags}


def _queue_policy(client: Client, _: str, expected: Properties) -> Properties:
    policies = [
        json.loads(
            client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"])[
                "Attributes"
            ]["Policy"]
        )
        for url in expected["Queues"]
    ]
    return {"Queues": expected["Queues"], "PolicyDocument": policies[0]}


def _topic(client: Client, arn: str, _: Properties) -> Properties:
    found = client("sns").get_topic_attributes(TopicArn=arn)["Attributes"]
    tags = client("sns").list_tags_for_resource(ResourceArn=arn)["Tags"]
    return {**found, "TopicName": arn.rsplit(":", 1)[-1], "Tags": _tags(tags)}


def _parameter(client: Client, name: str, _: Properties) -> Properties:
    ssm = client("ssm")
    filters = [{"Key": "Name", "Values": [name]}]
    described = ssm.describe_parameters(ParameterFilters=filters)["Parameters"][0]
    value = ssm.get_parameter(Name=name)["Parameter"]["Value"]
    tags = ssm.list_tags_for_resource(ResourceType="Parameter", ResourceId=name)["TagList"]
    return {**described, "Value": value, "Tags": _tags(tags)}


def _key(client: Client, key_id: str, expected: Properties) -> Properties:
    kms = client("kms")
    window = expected["PendingWindowInDays"]  # only tells how to delete; nothing shows it
    tags = kms.list_resource_tags(KeyId=key_id)["Tags"]
    return {
        **kms.describe_key(KeyId=key_id)["KeyMetadata"],
        "PendingWindowInDays": window,
        "EnableKeyRotation": kms.get_key_rotation_status(KeyId=key_id)["KeyRotationEnabled"],
        "KeyPolicy": json.loads(kms.get_key_policy(KeyId=key_id, PolicyName="default")["Policy"]),
        "Tags": [{"Key": tag["TagKey"], "Value": tag["TagValue"]} for tag in tags],
    }


def _key_alias(client: Client, name: str, _: Properties) -> Properties:
    found = client("kms").list_aliases()["Aliases"]
    return next(one for one in found if one["AliasName"] == name)


def _metric_filter(client: Client, name: str, expected: Properties) -> Properties:
    found = client("logs").describe_metric_filters(
        logGroupName=expected["LogGroupName"], filterNamePrefix=name
    )["metricFilters"][0]
    return {
        "FilterName": found["filterName"],
        "FilterPattern": found["filterPattern"],
        "LogGroupName": found["logGroupName"],
        "MetricTransformations": [
            {key[0].upper() + key[1:]: value for key, value in one.items()}
            for one in found["metricTransformations"]
        ],
    }


def _dashboard(client: Client, name: str, _: Properties) -> Properties:
    return dict(client("cloudwatch").get_dashboard(DashboardName=name))


def _subscription(client: Client, arn: str, _: Properties) -> Properties:
    found = client("sns").get_subscription_attributes(SubscriptionArn=arn)["Attributes"]
    policy = {"FilterPolicy": json.loads(found["FilterPolicy"])} if "FilterPolicy" in found else {}
    return {**found, **policy}


def _topic_policy(client: Client, _: str, expected: Properties) -> Properties:
    found = client("sns").get_topic_attributes(TopicArn=expected["Topics"][0])["Attributes"]
    return {"Topics": expected["Topics"], "PolicyDocument": json.loads(found["Policy"])}


def _rule(client: Client, name: str, _: Properties) -> Properties:
    found = client("events").describe_rule(Name=name)
    tags = client("events").list_tags_for_resource(ResourceARN=found["Arn"])["Tags"]
    pattern = {"EventPattern": json.loads(found["EventPattern"])} if "EventPattern" in found else {}
    targets = client("events").list_targets_by_rule(Rule=name)["Targets"]
    return {**found, **pattern, "Targets": targets, "Tags": _tags(tags)}


def _bucket(client: Client, name: str, _: Properties) -> Properties:
    s3 = client("s3")
    rules = s3.get_bucket_encryption(Bucket=name)["ServerSideEncryptionConfiguration"]["Rules"]
    return {
        "BucketName": name,
        "BucketEncryption": {
            "ServerSideEncryptionConfiguration": [
                {"ServerSideEncryptionByDefault": rule["ApplyServerSideEncryptionByDefault"]}
                for rule in rules
            ]
        },
        "PublicAccessBlockConfiguration": s3.get_public_access_block(Bucket=name)[
            "PublicAccessBlockConfiguration"
        ],
        "VersioningConfiguration": {"Status": s3.get_bucket_versioning(Bucket=name)["Status"]},
        "Tags": _tags(s3.get_bucket_tagging(Bucket=name)["TagSet"]),
    }


def _bucket_policy(client: Client, name: str, _: Properties) -> Properties:
    policy = client("s3").get_bucket_policy(Bucket=name)["Policy"]
    return {"Bucket": name, "PolicyDocument": json.loads(policy)}


def _policy(client: Client, _: str, expected: Properties) -> Properties:
    documents = [
        client("iam").get_role_policy(RoleName=role, PolicyName=expected["PolicyName"])[
            "PolicyDocument"
        ]
        for role in expected["Roles"]
    ]
    return {**expected, "PolicyDocument": documents[0]}


def _managed_policy(client: Client, arn: str, _: Properties) -> Properties:
    iam = client("iam")
    policy = iam.get_policy(PolicyArn=arn)["Policy"]
    version = iam.get_policy_version(PolicyArn=arn, VersionId=policy["DefaultVersionId"])
    roles = iam.list_entities_for_policy(PolicyArn=arn)["PolicyRoles"]
    return {
        **policy,
        "ManagedPolicyName": policy["PolicyName"],
        "PolicyDocument": version["PolicyVersion"]["Document"],
        "Roles": [role["RoleName"] for role in roles],
    }


def _secret_policy(client: Client, arn: str, expected: Properties) -> Properties:
    found = client("secretsmanager").get_resource_policy(SecretId=arn)["ResourcePolicy"]
    return {"SecretId": expected["SecretId"], "ResourcePolicy": json.loads(found)}


def _event_source(client: Client, uuid: str, expected: Properties) -> Properties:
    found = client("lambda").get_event_source_mapping(UUID=uuid)
    same = found["FunctionArn"].endswith(expected["FunctionName"])
    return {
        **found,
        "FunctionName": expected["FunctionName"] if same else found["FunctionArn"],
        "Enabled": found["State"] == "Enabled",
        "Tags": _tags(client("lambda").list_tags(Resource=found["EventSourceMappingArn"])["Tags"])
        if "Tags" in expected
        else [],
    }


def _layer_permission(client: Client, physical_id: str, expected: Properties) -> Properties:
    arn = physical_id.split("#", 1)[0]
    name, version = arn.rsplit(":", 1)
    policy = client("lambda").get_layer_version_policy(LayerName=name, VersionNumber=int(version))
    statement = json.loads(policy["Policy"])["Statement"][0]
    principal = statement["Principal"]
    return {
        "LayerVersionArn": arn,
        "Action": statement["Action"],
        "Principal": principal["AWS"] if isinstance(principal, dict) else principal,
        **{name: expected[name] for name in ("OrganizationId",) if name in expected},
    }


def _function_arn(client: Client, name: str) -> object:
    return client("lambda").get_function_configuration(FunctionName=name)["FunctionArn"]


def _domain_name(client: Client, name: str, _: Properties) -> Properties:
    return dict(client("apigatewayv2").get_domain_name(DomainName=name))


def _certificate(client: Client, arn: str, expected: Properties) -> Properties:
    found = client("acm").describe_certificate(CertificateArn=arn)["Certificate"]
    tags = client("acm").list_tags_for_certificate(CertificateArn=arn)["Tags"]
    names = [name for name in found["SubjectAlternativeNames"] if name != found["DomainName"]]
    validated = expected["DomainValidationOptions"]  # only says where AWS would prove the name
    return {
        **found,
        "SubjectAlternativeNames": names,
        "DomainValidationOptions": validated,
        "ValidationMethod": found["DomainValidationOptions"][0]["ValidationMethod"],
        "Tags": _tags(tags),
    }


def _api_key(client: Client, key_id: str, _: Properties) -> Properties:
    found = client("apigateway").get_api_key(apiKey=key_id, includeValue=True)
    return {**_capitalized(found), "Tags": _tags(found["tags"])}


def _usage_plan(client: Client, plan_id: str, _: Properties) -> Properties:
    found = client("apigateway").get_usage_plan(usagePlanId=plan_id)
    return {
        **_capitalized(found),
        "UsagePlanName": found["name"],
        "ApiStages": [_capitalized(entry) for entry in found["apiStages"]],
        "Quota": _capitalized(found["quota"]),
        "Throttle": _capitalized(found["throttle"]),
        "Tags": _tags(found["tags"]),
    }


def _usage_plan_key(client: Client, physical_id: str, _: Properties) -> Properties:
    key_id, plan_id = physical_id.split(":")
    found = client("apigateway").get_usage_plan_key(usagePlanId=plan_id, keyId=key_id)
    return {"KeyId": found["id"], "KeyType": found["type"], "UsagePlanId": plan_id}


def _capitalized(members: Properties) -> Properties:
    return {name[0].upper() + name[1:]: value for name, value in members.items()}


READERS: dict[str, Reader] = {
    "AWS::ApiGateway::Account": _account,
    "AWS::ApiGateway::ApiKey": _api_key,
    "AWS::ApiGateway::UsagePlan": _usage_plan,
    "AWS::ApiGateway::UsagePlanKey": _usage_plan_key,
    "AWS::ApiGatewayV2::Api": _api_gateway("Api"),
    "AWS::ApiGatewayV2::ApiMapping": _api_gateway("ApiMapping", "DomainName"),
    "AWS::ApiGatewayV2::DomainName": _domain_name,
    "AWS::ApiGatewayV2::Authorizer": _api_gateway("Authorizer", "ApiId"),
    "AWS::ApiGatewayV2::Deployment": _deployment,
    "AWS::ApiGatewayV2::Integration": _api_gateway("Integration", "ApiId"),
    "AWS::ApiGatewayV2::IntegrationResponse": _api_gateway(
        "IntegrationResponse", "ApiId", "IntegrationId"
    ),
    "AWS::ApiGatewayV2::Model": _api_gateway("Model", "ApiId"),
    "AWS::ApiGatewayV2::Route": _api_gateway("Route", "ApiId"),
    "AWS::ApiGatewayV2::RouteResponse": _api_gateway("RouteResponse", "ApiId", "RouteId"),
    "AWS::ApiGatewayV2::Stage": _api_gateway("Stage", "ApiId"),
    "AWS::CertificateManager::Certificate": _certificate,
    "AWS::CloudWatch::Alarm": _alarm,
    "AWS::CloudWatch::Dashboard": _dashboard,
    "AWS::DynamoDB::Table": _table,
    "AWS::Events::Rule": _rule,
    "AWS::IAM::ManagedPolicy": _managed_policy,
    "AWS::IAM::Policy": _policy,
    "AWS::IAM::Role": _role,
    "AWS::KMS::Alias": _key_alias,
    "AWS::KMS::Key": _key,
    "AWS::Lambda::Alias": _alias,
    "AWS::Lambda::EventInvokeConfig": _invoke_config,
    "AWS::Lambda::EventSourceMapping": _event_source,
    "AWS::Lambda::Function": _function,
    "AWS::Lambda::LayerVersion": _layer,
    "AWS::Lambda::LayerVersionPermission": _layer_permission,
    "AWS::Lambda::Permission": _permission,
    "AWS::Lambda::Version": _version,
    "AWS::Logs::LogGroup": _log_group,
    "AWS::Logs::MetricFilter": _metric_filter,
    "AWS::S3::Bucket": _bucket,
    "AWS::S3::BucketPolicy": _bucket_policy,
    "AWS::SNS::Subscription": _subscription,
    "AWS::SNS::Topic": _topic,
    "AWS::SNS::TopicPolicy": _topic_policy,
    "AWS::SQS::Queue": _queue,
    "AWS::SQS::QueuePolicy": _queue_policy,
    "AWS::SSM::Parameter": _parameter,
    "AWS::SecretsManager::ResourcePolicy": _secret_policy,
    "AWS::SecretsManager::Secret": _secret,
}

_ATTRIBUTES: dict[tuple[str, str], Callable[[Client, str], object]] = {
    ("AWS::ApiGatewayV2::Api", "ApiId"): lambda _, api_id: api_id,
    ("AWS::DynamoDB::Table", "Arn"): lambda client, name: client("dynamodb").describe_table(
        TableName=name
    )["Table"]["TableArn"],
    ("AWS::IAM::Role", "Arn"): lambda client, name: client("iam").get_role(RoleName=name)["Role"][
        "Arn"
    ],
    ("AWS::KMS::Key", "Arn"): lambda client, key_id: client("kms").describe_key(KeyId=key_id)[
        "KeyMetadata"
    ]["Arn"],
    ("AWS::Lambda::Function", "Arn"): _function_arn,
    ("AWS::Lambda::Version", "Version"): lambda _, arn: arn.rsplit(":", 1)[-1],
    ("AWS::Logs::LogGroup", "Arn"): lambda client, name: client("logs").describe_log_groups(
        logGroupNamePrefix=name
    )["logGroups"][0]["arn"],
    ("AWS::SQS::Queue", "Arn"): lambda client, url: client("sqs").get_queue_attributes(
        QueueUrl=url, AttributeNames=["QueueArn"]
    )["Attributes"]["QueueArn"],
}
