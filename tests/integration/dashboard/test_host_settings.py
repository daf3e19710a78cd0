"""Settings of hosts on their pages: one form, levels above a host, a thread's rules."""

from __future__ import annotations

import html
import re
from typing import Any

import pytest
from django.urls import reverse

from apps.sectors.models import HostReport, SharedSettings, WorkerCommand
from apps.users.models import AuditEntry
from tests import factories
from tests.page_client import signed_in, text_of
from tests.people import operator_person

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("contexts")]


def words_of(answer: Any) -> str:
    """The words of a page alone."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", answer.content.decode())).split())


def form_of(answer: Any) -> dict[str, str]:
    """Return the fields that a browser submits for an unchanged settings form."""
    page = answer.content.decode()
    page = page[page.index('id="f-setting-form"') :].partition("</form>")[0]
    sent = {}
    for tag in re.findall(r"<input[^>]*>", page):
        facts = dict(re.findall(r'(\w+)="([^"]*)"', tag))
        sent[facts["name"]] = html.unescape(facts.get("value", ""))
    for name, options in re.findall(r'<select[^>]*name="([^"]+)"(.*?)</select>', page, re.DOTALL):
        chosen = re.search(r'value="([^"]*)"\s+selected', options)
        sent[name] = chosen[1] if chosen else ""
    return sent


def test_settings_are_changed_in_one_form_and_shown_as_pending(ann):
    worker = factories.worker(settings={"sector_room_bytes": 32 << 30})
    factories.host_report(worker)
    browser, here = signed_in(), reverse("host-setting", args=[worker.uuid])

    shown = browser.get(here)
    sent = form_of(shown)
    assert (sent["slots.PC1"], sent["sector_room_bytes"]) == ("", "32 GiB")
    assert "In force: 1 (default)" in words_of(shown)
    assert "In force: 16 GiB (proposed for this machine)" in words_of(shown)
    browser.post(here, sent | {"slots.PC1": "5", "sector_room_bytes": "0.5 TiB"})

    assert "5 with its next heartbeat" in text_of(browser.get(reverse("host", args=[worker.uuid])))
    worker.refresh_from_db()
    assert worker.settings == {"slots.PC1": 5, "sector_room_bytes": 512 << 30}
    line = AuditEntry.objects.get()
    assert line.after == {"slots.PC1": "5 slots", "sector_room_bytes": f"{512 << 30} bytes"}
    shown = browser.get(here)
    assert words_of(shown).count("Set by person:ann") + words_of(shown).count("Set by ann") == 2
    browser.post(here, form_of(shown))
    assert AuditEntry.objects.count() == 1, "nothing was typed, so nothing is written"
    browser.post(here, form_of(shown) | {"slots.PC1": "", "sector_room_bytes": ""})
    worker.refresh_from_db()
    assert worker.settings == {}, "what is empty is the level's above"


def test_a_form_saves_what_was_typed_and_leaves_what_others_set_since(ann):
    worker = factories.worker()
    factories.host_report(worker)
    browser, here = signed_in(), reverse("host-setting", args=[worker.uuid])
    sent = form_of(browser.get(here))
    browser.post(here, sent | {"slots.PC1": "3"})

    refused = browser.post(here, sent | {"sector_room_bytes": "much"})
    browser.post(here, form_of(refused) | {"sector_room_bytes": "64 GiB"})

    worker.refresh_from_db()
    assert worker.settings == {"slots.PC1": 3, "sector_room_bytes": 64 << 30}


@pytest.mark.parametrize(
    ("key", "typed", "words"),
    [
        ("slots.PC1", "x", "must be a whole number from 0 to"),
        ("sector_room_bytes", "2 PiB", "enter a size of at most 1 PiB"),
        ("sealing.allowed_miners", "bob", "enter miners, such as f01000"),
        ("sealing.enable_deals", "maybe", "choose one of the options"),
        ("sealing.recover_interval", "8d", "enter a duration of at most 7 days"),
        ("threads.2.plan", "wdpost", "choose one of the options"),
    ],
)
def test_a_wrong_setting_is_refused_beside_its_field_and_nothing_is_lost(ann, key, typed, words):
    worker = factories.worker()
    rules = ("sealing.enable_deals", "threads.2.plan")
    HostReport.objects.create(
        worker=worker,
        settings=[{"key": "slots.PC1", "value": "1", "origin": "default"}]
        + [{"key": "sector_room_bytes", "value": "1", "origin": "default"}]
        + [{"key": rule, "value": "true", "origin": "default"} for rule in rules],
    )
    browser, here = signed_in(), reverse("host-setting", args=[worker.uuid])

    refused = browser.post(here, form_of(browser.get(here)) | {"sealing.max_retries": "7", key: typed})

    assert refused.status_code == 422
    [said] = re.findall(r'<span class="error" id="([^"]+)"', refused.content.decode())
    assert said == f"{key}-error"
    assert words in words_of(refused)
    assert form_of(refused)["sealing.max_retries"] == "7"
    worker.refresh_from_db()
    assert worker.settings == {}
    assert not AuditEntry.objects.exists()


def test_a_level_that_was_set_before_one_above_it_is_still_pending(ann):
    """Whatever the order in which the rows of levels were written."""
    worker = factories.worker()
    settings = [{"key": "slots.PC1", "value": "1", "origin": "tenant"}]
    HostReport.objects.create(worker=worker, settings=settings)
    SharedSettings.objects.create(tenant=worker.tenant, values={"slots.PC1": 4})
    SharedSettings.objects.create(tenant=None, values={"slots.PC1": 9})

    shown = text_of(signed_in().get(reverse("host", args=[worker.uuid])))

    assert "4 with its next heartbeat" in shown
    assert "9 with its next heartbeat" not in shown


def test_shared_settings_are_set_and_taken_away(db):
    operator_person()
    worker = factories.worker("one", group="east")
    browser, here = signed_in("olga"), reverse("host-settings")
    tenant = worker.tenant
    places = {"pool": "|", "tenant": f"{tenant.pk}|", "group": f"{tenant.pk}|east"}
    begun = text_of(browser.get(here))
    assert ('name="slots.PC1"' in begun, "Choose…" in begun) == (False, True)
    assert browser.post(here, {"slots.PC1": "1"}).status_code == 422

    for number, place in enumerate(places.values(), start=1):
        browser.post(here, {"place": place, "slots.PC1": str(number)})
    shown = text_of(browser.get(here))

    rows = SharedSettings.objects.order_by("pk").values_list("tenant_id", "group", "values")
    assert [tuple(row) for row in rows] == [
        (None, "", {"slots.PC1": 1}),
        (tenant.pk, "", {"slots.PC1": 2}),
        (tenant.pk, "east", {"slots.PC1": 3}),
    ]
    assert "Pool: all hosts" in shown
    assert f"east, {tenant.name}" in shown
    told = WorkerCommand.objects.get(worker=worker, op="set_plan").args
    assert told == {"pool.slots.PC1": "1", "tenant.slots.PC1": "2", "group.slots.PC1": "3"}
    sent = form_of(browser.get(here, {"place": "|"}))
    assert (sent["place"], sent["slots.PC1"]) == ("|", "1")
    browser.post(here, sent | {"slots.PC1": ""})
    assert SharedSettings.objects.get(tenant=None).values == {}


def test_a_level_says_what_holds_without_it_and_where_it_is_overridden(db):
    operator_person()
    worker = factories.worker("one", group="east")
    factories.worker("two", group="east")
    browser, here = signed_in("olga"), reverse("host-settings")
    place = f"{worker.tenant_id}|east"
    browser.post(here, {"place": f"{worker.tenant_id}|", "slots.PC1": "3", "sealing.max_deals": "2"})
    browser.post(here, {"place": place, "slots.PC2": "2"})
    told = [("slots.PC1", "4", "file"), ("slots.PC2", "2", "group"), ("threads.1.max_deals", "1", "thread")]
    settings = [{"key": key, "value": value, "origin": origin} for key, value, origin in told]
    HostReport.objects.create(worker=worker, settings=settings)

    shown = words_of(browser.get(here, {"place": place, "key": "slots.PC1"}))
    tenants = words_of(browser.get(here, {"place": f"{worker.tenant_id}|"}))

    assert "If empty: 3 (tenant) Overridden on 1 host by the host's file" in shown
    assert "If empty: 2 (tenant) Overridden on 1 host by a sealing thread" in shown
    assert shown.count("Set by ") == 1
    assert "Overridden on 1 host by group settings" in tenants


def test_a_wrong_shared_setting_is_refused_beside_its_field(ann):
    worker = factories.worker("one")
    browser, here = signed_in(), reverse("host-settings")

    refused = browser.post(here, {"place": f"{worker.tenant_id}|", "slots.PC1": "many"})

    assert refused.status_code == 422
    assert "must be a whole number from 0 to" in text_of(refused)
    assert browser.post(here, {"place": "7777|", "slots.PC1": "1"}).status_code == 404
    assert not SharedSettings.objects.exists()


def test_a_tenant_sets_its_own_hosts_alone(bill):
    mine, other = factories.worker("mine", of="bob"), factories.worker("other")
    browser, here = signed_in("bill"), reverse("host-settings")

    shown = text_of(browser.get(here))

    assert "Pool: all hosts" not in shown
    assert f"Tenant {mine.tenant.name}" in shown
    for place in ("|", f"{other.tenant_id}|"):
        assert browser.post(here, {"place": place, "slots.PC1": "1"}).status_code == 404
    assert not SharedSettings.objects.exists()


def test_a_threads_rules_are_shown_with_where_they_come_from_and_changed(ann):
    worker = factories.worker()
    told = (
        ("sealing.enable_deals", "true", "default"),
        ("threads.2.plan", "snapup", "file of thread"),
        ("threads.2.location", "/nvme2", "file of thread"),
        ("threads.2.allowed_miners", "f01000", "thread"),
        ("slots.PC1", "3", "file"),
    )
    files = {"file": "/srv/farm/worker.toml", "file of thread": "/srv/farm/worker.toml"}
    settings = [
        {"key": key, "value": value, "origin": origin, "file": files.get(origin, "")}
        for key, value, origin in told
    ]
    HostReport.objects.create(worker=worker, settings=settings)
    browser, here = signed_in(), reverse("host", args=[worker.uuid])

    text = words_of(browser.get(here))
    for words in (
        "Accept client data yes default",
        "Thread 2: plan snapup [[sealing_thread]] in worker.toml on the host",
        "PC1 slots 3 worker.toml on the host",
        "Settings file /srv/farm/worker.toml",
        "Thread 2: folder /nvme2",
        "Thread 2: miners for new sectors f01000 set here for the thread",
    ):
        assert words in text, words
    form = browser.get(reverse("host-setting", args=[worker.uuid]))
    assert "threads.2.location" not in form_of(form)
    assert "Overridden by thread 2" in words_of(form)

    browser.post(reverse("host-setting", args=[worker.uuid]), form_of(form) | {"threads.2.max_retries": "1"})

    text = words_of(browser.get(here))
    assert "Thread 2: retries of a failed stage – – 1 with its next heartbeat" in text
    worker.refresh_from_db()
    assert worker.settings == {"threads.2.max_retries": "1"}


def test_a_threads_setting_is_not_shared(db):
    operator_person()

    signed_in("olga").post(reverse("host-settings"), {"place": "|", "threads.1.plan": "snapup"})

    assert not SharedSettings.objects.exists()
