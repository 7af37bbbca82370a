"""The mapping worker: a process whose limits hold, and an engine that lives on without it."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from socketstack.core.jsontext import MISSING
from socketstack.mapping import jobs, worker
from socketstack.mapping.mapper import WORKERS_MAX, Failed, TemplateInput, WorkerMapper

GIVEN = TemplateInput(
    context={"connectionId": "c1", "list": [1]},
    variables={"env": "dev"},
    parameters={"path": {}, "querystring": {"t": "q"}, "header": {"H": "h"}},
)


@pytest.fixture
async def mapper() -> AsyncIterator[WorkerMapper]:
    """A mapper without a worker yet."""
    mapper = WorkerMapper()
    yield mapper
    await mapper.stop()


def children() -> set[int]:
    """Processes that this one started and that still run."""
    return {
        int(pid)
        for path in Path("/proc/self/task").glob("*/children")
        for pid in path.read_text().split()
    }


async def test_template_is_rendered_in_another_process(mapper: WorkerMapper) -> None:
    """A job has all that a template may read; the worker starts with the first one."""
    before = children()
    template = "$input.json('$.a') $context.connectionId $context.list $stageVariables.env "
    template += "$input.params('t') $input.params('h') $util.urlEncode('a b')"

    got = await mapper.render(template, '{"a": {"b": 1}}', GIVEN)

    assert got == '{"b":1} c1 [1] dev q h a+b'
    assert len(children() - before) == 1


async def test_paths_and_patterns_are_followed(mapper: WorkerMapper) -> None:
    """JSONPath and regular expressions are the worker's as well."""
    assert await mapper.value("$.a[*].b", '{"a":[{"b":1},{"b":null}]}') == [1, None]
    assert await mapper.value("$.c", "{}") is MISSING
    assert await mapper.value("$.c", "no json") is MISSING
    assert isinstance(await mapper.value("$.a[", "{}"), Failed)
    assert await mapper.matches("a+", "aaa") is True
    assert await mapper.matches("a+", "aab") is False
    assert isinstance(await mapper.matches("(", "a"), Failed)


@pytest.mark.parametrize(
    "template",
    [
        pytest.param("$input.body.matches('(a+)+$')", id="pattern"),
        pytest.param(
            "#foreach($a in [1..1000])#foreach($b in [1..1000])#foreach($c in [1..1000])"
            "#end#end#end",
            id="loops",
        ),
        pytest.param(
            '#set($x = $input.body)#foreach($i in [1..60])#set($x = "$x$x")#end', id="memory"
        ),
        pytest.param(
            "#foreach($i in [1..40])#set($n = 9)#foreach($j in [1..1000])" * 2, id="parse"
        ),
    ],
)
async def test_job_beyond_its_limits_fails_and_the_next_one_works(
    mapper: WorkerMapper, template: str
) -> None:
    """What runs without end or eats all memory is ended; whoever comes next notices nothing."""
    failed = await mapper.render(template, "a" * 40 + "b", GIVEN)

    assert isinstance(failed, Failed)
    assert await mapper.render("fine", "", GIVEN) == "fine"


async def test_endless_check_of_a_model_lets_nothing_pass(mapper: WorkerMapper) -> None:
    """A model whose check does not end is one that the message does not match."""
    schema = '{"type":"string","pattern":"^(a+)+$"}'

    problem = await mapper.validation_error(schema, {}, json.dumps("a" * 40 + "b"))

    assert problem is not None
    assert "cannot be applied" in problem


async def test_large_text_is_refused(mapper: WorkerMapper) -> None:
    """A template may give as much as the largest backend takes, not more."""
    template = "#foreach($a in [1..1000])#foreach($b in [1..100])$input.body#end#end"

    got = await mapper.render(template, "x" * 100, GIVEN)

    assert isinstance(got, Failed)
    assert "limit" in got.reason


async def test_killed_worker_is_replaced(mapper: WorkerMapper) -> None:
    """A worker that somebody kills costs one job at most."""
    before = children()
    await mapper.render("x", "", GIVEN)
    (pid,) = children() - before

    os.kill(pid, 9)
    await mapper.render("x", "", GIVEN)

    assert await mapper.render("y", "", GIVEN) == "y"


