"""Telling the engine which source folders are live, so that a saved change needs no deployment."""

from collections.abc import Iterator, Mapping

from socketstack.kit.build import Artifact, Build
from socketstack.kit.code import Code

LiveFolders = dict[str, list[dict[str, str]]]
"""Function name to its folders: ``source`` absolute, ``prefix`` where it lies in the package."""


def live_folders(built: Build, resources: Mapping[str, tuple[str, str]]) -> LiveFolders:
    """The functions of ``POST /_socketstack/live``: each with its own folder, then its layers'.

    ``resources`` maps logical ids to type and physical id, which is the function's name.
    """
    artifacts = {artifact.code.logical_id: artifact for artifact in built.artifacts}
    return {
        resources[name][1]: list(_folders(artifact, artifacts))
        for name, artifact in artifacts.items()
        if artifact.code.is_function and name in resources
    }


def _folders(function: Artifact, artifacts: Mapping[str, Artifact]) -> Iterator[dict[str, str]]:
    if not function.code.is_archive:
        yield {"source": str(function.code.source), "prefix": ""}
    for name in function.code.layers:
        if name in artifacts:
            yield from _layer_folders(artifacts[name].code)


def _layer_folders(layer: Code) -> Iterator[dict[str, str]]:
    if layer.prefix:
        yield {"source": str(layer.source), "prefix": layer.prefix}
    elif (layer.source / "python").is_dir():  # it is laid out as a layer already
        yield {"source": str(layer.source / "python"), "prefix": "python"}
