"""One embedded identity provider: Keycloak in a Java process, on loopback, in memory.

What: starts it in its development mode, awaits and ends it; `admin_token` opens its admin API. Why: tokens, keys and their
rotation are tested against an issuer that others wrote. It refuses to keep anything: each start is an empty provider with a
password of its own, and it ends with the process that started it.
"""

from __future__ import annotations

import json
import secrets
import signal
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from local import java, process
from local.errors import ProcessDied
from local.java import Progress, silent
from local.limits import KEYCLOAK_HEAP_MIB, KEYCLOAK_START_MAX_S, METADATA_MAX_S
from local.served import JavaServer, unpacked

KEYCLOAK_VERSION = "26.7.3"
KEYCLOAK = f"org.keycloak:keycloak-quarkus-dist:{KEYCLOAK_VERSION}:zip:"
MASTER = "master"
ADMIN = "admin"
#: As its own start script has them; without java.lang a thread of its pool fails at its first request, and nobody answers.
OPENED = ("java.lang", "java.util", "java.util.concurrent", "java.security")
BUILT = 10  # the exit code that says so
THREADS = "io.quarkus.bootstrap.forkjoin.QuarkusForkJoinWorkerThreadFactory"


class EmbeddedKeycloak(JavaServer):
    """A provider whose log lies in `directory`; port 0 picks a free one. It ends with this process."""

    WHAT = "embedded identity provider"
    LABEL = f"keycloak-{KEYCLOAK_VERSION}"
    LOG = "keycloak.log"
    ENDED_BY = signal.SIGKILL  # it has nothing to tidy up, and takes its time over it

    def __init__(self, directory: Path, port: int = 0, progress: Progress = silent) -> None:
        super().__init__(directory, port, progress)
        self._password = secrets.token_urlsafe(24)

    @property
    def url(self) -> str:
        """The base of its addresses, without a slash at its end."""
        return f"http://{process.LOOPBACK}:{self.port}"

    @property
    def asked(self) -> str:
        """See the base."""
        return f"{self.realm(MASTER)}/.well-known/openid-configuration"

    @property
    def patience_s(self) -> float:
        """See the base."""
        return KEYCLOAK_START_MAX_S

    def realm(self, name: str) -> str:
        """A realm's base: the issuer of its tokens."""
        return f"{self.url}/realms/{name}"

    def start(self) -> Self:
        """As the base's; it ends itself once when it has built itself, and is then started again."""
        try:
            return super().start()
        except ProcessDied as died:
            if died.facts.get("code") != BUILT:
                raise
        return super().start()

    def admin_token(self) -> str:
        """A token for the admin API; it lives for a minute. Raises OSError."""
        form = {"grant_type": "password", "client_id": "admin-cli", "username": ADMIN, "password": self._password}
        address = f"{self.realm(MASTER)}/protocol/openid-connect/token"
        asked = urllib.request.Request(address, urllib.parse.urlencode(form).encode())
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(asked, timeout=METADATA_MAX_S * 10) as answer:
            return str(json.load(answer)["access_token"])

    def command(self) -> tuple[Sequence[str], str, Mapping[str, str]]:
        """See the base."""
        home = home_of(self.progress)
        words = [
            str(java.java()),
            f"-Xmx{KEYCLOAK_HEAP_MIB}m",
            f"-Dkc.home.dir={home}",
            *(f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in OPENED),
            f"-Djava.util.concurrent.ForkJoinPool.common.threadFactory={THREADS}",
            "-cp",
            str(home / "lib" / "quarkus-run.jar"),
            "io.quarkus.bootstrap.runner.QuarkusEntryPoint",
            "--profile=dev",
            "start-dev",
            "--db=dev-mem",
            f"--http-host={process.LOOPBACK}",
            f"--http-port={self.port}",
            "--cache=local",
            "--log-level=warn",
        ]
        return words, str(home), {"KC_BOOTSTRAP_ADMIN_USERNAME": ADMIN, "KC_BOOTSTRAP_ADMIN_PASSWORD": self._password}


def home_of(progress: Progress = silent) -> Path:
    """The unpacked distribution, downloaded and unpacked at the first call."""
    (home,) = unpacked(EmbeddedKeycloak.LABEL, KEYCLOAK, EmbeddedKeycloak.WHAT, progress).glob("keycloak-*")
    return home
