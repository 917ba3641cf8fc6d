"""Saved: one cohort as it lies in a snapshot.

What: the groups, columns, latched rules and history rows of a cohort, by name, and the check that they fit each
other. Why: reading a snapshot and living with it are two jobs. It refuses columns of unequal length.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Mapping, Sequence
from typing import cast

import numpy as np

from alerts.history import NEVER, Ints
from alerts.packing import Array, CorruptSnapshot
from schemas.records import SloGroup


@dataclasses.dataclass(frozen=True, slots=True)
class Saved:
    """A cohort read from a snapshot; every array has one entry a group in its first dimension."""

    policy: str  # repr of the policy, to tell whether windows are the same
    groups: Sequence[SloGroup]
    columns: Mapping[str, Ints]
    history: Mapping[str, Ints]
    latched: Array
    exceeded_ms: Ints
    fed: Array
    exemplars: Mapping[str, Sequence[str]]  # row as text -> trace ids

    @classmethod
    def of(cls, number: int, texts: Mapping[str, str], arrays: Mapping[str, Array]) -> Saved:
        """Cohort `number` of a snapshot. Raises KeyError, ValueError or CorruptSnapshot when it does not fit."""
        mine = {
            name.removeprefix(f"{number}/"): array for name, array in arrays.items() if name.startswith(f"{number}/")
        }
        ends = mine.pop("group_end").astype(np.int64)
        text = mine.pop("group_bytes").tobytes()
        starts = [0, *(int(end) for end in ends)]
        groups = [SloGroup.from_bytes(text[a:b]) for a, b in itertools.pairwise(starts)]
        if any(len(array) != len(groups) for array in mine.values()):
            raise CorruptSnapshot(f"columns of cohort {number} differ in length")
        columns = {name[4:]: array.astype(np.int64) for name, array in mine.items() if name.startswith("col_")}
        history = {name[5:]: array.astype(np.int64) for name, array in mine.items() if name.startswith("hist_")}
        exemplars = cast("dict[str, list[str]]", json.loads(texts[f"{number}/exemplars"]))
        # snapshots of before decision 12 know neither: then nothing waits until sources are heard again
        exceeded_ms = mine.get("exceeded", np.full(mine["latched"].shape, NEVER)).astype(np.int64)
        fed = mine.get("fed", np.zeros((len(groups), 0), np.bool_))
        return cls(texts[f"{number}/policy"], groups, columns, history, mine["latched"], exceeded_ms, fed, exemplars)


def packed_groups(groups: Sequence[SloGroup]) -> dict[str, Array]:
    """Groups as two arrays: canonical bytes one after the other, and where each ends."""
    encoded = [group.canonical() for group in groups]
    ends = np.cumsum([len(data) for data in encoded], dtype=np.int64)
    return {"group_end": ends, "group_bytes": np.frombuffer(b"".join(encoded), np.uint8)}
