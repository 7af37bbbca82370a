"""What a fresh process imports and holds: each test looks at one that it starts."""

import json
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).parents[2] / "src"
NEEDED = "iam sts s3 dynamodb logs ssm secretsmanager sqs sns awslambda cloudformation cloudwatch"
MEMORY_MAX_MB = 100

_PREAMBLE = """
    import json, sys
    from pathlib import Path
    from socketstack.services import sparse_imports
    from socketstack.services.sparse_imports import Deferred, Placeholder, load_service

    def real():
        return sorted(
            {
                name.split(".")[1]
                for name, module in sys.modules.items()
                if name.startswith("moto.") and name.endswith(".models")
                and name.count(".") == 2 and not isinstance(module, Placeholder)
            }
        )

    def tell(**facts):
        print(json.dumps(facts))
"""


def _run(code: str) -> Any:
    """Run code in a process of its own, which prints one line of JSON."""
    text = textwrap.dedent(_PREAMBLE) + textwrap.dedent(code)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", text],
        env={"PYTHONPATH": str(SOURCE), "PATH": ""},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_nothing_of_moto_is_imported_before_a_call() -> None:
    """An engine that gets no AWS call never loads moto, not even to route."""
    facts = _run("""
        import asyncio
        from socketstack.services.functions import MotoFunctions
        from socketstack.services.http import AwsRequest
        from socketstack.services.moto_app import MotoApp
        from socketstack.services.targets import locate
        from socketstack.errors import FunctionNotFound
        app = MotoApp(account_id="000000000000", region="us-east-1")
        try:
            MotoFunctions(app).find("nobody")
        except FunctionNotFound:
            pass
        locate(AwsRequest(method="GET", host="localhost", path="/bucket"))
        asyncio.run(app.stop())
        tell(moto=[name for name in sys.modules if name.split(".")[0] == "moto"])
    """)

    assert facts["moto"] == []


def test_the_needed_services_fit_and_leave_the_large_ones_out() -> None:
    """All that the example needs stays below the limit, without the large services."""
    facts = _run(f"""
        import importlib
        import aiohttp.web, botocore.session
        for name in {NEEDED!r}.split():
            load_service(name)
            importlib.import_module(f"moto.{{name}}.responses")
        status = Path("/proc/self/status").read_text()
        rss = int(status.partition("VmRSS:")[2].split()[0]) // 1024
        heavy = [name for name in ("docker", "openapi_spec_validator", "pydantic", "sympy")
                 if name in sys.modules]
        tell(rss=rss, large=sorted(sparse_imports.LARGE_SERVICES & set(real())), heavy=heavy)
    """)

    assert facts["large"] == []
    assert facts["heavy"] == []
    assert facts["rss"] < MEMORY_MAX_MB


def test_templates_can_have_types_of_large_services() -> None:
    """A type that nobody asked for before is found when a template has it."""
    facts = _run("""
        load_service("cloudformation")
        from moto.cloudformation import parsing
        few = len(parsing.get_model_list())
        found = [
            parsing.resource_class_from_type(name).__module__
            for name in ("AWS::S3::Bucket", "AWS::Route53::HostedZone", "AWS::EC2::VPC")
        ]
        name = parsing.resource_name_property_from_type("AWS::ECR::Repository")
        from moto.ec2.models.core import TaggedEC2Resource
        from moto.ec2 import ec2_backends
        vpc = ec2_backends["000000000000"]["us-east-1"].create_vpc("10.0.0.0/16")
        tell(few=few, many=len(parsing.get_model_list()), found=found, name=name,
             is_tagged=isinstance(vpc, parsing.TaggedEC2Resource),
             is_other=isinstance(3, parsing.TaggedEC2Resource),
             same=parsing.ec2_models.ec2_backends is ec2_backends, real=real())
    """)

    assert facts["found"] == [
        "moto.s3.models",
        "moto.route53.models",
        "moto.ec2.models.vpcs",
    ]
    assert facts["name"] == "RepositoryName"
    assert facts["few"] < facts["many"]
    assert (facts["is_tagged"], facts["is_other"], facts["same"]) == (True, False, True)
    assert "rds" not in facts["real"]


def test_a_placeholder_becomes_real_by_use() -> None:
    """What another service holds of a large one works on first use, in every way of using it."""
    facts = _run("""
        load_service("ssm")
        import moto.ssm.models as ssm
        import moto.ec2
        held = ssm.ec2_backends
        before = "ec2" in real()
        is_held = isinstance(held, Deferred)
        region = held["000000000000"]["us-east-1"].region_name
        contains = "000000000000" in held
        names = list(held)
        from moto.ec2 import ec2_backends
        tell(before=before, is_held=is_held, region=region, contains=contains, names=names,
             length=len(held), after="ec2" in real(),
             is_real=not isinstance(ec2_backends, Deferred))
    """)

    assert (facts["before"], facts["is_held"]) == (False, True)
    assert (facts["region"], facts["contains"]) == ("us-east-1", True)
    assert (facts["names"], facts["length"]) == (["000000000000"], 1)
    assert (facts["after"], facts["is_real"]) == (True, True)


def test_classes_can_derive_from_what_a_placeholder_gives() -> None:
    """Deriving from a held class derives from the real one."""
    facts = _run("""
        load_service("cloudformation")
        from moto.cloudformation import parsing

        class Own(parsing.TaggedEC2Resource):
            __module__ = "moto.own.models"  # moto keeps its models by service

        from moto.ec2.models.core import TaggedEC2Resource
        tell(derives=issubclass(Own, TaggedEC2Resource))
    """)

    assert facts["derives"] is True


def test_what_was_imported_before_stays_real() -> None:
    """A service that something else imported first is not hidden behind a placeholder."""
    facts = _run("""
        import moto.ecr.models as before
        load_service("awslambda")
        import moto.awslambda.models as models
        tell(same=models.ecr_backends is before.ecr_backends)
    """)

    assert facts["same"] is True


def test_a_service_that_does_not_exist_is_not_found() -> None:
    """An unknown name is an import error, not an empty service."""
    facts = _run("""
        try:
            load_service("nothing")
        except ModuleNotFoundError as missing:
            tell(name=missing.name)
    """)

    assert facts["name"] == "moto.nothing"


def test_every_large_service_can_be_imported() -> None:
    """All of them load beside the needed ones, one after the other."""
    facts = _run("""
        load_service("cloudformation")
        for name in sorted(sparse_imports.LARGE_SERVICES):
            load_service(name)
        from moto.cloudformation import parsing
        tell(missing=sorted(sparse_imports.LARGE_SERVICES - set(real())),
             vpc=parsing.get_model_map()["AWS::EC2::VPC"].__name__)
    """)

    assert facts["missing"] == []
    assert facts["vpc"] == "VPC"
