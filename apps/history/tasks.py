"""Recording what is measured, whether heads come or not."""

from __future__ import annotations

from celery import shared_task

from apps.core import clock
from apps.core.locks import single_flight
from apps.history.services.readings import readings_delete_old, readings_record


@shared_task(name="history.record")
@single_flight
def history_record() -> None:
    """Record what is measured in this slot."""
    readings_record(now=clock.now())


@shared_task(name="history.delete_old")
def history_delete_old() -> None:
    """Delete rows of hours and days that are no longer kept."""
    readings_delete_old(now=clock.now())
