"""Contexts that read the system's authorities with their first connection."""

import ssl
import subprocess
import sys
from pathlib import Path

import pytest
import trustme

from socketstack.late_authorities import LateContext, late_authorities


def _handshake(client_context: ssl.SSLContext, server_context: ssl.SSLContext) -> None:
    """A whole TLS handshake in memory."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context.wrap_bio(to_client, to_server, server_hostname="late.test")
    server = server_context.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(4):
        for side in (client, server):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue


@pytest.fixture
def authority() -> trustme.CA:
    """An authority that is none of the system's."""
    return trustme.CA()


@pytest.fixture
def server_context(authority: trustme.CA) -> ssl.SSLContext:
    """A server with a certificate of that authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("late.test").configure_cert(context)
    return context


def _late_context() -> ssl.SSLContext:
    with late_authorities():
        return ssl.create_default_context()


def test_reads_them_when_a_connection_is_made(
    authority: trustme.CA,
    server_context: ssl.SSLContext,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing is read before; then the system's authorities are trusted."""
    (tmp_path / "ca.pem").write_bytes(authority.cert_pem.bytes())
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    context = _late_context()
    assert context.cert_store_stats()["x509_ca"] == 0
    _handshake(context, server_context)
    assert context.cert_store_stats()["x509_ca"] == 1


def test_refuses_whom_the_system_does_not_trust(
    server_context: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names and certificates are verified as ever."""
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    with pytest.raises(ssl.SSLCertVerificationError):
        _handshake(_late_context(), server_context)


def test_later_contexts_are_plain_ones() -> None:
    """Only what is made inside the block is late."""
    assert isinstance(_late_context(), LateContext)
    context = ssl.create_default_context()
    assert type(context) is ssl.SSLContext
    assert context.cert_store_stats()["x509_ca"] > 0


def test_the_engine_reads_none_to_start() -> None:
    """It imports aiohttp this way, whose own contexts verify as before."""
    script = (
        "import ssl, socketstack.app\n"
        "from aiohttp.connector import _SSL_CONTEXT_UNVERIFIED as other\n"
        "from aiohttp.connector import _SSL_CONTEXT_VERIFIED as context\n"
        "assert other.cert_store_stats()['x509_ca'] == 0\n"
        "assert context.cert_store_stats()['x509_ca'] == 0\n"
        "assert context.verify_mode is ssl.CERT_REQUIRED and context.check_hostname\n"
        "assert isinstance(context, ssl.SSLContext)\n"
        "context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname='x')\n"
        "print(context.cert_store_stats()['x509_ca'])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert int(done.stdout) > 0
