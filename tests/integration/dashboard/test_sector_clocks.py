"""The clocks of a sector's page: ticket, seed and deposit with the time that is left, and their tones."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.urls import reverse

from apps.api.v1.sector_output import detail_body
from apps.checks.findings.sealing_clocks import deposits_expiring, tickets_expiring
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.sectors.clocks import Clock
from apps.dashboard.pages.sectors.countdown import sector_countdown
from apps.dashboard.pages.sectors.epochs import sector_clocks
from apps.miners.models import Miner
from apps.sectors.models import Sector
from apps.users.rules.principals import SYSTEM
from poolsite.filecoin.noninteractive import LOOKBACK
from tests import factories
from tests.page_client import signed_in, text_of
from tests.people import person

pytestmark = pytest.mark.django_db

HEIGHT = 5_000


@pytest.fixture(autouse=True)
def chain() -> None:
    factories.network()
    factories.head(HEIGHT)


def clocks(sector: Sector) -> dict[str, Clock]:
    return {clock.key: clock for clock in sector_clocks(sector, PageData(SYSTEM))}


def sealing(state: str, **data: Any) -> Sector:
    miner = Miner.objects.first() or factories.miner(2001, of="alice")
    return factories.sector(miner, state=state, **data)


def network() -> Any:
    found = PageData(SYSTEM).network
    assert found is not None
    return found


@pytest.mark.parametrize(("part", "tone"), [(2, "ok"), (10, "warn"), (40, "bad")])
def test_a_ticket_runs_out_in_green_amber_and_red(part: int, tone: str) -> None:
    life = network().max_precommit_randomness_lookback
    sector = sealing("PC1_DONE", ticket_epoch=HEIGHT - life + life // part)

    ticket = clocks(sector)["ticket"]

    assert (ticket.label, ticket.tone) == ("Ticket expires in", tone)
    clock = PageData(SYSTEM).clock
    assert clock is not None
    ends = clock.starts_at((sector.ticket_epoch or 0) + life)
    assert ticket.until == pytest.approx(ends, abs=2), "the clock goes on between the two looks"


def test_an_amber_clock_is_a_to_do_and_a_green_one_is_none() -> None:
    life = network().max_precommit_randomness_lookback
    paid = network().max_prove_commit_duration
    sealing("PC1_DONE", ticket_epoch=HEIGHT - life + life // 2)
    sealing("C1_DONE", precommit_epoch=HEIGHT - paid + paid // 2, ticket_epoch=1, seed_epoch=2)
    assert not [*tickets_expiring(PageData(SYSTEM)), *deposits_expiring(PageData(SYSTEM))]

    late = sealing("PC1_DONE", ticket_epoch=HEIGHT - life + life // 10 - 1)
    lost = sealing("C1_DONE", precommit_epoch=HEIGHT - paid + paid // 10 - 1, ticket_epoch=1, seed_epoch=2)

    assert len([*tickets_expiring(PageData(SYSTEM)), *deposits_expiring(PageData(SYSTEM))]) == 2
    assert clocks(late)["ticket"].tone == "warn"
    assert clocks(lost)["deposit"].tone == "warn"


def test_what_is_over_and_what_is_used_says_so() -> None:
    life = network().max_precommit_randomness_lookback
    over = clocks(sealing("PC1_DONE", ticket_epoch=HEIGHT - life))
    active = clocks(sealing("PROVING", ticket_epoch=10, seed_epoch=20, precommit_epoch=15))

    assert (over["ticket"].value, over["ticket"].tone, over["ticket"].until) == ("expired", "bad", None)
    assert [active[key].tone for key in ("ticket", "seed", "deposit")] == ["", "", ""]
    assert (active["ticket"].value, active["seed"].value) == ("10", "20")
    assert active["deposit"].foot == "returned when the commit landed"


@pytest.mark.parametrize("is_over", [False, True])
def test_an_expired_sector_has_no_pledge_and_no_deadline(*, is_over: bool) -> None:
    ends, proven = (HEIGHT - 1, False) if is_over else (2 * HEIGHT, True)
    miner = factories.miner(2001, of="alice")
    factories.deadline(miner, 3, live=1)
    sector = sealing("PROVING", initial_pledge=7, deadline=3, expiration=ends, active=proven)

    found, comes = clocks(sector), sector_countdown(sector, PageData(SYSTEM)).say

    assert (found["pledge"].foot == "released") is is_over
    assert (found["deadline"].foot == "no longer proven") is is_over
    assert ("deadline 3" in comes) is not is_over


@pytest.mark.parametrize(
    ("state", "paid", "foot"),
    [
        ("PC1_DONE", None, "locked by the pre-commit"),
        ("COMMIT_LANDED", 15, "returned when the commit landed"),
        ("TERMINATED", 15, "returned when the commit landed"),
        ("ABORTED", 15, "lost, unless its commit landed"),
        ("ABORTED", None, "none was locked"),
    ],
)
def test_a_deposit_says_what_became_of_it(state: str, paid: int | None, foot: str) -> None:
    assert clocks(sealing(state, precommit_epoch=paid))["deposit"].foot == foot


def test_without_a_chain_a_deposit_is_locked_still(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.checks.selectors.data.head_current", lambda: None)

    assert clocks(sealing("C1_DONE", precommit_epoch=15))["deposit"].foot == "locked since epoch 15"


def test_a_ticket_of_a_non_interactive_sector_lives_longer() -> None:
    old = network().max_precommit_randomness_lookback
    factories.head(old + LOOKBACK)
    kept = sealing("PC1_DONE", ticket_epoch=LOOKBACK, seal_proof=15)
    assert clocks(kept)["ticket"].tone == "ok"
    assert not [*tickets_expiring(PageData(SYSTEM))]

    late = sealing("PC1_DONE", ticket_epoch=old + LOOKBACK // 20, seal_proof=15)

    [found] = tickets_expiring(PageData(SYSTEM))
    assert found.link is not None
    assert found.link.args == (str(late.uuid),)
    assert clocks(late)["ticket"].tone == "warn"


def test_a_seed_is_counted_down_to_while_it_is_to_come() -> None:
    paid = HEIGHT + 600  # so far ahead that a slow machine does not come there
    sector = sealing("PRECOMMIT_LANDED", ticket_epoch=4_000, precommit_epoch=paid)
    found = clocks(sector)

    comes = paid + network().pre_commit_challenge_delay
    assert found["seed"].label == "Seed available in"
    assert found["seed"].foot.replace("\u202f", "").endswith(str(comes))
    assert (found["deposit"].label, found["deposit"].tone) == ("Deposit lost in", "ok")


def test_a_non_interactive_sector_has_neither_seed_nor_deposit() -> None:
    found = clocks(sealing("C1_DONE", ticket_epoch=4_990, seed_epoch=4_990, seal_proof=15))

    assert found["seed"].foot == "none: sealed non-interactively"
    assert found["deposit"].foot == "none without a pre-commit"


def test_the_page_counts_them_down(ann: None) -> None:
    life = network().max_precommit_randomness_lookback
    sector = sealing("PC1_DONE", ticket_epoch=HEIGHT - life + life // 10 - 1)

    shown = text_of(signed_in().get(reverse("sector", args=[sector.uuid])))

    card = shown[shown.index('id="f-sector-clocks"') :]
    assert "Ticket expires in" in card
    assert 'data-tone="warn"' in card
    assert "data-until=" in card


def test_no_stage_takes_less_than_nothing_where_clocks_differ() -> None:
    person()
    sector = sealing("PC1_DONE")
    steps = [("PACKED", "ADD_PIECE", 2.0), ("TICKET", "TICKET", -0.755), ("PC1", "PC1", 60.0)]
    events = factories.events(sector, steps, ms=None)
    Sector.objects.filter(pk=sector.pk).update(created_at=events[0].at - timedelta(seconds=2))

    shown = text_of(signed_in().get(reverse("sector", args=[sector.uuid])))
    told = detail_body(Sector.objects.get())["events"]

    assert not re.search(r"-\d[\d.]* m?s", shown)
    assert [event["at"] for event in told] == sorted(event["at"] for event in told)
    assert told[1]["at"] == told[0]["at"] == events[0].at
