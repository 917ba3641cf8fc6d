"""The webhook receiver: strict about fields, remembers groups."""

from __future__ import annotations

import json

import pytest

from sinks.fakes.webhook import ALERT_FIELDS, FIELDS, WebhookFake, problems
from sinks.webhook import Webhook
from tests.sinks.build import PAGE, notification


def test_it_keeps_the_state_of_each_group() -> None:
    fake = WebhookFake()
    for record in (PAGE, notification("x", "other"), notification("n2", action="resolve")):
        assert fake.reply("/", Webhook("team", "https://x/").request(record).body, 0).status == 200
    assert fake.groups == {"incident-1": "resolved", "other": "firing"}
    fake.stop()


@pytest.mark.parametrize("field", FIELDS)
def test_each_missing_field_is_refused(field: str) -> None:
    body = Webhook("team", "https://x/").body(PAGE)
    del body[field]
    assert problems(body)
    fake = WebhookFake()
    assert fake.reply("/", json.dumps(body).encode(), 0).status == 400
    fake.stop()


@pytest.mark.parametrize("field", ALERT_FIELDS)
def test_each_missing_field_of_an_alert_is_refused(field: str) -> None:
    body = json.loads(json.dumps(Webhook("team", "https://x/").body(PAGE)))
    del body["alerts"][0][field]
    assert problems(body) == [f"alerts.{field} is no {ALERT_FIELDS[field].__name__}"]


def test_what_is_no_body() -> None:
    assert problems([]) == ["the body is no JSON object"]
