import pytest

from socketstack.services.references import read_reference

ARN = "arn:aws:lambda:eu-west-1:000000000000:function:echo"


@pytest.mark.parametrize(
    ("text", "arn"),
    [
        ("echo", ARN),
        ("echo:live", f"{ARN}:live"),
        ("echo:$LATEST", f"{ARN}:$LATEST"),
        ("function:echo", ARN),
        ("000000000000:function:echo:7", f"{ARN}:7"),
        (ARN, ARN),
        (f"{ARN}:live", f"{ARN}:live"),
        (
            "arn:aws-cn:lambda:cn-north-1:111111111111:function:echo",
            "arn:aws-cn:lambda:cn-north-1:111111111111:function:echo",
        ),
    ],
)
def test_names_become_full_arns(text: str, arn: str) -> None:
    """Region and account fill in what a name leaves out."""
    reference = read_reference(text, region="eu-west-1", account_id="000000000000")

    assert reference is not None
    assert reference.arn == arn


@pytest.mark.parametrize(
    "text",
    ["", "a b", "echo:", "echo:a:b:c", f"{ARN}:", "arn:aws:s3:::bucket", "../echo", "x" * 65, "é"],
)
def test_what_names_no_function_is_none(text: str) -> None:
    """Other texts are not taken for names."""
    assert read_reference(text, region="eu-west-1", account_id="000000000000") is None
