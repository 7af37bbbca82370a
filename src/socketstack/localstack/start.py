"""LocalStack with our plugin in the foreground, without Docker: ``socketstack start``.

Imports nothing of LocalStack before its settings are in the environment, where it reads them while
it is imported. All files of LocalStack lie in one folder that goes when it stops.
"""

import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, NoReturn

from socketstack.errors import ConfigError
from socketstack.ids import RandomIds
from socketstack.settings import Settings, set_variables
from socketstack.trace import TraceEvent
from socketstack.workfolder import make_work_folder

_ACCOUNT: Final = "000000000000"


def serve(
    settings: Settings, *, show: Callable[[TraceEvent], None], say: Callable[[str], None]
) -> NoReturn:
    """Run LocalStack until SIGTERM or SIGINT, and end this process with its exit code.

    Everything is stopped and removed then. Python would take seconds more to take LocalStack's
    modules apart one by one, longer than whoever stops it waits.

    Args:
        settings: Where to listen, and how the engine inside runs.
        show: Gets every step of the engine.
        say: Gets what is to be said besides.

    Raises ``ConfigError`` when the port is taken, or an account is asked for; then nothing of
    LocalStack has started.
    """
    if settings.account_id != _ACCOUNT:
        raise ConfigError(
            f"SOCKETSTACK_ACCOUNT_ID is {settings.account_id}, and LocalStack's accounts are those "
            f"of access keys, {_ACCOUNT} for others. Leave the variable unset, and put the "
            "account into AWS_ACCESS_KEY_ID."
        )
    folder = make_work_folder()
    try:
        code = _serve(settings, folder, show, say)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):  # nobody reads any more
            stream.flush()
    os._exit(code)


def _serve(
    settings: Settings,
    folder: Path,
    show: Callable[[TraceEvent], None],
    say: Callable[[str], None],
) -> int:
    tempfile.tempdir = str(folder)
    set_variables(_fixed(settings, folder), _defaults())
    from localstack import constants  # noqa: PLC0415 - reads the variables

    # Known to everybody, it would open a LocalStack that enforces IAM. Whatever signs with it
    # imports it later.
    ids = RandomIds()
    constants.INTERNAL_AWS_SECRET_ACCESS_KEY = ids.uuid() + ids.uuid()
    from localstack.runtime.main import main  # noqa: PLC0415

    from socketstack.console import StepPrinter  # noqa: PLC0415
    from socketstack.localstack.host import open_host  # noqa: PLC0415

    host = open_host(settings)
    _keep_objects_in(folder)
    printer = StepPrinter(show, say)
    host.engine.trace.subscribe(printer.take)
    try:
        main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    finally:
        host.stop()
        printer.flush()
    return 0


def _keep_objects_in(folder: Path) -> None:
    """S3's objects lie in a folder of fixed name otherwise, which all LocalStacks would share."""
    from localstack.services.s3 import provider  # noqa: PLC0415

    provider.DEFAULT_S3_TMP_DIR = str(folder / "s3")


def _fixed(settings: Settings, folder: Path) -> dict[str, str]:
    """What the rest of us relies on, whatever the user's environment says."""
    return {
        "GATEWAY_LISTEN": f"{settings.host}:{settings.port}",
        "GATEWAY_SERVER": "socketstack",
        "LOCALSTACK_HOST": f"localhost:{settings.port}",
        "FILESYSTEM_ROOT": str(folder),
        "CONFIG_DIR": str(folder / "none"),  # nothing of the user's own LocalStack
        "OVERRIDE_IN_DOCKER": "0",
        "PROVIDER_OVERRIDE_DYNAMODB": "moto",
    }


def _defaults() -> dict[str, str]:
    """What the user may set otherwise."""
    return {
        "LAMBDA_RUNTIME_EXECUTOR": "process",
        # Nothing is downloaded, reported or resolved for others.
        "SKIP_SSL_CERT_DOWNLOAD": "1",
        "DISABLE_EVENTS": "1",
        "DNS_ADDRESS": "0",
        "LS_LOG": "warning",
    }
