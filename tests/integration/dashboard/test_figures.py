"""Figures that people act upon: what gas costs now, how long a balance lasts, what blocks brought."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.urls import reverse

from apps.blocks.models import Block, Round
from apps.blocks.states import RoundState
from apps.checks.findings.senders import runway_short
from apps.checks.selectors.data import CheckData
from apps.core.clock import now
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.blocks.page import day_verdict
from apps.dashboard.pages.gas.page import Forecast, verdict_of
from apps.dashboard.pages.senders.rows import runway
from apps.messages.selectors.base_fee import BaseFeeSpan, base_fee_shares
from apps.sectors.models import Sector, Worker
from tests import factories
from tests.factories import FIL
from tests.page_client import signed_in, text_of
from tests.people import person, principal

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("dearer", "cheaper", "verdict"),
    [
        (6, 0, "Gas is cheap now: at no time of the last day was it lower."),
        (80, 10, "Gas is cheap now: higher than now for 80 % of the last day."),
        (30, 30, "Base fee is normal: higher than now for 30 % of the last day."),
        (0, 95, "Gas is expensive now: lower than now for 95 % of the last day."),
        (0, 0, "Gas is stable: the base fee has not changed in the recorded hours."),
    ],
)
def test_gas_is_dear_only_where_it_was_lower(dearer: int, cheaper: int, verdict: str) -> None:
    fees = [150] * dearer + [50] * cheaper + [100] * (100 - dearer - cheaper)
    history = [BaseFeeSpan(900 * at, fee, fee, fee, 30, 900) for at, fee in enumerate(fees)]
    factories.head()

    said = verdict_of(Forecast(history, None, 100, base_fee_shares(history, 100), []), PageData(principal()))

    assert f"{said.strong} {said.rest}".replace("\u202f", " ") == verdict


def test_a_shared_address_lasts_as_long_as_all_who_use_it_let_it() -> None:
    wallet = factories.wallet(balance=FIL)
    for days_ago in range(7):
        factories.spend(wallet.address, of="alice", days_ago=days_ago, cost=FIL // 1000)
        factories.spend(wallet.address, of="bob", days_ago=days_ago, cost=FIL * 9 // 10)

    data = PageData(principal("alice"))

    assert runway(FIL, data.spend_pace[wallet.address]) == ("1 d", "warn")
    assert [finding.count for finding in runway_short(CheckData(principal("alice")))] == [1]


def test_an_address_that_seldom_pays_is_not_running_low() -> None:
    wallet = factories.wallet(balance=5 * FIL // 100)
    factories.spend(wallet.address, days_ago=6, cost=2 * FIL // 100)

    assert CheckData(principal()).spend_pace == {wallet.address: (2 * FIL // 100, 7)}
    assert not list(runway_short(CheckData(principal())))


def test_a_first_day_says_nothing_of_how_long_a_balance_lasts() -> None:
    wallet = factories.wallet(balance=FIL)
    factories.spend(wallet.address, cost=FIL)

    pace = CheckData(principal()).spend_pace[wallet.address]

    assert runway(FIL, pace) == ("–", "")
    assert not list(runway_short(CheckData(principal())))


def test_no_days_rate_comes_from_minutes() -> None:
    person()
    young = factories.worker("young", slots={"FINALIZE": 1})
    old = factories.worker("old", slots={"FINALIZE": 1})
    for worker, age in ((young, timedelta(minutes=8)), (old, timedelta(days=2))):
        Worker.objects.filter(pk=worker.pk).update(created_at=now() - age)
    for worker, number in ((young, 1), (old, 2)):
        sector = factories.sector(factories.miner(2000 + number), number=number, state="PROVING")
        Sector.objects.filter(pk=sector.pk).update(created_at=now() - timedelta(minutes=8))
        factories.events(Sector.objects.get(pk=sector.pk), [("FINALIZE", "FINALIZE", 60.0)], worker=worker)
    ann = signed_in()

    pages = [text_of(ann.get(reverse("host", args=[one.uuid]))) for one in (young, old)]
    sealing, day = (text_of(ann.get(reverse("sealing"), {"hours": hours})) for hours in ("1", "24"))

    assert ("1 sector in 8 min" in pages[0], "sectors a day" in pages[0]) == (True, False)
    assert "0.50 sectors a day, 1 sector in 2 d 00 h" in pages[1]
    assert ("2 sectors finished in the last hour." in sealing, "sectors a day" in sealing) == (True, False)
    assert "2.0 sectors a day in the last 24 hours." in day


def test_a_reward_that_is_not_known_is_no_zero() -> None:
    miner = factories.miner()
    factories.head()
    for epoch in (1, 2):
        won = Round.objects.create(
            miner=miner,
            epoch=epoch,
            base_height=epoch - 1,
            state=RoundState.INCLUDED,
            win_count=1,
            expected=0.1,
            at=now(),
        )
        Block.objects.create(
            round=won,
            actor_id=miner.actor_id or 0,
            height=epoch,
            cid=factories.cid(f"block {epoch}"),
            parents=bytes([epoch]),
        )
    assert day_verdict(PageData(principal())).rest == "The reward of 2 blocks is not known yet."

    Block.objects.filter(height=1).update(reward=4 * FIL)

    said = day_verdict(PageData(principal())).rest
    assert said.startswith("4.0000 FIL earned in 24 hours; 3.0000 FIL of it vests over ")
    assert said.endswith(". The reward of 1 block is not known yet.")
