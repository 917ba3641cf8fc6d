"""Settings KAFKA_*: what fits together, what librdkafka is told, the same in the client; and secrets nowhere."""

from __future__ import annotations

import re
import shutil
import time
import traceback
from pathlib import Path

import pytest
from confluent_kafka import Producer
from cryptography.hazmat.primitives import serialization
from tocsin import InvalidOption
from tocsin.security import CODE_ONLY, OPTIONS, Security

from access.environment import BadSettings, read
from access.security import OPEN, SECRETS, KafkaSecurity
from gateway.settings import Settings as GatewaySettings
from streams.settings import Settings as WorkerSettings
from tests.access.test_tokens import unsigned
from tests.gateway.test_certificate import Authority

ROOT = Path(__file__).resolve().parents[2]
CANARY = "hunter2"
SCRAM = {"protocol": "sasl_ssl", "mechanism": "SCRAM-SHA-512", "username": "w", "password": CANARY}
OIDC = {
    "protocol": "sasl_ssl", "mechanism": "OAUTHBEARER", "token_url": "https://issuer.example/token", "client_id": "w",
    "client_secret": CANARY, "scope": "kafka",
}  # fmt: skip

BY_FILE = {name: value for name, value in SCRAM.items() if name != "password"} | {"password_file": "secret"}
WHOLE = [
    {},
    {"protocol": "ssl"},
    {"protocol": "ssl", "ca_file": "ca.pem", "cert_file": "c.pem", "key_file": "k.pem", "key_password": CANARY},
    {"protocol": "ssl", "cert_file": "c.pem", "key_file": "k.pem", "key_password_file": "secret"},
    {"protocol": "ssl", "check_hostname": "false"},
    SCRAM,
    SCRAM | {"mechanism": "PLAIN", "ca_file": "ca.pem"},
    BY_FILE,
    OIDC,
    OIDC | {"token_ca_file": "ca.pem"},
    {name: value for name, value in OIDC.items() if name != "client_secret"} | {"client_secret_file": "secret"},
    {"protocol": "sasl_ssl", "mechanism": "OAUTHBEARER", "token_file": "token"},
]
BROKEN = [
    ({"protocol": "sasl_plaintext"}, "PROTOCOL"),
    ({"ca_file": "ca.pem"}, "CA_FILE needs"),
    ({"check_hostname": "false"}, "CHECK_HOSTNAME needs"),
    ({"password": CANARY}, "PASSWORD needs"),
    ({"protocol": "ssl", "username": "w"}, "USERNAME needs"),
    ({"protocol": "sasl_ssl"}, "MECHANISM"),
    (SCRAM | {"mechanism": "GSSAPI"}, "MECHANISM"),
    ({**SCRAM, "username": ""}, "USERNAME"),
    ({**SCRAM, "password": ""}, "PASSWORD_FILE"),
    (SCRAM | {"password_file": "secret"}, "one of the two"),
    (SCRAM | {"token_file": "token"}, "TOKEN_FILE needs"),
    (SCRAM | {"scope": "x"}, "SCOPE needs"),
    (OIDC | {"password": CANARY}, "PASSWORD needs"),
    ({**OIDC, "token_url": ""}, "TOKEN_URL"),
    (OIDC | {"token_file": "token"}, "TOKEN_FILE"),
    (OIDC | {"token_url": "http://issuer.example/token"}, "https"),
    ({**OIDC, "client_secret": ""}, "CLIENT_SECRET"),
    ({**OIDC, "client_id": ""}, "CLIENT_ID"),
    ({"protocol": "ssl", "cert_file": "c.pem"}, "go together"),
    ({"protocol": "ssl", "ca_file": "gone.pem"}, "cannot be read"),
    ({"protocol": "ssl", "ca_file": "secret"}, "CA_FILE: cannot be used"),
    (OIDC | {"token_ca_file": "secret"}, "TOKEN_CA_FILE: cannot be used"),
    ({"protocol": "ssl", "cert_file": "c.pem", "key_file": "k.pem"}, "KEY_FILE.*cannot be used"),  # it has a password
    (
        {"protocol": "ssl", "cert_file": "c.pem", "key_file": "k.pem", "key_password": "x"},
        "KEY_PASSWORD.*cannot be used",
    ),
    (
        {"protocol": "ssl", "cert_file": "c.pem", "key_file": "ca.pem", "key_password": CANARY},
        "KEY_FILE.*cannot be used",
    ),
    ({"protocol": "ssl", "check_hostname": "perhaps"}, "CHECK_HOSTNAME"),
]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory) -> Path:
    """An authority, a certificate, and its key under a password."""
    folder = tmp_path_factory.mktemp("certificates")
    authority = Authority(folder, "ca")
    certificate, key = authority.issue("c")
    certificate.rename(folder / "c.pem")
    locked = serialization.BestAvailableEncryption(CANARY.encode())
    plain = serialization.load_pem_private_key(key.read_bytes(), None)
    pem = serialization.Encoding.PEM
    (folder / "k.pem").write_bytes(plain.private_bytes(pem, serialization.PrivateFormat.PKCS8, locked))
    return folder


