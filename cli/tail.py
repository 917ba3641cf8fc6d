"""`tocsin tail`: what lies in a topic, and what comes.

What: the newest records, all of them, or those to come; as lines or as JSON lines. Why: the first question about a
stream is what is in it. It refuses to join a group: tailing production moves nobody's partitions.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator

from cli import output, reading
from cli.decoding import Decoder, line, plain
from cli.output import OK, PROBLEM, time_text
from cli.reading import Log, Message
from schemas.corrupt import CorruptRecord

STATE_PREFIX = "tocsin.state."


def run(
    topic: str,
    bootstrap: str,
    *,
    count: int,
    follow: bool,
    from_beginning: bool,
    contains: str,
    json: bool,
    registry: str,
) -> int:
    """Exit code: 1 when a record could not be read."""
    from streams.registry import lookup

    decoder = Decoder(lookup(registry))
    log = reading.opened(bootstrap)
    unreadable = 0
    try:
        for message in chosen(log, topic, count, follow=follow, from_beginning=from_beginning, contains=contains):
            unreadable += not show(decoder, message, json)
    finally:
        log.close()
    if unreadable:
        output.note(f"{unreadable} records could not be read")
    return PROBLEM if unreadable else OK


def chosen(log: Log, topic: str, count: int, *, follow: bool, from_beginning: bool, contains: str) -> Iterator[Message]:
    """The records to show, in order. `count` 0: no limit."""
    if from_beginning:
        bounds = log.bounds(topic)
        starts = {partition: low for partition, (low, _) in bounds.items()}
        ends = None if follow else {partition: high for partition, (_, high) in bounds.items()}
        found = _fitting(log.read(topic, starts, ends), contains)
        yield from itertools.islice(found, count or None)
        return
    last, ends = reading.newest(log, topic, count, contains)
    yield from last
    if follow:
        yield from _fitting(log.read(topic, ends, None), contains)


def _fitting(messages: Iterable[Message], contains: str) -> Iterator[Message]:
    return (message for message in messages if reading.fits(message, contains))


def show(decoder: Decoder, message: Message, json: bool) -> bool:
    """Print one record; whether it could be read."""
    try:
        value = (
            None if message.value is None or message.topic.startswith(STATE_PREFIX) else decoder.decode(message.value)
        )
    except CorruptRecord as error:
        text = str(error)
        fields = {"unreadable": error.reason, "byte": error.byte, "detail": error.detail}
        _print(message, json, fields, lambda: text)
        return False
    if value is not None:
        _print(message, json, {"value": plain(value)} if json else {}, lambda: line(value))
    elif message.value is None:
        _print(message, json, {"value": None}, lambda: "(deleted)")
    else:
        size = len(message.value)
        _print(message, json, {"bytes": size}, lambda: f"a part of a snapshot, {size} bytes")
    return True


def _print(message: Message, json: bool, fields: dict[str, object], text: Callable[[], str]) -> None:
    if not json:
        place = f"{message.topic}[{message.partition}]@{message.offset}"
        output.say(f"{time_text(message.timestamp_ms)} {place} {_key(message.key)} {text()}")
        return
    head = {
        "topic": message.topic,
        "partition": message.partition,
        "offset": message.offset,
        "timestamp_ms": message.timestamp_ms,
        "key": _key(message.key),
    }
    output.as_json({**head, **fields})


def _key(key: bytes) -> str:
    """As text where it is text, else in hex."""
    try:
        text = key.decode()
    except UnicodeDecodeError:
        return key.hex()
    return text if text.isprintable() else key.hex()
