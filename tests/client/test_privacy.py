"""Privacy: what must not leave does not, whoever sets it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tocsin import Client, InvalidOption, MemoryTransport
from tocsin.privacy import Privacy

from demo.wire import read_batch

KEY = "0123456789abcdef"


def labels(**options: object) -> dict[str, str]:
    transport = MemoryTransport()
    with Client(source="s", service="x", transport=transport, **options) as made:  # type: ignore[arg-type]
        made.gauge("g", user="ann@example.com", route="/", Password="x").bind(token="y").set(1)
    found = dict(read_batch(transport.records[0][1]).identities[0][4])
    found.pop("service")
    return found


def test_keys_that_name_secrets_never_leave() -> None:
    assert labels() == {"user": "ann@example.com", "route": "/"}
    assert labels(labels_allow=["token", "route"]) == {"route": "/"}


def test_only_what_is_allowed_leaves_and_nothing_that_is_denied() -> None:
    assert labels(labels_allow=["route"]) == {"route": "/"}
    assert labels(labels_deny=["user"]) == {"route": "/"}


WORDS = st.sampled_from(["user_id", "UserId", "user-id", "USERID", "user.id"])


@settings(max_examples=25, deadline=None)
@given(rule=WORDS, label=st.sampled_from(["user_id", "UserId", "USERID", "user.id"]))
def test_a_name_is_forbidden_or_blinded_however_it_is_written(rule: str, label: str) -> None:
    denied = Privacy(None, [rule], [], b"")
    assert denied.apply({label: "ann@example.com", "route": "/"}) == {"route": "/"}
    hashed = Privacy(None, [], [rule], KEY.encode())
    assert "ann" not in str(hashed.apply({label: "ann@example.com"}))


@settings(max_examples=100, deadline=None)
@given(
    secret=st.sampled_from(["password", "db_password", "user-passwd", "x-api-key", "api_key_id", "csrf_token",
                            "Proxy-Authorization", "client_secret", "set-cookie", "private.key", "session_id"]),
    flips=st.lists(st.booleans(), min_size=20, max_size=20),
)  # fmt: skip
def test_a_key_that_names_a_secret_is_known_in_any_case(secret: str, flips: list[bool]) -> None:
    name = "".join(char.upper() if flip else char for char, flip in zip(secret, flips, strict=False))
    assert Privacy(None, [], [], b"").apply({name: "x", "token_bucket": "y"}) == {"token_bucket": "y"}


def test_the_rule_for_labels_holds_for_events_too() -> None:
    transport = MemoryTransport()
    with Client(source="s", service="x", transport=transport, labels_deny=["UserId"]) as made:
        made.event("order.paid", UserId="ann@example.com", amount=1)
        made.gauge("g", UserId="ann@example.com").set(1)
    assert transport.logs is not None
    records = [value for _, value in (*transport.records, *transport.logs.records)]
    assert len(records) >= 2
    assert not any(b"ann@example.com" in value for value in records)


def test_a_hash_tells_people_apart_without_naming_them() -> None:
    one, same = labels(labels_hash=["user"], hash_key=KEY), labels(labels_hash=["user"], hash_key=KEY)
    other_key = labels(labels_hash=["user"], hash_key=KEY[::-1])
    assert one == same
    assert len(one["user"]) == 16
    assert "ann" not in one["user"]
    assert one["user"] != other_key["user"]


def test_attributes_of_the_resource_are_under_the_same_rule() -> None:
    transport = MemoryTransport()
    attributes = {"token": "s3cret", "host": "h1", "owner": "ann"}
    with Client(
        source="s", service="x", transport=transport, attributes=attributes, labels_hash=["owner"], hash_key=KEY
    ) as made:
        made.gauge("g").set(1)
    sent = transport.records[0][1]
    assert b"h1" in sent
    assert b"s3cret" not in sent
    assert b"ann" not in sent


@pytest.mark.parametrize(
    "options",
    [
        {"labels_hash": ["user"]},
        {"labels_hash": ["user"], "hash_key": "short"},
        {"labels_deny": [1]},
        {"labels_allow": "user"},
    ],
)
def test_rules_that_cannot_hold_are_errors(options: dict[str, object]) -> None:
    with pytest.raises(InvalidOption):
        labels(**options)
