"""Logs and alarms: CloudWatch Logs and CloudWatch."""

import json
from typing import Any, Final

from socketstack.services.cfn.kinds import (
    Change,
    Kind,
    Properties,
    Work,
    gone_is_fine,
    only,
    require_kept,
    without,
)


async def _create_group(work: Work, properties: Properties) -> str:
    name = work.name(properties.get("LogGroupName"), limit=512)
    await work.services.call(
        "logs",
        "CreateLogGroup",
        logGroupName=name,
        kmsKeyId=properties.get("KmsKeyId"),
        tags=work.tags(properties) or None,
    )
    work.note(name)
    await _retain(work, name, properties)
    return name


async def _retain(work: Work, name: str, properties: Properties) -> None:
    days = properties.get("RetentionInDays")
    if days is not None:
        await work.services.call(
            "logs", "PutRetentionPolicy", logGroupName=name, retentionInDays=days
        )


async def _update_group(work: Work, change: Change) -> None:
    name, call = change.physical_id, work.services.call
    if change.touches("RetentionInDays"):
        if change.new.get("RetentionInDays") is None:
            await call("logs", "DeleteRetentionPolicy", logGroupName=name)
        await _retain(work, name, change.new)
    if change.gone_tags:
        await call("logs", "UntagLogGroup", logGroupName=name, tags=change.gone_tags)
    if change.set_tags:
        await call("logs", "TagLogGroup", logGroupName=name, tags=change.set_tags)


async def _delete_group(work: Work, name: str, _: Properties) -> None:
    await gone_is_fine(work.services.call("logs", "DeleteLogGroup", logGroupName=name))


async def _read_group(work: Work, name: str, _: Properties) -> dict[str, Any]:
    return {"Arn": work.arn("logs", f"log-group:{name}:*")}


def _filter_members(properties: Properties) -> dict[str, Any]:
    def lowered(value: Any) -> Any:
        if isinstance(value, dict):
            return {key[0].lower() + key[1:]: item for key, item in value.items()}
        return value

    transformations = []
    for one in properties["MetricTransformations"]:
        members = {name[0].lower() + name[1:]: lowered(value) for name, value in one.items()}
        if "dimensions" in members:
            members["dimensions"] = {d["Key"]: d["Value"] for d in one["Dimensions"]}
        transformations.append(members)
    return {
        "logGroupName": properties["LogGroupName"],
        "filterPattern": properties["FilterPattern"],
        "metricTransformations": transformations,
    }


async def _create_filter(work: Work, properties: Properties) -> str:
    name = work.name(properties.get("FilterName"), limit=512)
    await _put_filter(work, name, properties)
    work.note(name)
    return name


async def _put_filter(work: Work, name: str, properties: Properties) -> None:
    members = _filter_members(properties)
    await work.services.call("logs", "PutMetricFilter", filterName=name, **members)
    found = await work.services.call(
        "logs",
        "DescribeMetricFilters",
        logGroupName=properties["LogGroupName"],
        filterNamePrefix=name,
    )
    require_kept(members, found["metricFilters"][0], "")


async def _update_filter(work: Work, change: Change) -> None:
    # moto would keep the old one beside the new one.
    await _delete_filter(work, change.physical_id, change.old)
    await _put_filter(work, change.physical_id, change.new)


async def _delete_filter(work: Work, name: str, properties: Properties) -> None:
    await gone_is_fine(
        work.services.call(
            "logs",
            "DeleteMetricFilter",
            filterName=name,
            logGroupName=properties["LogGroupName"],
        )
    )


async def _create_alarm(work: Work, properties: Properties) -> str:
    name = work.name(properties.get("AlarmName"), limit=255)
    await _put_alarm(work, name, properties, work.tag_list(properties))
    work.note(name)
    await _require_alarm(work, name, properties)
    return name


