"""Refusals: what it means when Kafka does not let us, in the words of whoever can change it.

What: error codes to one of three reasons, and a sentence that names principal, resource and what to do; `Ear` hears
the errors that librdkafka tells beside the calls. Why: "broker transport failure" is what a wrong password looks like
otherwise. It refuses to take another error for a refusal.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

AUTHENTICATION: Final = "authentication"
AUTHORIZATION: Final = "authorization"
TLS: Final = "tls"
REASONS: Final = (AUTHENTICATION, AUTHORIZATION, TLS)

#: librdkafka's and the protocol's codes: authentication failed, mechanism not offered, no SASL where it is asked for.
_AUTHENTICATION = frozenset({-169, 33, 34, 58})
_TLS = frozenset({-181})
_TRANSPORT = -195
_ALERT = "SSL routines"  # OpenSSL's own words: what TLS 1.3 says to a client's certificate comes after the handshake
#: Code -> what the principal may not touch.
_AUTHORIZATION = {29: "a topic", 30: "a group", 31: "the cluster", 53: "a transactional id"}
_DO = {
    AUTHENTICATION: "check user, password, token or certificate, and that the broker knows them",
    AUTHORIZATION: "`tocsin acls` prints what each role needs",
    TLS: "check the authority (…KAFKA_CA_FILE), the broker's name in its certificate, and when either certificate ends",
}


class Failure(Protocol):
    """An error of librdkafka."""

    def code(self) -> int:
        """Its number."""

    def str(self) -> str:
        """Its text."""


def reason(error: Failure) -> str:
    """Which of REASONS; "" when it is no refusal."""
    code = error.code()
    if code in _AUTHORIZATION:
        return AUTHORIZATION
    if code in _TLS or (code == _TRANSPORT and _ALERT in error.str()):
        return TLS
    return AUTHENTICATION if code in _AUTHENTICATION else ""


def told(error: Failure, principal: str, resource: str = "") -> str:
    """An error as a sentence: a refusal with who, what and what to do; any other as librdkafka tells it."""
    why = reason(error)
    if not why:
        return error.str()
    if why == AUTHORIZATION:
        what = resource or _AUTHORIZATION[error.code()]
        return f"the broker does not let {principal} at {what}: {error.str()}; {_DO[why]}"
    side = f"the broker does not take {principal}" if why == AUTHENTICATION else "no TLS with the broker"
    return f"{side}: {error.str()}; {_DO[why]}"


class Ear:
    """`error_cb` of a client: the last refusal that it was told, until `forget`."""

    def __init__(self, principal: str, counted: Callable[[str], None] = lambda _: None) -> None:
        self.principal, self._counted = principal, counted
        self.last = self.reason = ""

    def __call__(self, error: Failure, resource: str = "") -> None:
        """Called by librdkafka while it serves, and with what a call was refused for."""
        if why := reason(error):
            self.note(why, told(error, self.principal, resource))

    def note(self, why: str, text: str) -> None:
        """A refusal in words of its own."""
        self.last, self.reason = text, why
        self._counted(why)

    def forget(self) -> None:
        """It has got in since."""
        self.last = self.reason = ""
