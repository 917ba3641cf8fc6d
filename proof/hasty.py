"""Hasty: our own worker commits before it processes, and dies: a control on the books of the run itself.

What: the workers are killed, a hasty one (`proof.hasty_worker`) takes their place until it has died with panes kept and not
told, then the right ones go on; ledger against rollups, as for any run. Why: the oracle must see this loss where the product
would make it. It refuses books that were not exact before.
"""

from __future__ import annotations

from demo.workers import Workers
from local.process import free_port
from proof.controls import Control
from proof.faults import WORKERS
from proof.field import Field

NAME = "our own worker, which keeps before it tells"
WORKER = "hasty"


def hasty(field: Field) -> Control:
    """The load runs on. Raises NotInTime."""
    with field.quiet():
        field.until("exact books", lambda: field.verdict().exact)
    field.resting.update(WORKERS)
    for name in field.workers.names:
        field.kill(name)
    wrong = Workers(field.environment, field.directory, ("proof.hasty_worker",))
    wrong.start(WORKER, {"TOCSIN_HEALTH_PORT": str(free_port())})
    try:
        field.until("the end of a hasty worker", lambda: wrong.code(WORKER) is not None)
    finally:
        wrong.kill(WORKER)
    field.resting.clear()
    field.until("both workers at work", field.at_work)
    with field.quiet():
        truth = field.load.truth()
        newest_ms = max(start_ms for _, start_ms in truth)
        wanted = {key for key in truth if key[1] == newest_ms}
        field.until("the last windows", lambda: wanted <= field.found().keys())
        verdict = field.verdict()
    return Control(NAME, verdict.lost, verdict.doubled + verdict.invented + verdict.altered)
