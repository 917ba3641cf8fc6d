"""The settings of a secured broker: deny by default, its listeners beside the plain one, keys from where it is told."""

from __future__ import annotations

from pathlib import Path

from local.kafka import Seat, settings_of
from local.secured import Issuer, Secured

SEAT = Seat(1, 1, (2,), "", 1, 1)
PLAIN = Secured((3, 4), Path("/pem"), Path("/ca"), {"u": "p"})
TOKENS = Secured((3, 4), Path("/pem"), Path("/ca"), {}, Issuer("http://127.0.0.1/keys", "kafka", "http://127.0.0.1"))


def lines(secured: Secured | None) -> dict[str, str]:
    text = settings_of(SEAT, Path("/data"), secured)
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#"))


def test_it_listens_on_loopback_and_denies_what_nobody_granted():
    found = lines(PLAIN)
    assert found["listeners"] == found["advertised.listeners"].replace(",SECURE", ",CONTROLLER://127.0.0.1:2,SECURE", 1)
    assert "SECURE://127.0.0.1:3" in found["listeners"]
    assert "MUTUAL://127.0.0.1:4" in found["listeners"]
    assert found["allow.everyone.if.no.acl.found"] == "false"
    assert "OAUTHBEARER" not in found["listener.name.secure.sasl.enabled.mechanisms"]
    assert 'user_u="p"' in found["listener.name.secure.plain.sasl.jaas.config"]
    assert PLAIN.allowed == []


def test_tokens_are_taken_where_an_issuer_is_named():
    assert "OAUTHBEARER" in lines(TOKENS)["listener.name.secure.sasl.enabled.mechanisms"]
    assert TOKENS.allowed == ["-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls=http://127.0.0.1/keys"]


def test_without_it_nothing_changes():
    assert "SECURE:" in lines(None)["listener.security.protocol.map"]
    assert not [name for name in lines(None) if name.startswith(("listener.name", "authorizer"))]
