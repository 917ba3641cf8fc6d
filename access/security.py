"""Security: settings KAFKA_* to the configuration of a Kafka client.

What: TLS (authority, own certificate, the broker's name), SASL PLAIN, SCRAM and OAUTHBEARER, as fields that a room's
settings inherit, so that each process has them under its own prefix; `librdkafka()` reads secrets' files anew at each
call. Why: one place knows which settings go together. It refuses what is only half set up, a password or token that
would travel without TLS, and to show a secret: in an error, a repr or a log.
"""

from __future__ import annotations

import contextlib
import pathlib
import ssl
from typing import Any, Final

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from access import tokens
from access.address import guarded_url
from access.limits import SECRET_BYTES

PLAINTEXT: Final = "plaintext"
SSL: Final = "ssl"
SASL_SSL: Final = "sasl_ssl"
BEARER: Final = "OAUTHBEARER"
PASSWORDS: Final = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
#: A secret -> the setting that names a file with it.
SECRETS: Final = {
    "kafka_key_password": "kafka_key_password_file",
    "kafka_password": "kafka_password_file",
    "kafka_client_secret": "kafka_client_secret_file",
}
PEM: Final = (
    "kafka_ca_file", "kafka_cert_file", "kafka_key_file", "kafka_key_password", "kafka_key_password_file", "kafka_token_ca_file",
)  # fmt: skip
#: Settings of OAUTHBEARER that only a token endpoint needs.
ENDPOINT: Final = (
    "kafka_client_id", "kafka_client_secret", "kafka_client_secret_file", "kafka_scope", "kafka_token_ca_file",
)  # fmt: skip


