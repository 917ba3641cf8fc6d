"""Privacy: what must not leave does not, whoever sets it."""

from __future__ import annotations

import pytest
from tocsin import Client, InvalidOption, MemoryTransport

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
