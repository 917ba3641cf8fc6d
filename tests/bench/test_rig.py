"""Metrics as the rig reads them.

What: Prometheus text to sums. Why: a name that is spelt wrong reads as zero, and a zero may pass for a good result. It
refuses to start processes.
"""

from __future__ import annotations

import pytest

from bench.rig import Metrics, await_that, why

TEXT = """\
# TYPE tocsin_measurements counter
tocsin_measurements_total{fate="accepted"} 7.0
tocsin_measurements_total{fate="late"} 2.0
# TYPE tocsin_lag_records gauge
tocsin_lag_records{partition="0",stage="merge"} 0.0
tocsin_lag_records{partition="2",stage="merge"} 5.0
"""


def test_sums_by_name_by_value_and_by_all_labels():
    found = Metrics.parse(TEXT)
    assert found["tocsin_measurements_total"] == 9.0
    assert found["tocsin_measurements_total{accepted}"] == 7.0
    assert found["tocsin_lag_records{merge}"] == 5.0
    assert "tocsin_lag_records{partition=0,stage=merge}" in found
    assert "tocsin_lag_records{partition=1,stage=merge}" not in found


def test_what_is_absent_is_nothing_and_stays_absent():
    found = Metrics.parse(TEXT)
    assert found["tocsin_other"] == 0.0
    assert "tocsin_other" not in found


def test_waiting_names_what_did_not_come():
    with pytest.raises(TimeoutError, match="the moon"):
        await_that(lambda: False, "the moon", 0.01, 0.001)


def test_the_reason_of_an_end_is_found_in_front_of_the_noise():
    stops = [f"[info] part {number}: Stopping..." for number in range(500)]
    log = ["[info] begins", "[error    ] it broke", "Traceback", "ValueError: this", *stops, "closing"]
    assert why("\n".join(log)).splitlines() == ["[error    ] it broke", "Traceback", "ValueError: this", "closing"]


def test_without_a_reason_the_last_lines_are_told():
    assert why("\n".join(f"line {number}" for number in range(500))).splitlines()[-1] == "line 499"
