"""Settings come from SOCKETSTACK_* variables, and bad ones are named."""

import pytest

from socketstack.errors import ConfigError
from socketstack.settings import Settings, from_environment


def test_empty_environment_gives_the_documented_defaults() -> None:
    """Without variables the engine listens on loopback, port 4566."""
    assert from_environment({}) == Settings()


def test_variables_and_overrides_are_taken_in_that_order() -> None:
    """A command line option wins over the variable; None leaves the variable alone."""
    environ = {"SOCKETSTACK_PORT": "4600", "SOCKETSTACK_MAX_PROCESSES": "3", "DEBUG": "1"}

    settings = from_environment(environ, port=0, host=None)

    assert settings.port == 0
    assert settings.host == "127.0.0.1"
    assert settings.max_processes == 3
    assert settings.is_debugging


@pytest.mark.parametrize("text", ["abc", "-1", "65536", "4566.0"])
def test_bad_port_is_refused_by_name(text: str) -> None:
    """The message says which variable, what it holds and what it may hold."""
    with pytest.raises(ConfigError, match=r"SOCKETSTACK_PORT is .* from 0 to 65535"):
        from_environment({"SOCKETSTACK_PORT": text})


@pytest.mark.parametrize(
    ("text", "is_enforced"),
    [("", False), ("off", False), ("enforce", True), ("Enforce", True)],
)
def test_iam_is_enforced_when_asked_for(text: str, *, is_enforced: bool) -> None:
    """Permissions are enforced by name; leaving the variable empty leaves them out."""
    assert from_environment({"SOCKETSTACK_IAM": text}).is_iam_enforced is is_enforced


def test_other_words_about_iam_are_refused() -> None:
    """Whoever meant to enforce must not run without, because of a misspelt word."""
    with pytest.raises(ConfigError, match="SOCKETSTACK_IAM is 'enforced'"):
        from_environment({"SOCKETSTACK_IAM": "enforced"})


@pytest.mark.parametrize("name", ["account", "connection"])
@pytest.mark.parametrize(
    ("text", "limit"),
    [
        pytest.param("2500/1250", (2500.0, 1250), id="rate-and-burst"),
        pytest.param("800", (800.0, 800), id="one-for-both"),
        pytest.param("OFF", None, id="off"),
    ],
)
def test_account_limits_can_be_set(name: str, text: str, limit: tuple[float, int] | None) -> None:
    """Rate and burst, one figure for both, or no limit at all."""
    settings = from_environment({f"SOCKETSTACK_{name.upper()}_THROTTLE": text})

    assert getattr(settings, f"{name}_throttle") == limit


@pytest.mark.parametrize("text", ["0", "10/0", "-5", "1.5", "many", "10/20/30", "/5"])
def test_bad_account_limit_is_refused_by_name(text: str) -> None:
    """A misspelt limit starts no engine without one."""
    with pytest.raises(ConfigError, match=r"SOCKETSTACK_ACCOUNT_THROTTLE is .*or to off"):
        from_environment({"SOCKETSTACK_ACCOUNT_THROTTLE": text})
