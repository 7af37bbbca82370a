"""TLS with a certificate authority of this engine's own, on the same port as plain HTTP.

Functions build their callback address as ``https://{domainName}/{stage}``; they run unchanged
only if that address speaks TLS. The authority lives as long as the engine; its certificate is
written into the work folder, and function processes trust it through a bundle that also holds
the usual authorities, so that calls to the outside keep working. It is made when it is first
needed: loading what makes it is a tenth of the engine's start.
"""

import ssl
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import certifi

if TYPE_CHECKING:
    import trustme

_NAMES = ("localhost", "*.localhost", "*.execute-api.localhost", "127.0.0.1", "::1")


class LocalAuthority:
    """Issues certificates for the names under which clients reach the engine."""

    def __init__(
        self,
        folder: Path,
        *,
        outside_bundle: str | None,
        custom_domain: Callable[[str], str | None] = lambda _name: None,
    ) -> None:
        """Nothing is made yet.

        Args:
            folder: Where ``ca.pem`` and ``bundle.pem`` are written; it has to stay.
            outside_bundle: The user's own bundle of authorities, used when it can be read; else
                certifi's.
            custom_domain: The custom domain name that a host name is, as it is configured; None
                for all others, which get no certificate of their own.
        """
        self._certificate = folder / "ca.pem"
        self._bundle = folder / "bundle.pem"
        self._outside_bundle = outside_bundle
        self._custom_domain = custom_domain
        self._contexts: dict[str, ssl.SSLContext] = {}

    @cached_property
    def _authority(self) -> "trustme.CA":
        import trustme  # noqa: PLC0415 - see above

        authority = trustme.CA()
        own = authority.cert_pem.bytes()
        self._certificate.write_bytes(own)
        self._bundle.write_bytes(_outside(self._outside_bundle) + b"\n" + own)
        return authority

    def certificate(self) -> Path:
        """The file with the authority's own certificate."""
        _ = self._authority  # makes the files
        return self._certificate

    def bundle(self) -> Path:
        """The file with all authorities that functions trust, this one among them."""
        _ = self._authority  # makes the files
        return self._bundle

    def server_context(self) -> ssl.SSLContext:
        """The context to serve with; it picks a certificate by the name the client asks for."""
        context = self._context("localhost", _NAMES)
        context.sni_callback = self._choose
        return context

    def _choose(self, socket: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        # Besides custom domain names only the execute-api hosts of AWS need a name of their own:
        # they differ by region.
        if name is None:
            return
        domain = self._custom_domain(name.lower())
        if domain is not None:
            socket.context = self._context(domain, (domain,))
        elif name.endswith(".amazonaws.com") and ".execute-api." in name:
            parent = name.partition(".")[2]
            socket.context = self._context(parent, (f"*.{parent}", parent))

    def _context(self, key: str, names: tuple[str, ...]) -> ssl.SSLContext:
        context = self._contexts.get(key)
        if context is None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.minimum_version = ssl.TLSVersion.TLSv1_2  # 2.03
            context.set_alpn_protocols(["http/1.1"])
            self._authority.issue_cert(*names).configure_cert(context)
            self._contexts[key] = context
        return context


def _outside(path: str | None) -> bytes:
    if path:
        try:
            return Path(path).read_bytes()
        except OSError:
            pass  # The variable may name a file that is not there; certifi always is.
    return Path(certifi.where()).read_bytes()
