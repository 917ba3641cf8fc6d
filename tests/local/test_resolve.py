"""The resolver's lines: what its caller reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from local import resolve
from local.resolve_marks import PROGRESS_MARK, RESULT_MARK


def test_results_are_printed_relative_to_the_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(resolve, "one", lambda root, coordinate: [root / "repository" / coordinate])
    resolve.main(str(tmp_path), "one", "x.jar")
    assert capsys.readouterr().out == f"{RESULT_MARK}repository/x.jar\n"


def test_each_file_is_announced_once_with_its_size(capsys: pytest.CaptureFixture[str]) -> None:
    with resolve.announce("x.jar", 12) as update:
        update(5)
        update(7)
    assert capsys.readouterr().out == f"{PROGRESS_MARK}x.jar 12\n"


def test_downloads_stay_in_the_directory(tmp_path: Path) -> None:
    assert Path(resolve.context(tmp_path).repo_cache) == tmp_path / "repository"
