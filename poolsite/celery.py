"""The pool's Celery app: queues of the console's own tasks; sealing hosts have another app and broker."""

from __future__ import annotations

import os
from functools import cached_property
from typing import Any

import structlog
from celery import Celery, bootsteps
from celery.fixups.django import (  # type: ignore[attr-defined]  # the stubs lack the second
    DjangoFixup,
    DjangoWorkerFixup,
)
from django.conf import settings
from django.db import close_old_connections
from django.utils.module_loading import import_string
from kombu import Queue
from kombu.exceptions import OperationalError as BrokerAway
from redis.exceptions import RedisError

from apps.core.ability import Ability
from apps.core.liveness import HEARTBEAT_EVERY_S, heartbeat_send, notify_ready
from apps.core.process_leases import lease_keep
from apps.core.redis_clients import turn_claim
from poolsite.tracing import tracing_start
from poolsite.tracing.tasks import tasks_trace

log = structlog.get_logger(__name__)

PERIODIC = (
    ("alerts.run", 15.0),
    ("users.expire", 600.0),
    ("gateway.expire", 600.0),
    ("history.record", 300.0),
    ("history.delete_old", 3600.0),
    ("sectors.months", 3600.0),
    ("messages.archive", 3600.0),
    ("blocks.prices", 3600.0),
)
"""Tasks that are sent whether heads come or not, each with the seconds between two."""

QUEUES = ("head", "messages", "proving", "blocks", "io")
"""What a new head moves, the messager, proofs, block rounds, and everything that waits for others."""

LOOK_EVERY_S = 2.0
"""Time between two checks of whether a task process may carry out tasks again."""

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "poolsite.settings.embedded")


class WorkerFixup(DjangoWorkerFixup):  # type: ignore[misc]  # the stubs do not know the class
    """Leaves database connections to their age and health; Celery's own closes them around every task."""

    def close_database(self, **_kwargs: Any) -> None:
        """Close what is broken or too old."""
        close_old_connections()


class SiteFixup(DjangoFixup):
    """Celery's fixup for Django, with connections that are kept."""

    @cached_property
    def worker_fixup(self) -> Any:
        """Return the worker's part; made when a worker starts."""
        return WorkerFixup(self.app)


def site_fixup(app: Celery) -> SiteFixup:
    """Install the fixup in an app."""
    fixup = SiteFixup(app)
    fixup.install()
    return fixup


app = Celery("poolsite", fixups=["poolsite.celery:site_fixup"])
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.task_queues = [Queue(name) for name in QUEUES]
app.autodiscover_tasks()


class LifeStep(bootsteps.StartStopStep):
    """Sends a heartbeat every few seconds; its timer stops when the worker hangs."""

    requires = ("celery.worker.components:Timer",)

    def __init__(self, parent: Any, **options: Any) -> None:
        super().__init__(parent, **options)
        self.timer: Any = None

    def start(self, parent: Any) -> None:
        """Begin to give heartbeats, and tell the supervisor that the worker is up."""
        tracing_start(settings.PROCESS_NAME)
        tasks_trace()
        parent.ability = Ability(import_string("apps.chain.node.reach.Reach")(), every_s=LOOK_EVERY_S)
        lease_keep(ability=parent.ability)
        heartbeat_send()
        notify_ready()
        self.timer = parent.timer.call_repeatedly(HEARTBEAT_EVERY_S, heartbeat_send)

    def stop(self, parent: Any) -> None:  # noqa: ARG002  # Celery's signature
        """Stop giving them."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None


class StandBackStep(bootsteps.StartStopStep):
    """Leaves tasks in their queues while another machine can carry them out and this one cannot."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def start(self, parent: Any) -> None:
        """Guard each task; a new connection has another channel."""
        ability, qos = parent.controller.ability, parent.task_consumer.channel.qos
        has_room = qos.can_consume
        qos.can_consume = lambda: not (ability.stands_back or ability.is_cut_off) and has_room()


class PeriodicStep(bootsteps.StartStopStep):
    """Sends the tasks of `PERIODIC`, whether heads come or not; of all workers one sends each."""

    requires = ("celery.worker.components:Timer",)

    def __init__(self, parent: Any, **options: Any) -> None:
        super().__init__(parent, **options)
        self.timers: list[Any] = []

    def start(self, parent: Any) -> None:
        """Begin to send them."""
        self.timers = [
            parent.timer.call_repeatedly(every_s, periodic_send, (task, every_s))
            for task, every_s in PERIODIC
        ]

    def stop(self, parent: Any) -> None:  # noqa: ARG002  # Celery's signature
        """Stop sending them."""
        for timer in self.timers:
            timer.cancel()
        self.timers = []


def periodic_send(task: str, every_s: float) -> None:
    """Send a task unless a worker did so a moment ago."""
    try:
        if turn_claim(f"poolsite:periodic:{task}", kept_s=every_s * 0.9):
            app.send_task(task, queue="io", retry=False, expires=every_s)
    except (BrokerAway, RedisError, OSError) as error:
        log.warning("task_not_sent", task=task, reason=str(error)[:200])


app.steps["worker"].add(LifeStep)
app.steps["worker"].add(PeriodicStep)
app.steps["consumer"].add(StandBackStep)
