"""Admission: whether the broker lets this worker in, before it starts, and a wait while it does not.

What: a secured broker is asked what it allows; while it refuses us, or something of the role is lacking, the worker
stays, live and not ready, says which, counts it, and asks again more and more seldom. Why: a worker that ends would be
started again for ever and say nothing to a metric, and what mends it, a grant or a password, is done elsewhere. It
refuses to go on with half of its permissions: the first record that it may not write would end it.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import structlog
from confluent_kafka import KafkaException

from access.refusals import AUTHORIZATION, Ear
from streams import acls, selfmetrics, topics
from streams.limits import ADMISSION_FIRST_S, ADMISSION_MOST_S, START_LOOK_S
from streams.settings import Settings

log = structlog.get_logger(__name__)


def refusal(settings: Settings) -> topics.BrokerRefuses | None:
    """Why the broker does not let us in; None when it does, or when there is no word from it."""
    ear = Ear(settings.principal)
    client = topics.admin(settings.bootstrap, settings, ear)
    try:
        client.list_topics(timeout=START_LOOK_S)
        lacks = acls.lacking(client, acls.roles(settings.application)["worker"], START_LOOK_S)
    except KafkaException as error:
        found = topics.unavailable(client, error.args[0], ear, settings.bootstrap)
        return found if isinstance(found, topics.BrokerRefuses) else None
    except TimeoutError:
        return None
    if not lacks:
        return None
    what = ", ".join(map(str, lacks))
    do = "`tocsin acls worker` prints the commands that grant it"
    return topics.BrokerRefuses(f"{settings.principal} lacks {what}; {do}", AUTHORIZATION)


def wait(settings: Settings, told: Callable[[str], None], sleep: Callable[[float], None] = time.sleep) -> None:
    """Until the broker lets us in. `told` hears why not, and at the end ""."""
    if not settings.secured:
        return
    pause = ADMISSION_FIRST_S
    while (found := refusal(settings)) is not None:
        log.error("broker_refuses", reason=found.reason, why=str(found), again_in_s=pause)
        selfmetrics.refused(found.reason)
        told(str(found))
        sleep(pause)
        pause = min(pause * 2, ADMISSION_MOST_S)
    told("")
