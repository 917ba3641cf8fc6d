"""A service whose tasks run in Celery's prefork pool, as a process. Where it sends to, and its broker's folder, stand in its
environment: `celery --app tests.client.celery_shop worker --pool=prefork`.
"""

from __future__ import annotations

import os
import pathlib
import signal
import time

import tocsin
from celery import Celery
from tocsin.celery import watch

FOLDER = os.environ["SHOP_FOLDER"]

client = tocsin.Client(kind="web", flush_interval=float(os.environ.get("SHOP_FLUSH", "3600")))
watch(client)
client.gauge("shop.begins").set(float(os.getpid()))  # before the fork: it is the parent's, and no child's

app = Celery("shop", broker="filesystem://", set_as_current=False)
FOLDERS = dict.fromkeys(("data_folder_in", "data_folder_out", "control_folder"), FOLDER)
app.conf.broker_transport_options = {**FOLDERS, "polling_interval": 0.02}
app.conf.update(
    task_ignore_result=True, worker_lost_wait=0.1, worker_prefetch_multiplier=1, worker_hijack_root_logger=False
)


@app.task(name="pay")
def pay(order: int) -> None:
    """Raises for what cannot be paid."""
    client.gauge("shop.paid").set(float(os.getpid()))
    if order % 7 == 0:
        raise ValueError("this one cannot be paid")


@app.task(name="slow", time_limit=0.5)
def slow() -> None:
    """Is ended by Celery."""
    time.sleep(60)


@app.task(name="again", acks_late=True, acks_on_failure_or_timeout=False, time_limit=0.5)
def again(flag: str) -> None:
    """Is ended by Celery, and comes again: the second time, too."""
    times = pathlib.Path(flag)
    with times.open("a") as told:
        told.write("x")
    if len(times.read_text()) < 3:
        time.sleep(60)


@app.task(name="crash")
def crash() -> None:
    """Ends its process."""
    os.kill(os.getpid(), signal.SIGKILL)
