"""Findings of more objects than are counted: what they say, count and cost are lower bounds and named so."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.test import Client

from apps.checks.findings.results import Finding
from apps.checks.report.evaluate import evaluate_some
from apps.checks.selectors.data import CheckData
from apps.checks.services.alerts import alerts_update
from apps.checks.services.outgoing import mail_send
from apps.core.clock import now
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.today.stats import messages_foot
from apps.dashboard.todo import cost_text, todo_sum, todos
from apps.messages.states import MessageState, Wait
from apps.miners.models import Miner, RewardEstimate
from apps.sectors.models import Job, SectorCopy, Store, Worker
from apps.sectors.states import JobState
from apps.users.rules.principals import SYSTEM, Principal
from poolsite.wire.jobs import JobKind
from poolsite.wire.pipeline import SectorState
from tests import factories
from tests.alerts import channel
from tests.integration.dashboard.check_scenes_sealing import stores_away, stores_unproven
from tests.people import bearer, operator_token, principal

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("priced")]

TWO = pytest.mark.usefixtures("two_counted")


@pytest.fixture
def two_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Checks count up to two objects."""
    for module in ("selectors.rare", "findings.sector_ends", "findings.stores", "findings.messages"):
        monkeypatch.setattr(f"apps.checks.{module}.COUNTED_MAX", 2)


def only(name: str, viewer: Principal = SYSTEM) -> Finding:
    """The one finding of a check."""
    result = evaluate_some([name], CheckData(viewer)).result(name)
    assert result is not None
    [finding] = result.findings
    return finding


def deposit(size: int = factories.SECTOR_BYTES) -> int:
    return RewardEstimate.objects.get().deposit(size)


def test_failed_messages_beyond_those_counted(client: Client) -> None:
    for number in range(60):
        factories.message(f"bad-{number}", state=MessageState.FAILED)

    data = PageData(SYSTEM)
    body = client.get("/api/v1/checks", headers=bearer(operator_token())).json()

    found = only("messages_failed")
    assert (found.say, found.count) == ("at least 20 messages failed in the last 24 h", 20)
    assert messages_foot(data) == "20+ failed"
    [failed] = [row for row in body["checks"] if row["name"] == "messages_failed"]
    assert (failed["count"], failed["has_more"], failed["findings"][0]["has_more"]) == (20, True, True)


@TWO
@pytest.mark.parametrize(
    ("many", "say", "has_more"),
    [(2, "2 deposits will be lost within 48 h", False), (3, "at least 2 deposits will be lost", True)],
)
def test_deposits_beyond_those_priced(many: int, say: str, has_more: bool) -> None:
    factories.head(10_000_000)
    miner = factories.miner()
    for _ in range(many):
        factories.sector(miner, state=SectorState.PRECOMMIT_LANDED, precommit_epoch=1000)
    data = PageData(SYSTEM)

    found = only("deposits_expiring")
    [todo] = [one for one in todos(data) if one.key == "deposits"]

    assert found.say.startswith(say)
    assert (found.count, found.at_risk, found.has_more) == (2, 2 * deposit(), has_more)
    cost = cost_text(0, 2 * deposit())
    assert todo.cost == (f"at least {cost}" if has_more else cost)
    assert todo_sum(data).startswith("at least ") is has_more


@TWO
@pytest.mark.parametrize(
    ("check", "say", "of"),
    [
        ("seed_ready", "at least 2 sectors with an unread seed", {"precommit_epoch": 900}),
        ("sectors_expiring", "at least 2 sectors expire within 30 d", {"active": True, "expiration": 1500}),
    ],
)
def test_sectors_beyond_those_counted(check: str, say: str, of: dict[str, Any]) -> None:
    state = SectorState.PROVING if "active" in of else SectorState.PRECOMMIT_LANDED
    miner = factories.miner()
    for _ in range(3):
        factories.sector(miner, state=state, **of)

    found = only(check)

    assert (found.say, found.count, found.has_more) == (say, 2, True)


@TWO
def test_messages_below_the_base_fee_beyond_those_counted() -> None:
    flight: dict[str, Any] = {"filled_at": now(), "published_at": now(), "gas_fee_cap": 1}
    for nonce in range(3):
        factories.message(state=MessageState.FILLED, nonce=nonce, wait=Wait.NONE, **flight)

    found = only("base_fee_above_cap")

    assert (found.say, found.count) == ("at least 2 messages with a fee cap below the base fee", 2)


def test_pieces_that_could_not_be_unsealed_beyond_those_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.checks.findings.stopped.COUNTED_MAX", 2)
    facts = {"kind": JobKind.UNSEAL, "state": JobState.FAILED, "stage": "UNSEAL", "lease_s": 60}
    miner = factories.miner()
    for piece in ("one", "two", "three"):
        Job.objects.create(miner=miner, inputs={"piece": piece}, **facts)

    found = only("unseals_failed")

    assert (found.say, found.count) == ("at least 2 pieces could not be unsealed", 2)
    assert found.has_more


