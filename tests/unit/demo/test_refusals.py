"""Nothing is made up beside anything that a real pool has."""

from __future__ import annotations

import pytest
from django.core.exceptions import ImproperlyConfigured

from apps.miners.models import Miner
from apps.users.models import Tenant
from poolsite.demo.errors import DemoRefused
from poolsite.demo.seed import demo_seed
from poolsite.demo.start import demo_settle
from poolsite.demo.world import SMALL
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


def test_a_second_start_makes_up_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    factories.network(MADE_UP.name)
    monkeypatch.setenv("DEMO", "1")

    demo_settle()

    assert not Miner.objects.exists()
