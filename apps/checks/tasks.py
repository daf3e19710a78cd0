"""Alerts, every few seconds whether heads come or not."""

from __future__ import annotations

import time

from celery import shared_task

from apps.chain.node.isolation import for_each_isolated
from apps.checks.reasons import NO_CHAIN
from apps.checks.report.cache import all_asked_evaluate, report_evaluate, requested_evaluate
from apps.checks.report.components import components_found
from apps.checks.selectors.data import CheckData
from apps.checks.services.alerts import alerts_delete_old, alerts_run_note, alerts_update
from apps.checks.services.components import components_record
from apps.checks.services.deliver import TURN_S, notifications_deliver
from apps.checks.services.ping import ping_enqueue, ping_send
from apps.checks.services.service_days import service_day_count
from apps.checks.services.tenant_alerts import tenants_alerts_update
from apps.core import clock
from apps.core.database_times import database_sample
from apps.core.locks import single_flight
from apps.users.rules.principals import SYSTEM


@shared_task(name="alerts.run")
@single_flight
def alerts_run() -> None:
    """Evaluate the checks, count the components' time, open and end alerts, and send notifications.

    Whatever channels do, it takes less than the time in which nothing counts as evaluated: after slow ones
    the next run sends what tenants are told.
    """
    began = time.monotonic()
    database_sample()
    data = CheckData(SYSTEM)
    data.__dict__["alerts_last_run"] = data.at  # they are evaluated now, however long the pool was stopped
    network = data.network.name if data.network is not None else NO_CHAIN()
    report = report_evaluate(data)
    # First, as slow channels would look like time in which nothing was evaluated.
    for_each_isolated(
        [report],
        lambda one: components_record(components_found(one, data), now=clock.now()),
        event="components_not_recorded",
    )
    alerts_update(report=report, pool=network, now=clock.now())
    notifications_deliver(now=clock.now)
    for_each_isolated([clock.now()], lambda now: service_day_count(now=now), event="service_day_not_counted")
    if tenants_alerts_update(pool=network, now=clock.now()) and time.monotonic() - began < TURN_S:
        notifications_deliver(now=clock.now)
    all_asked_evaluate()
    alerts_delete_old(now=clock.now())
    alerts_run_note(now=clock.now())
    ping_enqueue()


@shared_task(name="checks.evaluate")
@single_flight
def checks_evaluate() -> None:
    """Evaluate the checks for those whose pages show an older result."""
    requested_evaluate()


@shared_task(name="alerts.ping")
def alerts_ping() -> None:
    """Call the dead-man's switch."""
    ping_send(now=clock.now())
