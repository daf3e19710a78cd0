"""`manage.py sectors` and `manage.py sealing`: what pages and REST do, on the console's machine."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from apps.core.clock import now
from apps.sectors.models import Job, Sector
from apps.users.models import AuditEntry
from tests import factories

pytestmark = pytest.mark.django_db


def said(*words: str, **options: Any) -> str:
    out = StringIO()
    call_command(*words, stdout=out, **options)
    return out.getvalue()


def test_sectors_are_listed_and_shown() -> None:
    miner = factories.miner(2001)
    failed = factories.sector(miner, number=7, state="PC1_DONE")
    Sector.objects.filter(pk=failed.pk).update(paused_at=now(), error="disk full")
    factories.sector(miner, number=8, state="PROVING", active=True, expiration=99)

    assert said("sectors", "list", "f02001").splitlines() == [
        "8 PROVING active ends 99",
        "7 PC1_DONE failed: disk full",
    ]
    assert said("sectors", "list", "f02001", state="PROVING,PERSISTED").splitlines() == [
        "8 PROVING active ends 99"
    ]
    shown = said("sectors", "status", "f02001", "7")
    assert "state: PC1_DONE" in shown
    assert "error: disk full" in shown
    with pytest.raises(CommandError, match="name the sectors"):
        said("sectors", "status", "f02001")


def test_sectors_go_on_stop_and_end_with_a_line_in_the_audit_log() -> None:
    miner = factories.miner(2001)
    for number in (7, 8):
        factories.sector(miner, number=number, state="PC1_DONE")

    said("sectors", "pause", "f02001", "7-8")
    assert Sector.objects.exclude(paused_at=None).count() == 2
    said("sectors", "retry", "f02001", "7", state="ALLOCATED")
    assert Sector.objects.get(number=7).state == "ALLOCATED"
    with pytest.raises(CommandError, match="say why"):
        said("sectors", "set-state", "f02001", "8", state="PERSISTED", yes=True)
    said("sectors", "set-state", "f02001", "8", state="PERSISTED", reason="files are there", yes=True)
    assert Sector.objects.get(number=8).state == "PERSISTED"
    said("sectors", "abort", "f02001", "7-8", reason="old", yes=True)
    assert set(Sector.objects.values_list("state", flat=True)) == {"ABORTED"}
    acts = set(AuditEntry.objects.values_list("action", flat=True))
    assert acts >= {"sector.pause", "sector.back", "sector.state-set", "sector.abort"}


def test_an_act_for_good_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    factories.sector(factories.miner(2001), number=7, state="PC1_DONE")
    monkeypatch.setattr("builtins.input", lambda _text: "yes")

    with pytest.raises(CommandError, match="nothing was done"):
        said("sectors", "abort", "f02001", "7")
    assert Sector.objects.get().state == "PC1_DONE"


def test_what_hosts_do_and_how_a_miner_stands_is_shown() -> None:
    miner = factories.miner(2001)
    worker = factories.worker("sealer-9")
    sector = factories.sector(miner, number=7, state="PC1_DONE")
    Job.objects.filter(sector=sector).update(worker=worker, state="LEASED", lease_until=now())

    assert "sealer-9: " in said("sealing", "jobs")
    assert "name: sealer-9" in said("sealing", "workers")
    shown = said("sealing", "info", "f02001")
    assert "address: f02001" in shown
    assert "sectors PC1_DONE: 1" in shown
    with pytest.raises(CommandError):
        said("sealing", "info", "f0999")
