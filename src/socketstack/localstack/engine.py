"""The embedded engine with LocalStack's services behind it: a composition root like ``app``.

Sockets, control plane, runner, front door, API keys and the trace are those of ``app.Engine``.
Lambda's records, IAM, STS, logs and all other services are LocalStack's.
"""

import re
from typing import Final

from localstack import config, constants
from localstack.aws.accounts import get_account_id_from_access_key_id
from localstack.services.apigateway.models import apigateway_stores

from socketstack.app import Engine, Services
from socketstack.controlplane.caller import Caller
from socketstack.controlplane.plane import ControlPlane
from socketstack.core.model import Json
from socketstack.core.principals import AccessKey, Principal, PrincipalKind
from socketstack.localstack.functions import LocalStackFunctions
from socketstack.localstack.gateway import LocalStackApp
from socketstack.localstack.identity_records import LocalStackRecords
from socketstack.localstack.invoking import InvokingRunner
from socketstack.localstack.packages import FetchedPackages
from socketstack.runner.base import Runner
from socketstack.services.aws_app import AnswersCalls
from socketstack.services.certificates import AccountCertificates
from socketstack.services.function_logs import FunctionLogs

PROCESS: Final = "process"
"""The name of our executor in ``LAMBDA_RUNTIME_EXECUTOR``."""

_ACCOUNT: Final = re.compile(r"\d{12}")
_SHIPPED_SECRET: Final = "__internal_call__"  # noqa: S105 - LocalStack's, public


class LocalStackEngine(Engine):
    """An engine inside LocalStack.

    ``plane`` is there after ``start``; ``problem`` says why LocalStack does not work, is empty
    when it does, and None as long as nobody knows.
    """

    plane: ControlPlane
    problem: str | None = None

    def _make_services(self) -> Services:
        settings = self.settings
        records = LocalStackRecords()
        self.app = LocalStackApp(
            account_id=settings.account_id, region=settings.region, ids=self.ids, records=records
        )
        self.functions = LocalStackFunctions(
            FetchedPackages(self.workdir / "packages"),
            account_id=settings.account_id,
            region=settings.region,
        )
        return Services(
            app=self.app,
            functions=self.functions,
            logs=FunctionLogs(self.app),
            identity_records=records,
            can_log=_can_log,
            has_certificate=AccountCertificates(),  # LocalStack's ACM is moto's
        )

    def _inner_key(self, access_key_id: str) -> AccessKey | None:
        """LocalStack's own calls name an account and sign with a secret of this process."""
        account_id = access_key_id if _ACCOUNT.fullmatch(access_key_id) else self.app.account_id
        secret = constants.INTERNAL_AWS_SECRET_ACCESS_KEY
        if access_key_id not in {account_id, constants.INTERNAL_AWS_ACCESS_KEY_ID}:
            return None
        if secret == _SHIPPED_SECRET:
            return None  # LocalStack was not started by ``start``, and everybody knows it
        principal = Principal(
            kind=PrincipalKind.ROOT,
            arn=f"arn:aws:iam::{account_id}:root",
            account_id=account_id,
            user_id=account_id,
        )
        return AccessKey(
            access_key_id=access_key_id, secret=secret, principal=principal, is_inner=True
        )

    def _make_invoke(self) -> AnswersCalls:
        return self.app

    def _make_gateway_runner(self) -> Runner:
        # LocalStack's own way to a function costs an HTTP call and a thread; the same process
        # pool is reached directly.
        if config.LAMBDA_RUNTIME_EXECUTOR == PROCESS:
            return self.runner
        return InvokingRunner(self.app, region=self.settings.region)

    def _add_cloudformation(self, plane: ControlPlane) -> None:
        self.plane = plane  # LocalStack's own deploys, through ``resources``

    async def _expect(self) -> None:
        return

    async def _stop_services(self) -> None:
        return

    def _account_of(self, access_key_id: str) -> str:
        account_id: str = get_account_id_from_access_key_id(access_key_id)
        return account_id

    def _health(self) -> dict[str, Json]:
        health = {**super()._health(), "target": "localstack"}
        if self.problem is None:
            return {**health, "status": "starting"}
        if self.problem:
            return {**health, "status": "failed", "problem": self.problem}
        return health


def _can_log(caller: Caller) -> bool:
    """Whether the account has a role for logs. LocalStack gives every account one."""
    account = dict.get(apigateway_stores, caller.account_id)
    store = None if account is None else dict.get(account, caller.region)
    return store is not None and bool(store.account.get("cloudwatchRoleArn"))
