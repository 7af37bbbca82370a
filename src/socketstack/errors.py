"""The exception tree: what stops a flow, and who can mend it.

GatewayError
├── ConfigError           wrong settings, template, folder, port in use: the user can fix it
├── DeploymentFailed      CloudFormation refused or rolled back; names resources and reasons
├── ServiceError          control plane and management API; carries code and status
│   └── BadRequest  NotFound  Conflict  TooManyRequests  LimitExceeded  Gone  Forbidden
│       PayloadTooLarge  NotImplementedYet
├── ExpressionError       bad selection expression or identity source
└── RunnerError           the runner itself failed
    └── FunctionNotFound  FunctionUnavailable

A function that raises, times out or exits is a normal ``InvokeResult`` and not an exception.
Each plane maps these to the wire once: ``controlplane.web``, ``dataplane.web``,
``dataplane.session``.
"""

from typing import ClassVar


class GatewayError(Exception):
    """Base of all errors this package raises on purpose."""


class ConfigError(GatewayError):
    """The user can mend it: settings, template, folder or port. Exit code 2."""


class DeploymentFailed(GatewayError):  # noqa: N818 - reads as what happened
    """A stack could not be brought to what was asked; the message has resources and reasons."""


class ServiceError(GatewayError):
    """An AWS call is refused; ``code`` is the AWS error name, ``status`` the HTTP status."""

    code: ClassVar[str] = "InternalServerErrorException"
    status: ClassVar[int] = 500

    def __init__(self, message: str = "", **members: str) -> None:
        super().__init__(message)
        self.message = message
        self.members = members
        """Further members of the modelled error, for example ``resourceType``."""


class BadRequest(ServiceError):  # noqa: N818 - AWS names, mapped to its exceptions
    """The call's input is not acceptable. Rule 1.05."""

    code = "BadRequestException"
    status = 400


class NotFound(ServiceError):  # noqa: N818
    """The resource that the call names does not exist. Rule 1.05."""

    code = "NotFoundException"
    status = 404


class Conflict(ServiceError):  # noqa: N818
    """The call contradicts what exists. Rule 1.05."""

    code = "ConflictException"
    status = 409


class TooManyRequests(ServiceError):  # noqa: N818
    """A control plane quota is used up. Rule 1.05."""

    code = "TooManyRequestsException"
    status = 429


class LimitExceeded(ServiceError):  # noqa: N818
    """The connection's buffer is full, or calls come too fast. Rule 7.17."""

    code = "LimitExceededException"
    status = 429


class Gone(ServiceError):  # noqa: N818
    """The connection does not exist any more. Rules 7.12, 7.13."""

    code = "GoneException"
    status = 410


class Forbidden(ServiceError):  # noqa: N818
    """The caller may not do this. Rule 7.11."""

    code = "ForbiddenException"
    status = 403


class PayloadTooLarge(ServiceError):  # noqa: N818
    """More than 128 KB was posted to a connection. Rule 7.16."""

    code = "PayloadTooLargeException"
    status = 413


class NotImplementedYet(ServiceError):  # noqa: N818
    """The operation exists at AWS and not here; the message names it."""

    code = "NotImplementedException"
    status = 501


class ExpressionError(GatewayError):
    """A selection expression or identity source cannot be parsed."""


class RunnerError(GatewayError):
    """The runner could not run a function at all."""


class FunctionNotFound(RunnerError):  # noqa: N818
    """No function has this name or ARN, or it has no such version or alias."""


class FunctionThrottled(RunnerError):  # noqa: N818
    """As many calls of the function run as are reserved for it."""


class FunctionUnavailable(RunnerError):  # noqa: N818
    """The function exists and cannot run here, for example because of its runtime."""
