"""What a check says: one finding, with its cause and its cure."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

ERRORS_PAGE: Final = "docs/errors.md"


class Severity(StrEnum):
    """How bad a finding is; errors, and what is not known, make ``doctor`` fail."""

    ERROR = "error"
    UNKNOWN = "unknown"
    WARNING = "warning"
    NOTE = "note"
    OK = "ok"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong, or was looked at and is right."""

    check: str
    """Names the check, and its section in ``docs/errors.md``."""
    severity: Severity
    what: str
    why: str = ""
    fix: str = ""

    @property
    def link(self) -> str:
        """Where more is said about it."""
        return f"{ERRORS_PAGE}#{self.check}"

    def as_json(self) -> dict[str, str]:
        """For machines."""
        return {
            "check": self.check,
            "severity": str(self.severity),
            "what": self.what,
            "why": self.why,
            "fix": self.fix,
            "link": self.link,
        }


def error(check: str, what: str, why: str, fix: str) -> Finding:
    """Something that does not work, or lets in who must stay out."""
    return Finding(check=check, severity=Severity.ERROR, what=what, why=why, fix=fix)


def unknown(check: str, what: str, why: str, fix: str) -> Finding:
    """Something that nobody can tell from what was read, and that may be wrong."""
    return Finding(check=check, severity=Severity.UNKNOWN, what=what, why=why, fix=fix)


def warning(check: str, what: str, why: str, fix: str) -> Finding:
    """Something that often turns out to be a mistake."""
    return Finding(check=check, severity=Severity.WARNING, what=what, why=why, fix=fix)


def note(check: str, what: str, why: str = "") -> Finding:
    """Something to know."""
    return Finding(check=check, severity=Severity.NOTE, what=what, why=why)


def ok(check: str, what: str) -> Finding:
    """Something that was looked at and is right."""
    return Finding(check=check, severity=Severity.OK, what=what)
