"""What a token says about itself."""

from __future__ import annotations

import base64
import json
import time

import pytest

from access.limits import TOKEN_MOST_S, TOKEN_S
from access.tokens import claims, ends_at, handed_over


def unsigned(**said) -> str:
    parts = [
        base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in ({"alg": "none"}, said)
    ]
    return ".".join([*parts, ""])


def test_the_end_is_what_it_says_within_bounds():
    assert ends_at(unsigned(exp=1_100), 1_000.0) == 1_100
    assert ends_at(unsigned(exp=10**12), 1_000.0) == 1_000 + TOKEN_MOST_S


@pytest.mark.parametrize(
    "token", ["", "opaque", "a.b.c", "a.e30.c", unsigned(exp="soon"), unsigned(exp=True), "a.W10.c"]
)
def test_a_token_that_does_not_say_is_asked_for_again_in_a_minute(token):
    assert ends_at(token, 1_000.0) == 1_000 + TOKEN_S


def test_claims_are_read_and_not_judged():
    assert claims(unsigned(sub="me")) == {"sub": "me"}
    assert claims("nonsense") == {}


def test_one_that_is_over_is_not_handed_over():
    fresh = unsigned(exp=time.time() + 60)
    assert handed_over(fresh)[0] == fresh
    with pytest.raises(ValueError, match="expired"):
        handed_over(unsigned(exp=time.time() - 1))
