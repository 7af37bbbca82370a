"""How CloudFormation refuses: errors of its API, and the failure of one resource.

StackError (ServiceError)
├── InvalidTemplate         the template or the call is not acceptable: ValidationError
├── AlreadyExists           a stack or change set has this name
├── ChangeSetNotFound
├── InvalidChangeSetStatus  a change set cannot be executed in its state
├── InsufficientCapabilities
├── NotSupported            the operation exists at AWS and not here
└── EngineFailed            a mistake of ours; the log has it
ResourceFailed (GatewayError)   one resource cannot be made, changed or removed
"""

from socketstack.errors import GatewayError, ServiceError


class StackError(ServiceError):
    """A CloudFormation call is refused."""

    code = "ValidationError"
    status = 400


class InvalidTemplate(StackError):  # noqa: N818 - AWS names, mapped to its exceptions
    """The template, or what a call asks of a stack, is not acceptable."""


class AlreadyExists(StackError):  # noqa: N818
    """Something has this name already."""

    code = "AlreadyExistsException"


class ChangeSetNotFound(StackError):  # noqa: N818
    """There is no such change set."""

    code = "ChangeSetNotFound"
    status = 404


class InvalidChangeSetStatus(StackError):  # noqa: N818
    """The change set cannot be executed."""

    code = "InvalidChangeSetStatus"


class InsufficientCapabilities(StackError):  # noqa: N818
    """The caller has not acknowledged what the template can do."""

    code = "InsufficientCapabilitiesException"


class NotSupported(StackError):  # noqa: N818
    """The operation exists at AWS and not here; the message names it."""

    code = "NotImplementedException"
    status = 501


class EngineFailed(StackError):  # noqa: N818
    """Something unexpected happened; the client learns no more than that."""

    code = "InternalFailure"
    status = 500


class ResourceFailed(GatewayError):  # noqa: N818 - the word CloudFormation uses
    """One resource cannot be made, changed or removed; the message is its status reason."""
