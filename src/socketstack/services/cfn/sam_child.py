"""The SAM transform as a short-lived process: a template in on stdin, the result out on stdout.

``aws-sam-translator`` costs 0.4 s and some 45 MB with what it imports, for a few milliseconds of
work once per deployment; a process gives all of it back, and the event loop does not wait. It is
run by its path with ``python -I``, imports nothing of this package, and loads the translator
before it reads: it may be started ahead.

In: ``{"template": …, "parameters": {…}}``. Out: ``{"template": …}`` or ``{"error": "…"}``.
"""

import gc
import json
import logging
import sys
from typing import Any

gc.disable()  # the process ends before garbage matters

from samtranslator.model.exceptions import InvalidDocumentException  # noqa: E402
from samtranslator.translator.transform import transform as translate  # noqa: E402


class NoLoader:
    """Names of managed policies come from the list that the translator ships."""

    def load(self) -> dict[str, str]:
        """No further names."""
        return {}


def transform(template: dict[str, Any], parameters: dict[str, Any]) -> dict[str, Any]:
    """The answer for one template."""
    try:
        return {"template": translate(template, parameters, NoLoader())}
    except InvalidDocumentException as error:
        causes = " ".join(cause.message for cause in error.causes)
        return {"error": f"{error.message} {causes}"}


def main() -> None:
    """Answer one request."""
    logging.disable(logging.CRITICAL)  # the translator logs the causes that are answered
    request = json.load(sys.stdin)
    json.dump(transform(request["template"], request["parameters"]), sys.stdout)


if __name__ == "__main__":
    main()
