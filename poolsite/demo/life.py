"""The made-up pool's signs of life: without them everybody in it would look away after half a minute.

Its chain stands still at the epoch at which it was made up; what is told by times is told anew, as of now.
Checks, alerts and history go on as in any pool.  Nobody is asked for anything: no node, no signer, no host.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

import structlog
from django.conf import settings
from django.db import Error, close_old_connections, transaction
from django.db.models import F, Max

from apps.chain.models import Head, Node
from apps.checks.models import ComponentStatus
from apps.checks.report.cache import requested_evaluate
from apps.checks.tasks import alerts_run
from apps.core import clock
from apps.core.liveness import HEARTBEAT_EVERY_S, heartbeat_send, notify_ready
from apps.core.process_leases import lease_keep
from apps.gateway.models import ProverConnection, SignerConnection
from apps.history.services.readings import readings_record
from apps.messages.models import Message
from apps.messages.states import MessageState, Wait
from apps.miners.models import Role
from apps.sectors.models import Job, SealTarget, Store, Worker
from apps.sectors.states import JobState
from apps.wallets.models import Wallet
from poolsite.demo.world import EPOCH_S
from poolsite.tracing import tracing_start

log = structlog.get_logger(__name__)

TICK_S: Final = 1.0
STOPPED: Final = timedelta(minutes=1)
"""A host that was silent for so much longer than others has stopped, and stays so."""
LEASE: Final = timedelta(minutes=2)


@transaction.atomic
def signs_give(*, now: datetime) -> None:
    """Move what is told by times to this moment; another time changes nothing but the times."""
    newest = Head.objects.order_by("-height").first()
    if newest is None:
        return
    passed = timedelta(seconds=max(int((now - newest.arrived_at).total_seconds()), 0))
    Head.objects.update(
        arrived_at=F("arrived_at") + passed, timestamp=F("timestamp") + int(passed.total_seconds())
    )
    Node.objects.update(checked_at=now, detailed_at=now)
    heard = Worker.objects.aggregate(at=Max("seen_at"))["at"] or now
    alive = Worker.objects.filter(seen_at__gt=heard - STOPPED)
    Job.objects.filter(state=JobState.LEASED, worker__in=alive).update(
        heard_at=now, lease_until=now + LEASE, updated_at=now
    )
    Store.objects.update(told_at=now, sampled_at=now)
    alive.update(seen_at=now)
    SignerConnection.objects.filter(closed_at=None).update(seen_at=now)
    ProverConnection.objects.filter(closed_at=None).update(seen_at=now)
    Wallet.objects.update(seen_at=now, checked_at=now)
    Role.objects.update(heard_at=now)
    Role.objects.exclude(lease_until=None).update(lease_until=now + LEASE)
    SealTarget.objects.update(look_at=now + LEASE)
    Message.objects.filter(state=MessageState.FILLED, wait=Wait.IN_POOL).update(
        created_at=F("created_at") + passed,
        filled_at=F("filled_at") + passed,
        published_at=F("published_at") + passed,
        updated_at=now,
    )


ACTS: Final[tuple[tuple[float, Callable[[], object]], ...]] = (
    (TICK_S, requested_evaluate),
    (HEARTBEAT_EVERY_S, heartbeat_send),
    (EPOCH_S / 2, lambda: signs_give(now=clock.now())),
    (15.0, alerts_run),
    (300.0, lambda: readings_record(now=clock.now())),
)
"""The periodic acts, each with the seconds between two."""


def run() -> None:
    """Send signs of life until SIGTERM or SIGINT."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    tracing_start(settings.PROCESS_NAME)
    lease_end = lease_keep()
    signs_give(now=clock.now())
    ComponentStatus.objects.update(evaluated_at=clock.now(), counted_until=clock.now())  # a stop is no outage
    notify_ready()
    due = [time.monotonic() + every_s for every_s, _ in ACTS]  # alerts once the web processes are heard
    while not stop.wait(TICK_S / 2):
        for place, (every_s, act) in enumerate(ACTS):
            if time.monotonic() < due[place]:
                continue
            due[place] = time.monotonic() + every_s
            try:
                close_old_connections()
                act()
            except Error as error:  # the database restarts
                log.warning("demo_act_failed", reason=str(error)[:200])
    lease_end()
