"""Alerts that were open before they had names of their own."""

from __future__ import annotations

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from apps.checks.models import Alert, Notification
from tests.alerts import HOUR, T0, channel, told

pytestmark = pytest.mark.django_db(transaction=True)


def test_alerts_from_before_get_names_and_go_on() -> None:
    executor = MigrationExecutor(connection)
    executor.migrate([("pool_checks", "0004_check_settings")])
    old = executor.loader.project_state([("pool_checks", "0004_check_settings")]).apps
    facts = {"title": "t", "severity": "warning", "say": "away", "count": 1, "since": T0}
    model = old.get_model("pool_checks", "Alert")
    rows = [model.objects.create(check_name=name, **facts) for name in ("hosts_away", "hosts_paused")]

    call_command("migrate", verbosity=0, skip_checks=True)

    found = Alert.objects.order_by("pk")
    assert [(row.pk, row.began_at, row.times) for row in found] == [(row.pk, T0, 1) for row in rows]
    assert len({row.uuid for row in found}) == 2
    channel()
    assert told(T0 + HOUR, "hosts_away") == [("ops", "STARTED", "hosts_away")]
    assert Notification.objects.get().body["alert"] == str(found[0].uuid)
