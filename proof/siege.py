"""Siege: what is done to the gateway: killed, flooded, and held by clients that are slow on purpose.

What: one function an action; attackers are programs of their own (`proof.oversized`, `proof.slowloris`), with good clients
beside them. Why: HTTP is the door for strangers, and whoever is honest must not feel them. It refuses an attack that did
not happen, and one of which the good clients' wait was not taken.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import Any

from demo.workers import ROOT
from proof.faults import Step
from proof.field import PARTITIONS
from proof.harm import Harm, Unexpected
from proof.report import quantile
from proof.way import Way
from streams import topics

HANGING_S = 0.3  # a request that waits so long for a frozen broker is killed with its gateway
FROZEN_S = 15.0  # at most, until one waits
GOOD_P99_S = 2.0  # of a good client beside bad ones, from hand-over to fate
GOOD_P99_TIMES = 5.0  # what it was just before: on a machine that is busy anyway
GOOD_LEAST = 40  # requests that say what it was
GATE_MB = 160.0  # by which a gateway's memory may grow: its budget of 128 MiB for bodies, and what is read of others
TAKEN_BYTES = 20 << 20  # of one request: a body, what is read of a refused one, and what two kernels hold
ANSWERED_S = 10.0  # the answer to a request that is too large, on a machine on which eleven are sent at once
LET_GO_S = 3.0  # beyond a deadline
READER_S = (
    0.2  # more for each reader: his clock begins with the last answer that he could take, after 16,384 records judged
)
STRANGERS_S = 30.0


class Siege(Harm):
    """Faults of the gateway."""

    def _do_gateway(self, step: Step) -> int:
        """The gateway dies while requests wait for a frozen broker; then its next lives end themselves at each named step."""
        field, gate, cluster = self.field, self.field.gate, self.field.cluster
        points, sent_again = step.target.split(","), field.load.sent_again
        gate.dies_at(points)
        node = cluster.leader(topics.TELEMETRY, self.rng.randrange(PARTITIONS))
        cluster.freeze(node)
        try:
            field.until("a request that waits for Kafka", lambda: field.load.longest_s() > HANGING_S, FROZEN_S)
            gate.kill()
        finally:
            cluster.thaw(node)
        ways = [Way(field, gate.died[-1], range(PARTITIONS), field.gated)]
        for point in points:
            lives, ends_at = len(gate.died), time.monotonic() + field.patience_s
            while len(gate.died) == lives:
                if time.monotonic() > ends_at:
                    raise Unexpected(f"{Unexpected.__doc__}: nobody died at {point} within {field.patience_s:.0f} s")
                field.tend()
                for way in ways:
                    way.open()
            field.answers_lost += point.startswith("after_ack")
            ways.append(Way(field, gate.died[-1], range(PARTITIONS), field.gated))
        for way in ways:
            self._arrive(way)
        if field.load.sent_again < sent_again + len(ways):
            raise Unexpected(f"{Unexpected.__doc__}: {len(ways)} lives of a gateway, and nothing was sent again")
        return len(ways)

    def _do_oversized(self, step: Step) -> int:
        """Requests that are too large, each answered early and ended, with good clients beside them."""
        before, _ = self.field.gate.memory_mb()
        fates = self._strangers("oversized", step.count)
        _, most = self.field.gate.memory_mb()
        wrong = [one for one in fates if not one["good"] or not one["ended_s"] or one["answered_s"] > ANSWERED_S]
        wrong += [one for one in fates if one["sent"] > TAKEN_BYTES]
        if wrong:
            raise Unexpected(f"{Unexpected.__doc__}: {wrong}")
        if most - before > GATE_MB:
            raise Unexpected(f"{Unexpected.__doc__}: the gateway's memory grew by {most - before:.0f} MB")
        self.field.note(
            oversized_bytes_taken=max(one["sent"] for one in fates), oversized_memory_mb=round(most - before),
            oversized_answered_s=max(one["answered_s"] for one in fates),
        )  # fmt: skip
        return len(fates)

    def _do_slowloris(self, step: Step) -> int:
        """Clients that are slow on purpose, each let go at its deadline, with good clients beside them."""
        told = self.field.deadlines
        allowed = {"head": told.head_s, "silence": told.head_s, "body": told.body_s, "reader": told.request_s}
        found = self._strangers("slowloris", step.count)
        late = {
            one["kind"]: LET_GO_S + (READER_S * one["connections"] if one["kind"] == "reader" else 0.0) for one in found
        }
        wrong = [
            one for one in found
            if one["let_go"] < one["connections"] or one["longest_s"] > allowed[one["kind"]] + late[one["kind"]]
        ]  # fmt: skip
        if wrong:
            raise Unexpected(f"{Unexpected.__doc__}: {wrong}")
        self.field.note(**{f"slow_{one['kind']}_held_s": one["longest_s"] for one in found})
        return sum(one["connections"] for one in found)

    def _strangers(self, program: str, count: int) -> list[Any]:
        """What a program of attackers says of the gateway; good clients must not feel it."""
        field, patience_s = self.field, STRANGERS_S + self.field.deadlines.request_s
        command = [sys.executable, "-m", f"proof.{program}", "127.0.0.1", str(field.gate.port)]
        own = {**os.environ, "PYTHONPATH": str(ROOT)}
        field.until("good clients by themselves", lambda: len(field.load.waits(self.begun)[0]) >= GOOD_LEAST)
        before = quantile(field.load.waits(self.begun)[0], 0.99) or 0.0
        with subprocess.Popen([*command, str(count), str(patience_s)], env=own, stdout=subprocess.PIPE) as child:
            since = time.monotonic()
            try:
                field.until(program, lambda: child.poll() is not None, count * patience_s)
            finally:
                child.kill()
            waits, failed = field.load.waits(since)
            said, _ = child.communicate()
        if child.returncode:
            raise Unexpected(f"{Unexpected.__doc__}: {program} ended with {child.returncode}")
        p99 = quantile(waits, 0.99)
        if failed or p99 is None or p99 > max(GOOD_P99_S, GOOD_P99_TIMES * before):
            raise Unexpected(
                f"{Unexpected.__doc__}: of {len(waits)} good requests {failed} failed, p99 {p99} s, {before} s before"
            )
        self.field.note(**{f"{program}_good_p99_s": p99, f"{program}_p99_before_s": before})
        return list(json.loads(said))