async def _put_alarm(
    work: Work, name: str, properties: Properties, tags: list[dict[str, str]] | None
) -> None:
    members = without(properties, "AlarmName", "Tags")
    members.setdefault("ActionsEnabled", True)
    await work.services.call("cloudwatch", "PutMetricAlarm", AlarmName=name, Tags=tags, **members)


async def _require_alarm(work: Work, name: str, properties: Properties) -> None:
    found = await _alarm(work, name)
    require_kept(without(properties, "AlarmName", "Tags"), found, "")


async def _alarm(work: Work, name: str) -> dict[str, Any]:
    found = await work.services.call("cloudwatch", "DescribeAlarms", AlarmNames=[name])
    alarm: dict[str, Any] = found["MetricAlarms"][0]
    return alarm


async def _update_alarm(work: Work, change: Change) -> None:
    await _put_alarm(work, change.physical_id, change.new, None)
    await _require_alarm(work, change.physical_id, change.new)
    arn = work.arn("cloudwatch", f"alarm:{change.physical_id}")
    if change.gone_tags:
        await work.services.call(
            "cloudwatch", "UntagResource", ResourceARN=arn, TagKeys=change.gone_tags
        )
    if change.set_tags:
        tags = [{"Key": key, "Value": value} for key, value in change.set_tags.items()]
        await work.services.call("cloudwatch", "TagResource", ResourceARN=arn, Tags=tags)


async def _delete_alarm(work: Work, name: str, _: Properties) -> None:
    await gone_is_fine(work.services.call("cloudwatch", "DeleteAlarms", AlarmNames=[name]))


async def _read_alarm(work: Work, name: str, _: Properties) -> dict[str, Any]:
    return {"Arn": (await _alarm(work, name))["AlarmArn"]}


async def _create_dashboard(work: Work, properties: Properties) -> str:
    name = work.name(properties.get("DashboardName"), limit=255)
    await _put_dashboard(work, name, properties)
    work.note(name)
    return name


async def _put_dashboard(work: Work, name: str, properties: Properties) -> None:
    body = properties["DashboardBody"]
    await work.services.call(
        "cloudwatch",
        "PutDashboard",
        DashboardName=name,
        DashboardBody=body if isinstance(body, str) else json.dumps(body),
    )


async def _update_dashboard(work: Work, change: Change) -> None:
    await _put_dashboard(work, change.physical_id, change.new)


async def _delete_dashboard(work: Work, name: str, _: Properties) -> None:
    await gone_is_fine(work.services.call("cloudwatch", "DeleteDashboards", DashboardNames=[name]))


KINDS: Final = (
    Kind(
        type_name="AWS::Logs::LogGroup",
        properties=only("LogGroupName", "RetentionInDays", "KmsKeyId", "Tags"),
        create=_create_group,
        update=_update_group,
        delete=_delete_group,
        read=_read_group,
        replaces=only("KmsKeyId"),
    ),
    Kind(
        type_name="AWS::Logs::MetricFilter",
        properties=only("FilterName", "FilterPattern", "LogGroupName", "MetricTransformations"),
        create=_create_filter,
        update=_update_filter,
        delete=_delete_filter,
    ),
    Kind(
        type_name="AWS::CloudWatch::Alarm",
        properties=only(
            *("ActionsEnabled", "AlarmActions", "AlarmDescription", "AlarmName"),
            *("ComparisonOperator", "DatapointsToAlarm", "Dimensions", "EvaluationPeriods"),
            *("EvaluateLowSampleCountPercentile", "ExtendedStatistic", "InsufficientDataActions"),
            *("MetricName", "Metrics", "Namespace", "OKActions", "Period", "Statistic", "Tags"),
            *("Threshold", "ThresholdMetricId", "TreatMissingData", "Unit"),
        ),
        create=_create_alarm,
        update=_update_alarm,
        delete=_delete_alarm,
        read=_read_alarm,
    ),
    Kind(
        type_name="AWS::CloudWatch::Dashboard",
        properties=only("DashboardName", "DashboardBody"),
        create=_create_dashboard,
        update=_update_dashboard,
        delete=_delete_dashboard,
    ),
)
