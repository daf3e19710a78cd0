"""`manage.py blocks`: the process that makes blocks for the pool's miners."""

from __future__ import annotations

import asyncio
import signal
import threading
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from apps.blocks.rounds.producer import BlockProducer
from apps.core.process_leases import LEADER_PACE, lease_keep
from poolsite.tracing import tracing_start


class Command(BaseCommand):
    """Make blocks until SIGTERM or SIGINT."""

    help = "Make blocks: one round per epoch for every miner with power; one instance leads, others stand by."

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Run; a second instance stands by until the first is gone."""
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        tracing_start(settings.PROCESS_NAME)
        producer = BlockProducer()
        lease_keep(LEADER_PACE, turns=producer.turns, ability=producer.ability)
        asyncio.run(producer.run(asked_to_stop=stop.is_set))
