"""What LocalStack does wrong and is mended: mostly what its CloudFormation drops in silence.

A stack that says COMPLETE and has left something out is worse than one that fails. Each repair
wraps a function of LocalStack's.
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final

from localstack import config
from localstack.services.cloudformation.resource_provider import (
    OperationStatus,
    ProgressEvent,
    ResourceProvider,
    ResourceProviderExecutor,
    ResourceRequest,
)
from localstack.services.iam.resource_providers.aws_iam_role import IAMRoleProvider
from localstack.services.lambda_.resource_providers.aws_lambda_function import (
    LambdaFunctionProvider,
)
from localstack.services.logs.resource_providers.aws_logs_loggroup import LogsLogGroupProvider
from localstack.services.sqs.resource_providers.aws_sqs_queuepolicy import SQSQueuePolicyProvider

_CHANGES: Final = frozenset({"Dynamic", "Modify"})
_RESERVED: Final = "ReservedConcurrentExecutions"


def apply() -> None:
    """Put all repairs in place; once per process."""
    _refuse_lost_updates()
    _keep_days_of_logs()
    _change_policies_of_roles()
    _let_policies_of_queues_go()
    _reserve_concurrency()
    if config.GATEWAY_SERVER == "hypercorn":
        _let_hypercorn_stop()


# Updates of types that have none


def _refuse_lost_updates() -> None:
    """LocalStack reports UPDATE_COMPLETE for types that it cannot update; now they fail by name.

    It also asks to update what names a changed resource and is the same after all; such an update
    has nothing to do, and succeeds.
    """
    execute = ResourceProviderExecutor.execute_action

    def execute_or_refuse(
        self: Any, provider: ResourceProvider, payload: dict[str, Any]
    ) -> ProgressEvent:
        if payload["action"] in _CHANGES:
            provider.update = partial(_update_or_refuse, provider.update)
        return execute(self, provider, payload)

    ResourceProviderExecutor.execute_action = execute_or_refuse


def _update_or_refuse(update: Any, request: ResourceRequest) -> ProgressEvent:
    before, after = request.previous_state or {}, request.desired_state
    try:
        return update(request)
    except NotImplementedError:
        changed = sorted(name for name, value in after.items() if before.get(name) != value)
        if not changed:
            return ProgressEvent(status=OperationStatus.SUCCESS, resource_model=before)
    return ProgressEvent(
        status=OperationStatus.FAILED,
        resource_model={},
        message=f"LocalStack cannot change {', '.join(changed)} of {request.resource_type}. Delete "
        "the stack and make it anew.",
    )


# AWS::Logs::LogGroup


def _keep_days_of_logs() -> None:
    """LocalStack makes log groups that keep lines for ever, whatever ``RetentionInDays`` says."""
    create = LogsLogGroupProvider.create

    def create_and_keep(self: Any, request: ResourceRequest) -> ProgressEvent:
        event = create(self, request)
        _keep_days(request, event.resource_model)
        return event

    def update(_self: Any, request: ResourceRequest) -> ProgressEvent:
        model = {**request.previous_state, **request.desired_state}
        if "RetentionInDays" not in request.desired_state:
            model.pop("RetentionInDays", None)
        _keep_days(request, model)
        return ProgressEvent(status=OperationStatus.SUCCESS, resource_model=model)

    LogsLogGroupProvider.create = create_and_keep
    LogsLogGroupProvider.update = update


def _keep_days(request: ResourceRequest, model: dict[str, Any]) -> None:
    logs, name = request.aws_client_factory.logs, model["LogGroupName"]
    days = model.get("RetentionInDays")
    if days is not None:
        logs.put_retention_policy(logGroupName=name, retentionInDays=int(days))
    elif (request.previous_state or {}).get("RetentionInDays") is not None:
        logs.delete_retention_policy(logGroupName=name)


# AWS::IAM::Role


def _change_policies_of_roles() -> None:
    """LocalStack leaves the inline policies of a role as they were, whatever an update says."""
    update = IAMRoleProvider.update

    def update_and_change(self: Any, request: ResourceRequest) -> ProgressEvent:
        event = update(self, request)
        if event.status is not OperationStatus.SUCCESS:
            return event
        policies = request.desired_state.get("Policies", [])
        _change_policies(request, event.resource_model["RoleName"], policies)
        model = {**event.resource_model, "Policies": policies}
        return ProgressEvent(status=OperationStatus.SUCCESS, resource_model=model)

    IAMRoleProvider.update = update_and_change


def _change_policies(
    request: ResourceRequest, role_name: str, policies: Sequence[Mapping[str, Any]]
) -> None:
    iam = request.aws_client_factory.iam
    before = (request.previous_state or {}).get("Policies", [])
    wanted = {policy["PolicyName"]: policy["PolicyDocument"] for policy in policies}
    for name, document in wanted.items():
        iam.put_role_policy(
            RoleName=role_name, PolicyName=name, PolicyDocument=json.dumps(document)
        )
    for name in {policy["PolicyName"] for policy in before} - wanted.keys():
        with suppress(iam.exceptions.NoSuchEntityException):  # the role was made anew
            iam.delete_role_policy(RoleName=role_name, PolicyName=name)


# AWS::Lambda::Function


def _reserve_concurrency() -> None:
    """LocalStack drops ``ReservedConcurrentExecutions`` of templates, which its Lambda knows."""
    create, update = LambdaFunctionProvider.create, LambdaFunctionProvider.update

    def create_and_reserve(self: Any, request: ResourceRequest) -> ProgressEvent:
        event = create(self, request)
        if event.status is OperationStatus.SUCCESS:
            _reserve(request, event.resource_model["FunctionName"])
        return event

    def update_and_reserve(self: Any, request: ResourceRequest) -> ProgressEvent:
        event = update(self, request)
        if event.status is OperationStatus.SUCCESS:
            _reserve(request, request.previous_state["FunctionName"])
        return event

    LambdaFunctionProvider.create = create_and_reserve
    LambdaFunctionProvider.update = update_and_reserve


def _reserve(request: ResourceRequest, name: str) -> None:
    functions = request.aws_client_factory.lambda_
    wanted = request.desired_state.get(_RESERVED)
    if wanted is not None:
        functions.put_function_concurrency(
            FunctionName=name, ReservedConcurrentExecutions=int(wanted)
        )
    elif (request.previous_state or {}).get(_RESERVED) is not None:
        functions.delete_function_concurrency(FunctionName=name)


# AWS::SQS::QueuePolicy


def _let_policies_of_queues_go() -> None:
    """LocalStack removes a queue before its policy, and then fails since the queue is gone."""

    def delete(_self: Any, request: ResourceRequest) -> ProgressEvent:
        sqs = request.aws_client_factory.sqs
        for queue in request.desired_state.get("Queues", []):
            with suppress(sqs.exceptions.QueueDoesNotExist):
                sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": ""})
        return ProgressEvent(status=OperationStatus.SUCCESS, resource_model={})

    SQSQueuePolicyProvider.delete = delete


# Stopping


def _let_hypercorn_stop() -> None:
    """LocalStack stops hypercorn's loop from another thread, and may leave it asleep."""
    from localstack.runtime.server.hypercorn import HypercornRuntimeServer  # noqa: PLC0415

    shutdown = HypercornRuntimeServer.shutdown

    def shut_down_and_wake(self: Any) -> None:
        shutdown(self)
        with suppress(RuntimeError):  # it was awake, and is closed
            self.loop.call_soon_threadsafe(lambda: None)

    HypercornRuntimeServer.shutdown = shut_down_and_wake
