"""Deployments and stages in force: what records mean for clients.

A deployment freezes the API's records into a snapshot (1.78); a stage points at one of them, and
its own settings act at once (1.79). This module is the only one here that writes the Store's
client side. Rules: 1.76 to 1.82, 1.86, 1.89, 1.91 to 1.95, 1.98.
"""

from collections.abc import Callable, Iterable
from datetime import datetime

from socketstack.controlplane.kinds import (
    AUTHORIZER,
    DEPLOYMENT,
    INTEGRATION,
    INTEGRATION_RESPONSE,
    MODEL,
    ROUTE,
    ROUTE_RESPONSE,
    STAGE,
    Kind,
)
from socketstack.controlplane.logging import stage_logging
from socketstack.controlplane.members import mapping, text
from socketstack.controlplane.models import verify_deployable
from socketstack.controlplane.stage_checks import DEFAULT_STAGE, NO_ROUTES
from socketstack.controlplane.throttles import stage_throttles
from socketstack.core.model import ApiSnapshot, Record, StageSettings
from socketstack.core.snapshot import build_snapshot
from socketstack.errors import BadRequest
from socketstack.ids import Ids
from socketstack.store import Path, Store
from socketstack.trace import Step, Trace


class Stages:
    """Publishes deployments and keeps stages pointing at them."""

    def __init__(
        self, *, store: Store, ids: Ids, trace: Trace, now: Callable[[], datetime]
    ) -> None:
        self._store = store
        self._ids = ids
        self._trace = trace
        self._now = now

    def deploy(self, api: Path, record: Record, stage_name: str = "") -> Record:
        """Freeze the API as it is now; with ``stage_name`` that stage serves it.

        ``record`` is the new Deployment without id and date. Raises ``BadRequest`` when there is
        nothing to deploy. Rules 1.76, 1.78, 1.81.
        """
        verify_deployable(self._store, api)
        deployment_id = self._ids.resource_id(DEPLOYMENT.id_length or 0)
        snapshot = self._snapshot(api, deployment_id)
        complete = {
            **record,
            "ApiId": api[-1],
            "DeploymentId": deployment_id,
            "CreatedDate": self._now(),
        }
        self._store.put((*api, DEPLOYMENT.name, deployment_id), complete)
        self._store.publish(snapshot)
        if stage_name:
            self._point((*api, STAGE.name, stage_name), deployment_id)
        return complete

    def follow(self, api: Path, stage_name: str | None = None) -> None:
        """Bring automatic stages up to date: all of an API's, or one. Rules 1.93, 1.94."""
        paths = [
            path
            for path, stage in self._store.children(api, STAGE.name)
            if stage.get("AutoDeploy") and stage_name in {None, path[-1]}
        ]
        if not paths:
            return
        automatic = {**DEPLOYMENT.defaults, "AutoDeployed": True}
        try:
            deployment = self.deploy(api, automatic)
        except BadRequest as error:
            for path in paths:
                self._note(path, f"Deployment attempt failed: {error.message}")
            return
        deployment_id = text(deployment, "DeploymentId")
        for path in paths:
            self._point(path, deployment_id)
            self._note(path, f"Successfully deployed stage with deployment ID '{deployment_id}'")
            self._trace.emit(
                Step.CONTROL,
                f"CreateDeployment {deployment_id} by itself, {path[-1]} follows",
                api_id=api[-1],
                stage_name=path[-1],
                operation="CreateDeployment",
                automatic=True,
            )

    def put_in_force(self, stage: Record) -> None:
        """Let a stage's settings act, at once. Rules 1.79, 1.89.

        A ``$default`` stage is only kept: it cannot be reached with WebSocket APIs (1.86).
        """
        name = text(stage, "StageName")
        if name == DEFAULT_STAGE:
            self._trace.emit(
                Step.WARNING,
                "A $default stage of a WebSocket API cannot be reached: name it, for example dev",
                api_id=text(stage, "ApiId"),
                stage_name=name,
                rule="1.86",
            )
            return
        variables = {key: str(value) for key, value in mapping(stage, "StageVariables").items()}
        deployment_id = text(stage, "DeploymentId") or None
        settings = StageSettings(
            stage_name=name,
            deployment_id=deployment_id,
            variables=variables,
            throttles=stage_throttles(stage),
            logging=stage_logging(stage),
        )
        self._store.set_stage(text(stage, "ApiId"), settings)

    def release(self, removed: Iterable[Path]) -> None:
        """Take out of service what was deleted."""
        for path in removed:
            api_id, kind, identifier = path[1], path[-2], path[-1]
            if kind == STAGE.name:
                self._store.remove_stage(api_id, identifier)
            elif kind == DEPLOYMENT.name:
                self._store.unpublish(api_id, identifier)

    def _point(self, path: Path, deployment_id: str) -> None:
        self._change(path, {"DeploymentId": deployment_id, "LastUpdatedDate": self._now()})

    def _note(self, path: Path, message: str) -> None:
        self._change(path, {"LastDeploymentStatusMessage": message})

    def _change(self, path: Path, members: Record) -> None:
        stage = {**(self._store.get(path) or {}), **members}
        self._store.put(path, stage)
        self.put_in_force(stage)

    def _snapshot(self, api: Path, deployment_id: str) -> ApiSnapshot:
        record = self._store.get(api) or {}
        routes = self._children(api, ROUTE)
        if not routes:
            raise BadRequest(NO_ROUTES)
        return build_snapshot(
            api=record,
            deployment_id=deployment_id,
            account_id=text(record, "AccountId"),
            region=text(record, "Region"),
            routes=routes,
            integrations=self._children(api, INTEGRATION),
            integration_responses=self._grandchildren(api, INTEGRATION, INTEGRATION_RESPONSE),
            route_responses=self._grandchildren(api, ROUTE, ROUTE_RESPONSE),
            authorizers=self._children(api, AUTHORIZER),
            models=self._children(api, MODEL),
            partition=partition_of(text(record, "Region")),
        )

    def _children(self, parent: Path, kind: Kind) -> list[Record]:
        return [record for _path, record in self._store.children(parent, kind.name)]

    def _grandchildren(self, api: Path, between: Kind, kind: Kind) -> dict[str, list[Record]]:
        """Records two levels below the API, by their parent's id."""
        parents = self._store.children(api, between.name)
        return {path[-1]: self._children(path, kind) for path, _record in parents}


def partition_of(region: str) -> str:
    """The ARN partition that a region lies in."""
    prefixes = {"cn-": "aws-cn", "us-gov-": "aws-us-gov"}
    return next((name for prefix, name in prefixes.items() if region.startswith(prefix)), "aws")
