"""A service that runs on Faust, as a process: `python faust_shop.py worker`. Where it sends to stands in its environment.

Two orders of 140 cannot be paid: the agent raises, and Faust starts it anew, which may take it five seconds. Every order is a line of
a statement as well, written ten at a time.
"""

from __future__ import annotations

import os
from typing import Any

import faust
import tocsin
from tocsin.faust import watch

client = tocsin.Client(kind="web", flush_interval=0.1)  # out of TOCSIN_URL and so on
app = faust.App(
    os.environ["SHOP"],
    broker=f"kafka://{os.environ['BROKER']}",
    store="memory://",
    web_enabled=False,
    topic_disable_leader=True,
    consumer_auto_offset_reset="earliest",
    broker_commit_interval=0.2,
)
watch(client, app)
orders = app.topic(os.environ["ORDERS"], value_type=bytes, value_serializer="raw")
paid = app.topic(os.environ["PAID"], value_type=bytes, value_serializer="raw")


@app.agent(orders, name="pay")
async def pay(stream: Any) -> None:
    """Raises for what cannot be paid."""
    async for order in stream:
        if int(order) % 70 == 69:
            raise ValueError("this one cannot be paid")
        await paid.send(value=order)


@app.agent(orders, name="statement")
async def statement(stream: Any) -> None:
    """As the other one reads, by batches."""
    async for _ in stream.take(10, within=0.2):
        pass


if __name__ == "__main__":
    app.main()
