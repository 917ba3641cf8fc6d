"""A disk that writes down what is asked of it, and the states that a crash may leave of any prefix of that.

What a file system guarantees, and no more: a file's bytes up to its last sync; an entry of a folder once the folder was
synced; a rename whole or not at all. Everything else may be there, in part, or not.
"""

from __future__ import annotations

import random
from pathlib import Path

from tocsin.disk import Disk

#: (what, path, more)
Step = tuple[str, str, object]


class Tape(Disk):
    """Does it all, and notes it in order. `notes` may hold others' steps, too."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self._open: dict[int, str] = {}

    def note(self, what: str, more: object) -> None:
        self.steps.append((what, "", more))

    def make_folder(self, path: str) -> None:
        super().make_folder(path)
        self.steps.append(("folder", path, None))

    def create(self, path: str) -> int:
        descriptor = super().create(path)
        self._open[descriptor] = path
        self.steps.append(("create", path, None))
        return descriptor

    def _path(self, descriptor: int) -> str:
        return self._open[descriptor]

    def write(self, descriptor: int, data: bytes) -> None:
        super().write(descriptor, data)
        self.steps.append(("write", self._path(descriptor), bytes(data)))

    def truncate(self, descriptor: int, size: int) -> None:
        super().truncate(descriptor, size)
        self.steps.append(("truncate", self._path(descriptor), size))

    def sync(self, descriptor: int) -> None:
        super().sync(descriptor)
        self.steps.append(("sync", self._path(descriptor), None))

    def sync_folder(self, path: str) -> None:
        super().sync_folder(path)
        self.steps.append(("sync_folder", path, None))

    def rename(self, path: str, to: str) -> None:
        super().rename(path, to)
        self._open = {d: p.replace(path, to, 1) if p.startswith(path + "/") else p for d, p in self._open.items()}
        self.steps.append(("rename", path, to))

    def unlink(self, path: str) -> None:
        super().unlink(path)
        self.steps.append(("unlink", path, None))

    def remove_folder(self, path: str) -> None:
        super().remove_folder(path)
        self.steps.append(("remove_folder", path, None))


class File:
    def __init__(self) -> None:
        self.data = b""
        self.synced = b""


class World:
    """What the disk may hold after some steps: two trees, of what is sure and of what was asked for."""

    def __init__(self) -> None:
        self.asked: dict[str, File | None] = {}  # path -> file, or None for a folder
        self.sure: dict[str, File | None] = {}

    def apply(self, step: Step) -> None:
        what, path, more = step
        file = self.asked.get(path)
        if what == "folder":
            self.asked[path] = None
        elif what == "create":
            self.asked[path] = File()
        elif what == "write" and file is not None:
            file.data += bytes(more)  # type: ignore[arg-type]
        elif what == "truncate" and file is not None:
            file.data = file.data[: int(more)]  # type: ignore[call-overload]
        elif what == "sync" and file is not None:
            file.synced = file.data
        elif what == "rename":
            for old in [p for p in self.asked if p == path or p.startswith(path + "/")]:
                self.asked[str(more) + old[len(path) :]] = self.asked.pop(old)
        elif what in ("unlink", "remove_folder"):
            self.asked.pop(path, None)
        elif what == "sync_folder":
            inside = {p: f for p, f in self.asked.items() if Path(p).parent == Path(path)}
            self.sure = {p: f for p, f in self.sure.items() if Path(p).parent != Path(path)} | inside

    def leave(self, target: Path, root: str, chance: random.Random | None, everything: bool) -> None:
        """Make in `target` what a crash left of `root`: everything, only what is sure, or at random between them."""
        paths = sorted({*self.asked, *self.sure})
        for path in paths:
            sure, asked = path in self.sure, path in self.asked
            there = (asked if everything else sure) if chance is None else sure or (asked and chance.random() < 0.5)
            if chance is not None and sure and not asked and chance.random() < 0.5:
                there = False  # an unlink that made it
            place = target / Path(path).relative_to(root)
            if not there or not place.parent.is_dir():
                continue
            file = self.asked[path] if asked else self.sure[path]
            if file is None:
                place.mkdir()
            else:
                place.write_bytes(self._content(file, chance, everything))

    @staticmethod
    def _content(file: File, chance: random.Random | None, everything: bool) -> bytes:
        if chance is None:
            return file.data if everything else file.synced
        if not file.data.startswith(file.synced):
            return file.synced if chance.random() < 0.5 else file.data
        extra = file.data[len(file.synced) :]
        kept = bytearray(extra[: chance.randrange(len(extra) + 1)])
        for at in range(0, len(kept), 512):  # sectors in any order: some of them hold zeros, or anything
            if chance.random() < 0.2:
                kept[at : at + 512] = bytes(len(kept[at : at + 512]))
            elif chance.random() < 0.1:
                kept[at : at + 512] = chance.randbytes(len(kept[at : at + 512]))
        return file.synced + bytes(kept)
