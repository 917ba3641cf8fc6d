"""Pieces: decoded parts of a chunk, put together in the order of the log.

What: a Piece holds the measurements of some of a chunk's records, whichever way they were read; `assemble` makes one
Measurements of all. Why: events, batches and odd records are read by different paths, and the log has one order. It
refuses overlap: each record is in one piece at most.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from schemas.measurements import Measurements


@dataclasses.dataclass(slots=True)
class Piece:
    """Measurements of m records: record columns (m,), row columns (n,), exemplars (k,)."""

    record: NDArray[np.int64]  # place in the chunk, rising
    producer: NDArray[np.uint64]
    sequence: NDArray[np.int64]
    rows: NDArray[np.int64]
    row_record: NDArray[np.int64]  # index into the record columns, never falling
    series: NDArray[np.int64]
    time_ms: NDArray[np.int64]
    value: NDArray[np.float64]
    outcome: NDArray[np.uint8]
    exemplar_row: NDArray[np.int64]
    exemplar_trace: NDArray[np.void]
    stamped: NDArray[np.int64]  # records that have stamps, rising
    stamps: NDArray[np.int64]  # (4, s)


def assemble(pieces: list[Piece], offset: NDArray[np.int64], append_ms: NDArray[np.int64]) -> Measurements:
    """All rows of all pieces in the order of the log. `offset`, `append_ms`: of the chunk's records."""
    pieces = [piece for piece in pieces if len(piece.record)]
    if not pieces:
        return Measurements.empty()
    piece = pieces[0] if len(pieces) == 1 else _merged(pieces)
    everything = len(piece.record) == len(offset)
    return Measurements(
        series=piece.series,
        time_ms=piece.time_ms,
        value=piece.value,
        outcome=piece.outcome,
        row_record=piece.row_record,
        record_offset=offset if everything else offset[piece.record],
        record_append_ms=append_ms if everything else append_ms[piece.record],
        record_producer=piece.producer,
        record_sequence=piece.sequence,
        record_rows=piece.rows,
        exemplar_row=piece.exemplar_row,
        exemplar_trace=piece.exemplar_trace,
        stamped=piece.stamped,
        stamps=piece.stamps,
    )


def _merged(pieces: list[Piece]) -> Piece:
    record = np.concatenate([piece.record for piece in pieces])
    order = np.argsort(record, kind="stable")
    place = np.empty(len(order), np.int64)  # of each record, in the new order
    place[order] = np.arange(len(order))
    first_record = np.cumsum([0, *(len(piece.record) for piece in pieces)])
    first_row = np.cumsum([0, *(len(piece.series) for piece in pieces)])
    row_record = place[
        np.concatenate([piece.row_record + first for piece, first in zip(pieces, first_record, strict=False)])
    ]
    row_order = np.argsort(row_record, kind="stable")
    row_place = np.empty(len(row_order), np.int64)
    row_place[row_order] = np.arange(len(row_order))
    exemplar_row = row_place[
        np.concatenate([piece.exemplar_row + first for piece, first in zip(pieces, first_row, strict=False)])
    ]
    exemplar_order = np.argsort(exemplar_row, kind="stable")
    stamped = place[np.concatenate([piece.stamped + first for piece, first in zip(pieces, first_record, strict=False)])]
    stamp_order = np.argsort(stamped, kind="stable")
    return Piece(
        record=record[order],
        producer=np.concatenate([piece.producer for piece in pieces])[order],
        sequence=np.concatenate([piece.sequence for piece in pieces])[order],
        rows=np.concatenate([piece.rows for piece in pieces])[order],
        row_record=row_record[row_order],
        series=np.concatenate([piece.series for piece in pieces])[row_order],
        time_ms=np.concatenate([piece.time_ms for piece in pieces])[row_order],
        value=np.concatenate([piece.value for piece in pieces])[row_order],
        outcome=np.concatenate([piece.outcome for piece in pieces])[row_order],
        exemplar_row=exemplar_row[exemplar_order],
        exemplar_trace=np.concatenate([piece.exemplar_trace for piece in pieces])[exemplar_order],
        stamped=stamped[stamp_order],
        stamps=np.concatenate([piece.stamps for piece in pieces], axis=1)[:, stamp_order],
    )
