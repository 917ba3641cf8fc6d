"""Settings come from the environment, and bad ones stop the start."""

from __future__ import annotations

import pathlib
import re

import pytest

from access.environment import BadSettings
from access.security import KafkaSecurity
from gateway.settings import PREFIX, Settings, load
from tests.test_docs import as_written

ROOT = pathlib.Path(__file__).resolve().parents[2]


def test_the_environment_is_read(monkeypatch):
    monkeypatch.setenv("TOCSIN_GATEWAY_PORT", "8080")
    assert load().port == 8080


def test_every_problem_is_named(monkeypatch):
    monkeypatch.setenv("TOCSIN_GATEWAY_PORT", "x")
    monkeypatch.setenv("TOCSIN_GATEWAY_ACCESS_LOG", "some")
    with pytest.raises(BadSettings) as caught:
        load()
    assert len(caught.value.problems) == 2
    assert "TOCSIN_GATEWAY_PORT" in str(caught.value)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "gateway.example"])
def test_other_machines_are_not_let_in_by_accident(host):
    with pytest.raises(BadSettings, match="OPEN"):
        load(host=host)
    assert load(host=host, open=True).host == host


def test_credentials_are_enough_to_listen_for_others(tmp_path):
    assert load(host="0.0.0.0", keys_path=tmp_path / "keys.yaml").guarded


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"tls_cert": "a"}, "TLS_KEY"),
        ({"tls_client_ca": "a"}, "TLS_CERT"),
        ({"request_s": 6.0, "delivery_timeout_s": 5.0}, "REQUEST_S"),
        ({"jwks_url": "https://issuer/jwks"}, "JWT_ISSUER"),
        ({"jwks_url": "http://issuer/jwks", "jwt_issuer": "i", "jwt_audience": "a"}, "https"),
        ({"jwks_url": "file:///etc/passwd", "jwt_issuer": "i", "jwt_audience": "a"}, "https"),
        ({"jwks_url": "https://i", "jwt_issuer": "i", "jwt_audience": "a", "jwt_algorithms": "HS256"}, "ALGORITHMS"),
        ({"jwks_url": "https://i", "jwt_issuer": "i", "jwt_audience": "a", "jwt_algorithms": ""}, "ALGORITHMS"),
    ],
)
def test_settings_that_do_not_go_together(changed, problem):
    with pytest.raises(BadSettings, match=problem):
        load(**changed)


def test_lists_are_written_with_commas(monkeypatch):
    monkeypatch.setenv("TOCSIN_GATEWAY_ORIGINS", "https://a, https://b")
    assert load().origins == ("https://a", "https://b")


def test_the_page_lists_every_setting_and_metric():
    text = (ROOT / "docs/howto/run-a-gateway.md").read_text(encoding="utf-8")
    listed = dict(re.findall(r"^\| `(TOCSIN_GATEWAY_[A-Z_]+)` \| ([^|]*) \|", text, re.MULTILINE))
    expected = {
        f"{PREFIX}{name.upper()}": as_written(field.default) or "(none)"
        for name, field in Settings.model_fields.items()
        if name not in KafkaSecurity.model_fields  # docs/howto/secure-kafka.md
    }
    assert listed == expected
    metrics = set(re.findall(r'"(tocsin_gateway_[a-z_]+)"', (ROOT / "gateway/selfmetrics.py").read_text("utf-8")))
    assert metrics == set(re.findall(r"^\| `(tocsin_gateway_[a-z_]+)` \|", text, re.MULTILINE))
