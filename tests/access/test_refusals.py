"""A refusal says who, what and what to do; nothing else is taken for one."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError

from access.refusals import AUTHENTICATION, AUTHORIZATION, REASONS, TLS, Ear, reason, told


@pytest.mark.parametrize(
    ("code", "why"),
    [
        (KafkaError._AUTHENTICATION, AUTHENTICATION),
        (KafkaError.SASL_AUTHENTICATION_FAILED, AUTHENTICATION),
        (KafkaError.UNSUPPORTED_SASL_MECHANISM, AUTHENTICATION),
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, AUTHORIZATION),
        (KafkaError.GROUP_AUTHORIZATION_FAILED, AUTHORIZATION),
        (KafkaError.CLUSTER_AUTHORIZATION_FAILED, AUTHORIZATION),
        (KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, AUTHORIZATION),
        (KafkaError._SSL, TLS),
        (KafkaError._TRANSPORT, ""),
        (KafkaError._ALL_BROKERS_DOWN, ""),
        (KafkaError.UNKNOWN_TOPIC_OR_PART, ""),
    ],
)
def test_codes_have_a_reason(code, why):
    assert reason(KafkaError(code, "text")) == why
    assert why in (*REASONS, "")


def test_an_alert_about_our_certificate_comes_as_a_broken_connection():
    said = "Receive failed: error:0A000415:SSL routines::ssl/tls alert certificate expired"
    assert reason(KafkaError(KafkaError._TRANSPORT, said)) == TLS


def test_it_is_told_with_who_what_and_what_to_do():
    text = told(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED), "User:w", "topic alerts (Write)")
    assert "User:w" in text
    assert "topic alerts (Write)" in text
    assert "tocsin acls" in text
    assert "KAFKA_CA_FILE" in told(KafkaError(KafkaError._SSL, "handshake"), "User:w")
    assert "User:w" in told(KafkaError(KafkaError._AUTHENTICATION, "bad"), "User:w")
    assert told(KafkaError(KafkaError._TRANSPORT, "gone"), "User:w") == "gone"


def test_the_ear_keeps_the_last_refusal_and_counts():
    counted: list[str] = []
    ear = Ear("User:w", counted.append)
    ear(KafkaError(KafkaError._TRANSPORT, "gone"))
    assert (ear.last, ear.reason, counted) == ("", "", [])
    ear(KafkaError(KafkaError._AUTHENTICATION, "bad"))
    ear(KafkaError(KafkaError._TRANSPORT, "gone"))
    assert ear.reason == AUTHENTICATION
    assert "bad" in ear.last
    assert counted == [AUTHENTICATION]
    ear.forget()
    assert ear.last == ear.reason == ""
