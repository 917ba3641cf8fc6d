"""Lives: a spool's folders, one a run of a client, each owned by the process that holds its lock.

What: make a folder and own it, find those whose owner is gone and own them too, leave and remove them. Why: processes of
one service share a place on disk, and what one of them left behind must be sent by another or by its next run. A lock
ends with its process, whatever ends that. It refuses folders of other sources: their batches need other credentials.
"""

from __future__ import annotations

import contextlib
import os
from zlib import crc32

from tocsin.disk import Disk
from tocsin.errors import InvalidOption

LOCK = "lock"
NEW = "new-"  # a folder under this name is not ready, and nobody adopts it


class Life:
    """A folder that this process owns. `lock`: descriptor of its locked file. `lasts`: whether its name survives a crash."""

    __slots__ = ("lasts", "lock", "own", "path")

    def __init__(self, path: str, lock: int, own: bool) -> None:
        self.path = path
        self.lock = lock
        self.own = own
        self.lasts = not own

    def file(self, name: str) -> str:
        """The path of a file in it."""
        return os.path.join(self.path, name)

    def names(self, ending: str) -> list[str]:
        """Its files with that ending, in order."""
        return sorted(name for name in os.listdir(self.path) if name.endswith(ending))

    def stands(self) -> bool:
        """Whether its locked file has its name still; without it nobody would ever find what is in the folder."""
        with contextlib.suppress(OSError):
            return os.path.samestat(os.stat(self.file(LOCK)), os.fstat(self.lock))
        return False

    def leave(self) -> None:
        """Own it no longer. In a forked child this leaves the parent's lock alone."""
        with contextlib.suppress(OSError):
            os.close(self.lock)

    def remove(self, disk: Disk) -> None:
        """Remove it, if nothing is left in it, and own it no longer."""
        with contextlib.suppress(OSError):
            names = os.listdir(self.path)
            if names == [LOCK]:
                disk.unlink(self.file(LOCK))
            if names in ([LOCK], []):
                disk.remove_folder(self.path)
        self.leave()


def _lock(path: str) -> int | None:
    """A descriptor that holds the lock of the file, or None when another process does or the file is gone."""
    import fcntl

    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(descriptor), os.stat(path)):
            return descriptor
    except OSError:
        pass
    os.close(descriptor)
    return None


class Lives:
    """All folders of one source under `root`, which is made when it is absent. Raises InvalidOption.

    `mark`: begins the names of folders that hold something else than measurements.
    """

    def __init__(self, root: str, source: str, disk: Disk, mark: str = "") -> None:
        self.root = os.path.abspath(root)
        self.disk = disk
        self.prefix = f"{mark}{crc32(source.encode()):08x}-"
        try:
            import fcntl  # noqa: F401
        except ImportError as error:
            raise InvalidOption("spool: this system has no locks that end with their process") from error
        try:
            os.makedirs(self.root, 0o700, exist_ok=True)
        except OSError as error:
            raise InvalidOption(f"spool={root!r}; a folder that may be written to is expected: {error}") from error

    def make(self, boot: str) -> Life:
        """A new folder. It is locked before it has the name by which others find it. Raises OSError, and may be asked again.

        Nothing in it is safe before `keep`.
        """
        disk, name, more = self.disk, boot, 0
        os.makedirs(self.root, 0o700, exist_ok=True)
        while os.path.lexists(os.path.join(self.root, self.prefix + name)):
            more += 1
            name = f"{boot}-{more}"
        started, path = (os.path.join(self.root, before + name) for before in (NEW + self.prefix, self.prefix))
        with contextlib.suppress(FileExistsError):  # of a try that the disk did not let us finish
            disk.make_folder(started)
        with contextlib.suppress(FileExistsError):
            os.close(disk.create(os.path.join(started, LOCK)))
        lock = _lock(os.path.join(started, LOCK))
        if lock is None:
            raise OSError(f"{started} is locked by another process")
        try:
            disk.rename(started, path)
        except OSError:
            os.close(lock)  # so that the next try can have it
            raise
        return Life(path, lock, own=True)

    def keep(self, life: Life) -> None:
        """Its name outlasts a crash when this returns. Raises OSError, and may be asked again."""
        if not life.lasts:
            self.disk.sync_folder(self.root)
            life.lasts = True

    def adopt(self, owned: set[str]) -> list[Life]:
        """The folders, oldest first, whose owners are gone; they are ours from now on. `owned`: paths to leave out."""
        found: list[tuple[float, str]] = []
        with contextlib.suppress(OSError), os.scandir(self.root) as entries:
            for entry in entries:
                if entry.name.startswith(NEW + self.prefix):
                    self._sweep(entry.path)
                elif entry.name.startswith(self.prefix) and entry.path not in owned:
                    with contextlib.suppress(OSError):
                        found.append((entry.stat().st_mtime, entry.path))
        lives = []
        for _, path in sorted(found):
            with contextlib.suppress(OSError):
                lock = _lock(os.path.join(path, LOCK))
                if lock is not None:
                    lives.append(Life(path, lock, own=False))
        return lives

    def left_behind(self) -> bool:
        """Whether there is a folder of this source at all, be its owner gone or not."""
        with contextlib.suppress(OSError):
            return any(name.startswith(self.prefix) for name in os.listdir(self.root))
        return False

    def _sweep(self, path: str) -> None:
        """Remove a folder that was never ready. Its maker, if it is still at it, makes it anew."""
        with contextlib.suppress(OSError):
            lock = _lock(os.path.join(path, LOCK))
            if lock is not None:
                Life(path, lock, own=False).remove(self.disk)
