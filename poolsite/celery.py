"""The pool's Celery app: queues of the console's own tasks; sealing hosts have another app and broker."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery, bootsteps
from kombu import Queue

from apps.core.life import LIFE_EVERY_S, life_sign, ready_say

QUEUES = ("head", "messages", "proving", "blocks", "io")
"""What a new head moves, the messager, proofs, block rounds, and everything that waits for others."""

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "poolsite.settings.embedded")

app = Celery("poolsite")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.task_queues = [Queue(name) for name in QUEUES]
app.autodiscover_tasks()


class LifeStep(bootsteps.StartStopStep):
    """Says every few seconds that this worker lives; its timer stands still when the worker hangs."""

    requires = ("celery.worker.components:Timer",)

    def __init__(self, parent: Any, **options: Any) -> None:
        super().__init__(parent, **options)
        self.timer: Any = None

    def start(self, parent: Any) -> None:
        """Begin to give signs of life, and tell the supervisor that the worker is up."""
        life_sign()
        ready_say()
        self.timer = parent.timer.call_repeatedly(LIFE_EVERY_S, life_sign)

    def stop(self, parent: Any) -> None:  # noqa: ARG002  # Celery's signature
        """Stop giving them."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None


app.steps["worker"].add(LifeStep)
