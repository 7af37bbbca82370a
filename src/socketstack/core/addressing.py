"""Addresses in both directions: requests to APIs and connections, facts to ARNs.

Two forms name an API, the path form ``/_aws/execute-api/{api}/{stage}``, which needs no DNS,
and the Host form ``{api}.execute-api.{anything}``. Under a custom domain name neither counts: there
the first part of the path is a mapping key, which stands for an API and a stage. What is not
clearly one of these has no location: the caller refuses.

Rules: 1.16, 1.55, 2.01, 2.02, 2.18, 2.45, 3.04, 3.26, 4.06, 5.64, 5.68, 7.01 to 7.04.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from urllib.parse import unquote

from socketstack.core.model import CustomDomain

PATH_PREFIX: Final = "/_aws/execute-api/"

_PATH_FORM: Final = re.compile(r"/_aws/execute-api/([a-z0-9]+)(/.*)?", re.DOTALL)
_HOST_FORM: Final = re.compile(r"([a-z0-9]+)\.execute-api\.[a-z0-9]", re.IGNORECASE)
_AWS_HOST: Final = re.compile(r"[a-z0-9]+\.execute-api\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?")
_STAGE: Final = re.compile(r"/([A-Za-z0-9_-]{1,128})(/?)")
_MAPPED: Final = re.compile(r"/([^/]+)(/?)|/?")
_MANAGEMENT: Final = re.compile(r"/(?:@|%40)connections/")
_TARGET: Final = re.compile(r"(?:/([^/]+))?/(?:@|%40)connections/([^/]+)")
_PORT: Final = re.compile(r":(\d+)$")
_VARIABLE: Final = re.compile(r"\$\{stageVariables\.(\w+)\}", re.ASCII)
_INTEGRATION_URI: Final = re.compile(
    r"arn:[a-z-]+:apigateway:[a-z0-9-]+:lambda:path/2015-03-31/functions/(.+)/invocations"
)
_FUNCTION_ARN: Final = re.compile(
    r"arn:[a-z-]+:lambda:[a-z0-9-]+:\d{12}:function:[\w-]{1,140}(?::(?:\$LATEST|[\w-]{1,128}))?",
    re.ASCII,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """Where a handshake wants to go."""

    api_id: str
    stage: str
    rest: str
    """What follows the stage: nothing or one slash (2.02); more has no location."""
    domain_name: str
    """``domainName`` of events: with ``https://`` before and the stage behind, it can be called.
    Behind a custom domain name the mapping key belongs in the stage's place (7.02)."""
    is_custom_domain: bool = False
    """Whether a custom domain name led here and not the API's own endpoint (2.19)."""
    region: str | None = None
    """The Region that AWS's own host name says; None for all other addresses (2.01)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagementTarget:
    """The connection an ``@connections`` request means.

    ``api_id`` is None when only the connection id names the API; ``stage`` is None when the
    path has none, which on an API's own host is a wrong path (7.11). ``region`` is that of AWS's
    own host name, else None (7.01).
    """

    api_id: str | None
    stage: str | None
    connection_id: str
    is_custom_domain: bool = False
    region: str | None = None


@lru_cache(maxsize=256)  # asked for every request, and clients have few
def host_name(host: str) -> str:
    """A Host header as a name: in lower case, without port and without a final dot."""
    return _PORT.sub("", host).lower().rstrip(".")


def locate_upgrade(host: str, path: str, domain: CustomDomain | None = None) -> Location | None:
    """Where a handshake wants to go, or None; ``explain_upgrade`` then says why.

    Args:
        host: The Host header, with or without port.
        path: The path, without the query; raw or decoded, stages need no encoding.
        domain: The custom domain name that the host is; it alone decides then.
    """
    found = _locate(host, path) if domain is None else _locate_on(domain, host, path)
    return None if isinstance(found, str) else found


def explain_upgrade(host: str, path: str, domain: CustomDomain | None = None) -> str:
    """Why ``locate_upgrade`` gave None, and what to dial instead; empty when it did not."""
    found = _locate(host, path) if domain is None else _locate_on(domain, host, path)
    return found if isinstance(found, str) else ""


def locate_connection(
    host: str, path: str, domain: CustomDomain | None = None
) -> ManagementTarget | None:
    """Which connection a management request means; None when the path has no such form.

    Args:
        host: The Host header, with or without port.
        path: The raw path: ids may hold ``%3D``.
        domain: The custom domain name that the host is: the path then has a mapping key in the
            stage's place, and one that is not mapped gives None (7.02, 7.03).
    """
    return _connection(host, path) if domain is None else _connection_on(domain, path)


@lru_cache(maxsize=256)  # functions post to the same connections again and again
def _connection(host: str, path: str) -> ManagementTarget | None:
    api_id, inner = _split(host, path)
    match = _TARGET.fullmatch(inner)
    if match is None:
        return None
    stage, connection_id = match.groups()
    return ManagementTarget(
        api_id=api_id,
        stage=stage,
        connection_id=unquote(connection_id),
        region=_region(host, path),
    )


def _connection_on(domain: CustomDomain, path: str) -> ManagementTarget | None:
    """The connection that a path means whose first part is a mapping key."""
    match = _TARGET.fullmatch(path)
    mapped = None if match is None else domain.mappings.get(unquote(match[1] or ""))
    if match is None or mapped is None:
        return None
    api_id, stage = mapped
    return ManagementTarget(
        api_id=api_id, stage=stage, connection_id=unquote(match[2]), is_custom_domain=True
    )


def is_management_path(path: str) -> bool:
    """Whether a raw path belongs to ``@connections``, in any form."""
    return _MANAGEMENT.search(path) is not None


def function_of(integration_uri: str, variables: Mapping[str, str]) -> str | None:
    """The function ARN that an integration or authorizer URI calls.

    Args:
        integration_uri: As in rule 1.55, or a bare function ARN; may hold
            ``${stageVariables.NAME}`` (5.64).
        variables: The stage's variables.

    Returns:
        None when the URI calls no function, or a stage variable is not set.
    """
    uri = substituted(integration_uri, variables)
    return None if uri is None else _function_of(uri)


@lru_cache(maxsize=1024)  # asked for every message
def _function_of(uri: str) -> str | None:
    match = _INTEGRATION_URI.fullmatch(uri)
    arn = match.group(1) if match else uri
    return arn if _FUNCTION_ARN.fullmatch(arn) else None


def substituted(text: str, variables: Mapping[str, str]) -> str | None:
    """A text with its ``${stageVariables.NAME}`` replaced; None when one is not set. Rule 5.64."""
    if "${" not in text:
        return text
    names = set(_VARIABLE.findall(text))
    if not names <= variables.keys():
        return None
    return _VARIABLE.sub(lambda match: variables[match.group(1)], text)


def route_arn(
    *,
    region: str,
    account_id: str,
    api_id: str,
    stage_name: str,
    route_key: str,
    partition: str = "aws",
) -> str:
    """``arn:…:{api}/{stage}/{routeKey}``: method ARN of an authorizer, source ARN of a call."""
    api = _api_arn(partition, region, account_id, api_id)
    return f"{api}/{stage_name}/{route_key}"


def authorizer_arn(
    *, region: str, account_id: str, api_id: str, authorizer_id: str, partition: str = "aws"
) -> str:
    """``arn:…:{api}/authorizers/{authorizerId}``: source ARN of authorizer calls. Rule 3.26."""
    return f"{_api_arn(partition, region, account_id, api_id)}/authorizers/{authorizer_id}"


def _api_arn(partition: str, region: str, account_id: str, api_id: str) -> str:
    return f"arn:{partition}:execute-api:{region}:{account_id}:{api_id}"


def _split(host: str, path: str) -> tuple[str | None, str]:
    """The API id, if host or path name one, and the path below the API."""
    in_path = _PATH_FORM.fullmatch(path)
    if in_path is not None:
        return in_path.group(1), in_path.group(2) or "/"
    in_host = _HOST_FORM.match(host)
    return (in_host.group(1).lower() if in_host else None), path


def _locate(host: str, path: str) -> Location | str:
    api_id, inner = _split(host, path)
    if api_id is None:
        return (
            f"Neither host {host!r} nor path {path!r} names an API. Dial "
            f"ws://{{host}}{PATH_PREFIX}{{apiId}}/{{stage}}, or "
            "ws://{apiId}.execute-api.localhost:{port}/{stage}."
        )
    match = _STAGE.fullmatch(inner)
    if match is None:
        return (
            f"The path {path!r} is not the address of a stage of API {api_id}. It ends with "
            "the stage's name and nothing below it."
        )
    stage, rest = match.groups()
    return Location(
        api_id=api_id,
        stage=stage,
        rest=rest,
        domain_name=_domain_name(host, path, api_id),
        region=_region(host, path),
    )


def _region(host: str, path: str) -> str | None:
    """The Region in ``{api}.execute-api.{region}.amazonaws.com``, where the host names the API."""
    if _PATH_FORM.fullmatch(path) is not None:
        return None
    found = _AWS_HOST.fullmatch(host_name(host))
    return found.group(1) if found else None


def _locate_on(domain: CustomDomain, host: str, path: str) -> Location | str:
    """The stage that a path's mapping key stands for (7.02, 10.12)."""
    match = _MAPPED.fullmatch(path)
    mapped = None if match is None else domain.mappings.get(unquote(match.group(1) or ""))
    if match is None or mapped is None:
        known = ", ".join(
            f"{key or '(empty)'} to {api_id}/{stage}"
            for key, (api_id, stage) in sorted(domain.mappings.items())
        )
        return (
            f"The custom domain name {domain.name} maps nothing to the path {path!r}. Its "
            f"mapping keys: {known or 'none'}. A stage's name has no meaning there. [10.12]"
        )
    api_id, stage = mapped
    return Location(
        api_id=api_id,
        stage=stage,
        rest=match.group(2) or "",
        domain_name=host,
        is_custom_domain=True,
    )


def _domain_name(host: str, path: str, api_id: str) -> str:
    """A name under which functions reach this API again (2.45)."""
    if not path.startswith(PATH_PREFIX):
        return host
    port = _PORT.search(host)
    return f"{api_id}.execute-api.localhost" + (port.group() if port else "")
