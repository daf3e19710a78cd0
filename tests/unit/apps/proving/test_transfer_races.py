"""A transfer and something else for the same miner at once: one is wholly first, whichever it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from apps.core import clock
from apps.messages.models import Message
from apps.messages.services.push import message_push
from apps.miners.errors import MinerUnknown, TransferRefused
from apps.miners.models import Miner, MinerTransfer
from apps.miners.selectors.miners import miner_principal
from apps.miners.services.ownership import tenant_remove
from apps.sectors.models import Sector, SectorNumbers
from apps.sectors.services.sealing.pledge import pledge_create
from apps.users.models import Tenant
from apps.users.rules.principals import SYSTEM
from apps.users.selectors.grants import miner_owner
from tests import factories, people
from tests.transfer_fixtures import ADDRESS, TransferCase, transfer_case
from tests.two_at_once import HELD_S, PATIENCE_S
from tests.unit.apps.proving.transfer import claimed

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def pool() -> TransferCase:
    factories.head(1000)
    return transfer_case()


def whose_sectors() -> set[str]:
    return set(Sector.objects.values_list("tenant__name", flat=True))


def test_a_pledge_that_comes_during_a_hand_over_finds_no_miner(
    pool: TransferCase, beside: Callable[..., list[Any]]
) -> None:
    alices = Miner.objects.get(pk=pool.miner.pk)

    done, pledged, has_waited = beside(
        pool.go,
        "apps.proving.services.transfer.ownership_move",
        lambda: pledge_create(alices, count=2, actor="ann", now=clock.now()),
    )

    assert isinstance(done, MinerTransfer)
    assert isinstance(pledged, MinerUnknown)
    assert has_waited
    assert (Sector.objects.count(), whose_sectors()) == (1, {"bob"})
    assert not SectorNumbers.objects.exists()


def test_a_pledge_that_came_first_goes_along_whole(
    pool: TransferCase, beside: Callable[..., list[Any]]
) -> None:
    alices = Miner.objects.get(pk=pool.miner.pk)

    _, done, has_waited = beside(
        lambda: pledge_create(alices, count=2, actor="ann", now=clock.now()),
        "apps.sectors.services.sealing.pledge.numbers_allocate",
        pool.go,
    )

    assert has_waited
    assert isinstance(done, MinerTransfer)
    assert (done.sectors, whose_sectors()) == (3, {"bob"})


def test_claim_during_a_transfer_gets_nothing(pool: TransferCase, beside: Callable[..., list[Any]]) -> None:
    factories.sector(pool.miner)
    givers, receivers = factories.worker("s-a"), factories.worker("s-b", of="bob")

    done, count, _ = beside(pool.go, "apps.proving.services.transfer.ownership_move", lambda: claimed(givers))

    assert isinstance(done, MinerTransfer)
    assert count == 0
    assert (claimed(givers), claimed(receivers)) == (0, 1)


def test_a_claim_that_came_first_holds_the_hand_over_up_and_refuses_it(
    pool: TransferCase, beside: Callable[..., list[Any]]
) -> None:
    factories.sector(pool.miner)
    givers = factories.worker("s-a")

    count, refused, has_waited = beside(
        lambda: claimed(givers), "apps.sectors.services.jobs.claims._lease", pool.go
    )

    assert (count, has_waited) == (1, True)
    assert isinstance(refused, TransferRefused)
    assert (refused.field, whose_sectors()) == ("sectors", {"alice"})


@pytest.mark.parametrize(("point", "waits"), [("sectors_transfer", False), ("ownership_move", True)])
def test_a_push_during_a_hand_over_is_wholly_the_givers(
    pool: TransferCase, beside: Callable[..., list[Any]], point: str, waits: bool
) -> None:
    """Once the transfer has its line in the audit log, the push waits for that before it adds its own."""

    def push() -> Message:
        row = Miner.objects.select_related("tenant").get(pk=pool.miner.pk)
        return message_push(
            principal=miner_principal(row), id="m", to=ADDRESS, from_=pool.worker_key, method=0
        )

    done, pushed, has_waited = beside(
        pool.go, f"apps.proving.services.transfer.{point}", push, watched_s=HELD_S if waits else PATIENCE_S
    )

    assert isinstance(done, MinerTransfer)
    assert (pushed.tenant.name, pushed.pushed_by, has_waited) == ("alice", f"miner {ADDRESS}", waits)
    assert list(Message.objects.values_list("tenant__name", flat=True)) == ["alice"]


def test_the_same_wish_twice_at_once_is_one_hand_over(
    pool: TransferCase, beside: Callable[..., list[Any]]
) -> None:
    first, second, has_waited = beside(pool.go, "apps.proving.services.transfer.ownership_move", pool.go)

    assert has_waited
    assert first == second == MinerTransfer.objects.get()


def test_of_two_receivers_the_second_is_told_that_it_went(
    pool: TransferCase, beside: Callable[..., list[Any]]
) -> None:
    carol = people.tenant("carol")

    first, second, _ = beside(
        pool.go,
        "apps.proving.services.transfer.ownership_move",
        lambda: pool.go(to_tenant=carol, from_tenant="alice"),
    )

    assert isinstance(first, MinerTransfer)
    assert (second.code, second.field) == ("miner_moved", "from_tenant")
    assert miner_owner(actor_id=2001) == "bob"


def test_tenant_deleted_during_a_transfer_keeps_or_never_gets_it(
    pool: TransferCase, beside: Callable[..., list[Any]]
) -> None:
    bob = people.tenant("bob")

    done, refused, has_waited = beside(
        pool.go,
        "apps.proving.services.transfer.ownership_move",
        lambda: tenant_remove(principal=SYSTEM, tenant=bob),
    )

    assert isinstance(done, MinerTransfer)
    assert has_waited
    assert refused.code == "miner_in_use"
    assert Tenant.objects.get(name="bob").deleted_at is None
