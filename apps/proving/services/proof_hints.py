"""Telling the tasks of a finished proof at once; without a broker the next head finds it."""

from __future__ import annotations

import structlog
from celery import current_app
from django.db import transaction
from kombu.exceptions import OperationalError as BrokerAway

log = structlog.get_logger(__name__)


def proof_accept_enqueue(job: str) -> None:
    """Enqueue the processing of a finished proof once this transaction is committed."""

    def send() -> None:
        try:
            current_app.send_task(
                "proving.accept", kwargs={"job": job}, queue="proving", retry=False, expires=10
            )
        except (BrokerAway, OSError) as error:
            log.warning("proofs_not_taken", reason=str(error)[:200])

    transaction.on_commit(send)
