"""A directory that takes files, or an error that names the setting."""

from __future__ import annotations

import errno
import tempfile
from pathlib import Path

import pytest

from local import directory
from local.errors import DirectoryUnusable


def test_it_is_made_and_left_empty(tmp_path: Path) -> None:
    home = tmp_path / "a" / "b"
    assert directory.made(home) == directory.made(home) == home
    assert list(home.iterdir()) == []


def test_a_file_in_its_place_is_said_with_the_setting_that_names_another(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file")
    for there in (tmp_path / "home", tmp_path / "home" / "kafka"):
        with pytest.raises(DirectoryUnusable, match=r"home.* cannot be used: .*set TOCSIN_CACHE to another"):
            directory.made(there, "TOCSIN_CACHE")


def test_a_disk_that_takes_nothing_is_said_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(**_: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    with pytest.raises(DirectoryUnusable, match="Read-only file system"):
        directory.made(tmp_path)