@pytest.fixture(autouse=True)
def files(certificates, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("ca.pem", "c.pem", "k.pem"):
        shutil.copy(certificates / name, name)
    Path("secret").write_text(f"{CANARY}\n")
    Path("token").write_text(unsigned(exp=int(time.time()) + 3_600))


def ours(given: dict[str, str]) -> KafkaSecurity:
    return read(KafkaSecurity, "it", {f"kafka_{name}": value for name, value in given.items()})


def compared(config: dict) -> dict:
    """With the token in place of the function that brings it."""
    return {key: value("") if key == "oauth_cb" else value for key, value in config.items()}


@pytest.mark.parametrize("given", WHOLE)
def test_what_is_whole_means_the_same_to_every_process(given):
    config = ours(given).librdkafka()
    assert compared(config) == compared(Security(given, {}).config())
    assert bool(config) == bool(given)
    assert ours(given).principal.split()[0] == Security(given, {}).principal.split()[0]


@pytest.mark.parametrize(("given", "said"), BROKEN)
def test_what_is_not_is_named_and_no_secret_told(given, said):
    with pytest.raises(BadSettings, match=said) as bad:
        ours(given)
    with pytest.raises(InvalidOption, match=said) as told:
        Security(given, {})
    for error in (bad.value, told.value):
        assert CANARY not in "".join(traceback.format_exception(error))


@pytest.mark.parametrize(
    "given", [SCRAM, OIDC, {"protocol": "sasl_ssl", "mechanism": "OAUTHBEARER", "token_file": "token"}]
)
def test_librdkafka_takes_it(given):
    Producer({"bootstrap.servers": "127.0.0.1:1", "log_level": 0, **ours(given).librdkafka()})


def test_secrets_are_in_no_repr():
    for found in (ours(SCRAM), ours(OIDC), Security(SCRAM, {})):
        assert CANARY not in f"{found!r} {found!s} {vars(found) if isinstance(found, KafkaSecurity) else ''}"


def test_a_file_is_read_anew_and_its_change_is_seen():
    for found in (ours(BY_FILE), Security(BY_FILE, {})):
        config = found.librdkafka if isinstance(found, KafkaSecurity) else found.config
        Path("secret").write_text("one")
        before = found.files()
        assert config()["sasl.password"] == "one"
        Path("fresh").write_text("two\r\n")
        Path("fresh").replace("secret")
        assert config()["sasl.password"] == "two"
        assert found.files() != before


def test_a_file_that_is_no_secret_is_refused():
    Path("secret").write_bytes(b"x" * 100_000)
    with pytest.raises(ValueError, match="no secret"):
        ours(BY_FILE).librdkafka()


def test_each_process_has_them_under_its_own_prefix(monkeypatch):
    monkeypatch.setenv("TOCSIN_KAFKA_PROTOCOL", "ssl")
    monkeypatch.setenv("TOCSIN_GATEWAY_KAFKA_USERNAME", "g")
    assert read(WorkerSettings, "it", {}).kafka_protocol == "ssl"
    with pytest.raises(BadSettings, match="TOCSIN_GATEWAY_KAFKA_USERNAME needs TOCSIN_GATEWAY_KAFKA_PROTOCOL=sasl_ssl"):
        read(GatewaySettings, "it", {})
    assert OPEN.librdkafka() == {}, "the environment is nothing to a client that was told nothing"


def test_the_client_has_the_same_options():
    assert {f"kafka_{name}" for name in OPTIONS if name not in CODE_ONLY} == set(KafkaSecurity.model_fields)
    assert set(SECRETS) < set(KafkaSecurity.model_fields)


def test_a_function_may_bring_the_token():
    fresh = unsigned(exp=int(time.time()) + 3_600)
    given = {"protocol": "sasl_ssl", "mechanism": "OAUTHBEARER", "token": lambda: fresh}
    assert Security(given, {}).config()["oauth_cb"]("")[0] == fresh
    with pytest.raises(InvalidOption, match="known are"):
        Security({"pasword": "x"}, {})


def test_the_page_lists_every_setting():
    text = (ROOT / "docs/howto/secure-kafka.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| `…(KAFKA_[A-Z_]+)` \|", text, re.MULTILINE))
    assert listed == {name.upper() for name in KafkaSecurity.model_fields}
