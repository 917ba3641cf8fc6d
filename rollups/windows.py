"""Windows of one kind of source that are longer than a pane: one minute, five minutes, one hour.

What: an open minute holds nothing, since its panes do; when the watermark passes it, it is their sum. Five minutes are
the sum of their minutes. The hour is added up as its five-minute windows close, since those are gone by then. What a
final pane gains is added to each final window above it; the first open one will see it when it closes. Why: each row is
added up once a level, and corrections cost what they change. It refuses to know where rows come from. All cells here
are plain.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from rollups.addition import added
from rollups.folding import fold, unfold
from rollups.latest import NONE, Series, rows_of
from rollups.limits import COARSE_WINDOWS_MS, NEVER
from rollups.merge_limits import LOOSE_ROWS, LOOSE_SHARE
from rollups.pane_table import MergePane
from rollups.plain import NO_CELLS
from schemas.cells import Cells

MINUTE, FIVE, HOUR = COARSE_WINDOWS_MS
Place = tuple[int, int]  # (length, start) in ms


@dataclasses.dataclass(slots=True)
class Window:
    """One window: a folded block, and rows that are to be added to it."""

    start_ms: int
    folded: bytes = b""
    size: int = 0
    loose: Cells = NO_CELLS
    final: bool = False
    revision: int = 0
    batches: int = 0
    emitted_ms: int = NEVER
    whole: bool = False
    changed: list[Series] = dataclasses.field(default_factory=list)

    @property
    def due(self) -> bool:
        """Something has to leave."""
        return self.whole or bool(self.changed)

    def add(self, *blocks: Cells) -> None:
        """More for the window."""
        more = [self._moved(block) for block in blocks if len(block)]
        if not more:
            return
        self.loose = added([self.loose, *more])
        self.revision += 1
        if self.final:
            self.changed += [block.series for block in more]
        if not self.folded or len(self.loose) > max(LOOSE_ROWS, self.size // LOOSE_SHARE):
            self.fold()

    def _moved(self, cells: Cells) -> Cells:
        """The same rows as rows of this window. As-of offsets of source partitions mean nothing here."""
        nothing = np.zeros(len(cells), np.int64)
        return dataclasses.replace(cells, pane_ms=np.full(len(cells), self.start_ms), offset=nothing)

    def current(self) -> Cells:
        """All rows."""
        rows = unfold(self.folded) if self.folded else NO_CELLS
        return added([rows, self.loose]) if len(self.loose) else rows

    def fold(self) -> None:
        """Loose rows into the block."""
        rows = self.current()
        self.folded, self.size, self.loose = fold(rows), len(rows), NO_CELLS

    def close(self) -> None:
        """The last of it has come."""
        self.final = self.whole = True
        self.revision += 1

    def emission(self) -> tuple[Cells, Series]:
        """(rows to emit, which of their series changed after the window was final)."""
        changed = np.unique(np.concatenate(self.changed)) if self.changed else NONE
        if self.whole:
            rows = self.current()
        else:
            blocks = [unfold(self.folded) if self.folded else NO_CELLS, self.loose]
            rows = added([rows_of(block, changed) for block in blocks])
        self.changed, self.whole = [], False
        return rows, changed


class Coarse:
    """All windows of one kind of source, and the panes that they are made of."""

    def __init__(self) -> None:
        self.panes: dict[int, MergePane] = {}
        self.windows: dict[Place, Window] = {}

    def feed(self, start_ms: int, rows: Cells, level: int = 0) -> None:
        """A final pane (or a final window of the level below) at `start_ms` gained rows."""
        for window_ms in COARSE_WINDOWS_MS[level:]:
            window = self.window(window_ms, start_ms)
            if not window.final:
                if window_ms == HOUR:
                    window.add(rows)
                return
            window.add(rows)

    def window(self, window_ms: int, start_ms: int) -> Window:
        """The window of that length around `start_ms`."""
        window_start = start_ms // window_ms * window_ms
        return self.windows.setdefault((window_ms, window_start), Window(window_start))

    def close(self, passed_ms: int) -> int:
        """Windows that end at or before `passed_ms` become final, short ones first; how many. Their panes are final."""
        closed = 0
        for level, window_ms in enumerate(COARSE_WINDOWS_MS):
            due = [
                place[1]
                for place, window in self.windows.items()
                if place[0] == window_ms and not window.final and place[1] + window_ms <= passed_ms
            ]
            for start_ms in sorted(due):
                window = self.windows[window_ms, start_ms]
                if window_ms != HOUR:
                    self._sum_up(window, window_ms)
                window.close()
                closed += 1
                if level + 1 < len(COARSE_WINDOWS_MS):
                    self._hand_up(window, level + 1)
        return closed

    def _hand_up(self, window: Window, level: int) -> None:
        """The window's rows to the level above, if that does not read them later."""
        above = self.window(COARSE_WINDOWS_MS[level], window.start_ms)
        if above.final or COARSE_WINDOWS_MS[level] == HOUR:
            self.feed(window.start_ms, window.current(), level)

    def _sum_up(self, window: Window, window_ms: int) -> None:
        """The window's rows, from what it is made of."""
        stop_ms = window.start_ms + window_ms
        if window_ms == MINUTE:
            blocks = [pane.rows() for start, pane in sorted(self.panes.items()) if window.start_ms <= start < stop_ms]
        else:
            below = range(window.start_ms, stop_ms, MINUTE)
            blocks = [self.windows[MINUTE, start].current() for start in below if (MINUTE, start) in self.windows]
        window.add(*blocks)

    def may_forget(self, start_ms: int) -> bool:
        """The pane is final, has left, and its minute has been added up."""
        pane, minute = self.panes[start_ms], self.windows.get((MINUTE, start_ms // MINUTE * MINUTE))
        return pane.final and not pane.due and (minute is None or minute.final)

    def forget(self, horizon_ms: int) -> None:
        """Drop panes that start and windows that end before the horizon, once nobody needs them."""
        for start_ms in [start for start in self.panes if start < horizon_ms and self.may_forget(start)]:
            del self.panes[start_ms]
        for place in [place for place in self.windows if sum(place) < horizon_ms]:
            five = self.windows.get((FIVE, place[1] // FIVE * FIVE))
            needed = place[0] == MINUTE and five is not None and not five.final
            if self.windows[place].final and not self.windows[place].due and not needed:
                del self.windows[place]

    def keep_newest(self, most: int) -> int:
        """Drop the oldest final windows beyond `most`; how many."""
        excess = len(self.windows) - most
        final = [place for place, window in self.windows.items() if window.final] if excess > 0 else []
        old = sorted(final, key=lambda place: place[1])[: max(excess, 0)]
        for place in old:
            del self.windows[place]
        return len(old)
