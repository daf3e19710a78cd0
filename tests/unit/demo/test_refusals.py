"""Nothing is made up beside anything that a real pool has."""

from __future__ import annotations

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import connection

from apps.checks.models import ComponentStatus
from apps.miners.models import Miner
from apps.users.models import Tenant
from apps.users.states import POOL
from poolsite.demo.errors import DemoRefused
from poolsite.demo.seed import demo_seed
from poolsite.demo.start import demo_require, demo_settle
from poolsite.demo.world import SMALL
from poolsite.embedded import installation
from poolsite.embedded.preparation import prepare
from poolsite.filecoin.policy import MADE_UP
from tests import factories
from tests.people import tenant

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("what", ["tenant", "miner", "network"])
def test_nothing_is_made_up_beside_real_data(what: str) -> None:
    if what == "tenant":
        tenant("bob")
    elif what == "miner":
        factories.miner()
    else:
        factories.network()
    before = Tenant.objects.count(), Miner.objects.count()

    with pytest.raises(DemoRefused, match=r"alice|bob|network"):
        demo_seed(SMALL)

    assert (Tenant.objects.count(), Miner.objects.count()) == before


def test_a_start_without_demo_is_refused_on_made_up_data(monkeypatch: pytest.MonkeyPatch) -> None:
    factories.network(MADE_UP.name)
    monkeypatch.delenv("DEMO", raising=False)

    with pytest.raises(ImproperlyConfigured, match="made-up data"):
        demo_settle()


def test_a_demo_beside_real_data_stops_its_start_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    tenant("bob")
    monkeypatch.setenv("DEMO", "1")

    with pytest.raises(ImproperlyConfigured, match="beside real data: this database has a tenant, bob"):
        demo_settle()


def test_a_demo_beside_real_data_changes_nothing_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    tenant("bob")
    monkeypatch.setenv("DEMO", "1")
    monkeypatch.setenv("DATABASE_URL", "postgresql://pool@127.0.0.1/pool")
    monkeypatch.setattr(installation, "install", lambda **_: pytest.fail("migrated"))

    with pytest.raises(ImproperlyConfigured, match="beside real data: this database has a tenant, bob"):
        prepare()


def test_made_up_data_are_refused_before_a_real_start_changes_them(monkeypatch: pytest.MonkeyPatch) -> None:
    factories.network(MADE_UP.name)
    monkeypatch.delenv("DEMO", raising=False)
    monkeypatch.setenv("DATABASE_URL", "postgresql://pool@127.0.0.1/pool")
    monkeypatch.setattr(installation, "install", lambda **_: pytest.fail("migrated"))

    with pytest.raises(ImproperlyConfigured, match="made-up data"):
        prepare()


def test_nothing_is_made_up_where_a_node_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEMO", "1")
    monkeypatch.setenv("CHAIN_URLS", "http://127.0.0.1:9/rpc/v1")

    with pytest.raises(ImproperlyConfigured, match="unset CHAIN_URLS"):
        demo_settle()

    assert not Tenant.objects.exclude(name=POOL).exists()


def test_real_data_of_an_older_version_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    tenant("bob")
    monkeypatch.setenv("DEMO", "1")
    with connection.cursor() as cursor:
        cursor.execute("set constraints all immediate")
        cursor.execute("alter table users_tenant drop column comment")
        cursor.execute(f"drop table {ComponentStatus._meta.db_table} cascade")

    with pytest.raises(ImproperlyConfigured, match="this database has a tenant, bob"):
        demo_require()


def test_a_second_start_makes_up_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    factories.network(MADE_UP.name)
    monkeypatch.setenv("DEMO", "1")

    demo_settle()

    assert not Miner.objects.exists()
