"""Options: what a client is set up with, out of code and the environment.

What: a table of options with their kind, bounds and default; what code gives wins over TOCSIN_* variables, which win
over the default. Why: an operator changes a destination without a release, and a mistake names the variable that it is
in. It refuses to guess: a value that is not exactly one is an error at once.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from tocsin import limits
from tocsin.errors import InvalidOption

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    #: option -> (variable, how its text is read, what else is checked)
    Table = Mapping[str, tuple[str, Callable[[str], object], Callable[[object], bool], str]]

WORDS = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}


def number(least: float, most: float) -> tuple[Callable[[str], object], Callable[[object], bool], str]:
    """A number within bounds, whole where the least is a whole number."""
    whole = isinstance(least, int)
    kind: tuple[type, ...] = (int,) if whole else (int, float)

    def good(value: object) -> bool:
        return isinstance(value, kind) and not isinstance(value, bool) and least <= value <= most  # type: ignore[operator]

    return (int if whole else float), good, f"between {least} and {most} is expected"


def flag() -> tuple[Callable[[str], object], Callable[[object], bool], str]:
    """On or off."""
    return (lambda text: WORDS[text.lower()]), (lambda value: isinstance(value, bool)), "true or false is expected"


def text(*allowed: str) -> tuple[Callable[[str], object], Callable[[object], bool], str]:
    """Text, one of those allowed when there are any."""
    told = f"one of {', '.join(allowed)} is expected" if allowed else "text is expected"
    return str, (lambda value: isinstance(value, str) and (not allowed or value in allowed)), told


def names() -> tuple[Callable[[str], object], Callable[[object], bool], str]:
    """A list of names, written a,b,c."""
    return (
        lambda given: [part.strip() for part in given.split(",") if part.strip()],
        lambda value: isinstance(value, (list, tuple, set, frozenset)),
        "a list of names, a,b,c, is expected",
    )


def pairs(given: str) -> dict[str, str]:
    """Attributes, written a=1,b=2. Raises ValueError."""
    found: dict[str, str] = {}
    for part in filter(None, (piece.strip() for piece in given.split(","))):
        key, separator, value = part.partition("=")
        if not separator:
            raise ValueError(part)
        found[key.strip()] = value.strip()
    return found


def variable(option: str) -> str:
    """The environment variable of an option."""
    return "TOCSIN_URL" if option == "transport" else f"TOCSIN_{option.upper()}"


#: option -> (reader of its text, check, what is expected), default. None: the option is not set.
TABLE: dict[str, tuple[tuple[Any, Any, str], object]] = {
    "service": (text(), ""),
    "kind": (text(), "other"),
    "source": (text(), None),
    "version": (text(), ""),
    "environment": (text(), ""),
    "region": (text(), ""),
    "rollout": (text(), ""),
    "attributes": ((pairs, lambda value: isinstance(value, Mapping), "attributes, a=1,b=2, are expected"), {}),
    "flush_interval": (number(0.001, 3600.0), limits.FLUSH_INTERVAL),
    "batch_size": (number(1, limits.BATCH_MEASUREMENTS), limits.BATCH_MEASUREMENTS),
    "buffer_measurements": (number(1, 10_000_000), limits.BUFFER_MEASUREMENTS),
    "buffer_bytes": (number(limits.RECORD_BYTES, 2**40), limits.BUFFER_BYTES),
    "max_series": (number(1, 1_000_000), limits.MAX_SERIES),
    "schema_id": (number(0, 2**32 - 1), None),
    "report": (flag(), True),
    "disabled": (flag(), False),
    "sigterm": (flag(), False),
    "exit_deadline": (number(0.0, 60.0), limits.EXIT_DEADLINE),
    "spool": (text(), ""),
    "spool_bytes": (number(limits.SPOOL_BYTES_MIN, 2**50), limits.SPOOL_BYTES),
    "spool_logs_bytes": (number(limits.SPOOL_BYTES_MIN, 2**50), limits.SPOOL_LOGS_BYTES),
    "spool_age": (number(1.0, 10_000 * 86_400.0), limits.SPOOL_AGE),
    "spool_full": (text("refuse", "drop_oldest"), "refuse"),
    "order": (text("oldest_first", "newest_first"), "oldest_first"),
    "catch_up_rate": (number(0.0, 2.0**50), float(limits.CATCH_UP_RATE)),
    "catch_up_jitter": (number(0.0, 3600.0), limits.CATCH_UP_JITTER),
    "token": (text(), ""),
    "ca_file": (text(), ""),
    "cert_file": (text(), ""),
    "key_file": (text(), ""),
    "labels_allow": (names(), None),
    "labels_deny": (names(), ()),
    "labels_hash": (names(), ()),
    "hash_key": (text(), ""),
}
#: Not read from the environment: a worker of the platform has a setting of the same name and another meaning.
CODE_ONLY = frozenset({"max_series"})
#: No message shows what was given for these, whatever it was.
SECRETS = frozenset({"token", "hash_key"})


def shown(option: str, value: object) -> str:
    """A value in a message; of a secret only its type, which is the mistake."""
    return f"… ({type(value).__name__})" if option in SECRETS else repr(value)


def settle(given: Mapping[str, object], environment: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Every option of `TABLE` with its value; `given` holds None where code does not say. Raises InvalidOption."""
    environment = os.environ if environment is None else environment
    settled: dict[str, Any] = {}
    for option, ((read, good, expected), default) in TABLE.items():
        value = given.get(option)
        told = environment.get(variable(option), "") if option not in CODE_ONLY else ""
        if value is not None:
            if not good(value):
                raise InvalidOption(f"{option}={shown(option, value)}; {expected}")
        elif told:
            try:
                value = read(told)
            except (ValueError, KeyError):
                value = None
            if value is None or not good(value):
                raise InvalidOption(f"{variable(option)}={shown(option, told)} in the environment; {expected}")
        else:
            value = default
        settled[option] = value
    return settled
