import asyncio
import json
import os
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from runner_world import STARTS, World, package, runner_world, this_python

ENGINE_ONLY = [
    "aiohttp",
    "moto",
    "samtranslator",
    "rich",
    "pytest",
    "socketstack",
    "debugpy",
    "pip",
    "warm",
]
RUNTIME = [
    "awslambdaric",
    "boto3",
    "botocore",
    "s3transfer",
    "jmespath",
    "dateutil",
    "six",
    "urllib3",
    "ssl",
    "sqlite3",
]


@pytest.fixture(params=STARTS)
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    """A runner with an engine at a fixed address."""
    async with runner_world(tmp_path, start=request.param) as world:
        yield world


@pytest.mark.parametrize("module", ENGINE_ONLY)
async def test_what_the_engine_has_installed_cannot_be_imported(world: World, module: str) -> None:
    """A library that the function does not bundle fails here as it fails on AWS."""
    world.add(f"import {module}\ndef handle(event, context):\n    return 'imported'\n")

    result = await world.invoke()

    error = json.loads(result.payload)
    assert error["errorType"] == "Runtime.ImportModuleError"
    assert f"No module named '{module}'" in error["errorMessage"]


@pytest.mark.parametrize("module", RUNTIME)
async def test_what_the_runtime_brings_can_be_imported(world: World, module: str) -> None:
    """The standard library, awslambdaric and boto3 with what it needs are there."""
    world.add(f"import {module}\ndef handle(event, context):\n    return {module}.__name__\n")

    assert await world.call() == module


async def test_boto3_calls_lead_to_the_engine(world: World) -> None:
    """A boto3 client without any settings speaks to the engine, in the function's region."""
    world.add(
        """
        import boto3
        def handle(event, context):
            client = boto3.client("dynamodb")
            return [client.meta.endpoint_url, client.meta.region_name]
        """,
        region="eu-central-1",
    )

    assert await world.call() == ["http://localhost:4566", "eu-central-1"]


async def test_bundled_library_wins_over_the_runtimes(world: World) -> None:
    """A boto3 in the function's own package is the one that it gets."""
    world.add(
        {
            "handler.py": "import boto3\ndef handle(event, context):\n    return boto3.MARK\n",
            "boto3/__init__.py": "MARK = 'bundled'",
        }
    )

    assert await world.call() == "bundled"


READ_MARK = "import library\ndef handle(event, context):\n    return library.MARK\n"


@pytest.mark.parametrize(
    ("own", "layers", "mark"),
    [
        pytest.param({}, [{"python/library.py": "MARK = 'layer'"}], "layer", id="layer"),
        pytest.param(
            {},
            [{f"python/lib/{this_python()}/site-packages/library.py": "MARK = 'site'"}],
            "site",
            id="site-packages",
        ),
        pytest.param(
            {},
            [
                {"python/library.py": "MARK = 'plain'"},
                {f"python/lib/{this_python()}/site-packages/library.py": "MARK = 'site'"},
            ],
            "site",
            id="site-packages-first",
        ),
        pytest.param(
            {},
            [{"python/library.py": "MARK = 'early'"}, {"python/library.py": "MARK = 'late'"}],
            "late",
            id="later-layer-wins",
        ),
        pytest.param(
            {"library.py": "MARK = 'own'"},
            [{"python/library.py": "MARK = 'layer'"}],
            "own",
            id="package-wins",
        ),
        pytest.param(
            {"extra.pth": "vendored\n", "vendored/library.py": "MARK = 'pth'"}, [], "pth", id="pth"
        ),
    ],
)
async def test_imports_are_found_in_aws_order(
    world: World, own: dict[str, str], layers: list[dict[str, str]], mark: str
) -> None:
    """The package comes first, then the layers, later ones over earlier ones."""
    world.add({"handler.py": READ_MARK, **own}, layers=tuple(package(layer) for layer in layers))

    assert await world.call() == mark


async def test_layer_wins_over_the_runtime(world: World) -> None:
    """A boto3 in a layer is preferred to the runtime's."""
    world.add(
        "import boto3\ndef handle(event, context):\n    return boto3.MARK\n",
        layers=(package({"python/boto3/__init__.py": "MARK = 'layer'"}),),
    )

    assert await world.call() == "layer"


