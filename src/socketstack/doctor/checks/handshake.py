"""Who is let in: the protection of ``$connect`` and where credentials come from."""

from collections.abc import Iterator
from typing import Final

from socketstack.core.identity import parse_source
from socketstack.doctor.facts import Api, Authorizer
from socketstack.doctor.findings import Finding, error, note, ok, warning
from socketstack.errors import ExpressionError

_CONNECT: Final = "$connect"


def protection(api: Api) -> Iterator[Finding]:
    """``$connect`` is protected."""
    route = api.route(_CONNECT)
    if route is None:
        yield error(
            "open-connect",
            "There is no $connect route, so everybody gets in.",
            "Without the route nobody is asked; routes of messages cannot be protected.",
            "Add $connect with an authorizer, and deploy.",
        )
        return
    match route.authorization_type:
        case "NONE" if not route.api_key_required:
            attached = f" Authorizer {api.authorizers[0].name} exists." if api.authorizers else ""
            yield error(
                "open-connect",
                f"$connect has no authorization, so everybody gets in.{attached}",
                "An authorizer works only when the route has the type CUSTOM and names it.",
                "Set authorizationType CUSTOM and authorizerId on $connect, and deploy.",
            )
        case "NONE":
            yield warning(
                "open-connect",
                "$connect is protected by an API key alone.",
                "API keys meter callers; they are not meant to identify them, and browsers cannot "
                "send the header.",
                "Add an authorizer.",
            )
        case "CUSTOM" if route.authorizer is None:
            yield error(
                "open-connect",
                "The authorizer that $connect names does not exist.",
                "Every handshake gets 500.",
                "Attach an authorizer that exists, and deploy.",
            )
        case _:
            yield ok("open-connect", f"$connect is protected ({route.authorization_type}).")
    for each in api.authorizers:
        if route.authorizer is None or each.authorizer_id != route.authorizer.authorizer_id:
            yield warning(
                "unused-authorizer",
                f"Authorizer {each.name} is not attached to $connect.",
                "Only $connect can be authorised.",
                "Attach it, or delete it.",
            )


def identity_sources(api: Api) -> Iterator[Finding]:
    """Credentials come from where clients can put them."""
    authorizer = attached(api)
    if authorizer is None:
        return
    if not authorizer.identity_sources:
        yield note(
            "identity-source",
            f"Authorizer {authorizer.name} has no identity source.",
            "It is called for every handshake, also for those without any credentials.",
        )
    for source in authorizer.identity_sources:
        yield from _identity_source(authorizer, source)
    if len(authorizer.identity_sources) > 1:
        yield note(
            "identity-source",
            f"Authorizer {authorizer.name} wants {len(authorizer.identity_sources)} identity "
            "sources.",
            "All of them must be there and not empty; else 401, and the function is not called.",
        )


def _identity_source(authorizer: Authorizer, source: str) -> Iterator[Finding]:
    try:
        parse_source(source)
    except ExpressionError as problem:
        yield error(
            "identity-source",
            f"Authorizer {authorizer.name} has an identity source that is none.",
            str(problem),
            "Write route.request.querystring.NAME or route.request.header.NAME.",
        )
        return
    if source.startswith("route.request.header."):
        name = source.rpartition(".")[2]
        yield warning(
            "browser-credentials",
            f"The credentials come in the header {name}.",
            "Browsers cannot set headers on a WebSocket, so a page cannot connect.",
            "Use a short-lived token in the query string, or the subprotocol, for browsers.",
        )


def http_api_features(api: Api) -> Iterator[Finding]:
    """Nothing is asked of an authorizer that only HTTP APIs do. Rule 1.67."""
    for authorizer in api.authorizers:
        if authorizer.http_features:
            yield error(
                "http-api-features",
                f"Authorizer {authorizer.name} has {', '.join(authorizer.http_features)}.",
                "Only HTTP APIs have that. A WebSocket API knows the type REQUEST, calls the "
                "function for every handshake and reads an IAM policy from its answer.",
                "Take it out, use the type REQUEST, and verify the token in the function.",
            )


def attached(api: Api) -> Authorizer | None:
    """The authorizer of ``$connect``."""
    route = api.route(_CONNECT)
    return route.authorizer if route is not None else None
