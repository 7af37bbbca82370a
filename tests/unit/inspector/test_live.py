"""Which live folders are taken, and what keeps a request from changing anything."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from socketstack.core.model import Json
from socketstack.errors import BadRequest, FunctionNotFound
from socketstack.inspector.live import LiveApi
from socketstack.runner.base import Function, LiveFolder, Package


class Catalog:
    """One function, ``messages``, that is deployed."""

    def find(self, name_or_arn: str) -> Function:
        """By its name, or by an ARN that ends in it."""
        if name_or_arn.rpartition(":")[2] != "messages":
            raise FunctionNotFound(name_or_arn)
        return Function(
            name="messages",
            arn="arn:aws:lambda:eu-west-1:000000000000:function:messages",
            invoked_arn=name_or_arn,
            version="$LATEST",
            handler="handler.handle",
            runtime="python3.13",
            role="arn:aws:iam::000000000000:role/functions",
            region="eu-west-1",
            account_id="000000000000",
            code=Package(digest="none", read=bytes),
        )


class World:
    """The API and what it told the runner."""

    def __init__(self) -> None:
        self.told: list[tuple[str, list[LiveFolder]]] = []
        self.api = LiveApi(catalog=Catalog(), set_live=self._set)

    def _set(self, name: str, folders: Sequence[LiveFolder]) -> None:
        self.told.append((name, list(folders)))


@pytest.fixture
def world() -> World:
    """Nothing is live yet."""
    return World()


def test_folders_of_a_deployed_function_become_live(world: World, tmp_path: Path) -> None:
    """The runner is told the function's own name, also where an ARN was sent."""
    arn = Catalog().find("messages").arn
    layer: Json = {"source": str(tmp_path), "prefix": "python"}

    names = world.api.set({"functions": {arn: [{"source": str(tmp_path)}, layer]}})

    assert names == ["messages"]
    folders = [LiveFolder(source=tmp_path), LiveFolder(source=tmp_path, prefix="python")]
    assert world.told == [("messages", folders)]


def test_no_folders_end_it(world: World) -> None:
    """A function without folders is not live any more."""
    names = world.api.set({"functions": {"messages": []}})

    assert names == ["messages"]
    assert world.told == [("messages", [])]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        pytest.param(None, "functions is no object", id="null"),
        pytest.param({}, "functions is no object", id="empty"),
        pytest.param({"functions": []}, "functions is no object", id="list"),
        pytest.param({"functions": {"messages": {}}}, "are no list", id="folders-no-list"),
        pytest.param({"functions": {"other": []}}, "no function 'other' is deployed", id="unknown"),
        pytest.param({"functions": {"../messages2": []}}, "is deployed", id="strange-name"),
        pytest.param({"functions": {"messages": ["/tmp"]}}, "source and prefix", id="no-object"),
        pytest.param(
            {"functions": {"messages": [{"source": "/", "prefex": ""}]}},
            "source and prefix, and nothing else",
            id="misspelt",
        ),
        pytest.param({"functions": {"messages": [{}]}}, "not an absolute path", id="no-source"),
        pytest.param(
            {"functions": {"messages": [{"source": "functions"}]}},
            "not an absolute path",
            id="relative-source",
        ),
        pytest.param(
            {"functions": {"messages": [{"source": "/nowhere/at/all"}]}},
            "not an absolute path of a folder",
            id="no-such-folder",
        ),
        pytest.param(
            {"functions": {"messages": [{"source": "/\0"}]}}, "not an absolute", id="null-byte"
        ),
        pytest.param(
            {"functions": {"messages": [{"source": "/\ud800"}]}}, "not an absolute", id="surrogate"
        ),
        pytest.param(
            {"functions": {"messages": [{"source": "/" + "x" * 9000}]}},
            "not an absolute",
            id="too-long",
        ),
        *(
            pytest.param(
                {"functions": {"messages": [{"source": "/", "prefix": prefix}]}},
                "leads out of the package",
                id=f"prefix-{prefix!r}",
            )
            for prefix in ("..", "../task", "python/../../x", "/etc", "//", "a\0b", 7, None)
        ),
    ],
)
def test_what_is_wrong_is_refused_and_nothing_is_told(
    world: World, body: Json, reason: str
) -> None:
    """A refusal gives the reason and the form; no function of the request becomes live."""
    functions = body.get("functions") if isinstance(body, dict) else None
    if isinstance(functions, dict):
        body = {"functions": {"messages": [], **functions}}

    with pytest.raises(BadRequest, match=reason) as refused:
        world.api.set(body)

    assert '{"functions"' in refused.value.message
    assert world.told == []
