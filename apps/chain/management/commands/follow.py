"""`manage.py follow`: the process that follows the chain and starts what each head makes due."""

from __future__ import annotations

import signal
import threading
from typing import Any

from celery import current_app
from django.conf import settings
from django.core.management.base import BaseCommand

from apps.chain.heads.follow import ChainFollower
from apps.chain.heads.queues import tasks_waiting
from apps.chain.heads.steps import Steps, tasks_due
from apps.core.process_leases import LEADER_PACE, lease_keep
from poolsite.tracing import tracing_start
from poolsite.tracing.tasks import tasks_trace


class Command(BaseCommand):
    """Follow the chain until SIGTERM or SIGINT."""

    help = "Follow the chain: store heads, run the epoch clock, and enqueue the tasks that they make due."

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Run; a second instance stands by until the first is gone."""
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        tracing_start(settings.PROCESS_NAME)
        tasks_trace()
        steps = Steps(send=current_app.send_task, waiting=tasks_waiting, due=tasks_due)
        follower = ChainFollower(steps=steps)
        lease_keep(LEADER_PACE, turns=follower.turns, ability=follower.ability)
        follower.run(asked_to_stop=stop.is_set)
