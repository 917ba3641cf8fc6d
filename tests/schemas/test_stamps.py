"""Stamps: what a source's clocks said, and how a relay moves them on."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import limits
from schemas.bundled import released
from schemas.encoding import encode_batch
from schemas.framing import single_object
from schemas.stamps import FIELDS, held, sound, unsent
from schemas.telemetry_rows import read_batch
from schemas.telemetry_schema import BATCH
from tests.schemas.examples import ENTRY, NOW_MS, PRODUCER, RESOURCE, event

HEADER = 10


def batch(*stamps: int, values: int = 3, **more: object) -> bytes:
    return encode_batch(
        [ENTRY], RESOURCE, PRODUCER, base_ms=NOW_MS, series=[0] * values, delta_ms=range(values), value=[1.5] * values,
        stamps=stamps or (0, 0, 0, 0), sequence=7, **more,  # type: ignore[arg-type]
    )  # fmt: skip


def test_only_what_has_both_wall_clocks_within_bounds_says_something() -> None:
    bound = limits.TIME_BOUND_MS
    columns = [
        (1, 0, 1, 0),
        (1, 5, 1, 6),
        (0, 5, 1, 6),
        (1, 5, 0, 6),
        (1, -1, 1, 0),
        (bound, 0, 1, 0),
        (1, 0, 1, bound),
    ]
    assert sound(np.array(columns).T).tolist() == [True, True, False, False, False, False, False]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ((NOW_MS, 5, NOW_MS + 9, 14), (NOW_MS, 5, NOW_MS + 9 + 3_600_000, 14 + 3_600_000)),
        ((NOW_MS, 0, NOW_MS + 9, 0), (NOW_MS, 0, NOW_MS + 9 + 3_600_000, 0)),  # no forward clock: still none
        ((0, 0, 0, 0), (0, 0, 0, 0)),
    ],
)
def test_a_relay_adds_the_time_that_it_held_a_record_and_changes_nothing_else(
    before: tuple[int, ...], after: tuple[int, ...]
) -> None:
    assert held(batch(*before), 3_600_000) == batch(*after)
    assert read_batch(BATCH, held(batch(*before), 3_600_000), HEADER).stamps == after


def test_what_was_stamped_long_ago_is_sent_without_clocks_of_sending() -> None:
    assert unsent(batch(NOW_MS, 5, NOW_MS + 9, 14)) == batch(NOW_MS, 5, 0, 0)
    assert unsent(batch()) == batch()
    assert unsent(event()) == event()


@given(st.binary(max_size=60), st.integers(0, 200))
def test_no_bytes_raise(noise: bytes, cut: int) -> None:
    for value in (single_object(BATCH) + noise, batch(NOW_MS, 5, NOW_MS, 5)[:cut]):
        held(value, 1_000)
        unsent(value)


def test_what_is_no_batch_of_this_schema_stays_as_it_is() -> None:
    stamps = (NOW_MS, 5, NOW_MS, 5)
    for value in (event(), batch(*stamps, schema_id=4), b"", b"noise"):
        assert held(value, 60_000) == value
    assert held(batch(*stamps), 0) == batch(*stamps)
    assert held(batch(*stamps), -5) == batch(*stamps), "a relay's clock that was set back"


def test_a_record_never_grows_beyond_what_is_read() -> None:
    stamps = (NOW_MS, 5, NOW_MS, 5)
    room = limits.RECORD_BYTES - len(batch(*stamps, changed={"source": ""})) - 2  # its length takes three bytes
    full = batch(*stamps, changed={"source": "x" * room})
    assert len(full) == limits.RECORD_BYTES
    assert held(full, 60_000) == full
    assert len(held(batch(*stamps), 60_000)) > len(batch(*stamps))


def test_every_version_of_the_schema_has_the_fields_before_the_stamps_that_are_stepped_over() -> None:
    for version in [*released(), BATCH]:
        if version.name == BATCH.name:
            names = [field["name"] for field in version.definition["fields"]]  # type: ignore[index,union-attr]
            assert names[:8] == ["source", "boot", "sequence", "base_ms", *FIELDS]
