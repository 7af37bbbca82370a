"""The control plane as one object: operation name and parameters in, members out.

Everything that configures APIs comes through ``ControlPlane.call``: the HTTP side in ``web``,
CloudFormation, the LocalStack plugin. It is synchronous and belongs to the event loop's thread.
Rules: 1.18, 1.21, 1.22, 1.93 and, through the modules it joins, all of areas 1A to 1J.
"""

from collections.abc import Callable
from copy import deepcopy
from typing import Final, assert_never

from botocore.model import ListShape, Shape, StructureShape

from socketstack.clock import Clock
from socketstack.controlplane import conform
from socketstack.controlplane.caller import Caller
from socketstack.controlplane.crud import Crud
from socketstack.controlplane.domain_names import DomainNames
from socketstack.controlplane.extras import Extras, verify_tags
from socketstack.controlplane.kinds import (
    API,
    API_MAPPING,
    DEPLOYMENT,
    DOMAIN_NAME,
    OPERATIONS,
    STAGE,
    Kind,
    Verb,
)
from socketstack.controlplane.members import mapping, text
from socketstack.controlplane.service import Service, load
from socketstack.controlplane.stages import Stages
from socketstack.core.model import Record
from socketstack.errors import NotImplementedYet
from socketstack.ids import Ids
from socketstack.store import Store
from socketstack.trace import Step, Trace

__all__ = ["Caller", "ControlPlane"]

_READS: Final = ("Get", "List")
_DEPLOYED_EXTRAS: Final = frozenset({"DeleteRouteRequestParameter"})
"""Operations outside the table whose change an automatic deployment takes up. Rule 1.93."""
_LABELS: Final = ("RouteKey", "Name", "StageName", "DomainName", "ResourceArn")


