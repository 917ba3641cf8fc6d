"""`tocsin fleet`: its looks at a mapping. (The process itself: tests/integration/fleet_test.py.)"""

from pathlib import Path

import pytest

from cli import fleet
from cli.output import OK, Stop


def test_the_mapping_that_is_shown_is_one_that_is_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fleet.run(None, None, shipped=True) == OK
    file = tmp_path / "mapping.toml"
    file.write_text(capsys.readouterr().out)
    assert fleet.run(None, file, shipped=False) == OK
    assert "56 signals, 2 followed" in capsys.readouterr().err


def test_mistakes_and_files_that_are_not_there_are_told(tmp_path: Path) -> None:
    with pytest.raises(Stop, match="cannot be read"):
        fleet.checked(tmp_path / "nowhere.toml")
    file = tmp_path / "mapping.toml"
    file.write_text("[signals]\nSpeed = {metric = 'x'}")
    with pytest.raises(Stop) as stopped:
        fleet.checked(file)
    assert "signals.Speed: no such signal" in str(vars(stopped.value))
