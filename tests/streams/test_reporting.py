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
