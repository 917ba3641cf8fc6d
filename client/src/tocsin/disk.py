"""Disk: the few things that the spool asks of a file system, one call each.

What: files that are only appended to, folders, and the syncs that make both last. Why: what survives a crash is decided
by the order of exactly these calls, so a test can record them and replay every prefix. It refuses to hide errors: a
full disk is for the spool to deal with.
"""

from __future__ import annotations

import os


class Disk:
    """The real one. All errors are OSError."""

    def make_folder(self, path: str) -> None:
        """A new folder, for this user only."""
        os.mkdir(path, 0o700)

    def create(self, path: str) -> int:
        """A new file, open for appending; its descriptor."""
        return os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def write(self, descriptor: int, data: bytes) -> None:
        """Append all of the data."""
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(descriptor, rest) :]

    def truncate(self, descriptor: int, size: int) -> None:
        """Forget what was appended beyond a size."""
        os.ftruncate(descriptor, size)

    def sync(self, descriptor: int) -> None:
        """The file's content outlasts a crash when this returns."""
        getattr(os, "fdatasync", os.fsync)(descriptor)

    def sync_folder(self, path: str) -> None:
        """The folder's entries outlast a crash when this returns."""
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def rename(self, path: str, to: str) -> None:
        """Atomic."""
        os.rename(path, to)

    def unlink(self, path: str) -> None:
        """Remove a file."""
        os.unlink(path)

    def remove_folder(self, path: str) -> None:
        """Remove an empty folder."""
        os.rmdir(path)
