"""The SAM transform: ``AWS::Serverless-2016-10-31`` becomes plain CloudFormation, offline."""

import asyncio
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from socketstack.services.cfn.errors import InvalidTemplate
from socketstack.services.cfn.parameters import typed
from socketstack.services.cfn.template import SERVERLESS, Document, transforms

_CHILD: Final = Path(__file__).with_name("sam_child.py")
_TIMEOUT_SECONDS: Final = 120


async def processed(document: Document, parameters: Mapping[str, str], region: str) -> Document:
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
            f"No transform named {strange[0]} found: macros are not supported by the local engine."
        )
    if not named:
        return document
    declared = document.get("Parameters", {})
    values = {
        name: ",".join(value) if isinstance(value, list) else value
        for name, value in ((n, typed(declared[n], v)) for n, v in parameters.items())
    }
    answer = await _ask({"template": document, "parameters": values}, region)
    if "error" in answer:
        raise InvalidTemplate(f"Transform {SERVERLESS} failed with: {answer['error']}")
    result: Document = answer["template"]
    return result


async def _ask(request: Mapping[str, Any], region: str) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-I", "-X", "utf8", str(_CHILD)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={"AWS_DEFAULT_REGION": region},
    )
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
