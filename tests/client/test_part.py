"""Part: what cannot be read or marked for the moment is not lost for it."""

from __future__ import annotations

import errno
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.client.spooled import batch, drained, sequences, spool


@contextmanager
def no_more_files() -> Iterator[None]:
    """The process may open nothing more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("own", [False, True])
def test_a_host_without_free_descriptors_loses_nothing(tmp_path: Path, own: bool) -> None:
    """What cannot be read for the moment is not what is no longer there."""
    held = spool(tmp_path)
    held.add([batch(number) for number in range(3)])
    assert held.commit()
    if not own:
        held.close()
        held = spool(tmp_path, "b2")
        held._adopt()
    with no_more_files():
        assert held.next() is None
        assert held.left
        assert "Too many open files" in held.trouble
    assert (held.dropped, held.damaged) == ({}, 0)
    assert sequences(drained(held)) == [0, 1, 2]
    assert held.trouble == ""
    held.close()


def test_a_mark_that_is_cut_short_costs_one_repetition(tmp_path: Path) -> None:
    held = spool(tmp_path)
    held.add([batch(number) for number in range(6)])
    assert held.commit()
    found = drained(held, done=False)
    held.done(found[0])
    write = held.disk.write

    def torn(descriptor: int, data: bytes) -> None:
        write(descriptor, data[:5])
        raise OSError(errno.ENOSPC, "No space left on device")

    held.disk.write = torn  # type: ignore[method-assign]
    held.done(found[1])
    held.disk.write = write  # type: ignore[method-assign]
    for one in found[2:5]:
        held.done(one)
    held.close()
    second = spool(tmp_path, "b2")
    assert sequences(drained(second)) == [1, 5]
    second.close()
