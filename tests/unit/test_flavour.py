"""Which engine an environment has, and what is refused."""

import pytest

from socketstack.errors import ConfigError
from socketstack.flavour import Flavour, flavour

_NEW = (3, 13)


@pytest.mark.parametrize(
    ("installed", "expected"),
    [
        pytest.param({"moto"}, Flavour.EMBEDDED, id="engine"),
        pytest.param({"moto-ext", "localstack-core"}, Flavour.LOCALSTACK, id="localstack"),
        pytest.param({"localstack-core"}, Flavour.LOCALSTACK, id="localstack-alone"),
        pytest.param(set(), Flavour.EMBEDDED, id="library-only"),
    ],
)
def test_installed_packages_tell_the_engine(installed: set[str], expected: Flavour) -> None:
    """LocalStack's packages mean LocalStack, moto means our own engine."""
    assert flavour(lambda: iter(installed), _NEW) is expected


@pytest.mark.parametrize("other", ["moto-ext", "localstack-core"])
def test_both_extras_in_one_environment_are_refused(other: str) -> None:
    """Two packages that install the same moto are named, with the way out."""
    with pytest.raises(ConfigError, match="exclude each other") as refusal:
        flavour(lambda: iter(["moto", other]), _NEW)

    assert f"{other}" in str(refusal.value)
    assert "socketstack[localstack]" in str(refusal.value)


def test_older_python_for_localstack_is_refused() -> None:
    """On 3.12 every service of LocalStack would fail, so nothing is started."""
    with pytest.raises(ConfigError, match=r"needs Python 3\.13 or newer, and this is 3\.12"):
        flavour(lambda: iter(["localstack-core"]), (3, 12))


def test_this_environment_has_one_engine() -> None:
    """The extras are not both installed here."""
    assert flavour() in Flavour
