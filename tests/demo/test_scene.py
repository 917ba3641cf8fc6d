"""Scene: where history begins, and what a first run leaves for a second."""

from __future__ import annotations

from pathlib import Path

from demo.scene import PUBLISHED, history_start, remember

LIVE = 1_800_000_000_000


def test_a_first_run_has_its_whole_history(tmp_path: Path) -> None:
    assert history_start(tmp_path, LIVE, 3_600) == LIVE - 3_600_000


def test_a_second_run_goes_on_where_the_first_ended(tmp_path: Path) -> None:
    remember(tmp_path, LIVE - 60_000)
    assert history_start(tmp_path, LIVE, 3_600) == LIVE - 60_000
    assert history_start(tmp_path, LIVE + 86_400_000, 3_600) == LIVE + 86_400_000 - 3_600_000


def test_a_damaged_note_is_as_none(tmp_path: Path) -> None:
    (tmp_path / PUBLISHED).write_text("?")
    assert history_start(tmp_path, LIVE, 3_600) == LIVE - 3_600_000


def test_a_run_that_published_nothing_leaves_no_note(tmp_path: Path) -> None:
    remember(tmp_path, 0)
    remember(tmp_path / "gone", LIVE)
    assert list(tmp_path.iterdir()) == []
