"""The AWS services that are not our own, whoever runs them: what the rest of this room asks for.

The embedded engine has moto's (``moto_app``), in a thread of their own; under LocalStack they are
LocalStack's, which are moto's for the greater part. The modules that read moto's records, and
those that make calls, work with either.
"""

from collections.abc import Awaitable, Callable
from typing import Protocol

from socketstack.services.http import AwsRequest, AwsResponse


class AnswersCalls(Protocol):
    """Something that answers AWS calls."""

    async def handle(self, request: AwsRequest) -> AwsResponse:
        """Answer one call; raises nothing but ``CancelledError``."""
        ...


class AwsApp(AnswersCalls, Protocol):
    """See ``moto_app.MotoApp``, whose docstrings say what each member means."""

    account_id: str
    region: str
    identity_generation: int

    async def answer(self, request: AwsRequest) -> AwsResponse:
        """Answer by the services themselves, past what ``replace_service`` put in front."""
        ...

    def replace_service(
        self, name: str, handle: Callable[[AwsRequest], Awaitable[AwsResponse]]
    ) -> None:
        """Let calls of a service, by its signing name, be answered by ``handle``."""
        ...

    def before_service(self, service: str, prepare: Callable[[], None]) -> None:
        """Run ``prepare`` once, as soon as a service's records are there."""
        ...

    def before_calls(self, service: str, prepare: Callable[[AwsRequest], None]) -> None:
        """Run ``prepare`` before each call of ``service`` is answered."""
        ...

    def submit(self, call: Callable[[], None]) -> None:
        """Run something beside the event loop without waiting for it; from any thread."""
        ...

    def load(self, service: str) -> None:
        """Make moto's module of a service available."""
        ...

    async def stop(self) -> None:
        """Finish calls under way."""
        ...
