"""Random plain blocks for the tests of the merge's parts."""

from __future__ import annotations

import numpy as np

from rollups import histogram, sums
from rollups.combine import combine
from schemas.cells import Cells

PANE_MS = 1_800_000_000_000


def block(seed: int, rows: int, top: int, fine: bool = False) -> Cells:
    """Cells of `rows` measurements of series below `top`, added up: with histograms, exemplars, fingerprints.

    `fine`: good and total have digits below one.
    """
    draw = np.random.default_rng(seed)
    values = np.round(draw.normal(0, 1000, rows), 3) + 0.0
    whole, frac = sums.carry(*sums.split(values))
    traced = np.flatnonzero(draw.random(rows) < 0.3)
    unit = 1 if fine else 1 << 20
    return combine(
        Cells.of(
            rows,
            series=draw.integers(0, top, rows),
            pane_ms=np.full(rows, PANE_MS),
            offset=draw.integers(0, 1_000, rows),
            count=np.ones(rows),
            sum_whole=whole,
            sum_frac=frac,
            low=values,
            high=values,
            good=draw.integers(0, 2, rows) * unit,
            total=np.full(rows, unit),
            fingerprint=draw.integers(0, 2**63, rows) * 2,
            hist_row=np.arange(rows),
            hist_bucket=histogram.bucket(values),
            hist_count=np.ones(rows),
            exemplar_row=traced,
            exemplar_value=values[traced],
            exemplar_time_ms=PANE_MS + traced,
            exemplar_bad=draw.integers(0, 2, len(traced)),
            exemplar_trace=np.frombuffer(draw.bytes(16 * len(traced)), "V16"),
        )
    )
