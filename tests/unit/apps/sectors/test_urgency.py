"""What the chain soon takes from a sector goes before everything else that hosts could do."""

from __future__ import annotations

from typing import Any

import pytest

from apps.sectors.models import Job, Sector
from apps.sectors.services.sealing.console_steps import SectorsInProgress
from apps.sectors.services.sealing.urgency import urgent_mark
from apps.sectors.states import CLIENTS_PRIORITY
from poolsite.filecoin.policy import MAINNET
from tests import factories
from tests.unit.apps.sectors.sealing import claim, host, report

pytestmark = pytest.mark.django_db

DEPOSIT, TICKET = MAINNET.max_prove_commit_duration, MAINNET.max_precommit_randomness_lookback


def marked(height: int) -> int:
    return urgent_mark(SectorsInProgress.read(), network=MAINNET, head=factories.head(height))


@pytest.mark.parametrize(
    ("state", "life"),
    [
        ("TICKET_ASSIGNED", TICKET),
        ("PC1_DONE", TICKET),
        ("PC2_DONE", TICKET),
        ("SEED_ASSIGNED", DEPOSIT),
        ("C1_DONE", DEPOSIT),
    ],
)
def test_a_sector_is_urgent_in_the_last_tenth_of_its_time(state: str, life: int) -> None:
    epochs: dict[str, Any] = (
        {"ticket_epoch": 1000} if life == TICKET else {"ticket_epoch": 1, "precommit_epoch": 1000}
    )
    factories.sector(factories.miner(), state=state, **epochs)
    due = 1000 + life - life // 10

    assert (marked(due - 1), marked(due), marked(due + 1)) == (0, 1, 0)


def test_an_expiring_deposit_goes_before_clients_data_until_it_is_proven() -> None:
    miner, worker = factories.miner(), host()
    data = factories.sector(miner, state="SEED_ASSIGNED", precommit_epoch=80_000, seed=bytes(32))
    Job.objects.update(priority=CLIENTS_PRIORITY)
    zeros = factories.sector(miner, state="SEED_ASSIGNED", precommit_epoch=1000, seed=bytes(32))
    Job.objects.update(sticky_worker=worker)
    marked(1000 + DEPOSIT - 100)

    first, second = claim(worker)

    assert [one.seal and one.seal.number for one in (first, second)] == [zeros.number, data.number]
    report(first, "C1", state="SEED_ASSIGNED")
    assert not Job.objects.get(sector=zeros).time_sensitive
    assert Sector.objects.get(pk=zeros.pk).state == "C1_DONE"
