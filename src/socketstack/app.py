"""The composition root: builds the engine's parts around one Store, starts and stops them.

``Engine`` has moto's services behind it. ``localstack.engine`` derives from it and puts
LocalStack's in their place; the methods below ``The services behind it`` are all that differs.
"""

import asyncio
import functools
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

# isort: off
from socketstack import late_authorities  # noqa: F401 - has to come before aiohttp

# isort: on
from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import StreamReader
from aiohttp.web_protocol import RequestHandler

from socketstack import __version__
from socketstack.clock import Clock, MovableClock, SystemClock
from socketstack.controlplane.plane import Caller, ControlPlane
from socketstack.controlplane.web import ControlPlaneWeb
from socketstack.core.causes import Cause
from socketstack.core.model import Json, Throttle
from socketstack.core.policy import PolicyDecision
from socketstack.core.principals import AccessKey
from socketstack.dataplane.frames import guarded
from socketstack.dataplane.throttling import AccountThrottles
from socketstack.dataplane.web import DataPlane
from socketstack.frontdoor import FrontDoor, Handler, Rooms
from socketstack.ids import Ids, RandomIds
from socketstack.inspector.live import LiveApi
from socketstack.inspector.skips import Skips
from socketstack.inspector.web import InspectorWeb
from socketstack.listener import Listener, bind
from socketstack.runner.base import FunctionCatalog, LogSink, Runner
from socketstack.runner.local import LocalRunner
from socketstack.services import identity_records
from socketstack.services.api_keys import ApiKeysApi
from socketstack.services.aws_actions import AwsActions
from socketstack.services.aws_app import AnswersCalls, AwsApp
from socketstack.services.certificates import AccountCertificates
from socketstack.services.functions import FunctionPermits, InvokeApi, MotoFunctions
from socketstack.services.guard import Guard
from socketstack.services.http import AwsRequest, AwsResponse
from socketstack.services.identities import LAMBDA, IamRoles, Identities, IdentityRecords
from socketstack.services.moto_app import MotoApp
from socketstack.services.schedules import Scheduler
from socketstack.services.stage_logs import AccountLogging, StageLogQueue
from socketstack.services.web import AwsWeb, GuardedRoom, Refuse
from socketstack.settings import RateAndBurst, Settings, environment
from socketstack.store import Store
from socketstack.tls import LocalAuthority
from socketstack.trace import Step, Trace, TraceEvent
from socketstack.workfolder import make_work_folder

if TYPE_CHECKING:
    from socketstack.services.cloudformation import CloudFormation

