"""Why LocalStack refuses a licence, read from what it prints."""

import pytest

from socketstack.kit.licensed import licence_refusal

_NEW = """LocalStack version: 2026.3.1
Docker not available
Localstack returning with exit code 55. Reason:
===============================================
The license activation failed for the following reason:

The credentials provided are invalid. Please make sure to set LOCALSTACK_AUTH_TOKEN.

LocalStack requires an account to run.
"""
_OLD = """
===============================================
API key activation failed!

Could not get the key from the environment

Due to this error, Localstack has quit.
"""


@pytest.mark.parametrize(
    ("log", "code", "told"),
    [
        pytest.param(_NEW, 55, "The credentials provided are invalid.", id="new"),
        pytest.param(_OLD, 55, "Could not get the key from the environment.", id="old"),
        pytest.param("License activation failed!\n====\n", 55, "it does not say why.", id="mute"),
        pytest.param("Killed", 55, "it does not say why.", id="only-the-code"),
        pytest.param("Traceback: no memory", 1, "", id="another-reason"),
        pytest.param("", 0, "", id="nothing"),
    ],
)
def test_reason_of_a_refused_licence_is_one_sentence(log: str, code: int, told: str) -> None:
    """The first sentence after the heading; nothing where the licence is not the reason."""
    assert licence_refusal(log, code) == told
