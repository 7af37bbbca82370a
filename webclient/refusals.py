"""Why the local engine refused the newest handshake: what a browser hides from its page.

AWS has no such address; in front of it there is never an answer.
"""

import json
from typing import Any, Final
from urllib.parse import quote, urlencode

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import HTTPClientError
from botocore.httpsession import URLLib3Session

_TRACES: Final = "/_socketstack/traces"
_LOOKED_AT: Final = 20
_OK: Final = 200


class Refusals:
    """Reads the engine's decision traces. Blocking; use it in threads."""

    def __init__(self, endpoint_url: str, session: boto3.Session) -> None:
        self._endpoint_url = endpoint_url.rstrip("/")
        self._credentials = session.get_credentials()
        self._http = URLLib3Session(timeout=3)

    def newest(self, api_id: str, since_ms: int) -> dict[str, Any] | None:
        """The newest refused handshake of an API since a time, or None.

        It has ``status``, ``code``, ``means``, ``fix``, the trace's ``id`` and ``log``, the lines
        of the called functions. None too when the engine does not answer or keeps no traces.
        """
        query = urlencode({"refused": "true", "limit": _LOOKED_AT})
        listed = self._get(f"{_TRACES}?{query}") or {}
        for trace in listed.get("traces", ()):
            is_ours = trace["kind"] == "CONNECT" and trace.get("apiId", api_id) == api_id
            if is_ours and trace["time"] >= since_ms:
                whole = self._get(f"{_TRACES}/{quote(trace['id'], safe='')}") or trace
                return _shown(whole)
        return None

    def _get(self, path: str) -> dict[str, Any] | None:
        request = AWSRequest("GET", self._endpoint_url + path)
        # Under another name than localhost the engine takes signed calls only.
        if self._credentials is not None:
            SigV4Auth(self._credentials, "execute-api", "us-east-1").add_auth(request)
        try:
            answer = self._http.send(request.prepare())
            found = json.loads(answer.content) if answer.status_code == _OK else None
        except (HTTPClientError, ValueError):
            return None
        return found if isinstance(found, dict) else None


def _shown(trace: dict[str, Any]) -> dict[str, Any]:
    refusal = trace["refusal"]
    return {
        "id": trace["id"],
        "status": trace.get("status"),
        **{name: refusal[name] for name in ("code", "means", "fix")},
        "log": [step["summary"] for step in trace.get("steps", ()) if step["step"] == "log"],
    }
