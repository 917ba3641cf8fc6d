"""Windows: one minute, five minutes and an hour, held against the ledger's ten seconds in sum.

What: `summed` adds up cells of ten seconds; `compare` does as `audit.compare` for windows of one length. Why: coarse
windows are made of panes that come, close and are corrected at different times, so that ten seconds may be right and their
hour wrong. It refuses to ask for a window that may still be open: `over_ms` says which are over.
"""

from __future__ import annotations

from demo import audit
from demo.audit import Verdict
from demo.ledger import Cells, add

LENGTHS_MS = (60_000, 300_000, 3_600_000)


def summed(cells: Cells, window_ms: int) -> Cells:
    """Cells of ten seconds in sum, by series and longer window."""
    found: Cells = {}
    for (series, start_ms), cell in cells.items():
        add(found, (series, start_ms // window_ms * window_ms), cell)
    return found


def compare(truth: Cells, aggregated: Cells, late: Cells, window_ms: int, over_ms: int) -> Verdict:
    """Windows of that length (`aggregated`) against ten seconds (`truth`, `late`): those that came, and those that ended
    by `over_ms` whether they came or not."""
    wanted = {
        key: cell
        for key, cell in summed(truth, window_ms).items()
        if key in aggregated or key[1] + window_ms <= over_ms
    }
    beside = {key: cell for key, cell in summed(late, window_ms).items() if key in wanted}
    return audit.compare(wanted, aggregated, beside, 0)
