import json

from socketstack.services.managed_policies import PackedPolicies

RECORDS = {"A": {"Path": "/"}, "ABC": {"Path": "/x/", "Document": {"A": [1]}}}


def test_a_policy_is_found_by_its_whole_name() -> None:
    """One record is read without the others; names are not mixed up with members."""
    packed = PackedPolicies(json.dumps(RECORDS, indent=1))

    assert packed.named("ABC") == RECORDS["ABC"]
    assert packed.named("A") == RECORDS["A"]
    assert packed.named("AB") is None
    assert packed.named("Document") is None
    assert json.loads(packed.text()) == RECORDS
