"""Sectors that have expired, or whose files go: their row stays in its store, and no proof needs it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from apps.checks.findings.stores import stores_away
from apps.checks.selectors.data import CheckData
from apps.core.clock import now
from apps.sectors.models import Sector, Store, Worker
from apps.sectors.selectors.hosts import sectors_stored_only_on
from apps.sectors.services.stores.lost import lost_store, store_forget
from apps.sectors.services.stores.orders import detach_refusal_explain
from apps.sectors.services.transfer import used_stores_list
from apps.users.rules.principals import SYSTEM
from poolsite.filecoin.policy import network_by_name
from poolsite.wire.jobs import JobKind
from tests import factories
from tests.people import principal

pytestmark = pytest.mark.django_db
PERIOD = network_by_name(factories.NETWORK).proving.period
HEIGHT = 3 * PERIOD


@pytest.fixture
def store() -> Store:
    """The store of the only prover."""
    factories.network()
    factories.head(HEIGHT)
    return factories.store(factories.worker("prover", kinds=[str(JobKind.WINDOW_POST)]), "archive")


def told(store: Store) -> tuple[str, int, int, set[str], list[str]]:
    """What a detach is refused for, what only this host has, what is lost, used, and out of reach."""
    attachment = store.attachments.get()
    refusal = detach_refusal_explain(attachment, now=now())
    alone = sectors_stored_only_on(attachment.worker)
    Worker.objects.update(seen_at=now() - timedelta(days=1))
    away = [finding.say for finding in stores_away(CheckData(SYSTEM))]
    sector = Sector.objects.get()
    return refusal, alone, lost_store(store, now=now()).proving, used_stores_list(sector.miner), away


@pytest.mark.parametrize(
    "ended",
    [
        {"active": False, "expiration": HEIGHT - PERIOD - 1},
        {"active": False, "expiration": HEIGHT, "removal_asked_at": now()},
    ],
)
def test_an_ended_sector_needs_no_proof(store: Store, ended: dict[str, Any]) -> None:
    factories.sector(factories.miner(), state="PROVING", store="archive", **ended)

    assert told(store) == ("", 0, 0, set(), [])


@pytest.mark.parametrize(
    "live",
    [
        {"active": False, "expiration": HEIGHT - PERIOD},
        {"active": False, "expiration": None},
        {"active": True, "expiration": 1},
    ],
)
def test_a_sector_is_proven_until_its_last_proving_period_is_over(store: Store, live: dict[str, Any]) -> None:
    factories.sector(factories.miner(), state="PROVING", store="archive", **live)

    refusal, *rest = told(store)

    assert "1 sector in archive must be proven" in refusal
    assert rest == [1, 1, {"archive"}, ["1 store with 1 sector unreachable"]]


def test_a_forgotten_stores_expired_sectors_have_lost_nothing(store: Store) -> None:
    factories.sector(factories.miner(), state="PROVING", active=False, expiration=1, store="archive")
    Worker.objects.update(seen_at=now() - timedelta(days=1))
    store.told_at = now() - timedelta(days=1)
    store.save()

    store_forget(store, confirm="archive", now=now(), by=principal())

    sector = Sector.objects.get()
    assert (sector.store, sector.files_lost_at, sector.lost_uid) == ("", None, store.uid)
