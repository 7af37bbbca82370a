"""Who calls the control plane."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Caller:
    """Account and region of a call; resources of other regions do not exist for it."""

    account_id: str
    region: str
