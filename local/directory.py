"""Directory: one that we may write to, or an error that says which setting names another.

What: `made` makes it and tries it out. Why: a home on a read-only disk, or a file of that name, is found at the start
and not in the middle of a download. It refuses to change permissions.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from local.errors import DirectoryUnusable


def made(directory: Path, setting: str = "TOCSIN_HOME") -> Path:
    """The directory, which is there and takes files. Raises DirectoryUnusable."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):
            return directory
    except OSError as error:
        raise DirectoryUnusable(path=directory, reason=error.strerror or error, setting=setting) from error
