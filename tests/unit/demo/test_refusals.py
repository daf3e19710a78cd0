"""Nothing is made up beside anything that a real pool has."""

from __future__ import annotations

import pytest

from apps.miners.models import Miner
from apps.users.models import Tenant
from poolsite.demo.errors import DemoRefused
from poolsite.demo.seed import demo_seed
from poolsite.demo.world import SMALL
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
