"""The question that precedes every call of a function: may API Gateway call it?"""

from typing import Protocol

from socketstack.core.policy import PolicyDecision


class Permits(Protocol):
    """Answers from the function's resource policy."""

    def allows(self, function: str, source_arn: str) -> PolicyDecision:
        """Decide about ``function`` (ARN) on behalf of ``source_arn``. Rules 3.27, 5.33."""
        ...
