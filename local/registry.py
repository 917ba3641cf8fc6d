"""Registry: one embedded schema registry, as a process on this machine.

What: Apicurio Registry with its in-memory store, started by `EmbeddedRegistry(directory)`; `url` is its Confluent
compatible API. Why: framing with a registry is tested against a real server. It refuses to keep anything: each start
is an empty registry, and it ends with the process that started it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from local import java, process
from local.limits import REGISTRY_HEAP_MIB, REGISTRY_START_MAX_S
from local.served import JavaServer, unpacked

REGISTRY_VERSION = "3.3.3"
REGISTRY = f"io.apicurio:apicurio-registry-app:{REGISTRY_VERSION}:tar.gz:all"
MAIN_JAR = "quarkus-run.jar"


class EmbeddedRegistry(JavaServer):
    """A registry whose log lies in `directory`; port 0 picks a free one. It ends with this process."""

    WHAT = "embedded schema registry"
    LABEL = f"apicurio-registry-{REGISTRY_VERSION}"
    LOG = "registry.log"

    @property
    def url(self) -> str:
        """The base of Confluent's registry API, version 7, without a slash at its end."""
        return f"http://{process.LOOPBACK}:{self.port}/apis/ccompat/v7"

    @property
    def asked(self) -> str:
        """See the base."""
        return f"{self.url}/subjects"

    @property
    def patience_s(self) -> float:
        """See the base."""
        return REGISTRY_START_MAX_S

    def command(self) -> tuple[Sequence[str], str, Mapping[str, str]]:
        """See the base."""
        program = str(unpacked(self.LABEL, REGISTRY, self.WHAT, self.progress) / MAIN_JAR)
        options = {
            "quarkus.http.host": process.LOOPBACK,
            "quarkus.http.port": self.port,
            "quarkus.management.enabled": "false",
        }
        told = [f"-D{name}={value}" for name, value in options.items()]
        return [str(java.java()), f"-Xmx{REGISTRY_HEAP_MIB}m", *told, "-jar", program], program, {}
