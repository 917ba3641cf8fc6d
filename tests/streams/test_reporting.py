"""Reports to Sentry: off without a DSN; no payload, no local variable, no secret in what would be sent."""

from typing import ClassVar

import pytest
import sentry_sdk
from sentry_sdk.envelope import Envelope
from sentry_sdk.transport import Transport

from streams import reporting

SECRET = "hunter" + str(2)


class Caught(Transport):
    events: ClassVar[list[dict]] = []

    def capture_envelope(self, envelope: Envelope) -> None:
        self.events.append(envelope.get_event())


@pytest.fixture
def caught(monkeypatch):
    monkeypatch.setattr(Caught, "events", [])
    plain = sentry_sdk.init
    monkeypatch.setattr(
        sentry_sdk, "init", lambda **options: plain(transport=Caught, default_integrations=False, **options)
    )
    yield Caught.events
    plain(dsn="")


def test_off_without_a_dsn(caught):
    reporting.start("")
    sentry_sdk.capture_message("hello")
    assert caught == []


def test_what_leaves_has_neither_payloads_nor_secrets(caught):
    reporting.start("https://public@sentry.invalid/1")
    payload = "telemetry" + str(1 + 1)
    with sentry_sdk.new_scope() as scope:
        scope.set_extra("api_token", SECRET)
        scope.set_extra("partition", 3)
        scope.add_breadcrumb(message="sent", data={"body": payload})
        try:
            raise RuntimeError("delivery failed")
        except RuntimeError as error:
            sentry_sdk.capture_exception(error)
    (event,) = caught
    assert event["exception"]["values"][0]["value"] == "delivery failed"
    assert event["extra"]["partition"] == 3
    assert SECRET not in repr(event)
    assert payload not in repr(event)


def sent(caught, reason: str, **environment: str) -> dict:
    reporting.start("https://public@sentry.invalid/1", environment)
    try:
        raise RuntimeError(reason)
    except RuntimeError as error:
        sentry_sdk.capture_exception(error)
    return caught[-1]


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        (f"no answer from https://hooks.invalid/{SECRET}/x", "no answer from https://hooks.invalid/[scrubbed]/x"),
        ("POST https://ada:pw@h.invalid/a?token=1&b=2 failed", "POST https://[scrubbed]h.invalid/a[scrubbed] failed"),
        ("can't read b'vin \\'WVW\\'' of telemetry[3]@9", "can't read [scrubbed] of telemetry[3]@9"),
        ("telemetry[3]@9: crc at byte 12", "telemetry[3]@9: crc at byte 12"),
    ],
)
def test_a_message_tells_what_happened_and_no_secret(caught, reason, told):
    event = sent(caught, reason, TEAM_WEBHOOK_TOKEN=SECRET, HOME="telemetry")
    assert event["exception"]["values"][0]["value"] == told
    assert event["exception"]["values"][0]["type"] == "RuntimeError"
    assert SECRET not in repr(event)


def test_scrubbing_goes_as_deep_as_the_event():
    deep: object = SECRET
    for _ in range(reporting.DEEPEST + 5):
        deep = [deep]
    event = {
        "event_id": "a",
        "extra": {"a": {"routing_key": "x", "list": [{"cookie": 1}, SECRET, b"raw", 7]}},
        "contexts": {"deep": deep},
    }
    found = reporting.scrubbed(event, (SECRET,))
    assert found["extra"] == {
        "a": {
            "routing_key": reporting.SCRUBBED,
            "list": [{"cookie": reporting.SCRUBBED}, reporting.SCRUBBED, reporting.SCRUBBED, 7],
        }
    }
    assert SECRET not in repr(found)


def test_short_values_and_other_variables_are_no_secrets():
    environment = {"API_TOKEN": "abc", "PATH": "/usr/bin", "DB_PASSWORD": "long enough", "X_KEY": "longer, even so"}
    assert reporting.secrets_of(environment) == ("longer, even so", "long enough")
