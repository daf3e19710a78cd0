"""Deals are counted by the database as they change, and stay so while their counts are added up."""

from __future__ import annotations

import pytest
from django.db.models import Count, Sum

from apps.market.models import Deal, DealCount
from apps.market.selectors.deals import clients_visible, deals_counts
from apps.market.services.counts import counts_add_up
from tests import factories, people
from tests.mk20 import sized

pytestmark = pytest.mark.django_db

CAROL, DAVE = factories.secp(5), factories.secp(6)


def test_counts_follow_each_change_of_a_deal() -> None:
    miner, of_bob = factories.miner(2001), factories.miner(2002, of="bob")
    viewer, data = people.principal(), sized(b"x" * 1000)

    def compare() -> None:
        rows = Deal.objects.order_by().filter(miner=miner)
        assert deals_counts(viewer) == dict(rows.values_list("state").annotate(Count("pk")))
        stored = rows.filter(state="ACTIVE").values("client").annotate(stored=Sum("raw_size"))
        found = {row["client"]: row["stored"] for row in clients_visible(viewer) if row["stored"]}
        assert found == {row["client"]: row["stored"] for row in stored}
        assert {row["client"] for row in clients_visible(viewer)} == set(
            rows.values_list("client", flat=True)
        )

    deals = [factories.deal(miner, data, client=client) for client in (CAROL, CAROL, DAVE)]
    factories.deal(of_bob, data, client=DAVE)
    compare()
    Deal.objects.filter(pk__in=[deals[0].pk, deals[2].pk]).update(state="ACTIVE")
    Deal.objects.filter(pk=deals[0].pk).update(raw_size=500, reason="another")
    compare()
    counts_add_up()
    compare()
    assert DealCount.objects.filter(miner=miner).count() == 3
    counts_add_up()
    assert DealCount.objects.filter(is_new=True).count() == 0
    deals[2].delete()
    compare()
    counts_add_up()
    compare()
    assert not DealCount.objects.filter(miner=miner, client=DAVE).exists()
