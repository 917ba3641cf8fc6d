"""Where secrets may travel."""

from __future__ import annotations

import pytest

from access.address import guarded_url, loopback


def test_this_machine_by_its_names():
    assert all(map(loopback, ("127.0.0.1", "::1", "localhost", "127.8.8.8")))
    assert not any(map(loopback, ("10.0.0.1", "localhost.example", "")))


@pytest.mark.parametrize(
    ("url", "good"),
    [
        ("https://issuer.example/token", True),
        ("http://127.0.0.1:8080/token", True),
        ("http://[::1]/token", True),
        ("http://issuer.example/token", False),
        ("http://localhost.example/", False),
        ("file:///etc/passwd", False),
        ("https://", False),
        ("", False),
    ],
)
def test_a_key_or_a_token_comes_over_tls_or_from_this_machine(url, good):
    assert guarded_url(url) is good
