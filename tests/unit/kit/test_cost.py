"""The estimate of a month: its arithmetic, and what it refuses."""

import json
import re
from pathlib import Path

import pytest
import yaml

from socketstack.cli import main
from socketstack.errors import ConfigError
from socketstack.kit.cost import PRICES, Usage, estimate

_TEMPLATE = Path(__file__).parents[3] / "infra" / "template.yaml"
_SILENT = Usage(messages_per_minute=0, pushes_per_minute=0)


def _sum(usage: Usage, what: str) -> float:
    (found,) = [line.sum for line in estimate(usage).lines if what in line.what]
    return found


def test_ten_thousand_sockets_all_month_cost_what_their_minutes_cost() -> None:
    """10,000 x 43,800 minutes at a quarter of a dollar for a million."""
    usage = Usage(connections=10_000, messages_per_minute=0, pushes_per_minute=0)

    assert _sum(usage, "connection minutes") == pytest.approx(109.5)


@pytest.mark.parametrize(
    ("message_kb", "steps"),
    [(0, 1), (1, 1), (32, 1), (32.1, 2), (64, 2), (128, 4)],
)
def test_messages_are_metered_in_steps_of_32_kb(message_kb: float, steps: int) -> None:
    """In, answer and push are three messages each minute, as many times as they have steps."""
    usage = Usage(connections=1, message_kb=message_kb)

    assert _sum(usage, "messages in steps") == pytest.approx(3 * 43_800 * steps / 1e6)


def test_sessions_call_three_functions_and_messages_one() -> None:
    """Half an hour each: twice as many sessions as hours."""
    usage = Usage(connections=60, session_minutes=30, messages_per_minute=2)
    sessions, messages = 60 * 43_800 / 30, 60 * 43_800 * 2

    assert _sum(usage, "Lambda, calls") == pytest.approx((3 * sessions + messages) * 0.2 / 1e6)
    assert _sum(usage, "GB seconds") == pytest.approx(
        (3 * sessions + messages) * 0.020 * 0.25 * 13.3334 / 1e6
    )


def test_traces_cost_their_share_of_the_calls() -> None:
    """Five dollars for a million; none are recorded unless somebody says so."""
    usage = Usage(connections=1, session_minutes=60, messages_per_minute=1, traced_percent=5)
    calls = 3 * 43_800 / 60 + 43_800

    assert _sum(usage, "X-Ray") == pytest.approx(calls * 0.05 * 5 / 1e6)
    assert _sum(Usage(), "X-Ray") == 0


def test_every_price_has_a_page_and_its_date() -> None:
    """Nobody has to guess where a figure comes from."""
    listed = json.loads(PRICES.read_text())

    for name, one in listed["prices"].items():
        assert one["source"].startswith("https://"), name
        assert re.fullmatch(r"20\d\d-\d\d-\d\d", one["seen"]), name
        assert one["seen"] <= listed["as_of"], name
        assert one["price"] > 0, name


def test_sum_is_that_of_the_lines_and_x86_costs_more() -> None:
    """The architecture chooses its own price."""
    arm, x86 = estimate(Usage()), estimate(Usage(architecture="x86_64"))

    assert arm.sum == pytest.approx(sum(line.sum for line in arm.lines))
    assert x86.sum > arm.sum


def test_nothing_but_alarms_and_the_secret_costs_when_nobody_comes() -> None:
    """An idle stack has no other price, and the alarms are as many as the template's."""
    text = re.sub(r"!\w+", "", _TEMPLATE.read_text())
    resources = yaml.safe_load(text)["Resources"].values()
    types = [one["Type"] for one in resources if "Condition" not in one]
    idle = estimate(Usage(connections=0))

    assert {line.what: line.amount for line in idle.lines if line.sum} == {
        "CloudWatch, alarms": types.count("AWS::CloudWatch::Alarm"),
        "Secrets Manager, secrets": types.count("AWS::SecretsManager::Secret"),
    }


def test_sweeps_cost_calls_reads_writes_and_alarms() -> None:
    """Sessions with an end have a function each minute, an index, and alarms of the template."""
    text = re.sub(r"!\w+", "", _TEMPLATE.read_text())
    alarms = [
        one
        for one in yaml.safe_load(text)["Resources"].values()
        if one["Type"] == "AWS::CloudWatch::Alarm"
    ]
    usage = Usage(connections=60, messages_per_minute=0, pushes_per_minute=0, sweeps_per_minute=1)
    amounts = {line.what: line.amount for line in estimate(usage).lines}

    assert amounts["Lambda, calls"] == 43_800 * 3 + 43_800
    assert amounts["DynamoDB, writes of a row and its indexes"] == 43_800 * 6
    assert amounts["DynamoDB, reads to find connections"] == 43_800 * 8 * 0.5
    assert amounts["CloudWatch, alarms"] == len(alarms)


@pytest.mark.parametrize(
    ("usage", "told"),
    [
        pytest.param(Usage(connections=-1), "connections is -1", id="negative"),
        pytest.param(Usage(message_kb=float("nan")), "message_kb is nan", id="no-number"),
        pytest.param(Usage(connections=float("inf")), "connections is inf", id="without-end"),
        pytest.param(Usage(session_minutes=0), "more than 0", id="no-session"),
        pytest.param(Usage(session_minutes=121), "closes a connection after 120", id="too-long"),
        pytest.param(Usage(message_kb=129), "takes 128 KB at most", id="too-large"),
        pytest.param(Usage(traced_percent=101), "traced_percent is 101", id="more-than-all"),
        pytest.param(Usage(architecture="mips"), "arm64 or x86_64", id="architecture"),
    ],
)
def test_usage_that_cannot_be_is_refused(usage: Usage, told: str) -> None:
    """The figure is named, and no sum comes of it."""
    with pytest.raises(ConfigError, match=told):
        estimate(usage)


@pytest.mark.parametrize("text", ["{}", "not json", '{"prices": {}}', "[]"])
def test_broken_price_list_is_named(tmp_path: Path, text: str) -> None:
    """A price that is missing is not taken for nothing."""
    broken = tmp_path / "prices.json"
    broken.write_text(text)

    with pytest.raises(ConfigError, match=f"price list {re.escape(str(broken))} cannot be read"):
        estimate(_SILENT, broken)


def test_command_prints_arithmetic_prices_date_and_sum(capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever reads it can check every figure."""
    code = main(["cost", "--connections=10000", "--messages-per-minute=0"])

    printed = capsys.readouterr().out
    assert code == 0
    assert "10,000 connections x 43,800 minutes = 438,000,000.0, at $0.25 / 1,000,000" in printed
    listed = json.loads(PRICES.read_text())
    assert listed["as_of"] in printed
    minutes = listed["prices"]["connection_minutes"]
    assert f"    {minutes['source']} ({minutes['seen']}): {minutes['what']}; " in printed
    assert re.search(r"^a month +[\d,]+\.\d\d USD$", printed, re.MULTILINE)


def test_command_refuses_with_the_users_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is printed but the reason."""
    assert main(["cost", "--session-minutes=500"]) == 2

    told = capsys.readouterr()
    assert told.out == ""
    assert "session_minutes is 500" in told.err
