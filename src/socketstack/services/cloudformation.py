"""CloudFormation of the local engine: the way in, and what it needs from the rest.

It runs on the event loop, not in moto's thread: resources are made through the other services'
own APIs (``MotoApp.handle``) and through the control plane, both of which are within reach here
without a bridge. A deployment therefore never blocks a socket, and other calls go on meanwhile.
"""

import logging
from functools import partial
from typing import Final

from socketstack import heap
from socketstack.clock import Clock
from socketstack.controlplane.plane import Caller, ControlPlane
from socketstack.core.model import Record
from socketstack.errors import ServiceError
from socketstack.ids import Ids
from socketstack.services.cfn import schemas, wire
from socketstack.services.cfn.api import RegionApi
from socketstack.services.cfn.calls import Services
from socketstack.services.cfn.deploy import Tools
from socketstack.services.cfn.errors import EngineFailed
from socketstack.services.cfn.registry import Registry, Run
from socketstack.services.cfn.sam import Translator
from socketstack.services.cfn.stack import Stack, Stacks
from socketstack.services.http import AwsRequest, AwsResponse
from socketstack.services.moto_app import MotoApp
from socketstack.services.targets import locate
from socketstack.trace import Step, Trace

_log: Final = logging.getLogger(__name__)


class CloudFormation:
    """Answers CloudFormation's API; stacks are kept for each region.

    ``moto.replace_service("cloudformation", formation.handle)`` puts it in moto's place.
    """

    def __init__(
        self, *, moto: MotoApp, plane: ControlPlane, clock: Clock, ids: Ids, trace: Trace
    ) -> None:
        self._moto = moto
        self._plane = plane
        self._clock = clock
        self._ids = ids
        self._trace = trace
        self._registry = Registry(Run(moto.run))
        self._translator = Translator()
        self._regions: dict[str, RegionApi] = {}
        self._is_ready = False

    async def expect(self) -> None:
        """Load what a template with the SAM transform will need, on the side."""
        await self._translator.prepare(self._moto.region)
        self._moto.submit(_load)

    async def handle(self, request: AwsRequest) -> AwsResponse:
        """Answer one call. Operations that deploy answer when they are done, mostly."""
        request_id = self._ids.uuid()
        if not self._is_ready:
            await self._moto.run(_load)
            self._is_ready = True
        try:
            operation, members = wire.read(request)
            region = locate(request, self._moto.region).region
            result = await self._region(region).answer(operation, members)
            return wire.answer(operation, result, request_id)
        except ServiceError as refused:
            return wire.refusal(refused, request_id)
        except Exception:  # noqa: BLE001 - the border: log once, tell the client nothing
            _log.exception("a CloudFormation call failed, request %s", request_id)
            return wire.refusal(EngineFailed("The engine failed; see its log."), request_id)
        finally:
            schemas.forget()

    async def stop(self) -> None:
        """Cancel deployments under way."""
        for region in self._regions.values():
            await region.stop()
        await self._translator.stop()

    def _region(self, region: str) -> RegionApi:
        if region not in self._regions:
            tools = Tools(
                account_id=self._moto.account_id,
                stacks=Stacks(),
                services=Services(self._moto.handle, region),
                control=partial(self._control, region),
                kinds=self._registry.kinds,
                clock=self._clock,
                ids=self._ids,
                announce=self._announce,
                translator=self._translator,
            )
            self._regions[region] = RegionApi(tools, region)
        return self._regions[region]

    def _control(self, region: str, operation: str, parameters: Record) -> Record:
        return self._plane.call(operation, parameters, Caller(self._moto.account_id, region))

    def _announce(self, stack: Stack) -> None:
        summary = f"stack {stack.name}: {stack.status}"
        if stack.reason and "FAILED" in stack.status + stack.reason.upper():
            summary += f": {stack.reason}"
        self._trace.emit(Step.CONTROL, summary, stack=stack.name, status=stack.status)
        if not stack.status.endswith("IN_PROGRESS"):
            schemas.forget()
            heap.give_back(with_garbage=True)


def _load() -> None:
    """Bring the parts of moto that read and write calls; in moto's thread, once."""
    import moto.core.parse  # noqa: PLC0415 - moto is loaded late
    import moto.core.serialize  # noqa: PLC0415
    import moto.core.utils  # noqa: F401, PLC0415