_BODY_MAX_BYTES: Final = 512 * 1024 * 1024
_HTTP_CLOSE_SECONDS: Final = 0.2
_REMOVALS: Final = frozenset({"DeleteApi", "DeleteStage"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The AWS services behind an engine, and what it knows through them."""

    app: AwsApp
    functions: FunctionCatalog
    logs: LogSink
    """Takes the lines of functions."""
    identity_records: IdentityRecords
    can_log: Callable[[Caller], bool]
    """Whether API Gateway may write execution logs in the caller's account (1.96)."""
    has_certificate: Callable[[str], bool]
    """Whether ACM has the certificate of an ARN (1.110)."""


class Engine:
    """One engine: one port, one Store, one work folder that goes when it stops."""

    def __init__(
        self, settings: Settings, *, clock: Clock | None = None, ids: Ids | None = None
    ) -> None:
        """Take the port. Raises ``ConfigError`` when it is in use."""
        self.settings = settings
        self._bound = bind(settings.host, settings.port)
        self.port: int = self._bound.getsockname()[1]
        self.clock = clock or SystemClock()
        self.gateway_clock = MovableClock(self.clock)
        """API Gateway's own time, for sockets and their events; all else keeps the machine's."""
        self.ids = ids or RandomIds()
        self.trace = Trace(self.clock)
        self.store = Store()
        self._closing: set[asyncio.Task[None]] = set()
        self.workdir = make_work_folder()

    @property
    def endpoint(self) -> str:
        """Where AWS clients find the engine."""
        return f"http://localhost:{self.port}"

    @property
    def socket_endpoint(self) -> str:
        """Start of every ``ApiEndpoint``: clients dial it as it is (1.16)."""
        return f"ws://localhost:{self.port}"

    async def start(self) -> None:
        """Build the parts and open the port."""
        settings = self.settings
        self._authority = authority = LocalAuthority(
            self.workdir,
            outside_bundle=environment().get("SSL_CERT_FILE"),
            custom_domain=self._custom_domain,
        )
        self.services = services = self._make_services()
        self.identities = Identities(
            services.app,
            clock=self.clock,
            ids=self.ids,
            records=services.identity_records,
            inner_key=self._inner_key,
        )
        self.runner = LocalRunner(
            catalog=services.functions,
            logs=services.logs,
            trace=self.trace,
            clock=self.clock,
            ids=self.ids,
            workdir=self.workdir,
            max_processes=settings.max_processes,
            endpoint=self.endpoint,
            socket_endpoint=f"{self.socket_endpoint}/",
            region=settings.region,
            ca_bundle=authority.bundle,
            debug_port=settings.debug_port,
            credentials=self.identities,
            engine_names=self.store.domain_names,
        )
        invoke = self._make_invoke()
        roles = IamRoles(self.identities)
        self.data_plane = DataPlane(
            store=self.store,
            runner=self._make_gateway_runner(),
            permits=FunctionPermits(services.functions),
            clock=self.gateway_clock,
            ids=self.ids,
            trace=self.trace,
            logs=StageLogQueue(services.app),
            logs_clock=self.clock,  # CloudWatch Logs takes nothing from the future
            callers=self.identities,
            roles=roles,
            services=AwsActions(services.app, may=roles.may, invoke=invoke),
            ca_bundle=authority.bundle,
            own_port=self.port,
            is_iam_enforced=settings.is_iam_enforced,
            account=AccountThrottles(
                requests=_throttle(settings.account_throttle),
                connections=_throttle(settings.connection_throttle),
            ),
        )
        plane = ControlPlane(
            store=self.store,
            clock=self.clock,
            ids=self.ids,
            trace=self.trace,
            endpoint=self.socket_endpoint,
            can_log=services.can_log,
            has_certificate=services.has_certificate,
        )
        self._add_cloudformation(plane)
        api_keys = ApiKeysApi(
            store=self.store,
            clock=self.gateway_clock,
            ids=self.ids,
            trace=self.trace,
            pass_on=services.app.answer,
            region=settings.region,
        )
        services.app.replace_service("apigateway", api_keys.handle)
        self.trace.subscribe(self._close_removed)
        door = self._front_door(plane, invoke)
        self._web = web.Server(door.handle, request_factory=_request)
        connections = guarded(self._web, door.at_once, auto_decompress=False, access_log=None)
        self._listener = Listener(self._bound, connections, authority.server_context)
        self._listener.start()

    async def stop(self) -> None:
        """Close sockets with 1001, end functions and leave nothing behind."""
        await self._listener.stop()
        await asyncio.gather(*self._closing, return_exceptions=True)
        await self.data_plane.stop()
        await self._stop_services()
        await self._web.shutdown(_HTTP_CLOSE_SECONDS)
        await self.runner.stop()
        await self.services.app.stop()
        shutil.rmtree(self.workdir, ignore_errors=True)

    # The services behind it

    def _make_services(self) -> Services:
        moto = MotoApp(account_id=self.settings.account_id, region=self.settings.region)
        functions = MotoFunctions(moto)
        self._moto, self._functions = moto, functions
        return Services(
            app=moto,
            functions=functions,
            logs=functions,
            identity_records=identity_records,
            can_log=AccountLogging(),
            has_certificate=AccountCertificates(),
        )

    def _inner_key(self, access_key_id: str) -> AccessKey | None:
        """A key that the services sign with when they call each other; moto's do not sign."""
        del access_key_id
        return None

    def _make_invoke(self) -> AnswersCalls:
        """What answers Lambda's ``Invoke``."""
        self._invoke = InvokeApi(
            self.runner,
            self._functions,
            self._moto,
            clock=self.clock,
            ids=self.ids,
            tell=functools.partial(self.trace.emit, Step.WARNING),
            may=self._function_role_may if self.settings.is_iam_enforced else None,
        )
        self._scheduler = Scheduler(
            self._moto,
            self._invoke.targets,
            clock=self.gateway_clock,
            ids=self.ids,
            tell=functools.partial(self.trace.emit, Step.CLOCK),
        )
        return self._invoke

    def _function_role_may(self, role_arn: str, action: str, resource: str) -> PolicyDecision:
        return self.identities.role_may(role_arn, LAMBDA, action, resource)

    def _make_gateway_runner(self) -> Runner:
        """What calls functions for the data plane."""
        return self.runner

    def _add_cloudformation(self, plane: ControlPlane) -> None:
        self._cloudformation: CloudFormation | None = None

        def loaded() -> "CloudFormation":
            if self._cloudformation is None:
                # Loaded when asked for: an engine that nobody deploys to need not wait for it.
                from socketstack.services.cloudformation import CloudFormation  # noqa: PLC0415

                self._cloudformation = CloudFormation(
                    moto=self._moto, plane=plane, clock=self.clock, ids=self.ids, trace=self.trace
                )
            return self._cloudformation

        async def handle(request: AwsRequest) -> AwsResponse:
            return await loaded().handle(request)

        self._moto.replace_service("cloudformation", handle)
        self._load_cloudformation = loaded

    async def _expect(self) -> None:
        """Load what a deployment needs before it comes."""
        await self._load_cloudformation().expect()
        self._moto.submit(functools.partial(self._moto.load, "s3"))
        self._authority.bundle()

    async def _stop_services(self) -> None:
        if self._cloudformation is not None:
            await self._cloudformation.stop()
        await self._scheduler.stop()
        await self._invoke.stop()

    def _front_door(self, plane: ControlPlane, invoke: AnswersCalls) -> FrontDoor:
        inspector = InspectorWeb(
            trace=self.trace,
            health=self._health,
            live=LiveApi(catalog=self.services.functions, set_live=self.runner.set_live),
            skips=Skips(clock=self.gateway_clock, store=self.store, trace=self.trace),
            expect=self._expect,
        )
        control_plane = ControlPlaneWeb(
            plane,
            account_id=self.settings.account_id,
            region=self.settings.region,
            account_of=self._account_of,
            is_function=self.identities.is_function,
        )
        rooms = Rooms(
            upgrade=self.data_plane.upgrade,
            connections=self.data_plane.connections,
            post=self.data_plane.post,
            control_plane=self._guarded(control_plane.handle, "apigateway"),
            invoke=AwsWeb(invoke.handle, self._refusal("lambda")).handle,
            own=inspector.handle,
            other_services=AwsWeb(self.services.app.handle, self._refusal(None)).handle,
        )
        hosts = (*self.settings.allowed_hosts, self.settings.host)
        return FrontDoor(
            rooms,
            allowed_hosts=hosts,
            is_custom_domain=lambda name: self.store.domain(name) is not None,
            tell=self._tell_refused,
        )

    def _tell_refused(self, cause: Cause, message: str) -> None:
        """A request that the front door does not let in."""
        self.trace.emit(Step.REFUSED, f"403: {message}", cause=cause, status=403)

    def _account_of(self, access_key_id: str) -> str:
        """The account that an access key belongs to; here there is one account."""
        del access_key_id
        return self.settings.account_id

    def _custom_domain(self, host_name: str) -> str | None:
        """The custom domain name that a host name is, as it is configured."""
        domain = self.store.domain(host_name)
        return None if domain is None else domain.name

    def _refusal(self, service: str | None) -> Refuse | None:
        """What stands in front of a room that answers AWS calls; None where everybody may call."""
        if not self.settings.is_iam_enforced:
            return None
        guard = Guard(
            self.identities,
            region=self.settings.region,
            account_id=self.settings.account_id,
            trace=self.trace,
            ids=self.ids,
        )
        return functools.partial(guard.refusal, service=service)

    def _guarded(self, handle: Handler, service: str) -> Handler:
        refuse = self._refusal(service)
        return handle if refuse is None else GuardedRoom(handle, refuse).handle

    def _close_removed(self, event: TraceEvent) -> None:
        """Sockets of a removed stage or API are closed: there is nothing left to answer them."""
        if event.step is Step.CONTROL and event.detail.get("operation") in _REMOVALS:
            stage = event.stage_name or None
            task = asyncio.create_task(self.data_plane.close_api(event.api_id, stage))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    def _health(self) -> dict[str, Json]:
        counts = self.data_plane.counts
        return {
            "status": "ok",
            "version": __version__,
            "pid": os.getpid(),
            "endpoint": self.endpoint,
            "connections": self.store.connection_count(),
            "calls": self.runner.call_count(),
            "functionProcesses": dict[str, Json](self.runner.process_counts()),
            "tasks": len(asyncio.all_tasks()),
            "counts": {
                "messages": counts.messages,
                "replies": counts.replies,
                "droppedReplies": counts.dropped_replies,
                "disconnects": counts.disconnects,
            },
        }


def _throttle(setting: RateAndBurst | None) -> Throttle | None:
    return None if setting is None else Throttle(rate_per_second=setting[0], burst=setting[1])


def _request(
    message: RawRequestMessage,
    payload: StreamReader,
    protocol: RequestHandler,
    writer: AbstractStreamWriter,
    task: "asyncio.Task[None]",
) -> web.BaseRequest:
    # The server's own limit of 1 MB is below what S3 and Lambda take.
    return web.BaseRequest(
        message, payload, protocol, writer, task, task.get_loop(), client_max_size=_BODY_MAX_BYTES
    )
