"""Secured: listeners that ask who is there, for an embedded broker.

What: SASL over TLS (PLAIN, SCRAM, OAUTHBEARER) and mutual TLS, beside the plain listener, with an authorizer that denies
what nobody granted. Why: what a secured cluster says to a wrong password or a missing grant can only be learned from
one. Who comes over the plain listener, on this machine, may do everything: that is how users and grants are made. It
refuses to make certificates, users or keys: whoever asks for it brings them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

SASL = "SECURE"
MUTUAL = "MUTUAL"

SETTINGS = """\
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
allow.everyone.if.no.acl.found=false
super.users=User:ANONYMOUS
listener.name.secure.ssl.keystore.type=PEM
listener.name.secure.ssl.keystore.location={keystore}
listener.name.mutual.ssl.keystore.type=PEM
listener.name.mutual.ssl.keystore.location={keystore}
listener.name.mutual.ssl.truststore.type=PEM
listener.name.mutual.ssl.truststore.location={authority}
listener.name.mutual.ssl.client.auth=required
listener.name.secure.sasl.enabled.mechanisms={mechanisms}
listener.name.secure.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.secure.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.secure.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required {users};
"""
BEARER = """\
listener.name.secure.oauthbearer.sasl.jaas.config=org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required;
listener.name.secure.oauthbearer.sasl.server.callback.handler.class=org.apache.kafka.common.security.oauthbearer.OAuthBearerValidatorCallbackHandler
listener.name.secure.oauthbearer.sasl.oauthbearer.jwks.endpoint.url={keys}
listener.name.secure.oauthbearer.sasl.oauthbearer.expected.audience={audience}
listener.name.secure.oauthbearer.sasl.oauthbearer.expected.issuer={issuer}
listener.name.secure.oauthbearer.connections.max.reauth.ms={session_ms}
"""


@dataclasses.dataclass(frozen=True)
class Issuer:
    """Whose tokens are taken: `keys` is the URL of its JWKS. A session lives as long as its token, at most `session_ms`."""

    keys: str
    audience: str
    name: str
    session_ms: int = 3_600_000


@dataclasses.dataclass(frozen=True)
class Secured:
    """What the listeners show and ask for. `keystore`: the broker's key and certificate, PEM; `plain`: users of PLAIN, by
    name, with their passwords; SCRAM's are made with an admin client. Ports: of SASL, and of mutual TLS."""

    ports: tuple[int, int]
    keystore: Path
    authority: Path
    plain: Mapping[str, str]
    issuer: Issuer | None = None

    @property
    def listeners(self) -> str:
        """More of them, to be added to a line of listeners."""
        return f",{SASL}://127.0.0.1:{self.ports[0]},{MUTUAL}://127.0.0.1:{self.ports[1]}"

    @property
    def settings(self) -> str:
        """Lines of the broker's settings file."""
        users = " ".join(f'user_{name}="{password}"' for name, password in self.plain.items())
        mechanisms = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", *(["OAUTHBEARER"] if self.issuer else [])]
        lines = SETTINGS.format(
            keystore=self.keystore, authority=self.authority, mechanisms=",".join(mechanisms), users=users
        )
        if self.issuer is None:
            return lines
        return lines + BEARER.format(
            keys=self.issuer.keys,
            audience=self.issuer.audience,
            issuer=self.issuer.name,
            session_ms=self.issuer.session_ms,
        )

    @property
    def allowed(self) -> list[str]:
        """Java's own word that the broker may fetch keys from there."""
        return [f"-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls={self.issuer.keys}"] if self.issuer else []
