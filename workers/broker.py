"""The sealing host's own Celery app: a queue for each stage, a Redis that no other machine sees.

Low in the layers, so that agent and Celery worker share it; `workers.celery` registers the tasks.
Messages are hints: they are acknowledged early, and the agent sends again what nobody works on.
"""

from __future__ import annotations

import os
from typing import Final

from celery import Celery
from kombu import Queue

from poolsite.wire.pipeline import WORKER_STAGES

STAGE_TASK: Final = "workers.stage"
"""Name of the one task: run a stage that the agent has written down."""

BROKER_VARIABLE: Final = "POOLSITE_WORKER_BROKER"
"""Environment variable with the broker's address, `redis+socket:///path`."""


def queue_of(stage: str) -> str:
    """Return a stage's queue."""
    return stage.lower()


QUEUES: Final = tuple(queue_of(stage) for stage in WORKER_STAGES)


def app_make(broker: str) -> Celery:
    """Make the app.  `fixups=[]` keeps Django out even where its settings are named in the environment."""
    made = Celery("workers", broker=broker, set_as_current=False, fixups=[])
    made.conf.update(
        task_queues=[Queue(name) for name in QUEUES],
        task_create_missing_queues=False,
        task_ignore_result=True,
        task_acks_late=False,
        task_serializer="json",
        accept_content=["json"],
        # Prefetched messages would wait unacknowledged and be lost for an hour with a killed worker.
        worker_disable_prefetch=True,
        worker_prefetch_multiplier=1,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_hijack_root_logger=False,
        broker_connection_retry_on_startup=True,
        broker_transport_options={"visibility_timeout": 60, "socket_connect_timeout": 2},
        task_publish_retry=False,
        timezone="UTC",
    )
    return made


app = app_make(os.environ.get(BROKER_VARIABLE, "redis+socket:///nonexistent/redis.sock"))