async def test_import_path_is_that_of_aws(world: World) -> None:
    """The import path names package, layers, runtime, standard library, and nothing else."""
    world.add("import sys\ndef handle(event, context):\n    return sys.path\n")

    paths = await world.call()

    functions = world.workdir / "functions"
    assert Path(paths[0]).parent == functions / "code"
    assert [Path(path).relative_to(functions).parts[-2:] for path in paths[1:3]] == [
        (this_python(), "site-packages"),
        (Path(paths[2]).parent.name, "python"),
    ]
    assert paths[3] == str(functions / "runtime")
    assert all(Path(path).is_relative_to(sys.base_prefix) for path in paths[4:])
    assert not any("site-packages" in path for path in paths[4:])


async def test_pythonpath_of_the_function_is_honoured(world: World) -> None:
    """A PYTHONPATH written for AWS's folders leads to the same places here."""
    world.add(
        {"handler.py": READ_MARK, "src/library.py": "MARK = 'src'"},
        environment={"PYTHONPATH": "/var/task/src:/opt/python"},
    )

    assert await world.call() == "src"


async def test_environment_holds_what_aws_sets_and_nothing_else(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A function sees AWS's variables and its own, and none of the engine's."""
    monkeypatch.setenv("SECRET_OF_THE_ENGINE", "hidden")
    monkeypatch.setenv("AWS_PROFILE", "production")
    world.add(
        "import os\ndef handle(event, context):\n    return dict(os.environ)\n",
        environment={"COLOUR": "red", "AWS_REGION": "mars-north-1"},
    )

    environment = await world.call()

    assert sorted(environment) == [
        "AWS_ACCESS_KEY_ID",
        "AWS_DEFAULT_REGION",
        "AWS_ENDPOINT_URL",
        "AWS_EXECUTION_ENV",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
        "AWS_LAMBDA_FUNCTION_NAME",
        "AWS_LAMBDA_FUNCTION_VERSION",
        "AWS_LAMBDA_INITIALIZATION_TYPE",
        "AWS_LAMBDA_LOG_GROUP_NAME",
        "AWS_LAMBDA_LOG_STREAM_NAME",
        "AWS_REGION",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_XRAY_CONTEXT_MISSING",
        "COLOUR",
        "HOME",
        "LAMBDA_RUNTIME_DIR",
        "LAMBDA_TASK_ROOT",
        "LANG",
        "LD_LIBRARY_PATH",
        "PATH",
        "PYTHONPATH",
        "TZ",
        "_HANDLER",
    ]
    assert environment["COLOUR"] == "red"
    assert environment["AWS_REGION"] == "us-east-1"
    assert environment["PYTHONPATH"] == environment["LAMBDA_RUNTIME_DIR"]


async def test_process_stands_where_a_lambda_process_stands(world: World) -> None:
    """Working folder, clock zone, text encoding, input and arguments are those of AWS."""
    world.add(
        """
        import locale, os, sys, time
        def handle(event, context):
            return {
                "is_in_task": os.getcwd() == os.environ["LAMBDA_TASK_ROOT"],
                "zone": time.tzname[0],
                "encoding": [sys.stdout.encoding, locale.getpreferredencoding(False)],
                "input": sys.stdin.read(),
                "arguments": len(sys.argv),
            }
        """
    )

    told = await world.call()

    assert told == {
        "is_in_task": True,
        "zone": "UTC",
        "encoding": ["utf-8", "utf-8"],
        "input": "",
        "arguments": 1,
    }


async def test_python_started_by_a_function_is_as_isolated(world: World) -> None:
    """A Python that a function starts has the runtime's libraries, and not the engine's."""
    world.add(
        """
        import subprocess, sys
        def handle(event, context):
            script = f"import {event}; print({event}.__name__)"
            done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
            return done.stdout.strip() or done.stderr.strip().splitlines()[-1]
        """
    )

    assert await world.call("boto3") == "boto3"
    assert await world.call("aiohttp") == "ModuleNotFoundError: No module named 'aiohttp'"
    assert await world.call("pip") == "ModuleNotFoundError: No module named 'pip'"


async def test_channel_does_not_reach_what_a_function_starts(world: World) -> None:
    """A subprocess inherits input and output from the function, and nothing more."""
    world.add(
        """
        import subprocess
        def handle(event, context):
            listing = ["/bin/ls", "/proc/self/fd"]
            done = subprocess.run(listing, capture_output=True, text=True, close_fds=False)
            return done.stdout.split()
        """
    )

    descriptors = await world.call()

    # The fourth is the one that reads the listing.
    assert descriptors == ["0", "1", "2", "3"]


async def test_fork_of_a_function_cannot_answer_for_it(world: World) -> None:
    """When a fork comes back from the handler too, the answer is still the parent's."""
    world.add(
        """
        import os
        def handle(event, context):
            child = os.fork()
            if child == 0:
                return "forged"
            os.waitpid(child, 0)
            return "real"
        """
    )

    assert [await world.call() for _ in range(3)] == ["real", "real", "real"]


async def test_multiprocessing_works(world: World) -> None:
    """A function may use processes of its own, as on AWS."""
    world.add(
        """
        import multiprocessing
        def work(pipe):
            pipe.send("from the child")
            pipe.close()
        def handle(event, context):
            ours, theirs = multiprocessing.Pipe()
            child = multiprocessing.get_context("fork").Process(target=work, args=(theirs,))
            child.start()
            answer = ours.recv()
            child.join()
            return answer
        """
    )

    assert await world.call() == "from the child"


async def test_names_of_managed_apis_lead_to_the_engine(tmp_path: Path) -> None:
    """Hosts of execute-api lead to the engine on any port, ``*.localhost`` to its own port."""
    hits: list[str] = []

    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        hits.append("hit")
        writer.write(b"engine")
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with (
        server,
        runner_world(tmp_path, endpoint=f"http://localhost:{port}") as world,
    ):
        world.add(
            """
            import socket
            def handle(event, context):
                with socket.create_connection(tuple(event), timeout=5) as connection:
                    return connection.recv(100).decode()
            """
        )

        answers = [
            await world.call(["a1b2c3.execute-api.us-east-1.amazonaws.com", 443]),
            await world.call(["A1B2C3.execute-api.cn-north-1.amazonaws.com.cn", 80]),
            await world.call(["a1b2c3.execute-api.localhost", port]),
        ]

    assert answers == ["engine"] * 3
    assert len(hits) == 3


@pytest.mark.parametrize(
    "host",
    [
        "execute-api.us-east-1.amazonaws.com.invalid",
        "a.execute-api.us-east-1.amazonaws.com.evil.invalid",
        "execute-api-us-east-1-amazonaws-com.invalid",
    ],
)
async def test_other_names_are_left_alone(world: World, host: str) -> None:
    """Names that only look like a managed API's are not led to the engine."""
    world.add(
        """
        import socket
        def handle(event, context):
            try:
                return socket.getaddrinfo(event, 443)[0][4][0]
            except socket.gaierror:
                return "unknown"
        """
    )

    assert await world.call(host) == "unknown"


async def test_certificate_bundle_is_trusted_everywhere(tmp_path: Path) -> None:
    """All variables by which libraries find certificate authorities name the given bundle."""
    bundle = tmp_path / "bundle.pem"
    async with runner_world(tmp_path, ca_bundle=lambda: bundle) as world:
        world.add("import os\ndef handle(event, context):\n    return dict(os.environ)\n")

        environment = await world.call()

    names = ["AWS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"]
    assert [environment[name] for name in names] == [str(bundle)] * 4


async def test_program_in_a_layer_can_be_run(world: World) -> None:
    """A layer's programs keep their mode and are found by name."""
    import io
    import zipfile

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        entry = zipfile.ZipInfo("bin/tool")
        entry.external_attr = 0o100755 << 16
        archive.writestr(entry, "#!/bin/sh\necho from the layer\n")
    layer = package({})
    content = buffer.getvalue()
    world.add(
        """
        import subprocess
        def handle(event, context):
            return subprocess.check_output(["tool"], text=True).strip()
        """,
        layers=(type(layer)(digest="tool", read=lambda: content),),
    )

    assert await world.call() == "from the layer"


async def test_engines_sockets_do_not_reach_functions(world: World) -> None:
    """A function process holds its input, output, channel, and nothing of the engine's."""
    world.add("import os\ndef handle(event, context):\n    return os.listdir('/proc/self/fd')\n")
    with socket.create_server(("127.0.0.1", 0)) as server:
        os.set_inheritable(server.fileno(), True)  # noqa: FBT003 - takes no keyword

        descriptors = await world.call()

    # Standard streams, the channel, and the one that reads the listing.
    assert len(descriptors) == 5