class ControlPlane:
    """API configuration, for whoever speaks for AWS clients.

    Args:
        store: Where records go, and what clients can reach.
        endpoint: Start of every ``ApiEndpoint``, for example ``ws://localhost:4566``.
        can_log: Whether a caller's account has a CloudWatch Logs role; without one, stages
            that ask for execution logs are refused as on a fresh AWS account (1.96).
        has_certificate: Whether there is a certificate of an ARN; custom domain names need one
            (1.110).
    """

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        ids: Ids,
        trace: Trace,
        endpoint: str,
        can_log: Callable[[Caller], bool] = lambda _caller: False,
        has_certificate: Callable[[str], bool] = lambda _arn: False,
    ) -> None:
        self.ids = ids
        self._trace = trace
        self._crud = Crud(
            service=load,
            store=store,
            clock=clock,
            ids=ids,
            endpoint=endpoint,
            can_log=can_log,
            has_certificate=has_certificate,
        )
        self._stages = Stages(store=store, ids=ids, trace=trace, now=self._crud.now)
        self._domain_names = DomainNames(store)
        extras = Extras(crud=self._crud, store=store)
        self._extras: dict[str, Callable[[Record, Caller], Record]] = {
            "TagResource": extras.tag_resource,
            "UntagResource": extras.untag_resource,
            "GetTags": extras.get_tags,
            "DeleteRouteRequestParameter": extras.delete_route_request_parameter,
            "DeleteRouteSettings": extras.delete_route_settings,
            "DeleteAccessLogSettings": extras.delete_access_log_settings,
            "GetModelTemplate": extras.get_model_template,
            "ResetAuthorizersCache": extras.reset_authorizers_cache,
        }

    @property
    def service(self) -> Service:
        """The service model; read with its first use, so that no start waits for it."""
        return load()

    def serves(self, operation: str) -> bool:
        """Whether an operation of the model is implemented here."""
        return operation in OPERATIONS or operation in self._extras

    def call(self, operation: str, parameters: Record, caller: Caller) -> Record:
        """Carry out one operation of apigatewayv2.

        Args:
            operation: Its name in the service model, for example ``CreateRoute``.
            parameters: Members as the service model names them; unknown ones are ignored.
            caller: Account and region; resources of other regions are not found.

        Returns:
            The members of the operation's output, timestamps as ``datetime``; a copy, free to
            change. Deletes give ``{}``.

        Raises:
            NotImplementedYet: the operation exists at AWS and not here, or nowhere.
            BadRequest, NotFound, Conflict, TooManyRequests: as API Gateway would answer; then
                nothing has changed.

        Each change is one ``Step.CONTROL`` event with ``operation`` in its detail. Sockets of a
        removed stage are for whoever subscribes to these events to close.
        """
        model = self.service.operation(operation)
        if model is None or not self.serves(operation):
            raise NotImplementedYet(
                f"{operation} is not served: Socketstack covers the WebSocket side of apigatewayv2."
            )
        self._refuse_http_api(operation, parameters)
        conform.verify(model, parameters)
        verify_tags(mapping(parameters, "Tags"))
        given = _known(model.input_shape, parameters)
        if operation in self._extras:
            result = self._extras[operation](given, caller)
            self._after_extra(operation, given)
        else:
            verb, kind = OPERATIONS[operation]
            result = self._table(operation, verb, kind, given, caller)
        return {} if model.output_shape is None else _shown(model.output_shape, result)

    def _table(
        self, operation: str, verb: Verb, kind: Kind, given: Record, caller: Caller
    ) -> Record:
        match verb:
            case Verb.GET:
                return self._crud.get(kind, given, caller)
            case Verb.LIST:
                return self._crud.page_of(kind, given, caller)
            case Verb.CREATE | Verb.UPDATE | Verb.DELETE:
                result = self._change(verb, kind, given, caller)
                self._announce(operation, {**result, **given})
                self._deploy_automatically(verb, kind, given)
                return result
            case _:
                assert_never(verb)

    def _change(self, verb: Verb, kind: Kind, given: Record, caller: Caller) -> Record:
        if verb is Verb.DELETE:
            removed = self._crud.delete(kind, given, caller)
            self._stages.release(removed)
            self._domain_names.release(removed)
            return {}
        if verb is Verb.CREATE and kind is DEPLOYMENT:
            subject = self._crud.judge(kind, given, caller)
            stage_name = text(subject.record, "StageName")
            subject.record.pop("StageName", None)
            return self._stages.deploy(subject.api, subject.record, stage_name)
        act = self._crud.create if verb is Verb.CREATE else self._crud.update
        result = act(kind, given, caller)
        if kind is STAGE:
            self._stages.put_in_force(result)
        elif kind is DOMAIN_NAME or kind is API_MAPPING:
            self._domain_names.put_in_force(text(result, "DomainName"))
        return result

    def _deploy_automatically(self, verb: Verb, kind: Kind, given: Record) -> None:
        """Rules 1.91 to 1.93: after the answer is made, as on AWS it happens later."""
        if kind is API and verb is not Verb.UPDATE:
            return
        api = (API.name, text(given, "ApiId"))
        if kind.is_deployed:
            self._stages.follow(api)
        elif kind is STAGE and given.get("AutoDeploy") is True:
            self._stages.follow(api, text(given, "StageName"))

    def _after_extra(self, operation: str, given: Record) -> None:
        if operation.startswith(_READS):
            return
        self._announce(operation, given)
        if operation in _DEPLOYED_EXTRAS:
            self._stages.follow((API.name, text(given, "ApiId")))

    def _announce(self, operation: str, members: Record) -> None:
        labels = [text(members, member) for member in _LABELS if text(members, member)]
        self._trace.emit(
            Step.CONTROL,
            " ".join([operation, *labels[:1]]),
            api_id=text(members, "ApiId"),
            stage_name=text(members, "StageName"),
            operation=operation,
        )

    @staticmethod
    def _refuse_http_api(operation: str, parameters: Record) -> None:
        if operation == "CreateApi" and parameters.get("ProtocolType") == "HTTP":
            raise NotImplementedYet(
                "CreateApi with ProtocolType HTTP is not served: Socketstack covers WebSocket APIs."
            )


def _known(shape: Shape | None, parameters: Record) -> Record:
    """The parameters that the operation has, copied; UpdateApi, for one, has no type (1.18)."""
    members = shape.members if isinstance(shape, StructureShape) else {}
    return {
        name: deepcopy(value)
        for name, value in parameters.items()
        if name in members and value is not None
    }


def _shown(shape: Shape, value: object) -> Record:
    """The members that an output shape knows, copied; nothing of the Store gets out."""
    shown = _cut(shape, value)
    return shown if isinstance(shown, dict) else {}


def _cut(shape: Shape, value: object) -> object:
    if isinstance(shape, StructureShape) and isinstance(value, dict):
        return {
            member: _cut(member_shape, value[member])
            for member, member_shape in shape.members.items()
            if member in value
        }
    if isinstance(shape, ListShape) and isinstance(value, list):
        return [_cut(shape.member, item) for item in value]
    return deepcopy(value)
