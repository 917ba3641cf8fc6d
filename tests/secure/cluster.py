"""Cluster: a secured broker, its users and grants, and the settings of whoever wants in.

What: an embedded broker with SASL and mutual TLS that denies by default; certificates made here. Users and grants are made
over its plain listener, which tests of the product never use. It refuses to know roles: those are the product's.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from access.environment import read
from access.security import KafkaSecurity
from local.kafka import EmbeddedBroker
from local.process import free_port
from local.secured import Issuer as Taken
from local.secured import Secured
from streams import acls, topics
from tests.gateway.test_certificate import Authority
from tests.secure.issuer import AUDIENCE, Issuer

PARTITIONS = 2
ANSWER_S = 30.0
SESSION_MS = 4_000  # of a token's session: tests outlive it
_KINDS = {"topic": ResourceType.TOPIC, "group": ResourceType.GROUP}
_VERBS = acls._OPERATIONS


class Cluster:
    """The broker and what may be done to it."""

    def __init__(self, broker: EmbeddedBroker, secured: Secured, authority: Authority, issuer: Issuer) -> None:
        self.broker, self.authority, self.issuer = broker, authority, issuer
        self.plain = broker.bootstrap  # whoever comes here may do everything
        self.sasl, self.mutual = (f"127.0.0.1:{port}" for port in secured.ports)
        self.sasl_by_name = f"localhost:{secured.ports[0]}"  # a name that is not in its certificate
        self.admin = AdminClient({"bootstrap.servers": self.plain})

    def user(self, name: str, mechanism: str = "SCRAM-SHA-512", password: str = "") -> dict[str, str]:
        """A user of SCRAM, made or with another password: the options of a client that comes as it."""
        password = password or secrets.token_urlsafe(12)
        kind = ScramMechanism.SCRAM_SHA_512 if mechanism.endswith("512") else ScramMechanism.SCRAM_SHA_256
        made = UserScramCredentialUpsertion(name, ScramCredentialInfo(kind, 4_096), password.encode())
        for answer in self.admin.alter_user_scram_credentials([made]).values():
            answer.result(ANSWER_S)
        return self.options(mechanism=mechanism, username=name, password=password)

    def options(self, **given: str) -> dict[str, str]:
        """Options of a client over SASL."""
        return {"protocol": "sasl_ssl", "ca_file": str(self.authority.path), **given}

    def grant(self, principal: str, role: acls.Role) -> None:
        """All that a role needs."""
        self._acl(AclBinding, self.admin.create_acls, principal, role)

    def revoke(self, principal: str, role: acls.Role) -> None:
        """What `grant` gave."""
        self._acl(AclBindingFilter, self.admin.delete_acls, principal, role)

    def _acl(self, kind: type, change: Callable[..., Any], principal: str, role: acls.Role) -> None:
        wanted = [
            kind(
                _KINDS[grant.kind],
                grant.name,
                ResourcePatternType.PREFIXED if grant.prefixed else ResourcePatternType.LITERAL,
                principal,
                "*",
                _VERBS[verb],
                AclPermissionType.ALLOW,
            )
            for grant in role.grants
            for verb in grant.verbs
        ]
        for answer in change(wanted).values():
            answer.result(ANSWER_S)

    def joined(self, name: str, role: str, application: str = "tocsin") -> dict[str, str]:
        """A user with the grants of a role."""
        self.grant(f"User:{name}", acls.roles(application)[role])
        return self.user(name)


def security(options: dict[str, str]) -> KafkaSecurity:
    """The product's own settings, out of a client's options."""
    return read(KafkaSecurity, "test", {f"kafka_{name}": value for name, value in options.items()})


def environment(options: dict[str, str], prefix: str = "TOCSIN_") -> dict[str, str]:
    """The same as variables."""
    return {f"{prefix}KAFKA_{name.upper()}": value for name, value in options.items()}


@contextmanager
def cluster(directory: Path, issuer: Issuer) -> Iterator[Cluster]:
    """A started one, with our topics."""
    directory.mkdir(parents=True, exist_ok=True)
    authority = Authority(directory, "authority")
    certificate, key = authority.issue("broker")
    keystore = directory / "broker.pem"
    keystore.write_bytes(key.read_bytes() + certificate.read_bytes())
    taken = Taken(f"{issuer.url}/keys", AUDIENCE, issuer.url, SESSION_MS)
    secured = Secured((free_port(), free_port()), keystore, authority.path, {"plain": "word"}, taken)
    with EmbeddedBroker(directory / "kafka", secured=secured) as broker:
        made = Cluster(broker, secured, authority, issuer)
        operator = security(made.joined("operator", "operator"))
        assert len(topics.ensure(made.sasl, PARTITIONS, security=operator)) == len(topics.TOPICS)
        yield made
