"""Resolve: brings Maven artifacts into a directory, as a process of its own.

What: `python -m local.resolve DIRECTORY MODE COORDINATE`, where MODE is `tree` (the artifact and all it needs) or `one`
(that file alone); prints one line a file. Why a process: jgo looks for Java through PATH and logs as it likes, and an
interrupted download must be able to end without its caller. It refuses to decide what is needed; its caller names it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from jgo.config import GlobalSettings
from jgo.env import EnvironmentBuilder, LinkStrategy
from jgo.maven import MavenContext, PythonResolver

from local.limits import DOWNLOAD_SILENCE_MAX_S
from local.resolve_marks import PROGRESS_MARK, RESULT_MARK


@contextmanager
def announce(name: str, size: int) -> Iterator[Callable[[int], None]]:
    """Prints the file's name and its size in bytes, once; jgo calls the yielded function with each chunk's length."""
    print(f"{PROGRESS_MARK}{name} {size}", flush=True)
    yield lambda length: None


def context(directory: Path) -> MavenContext:
    """A Maven context that stores under `directory` and honours the mirrors of jgo's own configuration file."""
    return MavenContext(
        resolver=PythonResolver(progress_callback=announce),
        repo_cache=directory / "repository",
        remote_repos=GlobalSettings.load().repositories or None,
        timeout=DOWNLOAD_SILENCE_MAX_S,
    )


def tree(directory: Path, coordinate: str) -> list[Path]:
    """The jars of `group:artifact:version` and of everything it needs at run time."""
    builder = EnvironmentBuilder(context(directory), directory / "environment", LinkStrategy.HARD)
    return list(builder.from_endpoint(coordinate).all_jars)


def one(directory: Path, coordinate: str) -> list[Path]:
    """The single file of `group:artifact:version:packaging:classifier`; the classifier may be empty."""
    group, name, version, packaging, classifier = coordinate.split(":")
    component = context(directory).project(group, name).at_version(version)
    return [Path(component.artifact(classifier=classifier, packaging=packaging).resolve())]


def main(directory: str, mode: str, coordinate: str) -> None:
    """Resolves and prints one result line a path, relative to `directory`."""
    root = Path(directory)
    for path in (tree if mode == "tree" else one)(root, coordinate):
        print(f"{RESULT_MARK}{path.relative_to(root)}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
