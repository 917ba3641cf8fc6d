"""What is late in the log is told, partition by partition; and whose clock is wrong."""

from __future__ import annotations

from proof.writers import Writers


def test_a_record_behind_a_newer_one_is_stale_of_its_own_source_and_target_alone() -> None:
    writers = Writers()
    for source, target, as_of in ((0, 0, 10), (0, 0, 20), (0, 0, 20), (0, 1, 5), (1, 0, 5), (0, 1, 6)):
        writers.wrote(source, target, as_of, 0, 0)
    assert writers.stale == 0
    writers.wrote(0, 0, 19, 0, 0)
    writers.wrote(0, 0, 19, 0, 0)
    assert writers.stale == 2
    writers.wrote(0, 0, 21, 0, 0)
    assert writers.stale == 2


def test_the_last_word_of_a_source_partition_tells_its_writers_clock() -> None:
    writers = Writers()
    assert writers.ahead_s(3) == 0.0
    writers.wrote(3, 0, 1, 7_201_000, 1_000)
    assert writers.ahead_s(3) == 7_200.0
    writers.wrote(3, 1, 2, 2_000, 2_000)
    assert writers.ahead_s(3) == 0.0
