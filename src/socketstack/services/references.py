"""The ways to name a function: name, partial ARN, ARN, each with a version or alias or without."""

import re
from dataclasses import dataclass
from typing import Final

_REFERENCE: Final = re.compile(
    r"(arn:(?P<partition>aws[a-zA-Z-]*):lambda:)?((?P<region>[a-z]{2,4}(-[a-z]+)+-\d):)?"
    r"((?P<account>\d{12}):)?(function:)?(?P<name>[a-zA-Z0-9-_]{1,64})"
    r"(:(?P<qualifier>\$LATEST|[a-zA-Z0-9-_]{1,128}))?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionReference:
    """A function named in full; ``qualifier`` is a version, an alias, ``$LATEST`` or None."""

    region: str
    account_id: str
    name: str
    qualifier: str | None = None
    partition: str = "aws"

    @property
    def unqualified_arn(self) -> str:
        """The function's ARN without version or alias."""
        place = f"arn:{self.partition}:lambda:{self.region}:{self.account_id}"
        return f"{place}:function:{self.name}"

    @property
    def arn(self) -> str:
        """The ARN as it was asked for."""
        unqualified = self.unqualified_arn
        return f"{unqualified}:{self.qualifier}" if self.qualifier else unqualified


def read_reference(text: str, *, region: str, account_id: str) -> FunctionReference | None:
    """What ``text`` names; region and account fill in what it leaves out. None: no such form."""
    match = _REFERENCE.fullmatch(text)
    if match is None:
        return None
    return FunctionReference(
        region=match["region"] or region,
        account_id=match["account"] or account_id,
        name=match["name"],
        qualifier=match["qualifier"],
        partition=match["partition"] or "aws",
    )
