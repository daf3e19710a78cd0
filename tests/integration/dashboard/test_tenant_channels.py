"""Alert channels on a tenant's page: its admins and the operator manage them, others see them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from apps.checks.models import AlertChannel, Notification
from apps.checks.services.deliver import notifications_deliver
from apps.core import clock
from apps.users.states import Role
from tests import people
from tests.alerts import SECRET_URL, Hook, channel
from tests.page_client import left_open, signed_in, text_of

pytestmark = pytest.mark.django_db

FORM = {"name": "ops", "kind": "WEBHOOK", "target": SECRET_URL, "repeat_s": "900"}


@pytest.fixture
def hook(settings: Any) -> Iterator[Hook]:
    settings.ALERT_URLS_PRIVATE = True
    found = Hook()
    yield found
    found.server.shutdown()
    found.server.server_close()


def admin(name: str = "ada", of: str = "alice") -> Client:
    people.person(name, of=of, role=Role.TENANT_ADMIN)
    return signed_in(name)


def address_of(page: str, *args: Any, tenant: str = "alice") -> str:
    return reverse(page, args=[people.tenant(tenant).uuid, *args])


def test_tenants_admin_adds_tests_pauses_and_removes_a_channel(hook: Hook) -> None:
    page = admin()
    shown, new = address_of("tenant"), address_of("tenant-channel-new")

    assert new in text_of(page.get(shown))
    assert page.get(new).status_code == 200
    assert page.post(new, {**FORM, "target": "x"}).status_code == 422
    assert page.post(new, FORM | {"target": hook.url})["Location"] == shown
    row = AlertChannel.objects.get()
    assert row.tenant == people.tenant("alice")
    assert "http://127.0.0.1/…" in text_of(page.get(shown))

    def act(op: str, **form: str) -> Any:
        return page.post(address_of("tenant-channel-act", row.uuid, op), form)

    hook.status = 503
    assert act("test")["Location"] == shown
    assert "Test queued." in text_of(page.get(shown))
    assert act("test")["Location"] == shown
    assert "less than a minute ago" in text_of(page.get(shown))
    notifications_deliver(now=clock.now)
    text = text_of(page.get(shown))
    assert "not delivered" in text
    assert "Last attempt: HTTP status 503" in text
    hook.status = 200
    Notification.objects.update(next_try_at=clock.now())
    notifications_deliver(now=clock.now)
    assert "Last delivered 20" in text_of(page.get(shown))

    assert "Send test" in text_of(page.get(shown))
    act("disable")
    assert not AlertChannel.objects.get().is_enabled
    assert "Send test" not in text_of(page.get(shown))
    act("enable")
    assert AlertChannel.objects.get().is_enabled
    assert "Remove ops?" in text_of(act("remove"))
    act("remove", sure="yes")
    assert not AlertChannel.objects.exists()


def test_tenants_admin_edits_a_channel_and_a_refusal_keeps_what_was_ticked() -> None:
    row = channel("ops", tenant=people.tenant("alice"), with_actions=True)
    page, here = admin(), reverse("alert-channel-settings", args=[row.uuid])

    assert page.post(address_of("tenant-channel-act", row.uuid, "edit"))["Location"] == here
    assert "checked" in page.get(here).content.decode().partition("with_actions")[2]
    target = AlertChannel.objects.get().target
    refused = page.post(here, {"repeat_s": "900", "critical_only": "1", "target": "x"})
    assert refused.status_code == 422
    ticked = [part.partition(">")[0] for part in refused.content.decode().split('type="checkbox"')[1:]]
    switches = [box for box in ticked if 'name="only_' not in box]
    assert ["checked" in box for box in switches] == [True, False, False]
    assert "No miner owes fees" in text_of(refused)
    assert not any('value="nodes_foreign"' in box for box in ticked), "a check of the pool"

    checks = ["fee_debt", "windows_missed"]
    given = {"repeat_s": "900", "critical_only": "1", "only_checks": checks, "language": "zh-hans"}
    saved = page.post(here, given)

    assert saved["Location"] == address_of("tenant")
    row.refresh_from_db()
    assert (row.repeat_s, row.critical_only, row.with_actions) == (900, True, False)
    assert row.only_checks == checks
    assert row.language == "zh-hans"
    assert '<option value="zh-hans" selected>简体中文</option>' in text_of(page.get(here))
    assert "; in 简体中文" in text_of(page.get(address_of("tenant")))
    boxes = text_of(page.get(here)).split('type="checkbox"')
    assert sum('name="only_checks"' in box and " checked" in box.partition(">")[0] for box in boxes) == 2
    assert row.target == target, "an empty field leaves it"
    people.person("ann")
    assert signed_in("ann").get(here).status_code == 404
    assert admin("ben", of="bob").post(here, {"repeat_s": "3600"}).status_code == 404


def test_others_of_the_tenant_see_channels_and_change_none() -> None:
    row = channel("ops", tenant=people.tenant("alice"))
    people.person("ann")
    people.person("aud", role=Role.AUDITOR)

    for name in ("ann", "aud"):
        page = signed_in(name)
        text = text_of(page.get(address_of("tenant")))
        assert "https://chat.example.com/…" in text
        assert "T0PS3CRET" not in text
        assert "/channels/" not in text
        assert page.post(address_of("tenant-channel-new"), FORM).status_code == 404
        assert page.post(address_of("tenant-channel-act", row.uuid, "disable")).status_code == 404
    assert AlertChannel.objects.get().is_enabled


def test_another_tenants_admin_and_another_tenants_page_reach_no_channel() -> None:
    row = channel("ops", tenant=people.tenant("alice"))
    page = admin("ben", of="bob")

    assert page.post(address_of("tenant-channel-new"), FORM).status_code == 404
    for tenant in ("alice", "bob"):
        path = address_of("tenant-channel-act", row.uuid, "disable", tenant=tenant)
        assert page.post(path).status_code == 404
    assert "ops" not in text_of(page.get(address_of("tenant", tenant="bob")))
    assert AlertChannel.objects.get().is_enabled


def test_operator_manages_a_tenants_channels_on_its_page() -> None:
    people.operator_person()
    page = signed_in("olga")
    page.post(address_of("tenant-channel-new"), FORM)
    row = AlertChannel.objects.get()

    assert "ops" in text_of(page.get(address_of("tenant")))
    assert "chat.example.com" not in text_of(page.get(reverse("alerts")))
    assert page.post(reverse("alert-channel-act", args=[row.uuid, "disable"])).status_code == 404
    page.post(address_of("tenant-channel-act", row.uuid, "disable"))
    assert not AlertChannel.objects.get().is_enabled


def test_who_they_are_is_asked_before_a_channel_is_added() -> None:
    people.person("ada", role=Role.TENANT_ADMIN)

    answer = left_open("ada").post(address_of("tenant-channel-new"), FORM)

    assert answer.status_code == 200
    assert "confirm" in text_of(answer).lower()
    assert not AlertChannel.objects.exists()
