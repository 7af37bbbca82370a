"""UpdateApi, member by member. Rule 1.20."""

import pytest
from controlplane_bench import Bench

_MEMBERS = {
    "Name": "renamed",
    "Description": "what it is for",
    "Version": "2",
    "RouteSelectionExpression": "$request.body.kind",
    "ApiKeySelectionExpression": "$context.authorizer.usageIdentifierKey",
    "DisableSchemaValidation": True,
    "DisableExecuteApiEndpoint": True,
    "IpAddressType": "dualstack",
}


@pytest.mark.parametrize("member", _MEMBERS)
def test_update_changes_one_member_and_no_other(bench: Bench, api: str, member: str) -> None:
    """What is sent changes, reads back, and leaves every other member as it was."""
    before = bench.call("GetApi", ApiId=api)
    assert before.get(member) != _MEMBERS[member]

    changed = bench.call("UpdateApi", ApiId=api, **{member: _MEMBERS[member]})

    after = bench.call("GetApi", ApiId=api)
    assert changed == after
    assert after == {**before, member: _MEMBERS[member]}


def test_update_changes_all_members_at_once_and_back(bench: Bench, api: str) -> None:
    """One call may change everything, and the next one switches both switches off again."""
    bench.call("UpdateApi", ApiId=api, **_MEMBERS)
    together = bench.call("GetApi", ApiId=api)
    bench.call(
        "UpdateApi",
        ApiId=api,
        DisableSchemaValidation=False,
        DisableExecuteApiEndpoint=False,
        IpAddressType="ipv4",
    )

    after = bench.call("GetApi", ApiId=api)

    assert {name: together[name] for name in _MEMBERS} == _MEMBERS
    assert after["DisableExecuteApiEndpoint"] is False
    assert after["IpAddressType"] == "ipv4"
    assert not after.get("DisableSchemaValidation")
    assert after["Name"] == "renamed"