@TWO
def test_store_without_prover_costs_what_all_its_sectors_cost() -> None:
    stores_unproven(None)  # one sector of a store of which the host says that it has three
    [miner] = CheckData(SYSTEM).miners
    for _ in range(2):
        factories.sector(miner, state=SectorState.PROVING, active=True, store="fresh")
    Store.objects.filter(name="fresh").update(sectors=12)

    found = only("stores_unproven")

    assert found.reason.startswith("12 sectors there")
    assert found.per_day == CheckData(SYSTEM).fault_fee_per_day(miner, 12) > 0


@TWO
def test_viewer_of_one_miner_pays_for_no_others_in_a_store() -> None:
    stores_unproven(None)
    [other] = CheckData(SYSTEM).miners
    own = factories.miner(1500)
    for miner in (other, own, own, own):
        factories.sector(miner, state=SectorState.PROVING, active=True, store="fresh")
    Store.objects.filter(name="fresh").update(sectors=50_000)

    found = only("stores_unproven", principal(miners=(1500,)))

    assert (found.per_day, found.has_more) == (CheckData(SYSTEM).fault_fee_per_day(own, 3), True)


def test_viewer_of_one_miner_pays_for_no_others_out_of_reach(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("apps.checks.findings.stores.LOST_COUNTED_MAX", 2)
    stores_away(None)
    own = factories.miner(1500)
    for _ in range(3):
        factories.sector(own, state=SectorState.PROVING, active=True, store="archive")
    worker = Worker.objects.get(name="gone")
    factories.store(worker, "archive")
    Store.objects.update(sectors=50_000)
    Worker.objects.update(seen_at=worker.seen_at)

    found = only("stores_away", principal(miners=(1500,)))

    assert found.say == "1 store with over 2 sectors unreachable"
    assert (found.per_day, found.has_more) == (CheckData(SYSTEM).fault_fee_per_day(own, 3), True)


def damaged(miner: Miner, store: Store) -> None:
    """A sector that is proved from damaged files in a store."""
    sector = factories.sector(miner, state=SectorState.PROVING, active=True, store=store.name)
    SectorCopy.objects.create(sector=sector, store=store, condition="BAD", files=[], found_at=now())


@pytest.fixture
def two_bad_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Up to two damaged sectors are counted."""
    for module in ("checks.findings.stores", "sectors.selectors.store_checks"):
        monkeypatch.setattr(f"apps.{module}.BAD_COUNTED_MAX", 2)


@pytest.mark.usefixtures("two_bad_counted")
def test_damaged_sectors_beyond_those_counted() -> None:
    miner, host = factories.miner(), factories.worker("box")
    for name, many in (("older", 1), ("full", 3)):
        store = factories.store(host, name)
        for _ in range(many):
            damaged(miner, store)

    result = evaluate_some(["copies_bad"], CheckData(SYSTEM)).result("copies_bad")

    assert result is not None
    found = {one.say: (one.count, one.has_more) for one in result.findings}
    assert found == {
        "over 2 sectors in full with bad files": (2, True),
        "1 sector in older with bad files": (1, True),  # found earlier than those that were priced
    }


@pytest.mark.usefixtures("two_bad_counted")
def test_damage_of_other_miners_hides_no_price() -> None:
    own, other = factories.miner(1500), factories.miner()
    store = factories.store(factories.worker("box"), "archive")
    for miner in (own, other, other, other):
        damaged(miner, store)

    found = only("copies_bad", principal(miners=(1500,)))

    assert (found.count, found.has_more, len(found.acts)) == (1, False, 1)
    assert found.per_day == CheckData(SYSTEM).fault_fee_per_day(own, 1) > 0


def test_deposits_of_paused_sectors_are_those_of_their_sizes() -> None:
    small, large = factories.miner(2001), factories.miner(2002)
    sizes = 2048, 1 << 36
    for miner, size in zip((small, large), sizes, strict=True):
        factories.sector(
            miner, state=SectorState.PRECOMMIT_LANDED, precommit_epoch=990, paused_at=now(), sector_size=size
        )

    assert only("sectors_paused").at_risk == sum(map(deposit, sizes))


@TWO
def test_notification_says_that_its_figures_are_lower_bounds() -> None:
    channel()
    factories.head(10_000_000)
    miner = factories.miner()
    for _ in range(3):
        factories.sector(miner, state=SectorState.PRECOMMIT_LANDED, precommit_epoch=1000)
    report = evaluate_some(["deposits_expiring"], CheckData(SYSTEM))

    [row] = alerts_update(report=report, pool="testnet", now=now() + timedelta(seconds=1))

    assert (row.body["count"], row.body["has_more"]) == (2, True)
    mail_send(row, address="ops@pool.example")
    assert "\nAt least " in mail.outbox[0].body
