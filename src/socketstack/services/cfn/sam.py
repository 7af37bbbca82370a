"""The SAM transform: ``AWS::Serverless-2016-10-31`` becomes plain CloudFormation, offline.

A process for each template does it (``sam_child``). Most of its time goes into loading the
translator, so one can be started ahead of the template that it is for.
"""

import asyncio
import json
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from socketstack.services.cfn.errors import InvalidTemplate
from socketstack.services.cfn.parameters import typed
from socketstack.services.cfn.template import SERVERLESS, Document, transforms

_CHILD: Final = Path(__file__).with_name("sam_child.py")
_TIMEOUT_SECONDS: Final = 120
_AHEAD_SECONDS: Final = 30
"""How long a process waits for its template; it holds 45 MB."""


class Translator:
    """Translates templates. Whoever called ``prepare`` calls ``stop``."""

    def __init__(self) -> None:
        self._preparing = asyncio.Lock()
        self._ahead: _Ahead | None = None

    async def prepare(self, region: str) -> None:
        """Start the process for a template that will come soon; when none comes, it ends."""
        async with self._preparing:
            if self._ahead is None:
                process = await _start(region)
                overdue = asyncio.get_running_loop().call_later(_AHEAD_SECONDS, self._give_up)
                self._ahead = _Ahead(process, region, overdue)

    async def processed(
        self, document: Document, parameters: Mapping[str, str], region: str
    ) -> Document:
        """A template without transforms.

        Args:
            document: The template as it was written.
            parameters: Text values of its parameters; SAM looks into some of them.
            region: Where the stack lies.

        Raises ``InvalidTemplate`` with the translator's own message, and for other macros by name.
        """
        named = transforms(document)
        strange = [name for name in named if name != SERVERLESS]
        if strange:
            raise InvalidTemplate(
                f"No transform named {strange[0]} found: macros are not supported by the local "
                "engine."
            )
        if not named:
            return document
        declared = document.get("Parameters", {})
        values = {
            name: ",".join(value) if isinstance(value, list) else value
            for name, value in ((n, typed(declared[n], v)) for n, v in parameters.items())
        }
        process = self._take(region) or await _start(region)
        answer = await _ask(process, {"template": document, "parameters": values})
        if "error" in answer:
            raise InvalidTemplate(f"Transform {SERVERLESS} failed with: {answer['error']}")
        result: Document = answer["template"]
        return result

    async def stop(self) -> None:
        """End a process that still waits."""
        async with self._preparing:
            process = self._give_up()
        if process is not None:
            await process.communicate()

    def _give_up(self) -> Process | None:
        process = None if self._ahead is None else self._take(self._ahead.region)
        if process is not None:
            process.kill()
        return process

    def _take(self, region: str) -> Process | None:
        """The process that waits for a template of a region, where it still does."""
        ahead = self._ahead
        if ahead is None or ahead.region != region:
            return None
        self._ahead = None
        ahead.overdue.cancel()
        return ahead.process if ahead.process.returncode is None else None


@dataclass(frozen=True, slots=True)
class _Ahead:
    """A process that waits for its template, and what ends it when none comes."""

    process: Process
    region: str
    overdue: asyncio.TimerHandle


async def _start(region: str) -> Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *("-I", "-X", "utf8", str(_CHILD)),
        stdin=PIPE,
        stdout=PIPE,
        stderr=PIPE,
        env={"AWS_DEFAULT_REGION": region},
    )


async def _ask(process: Process, request: Mapping[str, Any]) -> dict[str, Any]:
    try:
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            out, err = await process.communicate(json.dumps(request).encode())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        last = err.decode(errors="replace").strip().rsplit("\n", 1)[-1]
        raise InvalidTemplate(f"Transform {SERVERLESS} failed: {last or 'no answer'}")
    answer: dict[str, Any] = json.loads(out)
    return answer
