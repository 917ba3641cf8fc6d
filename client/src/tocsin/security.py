"""Security of kafka://: what a broker is told about us, and what it has to show, out of code and TOCSIN_KAFKA_*.

What: names that every process of the platform has for the same thing; checked together, since half of a set-up is a
mistake; turned into librdkafka's settings, with secrets' files read anew each time. Why: a rotated password or
certificate must not need a restart. It refuses a password or token that would travel without TLS, and to show a secret.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from tocsin.errors import InvalidOption
from tocsin.options import WORDS

PROTOCOLS = ("plaintext", "ssl", "sasl_ssl")
PASSWORDS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
BEARER = "OAUTHBEARER"
TLS = ("ca_file", "check_hostname", "cert_file", "key_file", "key_password", "key_password_file")
PASSWORD = ("username", "password", "password_file")
ENDPOINT = ("client_id", "client_secret", "client_secret_file", "scope", "token_ca_file")
TOKEN = ("token_url", "token_file", "token", *ENDPOINT)
OPTIONS = ("protocol", *TLS, "mechanism", *PASSWORD, *TOKEN)
#: A secret, and the option that names a file with it.
SECRETS = {name: f"{name}_file" for name in ("key_password", "password", "client_secret")}
PEM = ("ca_file", "cert_file", "key_file", "key_password", "key_password_file", "token_ca_file")
FILES = tuple(name for name in OPTIONS if name.endswith("_file"))
CODE_ONLY = frozenset({"token"})  # a function that answers with a token
SECRET_BYTES = 65_536  # of a file that holds one


def variable(option: str) -> str:
    """The environment variable of an option."""
    return f"TOCSIN_KAFKA_{option.upper()}"


class Security:
    """Options that fit together. Raises InvalidOption."""

    def __init__(self, given: Mapping[str, object] | None = None, environment: Mapping[str, str] | None = None) -> None:
        environment = os.environ if environment is None else environment
        if unknown := sorted(set(given or {}) - set(OPTIONS)):
            raise InvalidOption(f"kafka={{{unknown[0]!r}: …}}; known are {', '.join(OPTIONS)}")
        self._found: dict[str, Any] = {}
        for option in OPTIONS:
            told = "" if option in CODE_ONLY else environment.get(variable(option), "")
            value = (given or {}).get(option, told)
            if value not in ("", None):
                self._found[option] = value
        self._checked()

    def _get(self, option: str, default: str = "") -> Any:
        return self._found.get(option, default)

    def _checked(self) -> None:
        protocol, mechanism = self._get("protocol", PROTOCOLS[0]), self._get("mechanism")
        if protocol not in PROTOCOLS:
            raise InvalidOption(f"{variable('protocol')}={protocol!r}; one of {', '.join(PROTOCOLS)} is expected")
        check = self._get("check_hostname", "true")
        if str(check).lower() not in WORDS:
            raise InvalidOption(f"{variable('check_hostname')}={check!r}; true or false is expected")
        if protocol == PROTOCOLS[0]:
            self._unused(TLS, f"{variable('protocol')}=ssl or sasl_ssl")
        if protocol != PROTOCOLS[2]:
            self._unused(("mechanism", *PASSWORD, *TOKEN), f"{variable('protocol')}=sasl_ssl")
        elif mechanism not in (*PASSWORDS, BEARER):
            known = ", ".join((*PASSWORDS, BEARER))
            raise InvalidOption(f"{variable('mechanism')}={mechanism!r}; one of {known} is expected")
        elif mechanism == BEARER:
            self._unused(PASSWORD, f"{variable('mechanism')}={', '.join(PASSWORDS)}")
            self._token_is_whole()
        else:
            self._unused(TOKEN, f"{variable('mechanism')}={BEARER}")
            self._needs("username", "password")
        self._files_are_there()

    def _unused(self, options: tuple[str, ...], needed: str) -> None:
        for option in options:
            if option in self._found:
                raise InvalidOption(f"{variable(option)} needs {needed}")

    def _needs(self, *options: str) -> None:
        for option in options:
            file = SECRETS.get(option, "")
            if option not in self._found and file not in self._found:
                either = f"{variable(option)} or {variable(file)}" if file else variable(option)
                raise InvalidOption(f"{variable('mechanism')}={self._get('mechanism')} needs {either}")

    def _token_is_whole(self) -> None:
        ways = [option for option in ("token_url", "token_file", "token") if option in self._found]
        if len(ways) != 1:
            names = f"{variable('token_url')}, {variable('token_file')}, or a function, kafka={{'token': …}}"
            raise InvalidOption(f"{variable('mechanism')}={BEARER} needs one of {names}")
        if ways != ["token_url"]:
            return self._unused(ENDPOINT, variable("token_url"))
        self._needs("client_id", "client_secret")
        url = str(self._found["token_url"])
        host = url.partition("://")[2].partition("/")[0].rpartition("@")[2]
        name = host.rpartition(":")[0] or host
        if not url.startswith("https://") and not (
            url.startswith("http://") and name in ("localhost", "127.0.0.1", "[::1]")
        ):
            raise InvalidOption(f"{variable('token_url')}: https is needed, or this machine's own address")
        return None

    def _files_are_there(self) -> None:
        if ("cert_file" in self._found) != ("key_file" in self._found):
            raise InvalidOption(f"{variable('cert_file')} and {variable('key_file')} go together")
        for secret, file in SECRETS.items():
            if secret in self._found and file in self._found:
                raise InvalidOption(f"{variable(secret)} and {variable(file)}: give one of the two")
        for option in FILES:
            if option in self._found:
                try:
                    open(self._found[option], "rb").close()
                except OSError as error:
                    path = self._found[option]
                    raise InvalidOption(f"{variable(option)}: {path} cannot be read: {error.strerror}") from error
        given = [option for option in PEM if option in self._found]
        if given:
            try:
                self._loaded()
            except (OSError, ValueError) as error:
                raise InvalidOption(f"{', '.join(map(variable, given))}: cannot be used: {error}") from error

    def _loaded(self) -> None:
        """Look into the certificates, which else would only be read at the first connection. Raises OSError, ValueError."""
        import ssl

        for option in ("ca_file", "token_ca_file"):
            if option in self._found:
                ssl.create_default_context(cafile=self._found[option])
        if "cert_file" in self._found:
            password = self._secret("key_password")  # by a function: without one OpenSSL would ask at the terminal
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.load_cert_chain(self._found["cert_file"], self._found["key_file"], lambda: password)

    @property
    def principal(self) -> str:
        """Who the broker takes us for, as far as we know."""
        if "username" in self._found:
            return f"User:{self._found['username']}"
        if self._get("mechanism") == BEARER:
            return f"the subject of the token of {self._get('client_id') or 'this client'}"
        return f"the subject of {self._found['cert_file']}" if "cert_file" in self._found else "User:ANONYMOUS"

    def files(self) -> tuple[object, ...]:
        """Changes when any of the files has been replaced."""
        found: list[object] = []
        for option in FILES:
            if option in self._found:
                try:
                    stat = os.stat(self._found[option])
                except OSError:
                    continue
                found.append((option, stat.st_mtime_ns, stat.st_ino))
        return tuple(found)

    def _secret(self, option: str) -> str:
        path = self._get(SECRETS[option])
        return secret_in(path) if path else str(self._get(option))

    def config(self) -> dict[str, Any]:
        """The settings of librdkafka; {} where there is no security. Raises OSError, ValueError."""
        protocol = self._get("protocol", PROTOCOLS[0])
        if protocol == PROTOCOLS[0]:
            return {}
        checked = WORDS[str(self._get("check_hostname", "true")).lower()]
        config: dict[str, Any] = {
            "security.protocol": protocol.upper(),
            "ssl.endpoint.identification.algorithm": "https" if checked else "none",
        }
        for key, option in (("ssl.ca.location", "ca_file"), ("ssl.certificate.location", "cert_file"),
                            ("ssl.key.location", "key_file")):  # fmt: skip
            if option in self._found:
                config[key] = str(self._found[option])
        if password := self._secret("key_password"):
            config["ssl.key.password"] = password
        if protocol == PROTOCOLS[2]:
            config["sasl.mechanism"] = self._found["mechanism"]
            config |= self._token() if self._found["mechanism"] == BEARER else {
                "sasl.username": self._found["username"], "sasl.password": self._secret("password"),
            }  # fmt: skip
        return config

    def _token(self) -> dict[str, Any]:
        if "token_url" not in self._found:
            ask: Callable[[], str] = self._get("token") or (lambda: secret_in(self._found["token_file"]))
            return {"oauth_cb": lambda _: handed_over(ask())}
        config = {
            "sasl.oauthbearer.method": "oidc",
            "sasl.oauthbearer.token.endpoint.url": self._found["token_url"],
            "sasl.oauthbearer.client.id": self._found["client_id"],
            "sasl.oauthbearer.client.secret": self._secret("client_secret"),
        }
        for key, option in (("sasl.oauthbearer.scope", "scope"), ("https.ca.location", "token_ca_file")):
            if option in self._found:
                config[key] = str(self._found[option])
        return config


def secret_in(path: str) -> str:
    """What a file of a secret holds, without the end of its line. Raises OSError, ValueError."""
    with open(path, "rb") as file:
        found = file.read(SECRET_BYTES + 1)
    if len(found) > SECRET_BYTES:
        raise ValueError(f"{path} holds more than {SECRET_BYTES} bytes: that is no secret")
    return found.decode().rstrip("\r\n")


def handed_over(token: str) -> tuple[str, float]:
    """A token, and until when it is taken to hold: as it says itself, else for a minute. Raises ValueError."""
    import base64
    import json
    from time import time

    now = time()
    try:
        body = token.split(".")[1]
        ends = min(float(json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))["exp"]), now + 86_400.0)
    except (IndexError, KeyError, TypeError, ValueError):
        ends = now + 60.0
    if ends <= now:
        raise ValueError("the token has expired: whoever keeps it fresh has not")
    return token, ends