class KafkaSecurity(BaseSettings):
    """How to get in. All defaults: plaintext, nobody asked who he is."""

    model_config = SettingsConfigDict(env_prefix="TOCSIN_", frozen=True, extra="ignore", hide_input_in_errors=True)

    kafka_protocol: str = Field(PLAINTEXT, pattern=f"^({PLAINTEXT}|{SSL}|{SASL_SSL})$")
    kafka_ca_file: pathlib.Path | None = None  # PEM; none: the system's authorities
    kafka_check_hostname: bool = True
    kafka_cert_file: pathlib.Path | None = None
    kafka_key_file: pathlib.Path | None = None
    kafka_key_password: SecretStr = SecretStr("")
    kafka_key_password_file: pathlib.Path | None = None
    kafka_mechanism: str = Field("", pattern=f"^(|{'|'.join(PASSWORDS)}|{BEARER})$")
    kafka_username: str = ""
    kafka_password: SecretStr = SecretStr("")
    kafka_password_file: pathlib.Path | None = None
    kafka_token_url: str = ""
    kafka_token_ca_file: pathlib.Path | None = None
    kafka_client_id: str = ""
    kafka_client_secret: SecretStr = SecretStr("")
    kafka_client_secret_file: pathlib.Path | None = None
    kafka_scope: str = ""
    kafka_token_file: pathlib.Path | None = None  # one that somebody else keeps fresh

    @model_validator(mode="after")
    def _kafka_is_whole(self) -> KafkaSecurity:
        problems = [*self._misplaced(), *self._missing(), *self._unreadable()] or self._no_context()
        if problems:
            raise ValueError("\n  ".join(problems))
        return self

    def _name(self, field: str) -> str:
        return f"{self.model_config.get('env_prefix', '')}{field.upper()}"

    def _given(self, field: str) -> bool:
        value = getattr(self, field)
        return bool(value.get_secret_value() if isinstance(value, SecretStr) else value)

    def _misplaced(self) -> list[str]:
        """Settings that the protocol and the mechanism do not use: set by mistake, or the other one is."""
        tls = ("kafka_ca_file", "kafka_cert_file", "kafka_key_file", "kafka_key_password", "kafka_key_password_file")
        sasl = ("kafka_mechanism", "kafka_username", "kafka_password", "kafka_password_file", "kafka_token_url",
                "kafka_token_file", *ENDPOINT)  # fmt: skip
        protocol, problems = self._name("kafka_protocol"), []
        if self.kafka_protocol == PLAINTEXT:
            problems += [f"{self._name(f)} needs {protocol}={SSL} or {SASL_SSL}" for f in tls if self._given(f)]
            if not self.kafka_check_hostname:
                problems.append(f"{self._name('kafka_check_hostname')} needs {protocol}={SSL} or {SASL_SSL}")
        if self.kafka_protocol != SASL_SSL:
            return problems + [f"{self._name(f)} needs {protocol}={SASL_SSL}" for f in sasl if self._given(f)]
        bearer = self.kafka_mechanism == BEARER
        others = sasl[1:4] if bearer else sasl[4:]
        wanted = "PLAIN or SCRAM-SHA-256 or SCRAM-SHA-512" if bearer else BEARER
        return problems + [
            f"{self._name(f)} needs {self._name('kafka_mechanism')}={wanted}" for f in others if self._given(f)
        ]

    def _missing(self) -> list[str]:
        problems = []
        if (self.kafka_cert_file is None) != (self.kafka_key_file is None):
            problems.append(f"{self._name('kafka_cert_file')} and {self._name('kafka_key_file')} go together")
        for secret, file in SECRETS.items():
            if self._given(secret) and self._given(file):
                problems.append(f"{self._name(secret)} and {self._name(file)}: give one of the two")
        if self.kafka_protocol != SASL_SSL:
            return problems
        if not self.kafka_mechanism:
            problems.append(f"{self._name('kafka_mechanism')}: one of {', '.join((*PASSWORDS, BEARER))} is needed")
        needs: tuple[tuple[str, str], ...] = ()
        if self.kafka_mechanism in PASSWORDS:
            needs = (("kafka_username", ""), ("kafka_password", "kafka_password_file"))
        elif self.kafka_mechanism == BEARER and self.kafka_token_url:
            needs = (("kafka_client_id", ""), ("kafka_client_secret", "kafka_client_secret_file"))
        for field, file in needs:
            if not self._given(field) and not (file and self._given(file)):
                either = f"{self._name(field)} or {self._name(file)}" if file else self._name(field)
                problems.append(f"{self._name('kafka_mechanism')}={self.kafka_mechanism} needs {either}")
        return problems + (self._token_problems() if self.kafka_mechanism == BEARER else [])

    def _token_problems(self) -> list[str]:
        url, file = self._name("kafka_token_url"), self._name("kafka_token_file")
        if bool(self.kafka_token_url) == bool(self.kafka_token_file):
            return [f"{self._name('kafka_mechanism')}={BEARER} needs either {url} or {file}"]
        if self.kafka_token_file:
            return [f"{self._name(f)} needs {url}" for f in ENDPOINT if self._given(f)]
        return [] if guarded_url(self.kafka_token_url) else [f"{url}: https is needed, or this machine's own address"]

    def _unreadable(self) -> list[str]:
        problems = []
        for field in KafkaSecurity.model_fields:
            path = getattr(self, field)
            if isinstance(path, pathlib.Path):
                try:
                    with path.open("rb") as file:
                        file.read(1)
                except OSError as error:
                    problems.append(f"{self._name(field)}: {path} cannot be read: {error.strerror or error}")
        return problems

    def _no_context(self) -> list[str]:
        """What is wrong inside of the files, which else would only be found at the first connection."""
        try:
            self.context()
            if self.kafka_token_ca_file:
                ssl.create_default_context(cafile=self.kafka_token_ca_file)
        except (OSError, ValueError) as error:
            names = [self._name(f) for f in KafkaSecurity.model_fields if f in PEM and self._given(f)]
            return [f"{', '.join(names)}: cannot be used: {error}"]
        return []

    def context(self) -> ssl.SSLContext | None:
        """TLS as Python's own takes it: who vouches for the broker, and our certificate; None in plain text. Raises OSError,
        ValueError."""
        if not self.secured:
            return None
        context = ssl.create_default_context(cafile=self.kafka_ca_file)
        context.check_hostname = self.kafka_check_hostname
        if self.kafka_cert_file and self.kafka_key_file:
            password = self.secret("kafka_key_password")  # by a function: without one OpenSSL would ask at the terminal
            context.load_cert_chain(self.kafka_cert_file, self.kafka_key_file, lambda: password)
        return context

    def secret(self, field: str) -> str:
        """A secret, out of its file where it has one. Raises OSError, ValueError."""
        path = getattr(self, SECRETS[field])
        return str(getattr(self, field).get_secret_value()) if path is None else secret_in(path)

    @property
    def secured(self) -> bool:
        """Whether anything is asked of either side."""
        return self.kafka_protocol != PLAINTEXT

    @property
    def principal(self) -> str:
        """Who the broker takes us for, as far as we know it."""
        if self.kafka_mechanism in PASSWORDS:
            return f"User:{self.kafka_username}"
        if self.kafka_mechanism == BEARER:
            return f"the subject of {f'the tokens of client {self.kafka_client_id}' if self.kafka_client_id else 'the token'}"
        return f"the subject of {self.kafka_cert_file}" if self.kafka_cert_file else "User:ANONYMOUS"

    def files(self) -> tuple[tuple[str, int, int], ...]:
        """Changes when any of its files has been replaced: then a new client is another one."""
        found = []
        for field in KafkaSecurity.model_fields:
            path = getattr(self, field)
            if isinstance(path, pathlib.Path):
                with contextlib.suppress(OSError):
                    stat = path.stat()
                    found.append((str(path), stat.st_mtime_ns, stat.st_ino))
        return tuple(found)

    def librdkafka(self) -> dict[str, Any]:
        """The configuration; {} without security. Files of secrets are read now. Raises OSError, ValueError."""
        if not self.secured:
            return {}
        config: dict[str, Any] = {
            "security.protocol": self.kafka_protocol.upper(),
            "ssl.endpoint.identification.algorithm": "https" if self.kafka_check_hostname else "none",
        }
        for key, path in (
            ("ssl.ca.location", self.kafka_ca_file),
            ("ssl.certificate.location", self.kafka_cert_file),
            ("ssl.key.location", self.kafka_key_file),
        ):
            config |= {key: str(path)} if path else {}
        if password := self.secret("kafka_key_password"):
            config["ssl.key.password"] = password
        if self.kafka_protocol == SASL_SSL:
            config |= {"sasl.mechanism": self.kafka_mechanism, **self._sasl()}
        return config

    def _sasl(self) -> dict[str, Any]:
        if self.kafka_mechanism != BEARER:
            return {"sasl.username": self.kafka_username, "sasl.password": self.secret("kafka_password")}
        if self.kafka_token_file is not None:
            path = self.kafka_token_file
            return {"oauth_cb": lambda _: tokens.handed_over(secret_in(path))}
        config = {
            "sasl.oauthbearer.method": "oidc",
            "sasl.oauthbearer.token.endpoint.url": self.kafka_token_url,
            "sasl.oauthbearer.client.id": self.kafka_client_id,
            "sasl.oauthbearer.client.secret": self.secret("kafka_client_secret"),
        }
        config |= {"sasl.oauthbearer.scope": self.kafka_scope} if self.kafka_scope else {}
        return config | ({"https.ca.location": str(self.kafka_token_ca_file)} if self.kafka_token_ca_file else {})


#: No security: what a client gets that is told nothing else.
OPEN: Final = KafkaSecurity.model_construct()


def secret_in(path: pathlib.Path) -> str:
    """What a file of a secret holds, without the end of its line. Raises OSError, ValueError."""
    with path.open("rb") as file:
        found = file.read(SECRET_BYTES + 1)
    if len(found) > SECRET_BYTES:
        raise ValueError(f"{path} holds more than {SECRET_BYTES} bytes: that is no secret")
    return found.decode("utf-8").rstrip("\r\n")
