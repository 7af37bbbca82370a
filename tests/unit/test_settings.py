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
