"""Identifiers have AWS's shapes."""

import re

from socketstack.ids import RandomIds


def test_socket_ids_have_the_shape_of_rule_2_42() -> None:
    """Connection, request and message ids are 16 characters of URL-safe base64 ending in =."""
    ids = {RandomIds().socket_id() for _ in range(200)}

    assert len(ids) == 200
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{15}=", one) for one in ids)


def test_resource_ids_are_lower_case_letters_and_digits() -> None:
    """API and route ids have the asked length and alphabet."""
    assert re.fullmatch(r"[a-z0-9]{10}", RandomIds().resource_id(10))
    assert re.fullmatch(r"[0-9a-f-]{36}", RandomIds().uuid())


def test_no_id_comes_twice() -> None:
    """Ids stay unique over many draws from the system."""
    ids = RandomIds()

    drawn = [ids.socket_id() if number % 3 else ids.uuid() for number in range(5000)]

    assert len(set(drawn)) == len(drawn)
    assert all(one[14] == "4" for one in drawn if len(one) == 36)