async def test_jobs_share_few_workers(mapper: WorkerMapper) -> None:
    """Many jobs at once are all done, by at most two processes."""
    before = children()

    got = await asyncio.gather(*(mapper.render(f"#{{end}}{n}"[6:], "", GIVEN) for n in range(50)))

    assert got == [str(n) for n in range(50)]
    assert 1 <= len(children() - before) <= WORKERS_MAX


async def test_stopping_ends_workers_in_the_middle_of_a_job() -> None:
    """Nothing is left when the engine stops, and nobody waits for the job."""
    mapper = WorkerMapper()
    before = children()
    loops = (
        "#foreach($a in [1..1000])#foreach($b in [1..1000])#foreach($c in [1..1000])#end#end#end"
    )
    job = asyncio.create_task(mapper.render(loops, "", GIVEN))
    await _until_running(before)

    await mapper.stop()

    assert isinstance(await job, Failed)
    assert children() - before == set()
    assert isinstance(await mapper.render("x", "", GIVEN), Failed)


async def _until_running(before: set[int]) -> None:
    async with asyncio.timeout(20):
        while not children() - before:  # noqa: ASYNC110 - a process announces nothing
            await asyncio.sleep(0.002)


async def test_cancelled_job_does_not_disturb_the_next(mapper: WorkerMapper) -> None:
    """An answer that nobody waits for any more is not taken for another job's."""
    first = asyncio.create_task(mapper.render("first", "", GIVEN))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)

    assert await mapper.render("second", "", GIVEN) == "second"


async def test_worker_that_cannot_start_is_a_failure(tmp_path: Path) -> None:
    """Where no process can be started a job fails with the reason."""
    mapper = WorkerMapper(executable=str(tmp_path / "nothing"))

    got = await mapper.render("x", "", GIVEN)
    await mapper.stop()

    assert isinstance(got, Failed)
    assert "cannot be started" in got.reason


async def test_engine_side_imports_no_template_engine() -> None:
    """The engine's process never loads what only the worker needs. It starts without any."""
    script = (
        "import sys, socketstack.dataplane.web, socketstack.controlplane.plane\n"
        "print(*sorted({'airspeed', 'jsonpath_ng', 'jsonschema'} & set(sys.modules)))"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, stdout=asyncio.subprocess.PIPE
    )

    out, _err = await process.communicate()

    assert (process.returncode, out.strip()) == (0, b"")


# The worker's own loop, in this process


def served(*asked: dict[str, Any]) -> list[Any]:
    """What the worker answers to jobs."""
    incoming, outgoing = BytesIO(), BytesIO()
    for job in asked:
        jobs.write_frame(incoming, json.dumps(job).encode())
    incoming.seek(0)
    worker.serve(incoming, outgoing)
    outgoing.seek(0)
    answers = []
    while (frame := jobs.read_frame(outgoing)) is not None:
        answers.append(json.loads(frame))
    return answers


def test_every_job_has_an_answer() -> None:
    """Jobs that are none, or that fail, are answered with an error and the next one is done."""
    render = {"kind": "render", "body": "", "params": {}, "context": {}, "variables": {}}

    answers = served(
        {"kind": "dance"},
        {"kind": "render"},
        render | {"template": "#if("},
        render | {"template": "done"},
        {"kind": "path", "path": "$.a", "document": '{"a": 1}'},
        {"kind": "path", "path": "$.b", "document": "{}"},
        {"kind": "path", "path": "$.b[", "document": "{}"},
        {"kind": "path", "path": "$.b", "document": "no"},
        {"kind": "match", "pattern": "a", "text": "a"},
        {"kind": "validate", "schema": "{}", "models": {}, "document": "1"},
    )

    assert [set(answer) for answer in answers] == [
        *({"error"}, {"error"}, {"error"}, {"text"}, {"value"}, set(), {"error"}, set()),
        *({"value"}, {"problem"}),
    ]


def test_cut_off_stream_ends_the_worker() -> None:
    """A frame that is not whole is the end."""
    assert jobs.read_frame(BytesIO(b"\0\0\0\5ab")) is None
    assert jobs.read_frame(BytesIO(b"\0\0")) is None
