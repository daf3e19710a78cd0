"""Targets on a real chain: sectors pledged by themselves, once for each unit, and why they are not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db.models import Count
from django.test import TestCase
from django.urls import reverse

from apps.chain.node.client import chain_client
from apps.chain.selectors.heads import head_current
from apps.chain.selectors.network import network_current
from apps.checks.report.evaluate import evaluate
from apps.checks.selectors.data import CheckData
from apps.core import clock
from apps.messages.services.recovery.detect import restore_check
from apps.miners.errors import MinerUnknown
from apps.miners.models import Miner
from apps.miners.onchain.actors import numbers_allocated
from apps.sectors.models import BatchSettings, Pledge, SealTarget, Sector, Worker
from apps.sectors.selectors.restored import sectors_recovery
from apps.sectors.selectors.sealing_context import SealingContext, sealing_context_make
from apps.sectors.selectors.targets import missing
from apps.sectors.services.sealing import targets
from apps.sectors.services.sealing.pledge import pledge_create
from apps.sectors.services.sealing.prices import payers_list, pledge_price
from apps.sectors.services.sealing.steps import sector_abort
from apps.sectors.services.sealing.targets import target_follow, target_set, targets_follow
from apps.users.models import AuditEntry
from tests.integration.sealing.restored import RESTORED_TABLES, idle
from tests.integration.sealing.world import World
from tests.page_client import signed_in, text_of
from tests.people import person, principal, tenant
from tests.unit.apps.messages.recovery import Dump


@pytest.fixture
def miner(world: World) -> Miner:
    """A miner whose sealing host does nothing, and is there."""
    made = world.miner_create()
    idle(world)
    for row in Worker.objects.all():  # however full this machine's own disk is
        room = {"disk_free_bytes": 1 << 40, "disk_total_bytes": 1 << 40}
        Worker.objects.filter(pk=row.pk).update(
            seen_at=clock.now() + timedelta(days=2), hardware=row.hardware | room
        )
    return made


def work(later: timedelta = timedelta()) -> SealingContext:
    head = head_current()
    assert head is not None
    now = clock.now() + later
    return sealing_context_make(client=chain_client(), network=network_current(), head=head, now=now)


def put(world: World, miner: Miner, body: dict[str, Any], *, status: int = 200) -> dict[str, Any]:
    client = world.line_to_console("sign")._client
    with TestCase.captureOnCommitCallbacks(execute=True):
        answer = client.put(f"/api/v1/miners/{miner.address}/target", json=body)
    assert answer.status_code == status, answer.text
    return dict(answer.json())


def shown(world: World, miner: Miner) -> dict[str, Any]:
    client = world.line_to_console("read")._client
    return dict(client.get(f"/api/v1/miners/{miner.address}/target").json())


def look() -> None:
    SealTarget.objects.update(look_at=clock.now())
    targets_follow(work())


def test_so_many_sectors_are_kept_in_work(world: World, miner: Miner) -> None:
    assert put(world, miner, {"in_work": 3})["missing"] == 3
    world.epoch(2)
    assert Sector.objects.count() == 3
    for _ in range(2):
        look()
    assert Sector.objects.count() == 3
    first = Sector.objects.earliest("pk")
    assert first.pledge is not None
    assert first.pledge.actor == "target"

    sector_abort(first, actor="ann", reason="a test", now=clock.now())
    Sector.objects.filter(pk=Sector.objects.latest("pk").pk).update(paused_at=clock.now(), error="broken")
    look()
    assert Sector.objects.exclude(state="ABORTED").count() == 3, "one that failed is not replaced"
    put(world, miner, {"in_work": 5, "power_max": 5 * miner.sector_size})
    look()
    assert Sector.objects.exclude(state="ABORTED").count() == 5
    look()
    assert shown(world, miner)["held_by"] == "REACHED"
    client = world.line_to_console("sign")._client
    assert client.delete(f"/api/v1/miners/{miner.address}/target").status_code == 204
    assert client.get(f"/api/v1/miners/{miner.address}/target").status_code == 404
    acts = AuditEntry.objects.filter(action__startswith="miner.target").order_by("pk")
    assert list(acts.values_list("action", flat=True)) == ["miner.target"] * 2 + ["miner.target-remove"]


def test_so_many_bytes_a_day_are_sealed(world: World, miner: Miner) -> None:
    put(world, miner, {"day_bytes": 24 * miner.sector_size + 1})
    targets_follow(work())
    assert Sector.objects.count() == 1, "the first begins at once"
    for _ in range(2):
        targets_follow(work(timedelta(hours=3, minutes=1)))
        SealTarget.objects.update(look_at=clock.now())
    assert Sector.objects.count() == 4
    row = SealTarget.objects.get()
    assert missing(row, now=clock.now() + timedelta(days=3)) == 24, "no more than a day is made up for"
    targets_follow(work(timedelta(hours=23, minutes=59)))
    assert Sector.objects.count() == 24
    sector_abort(Sector.objects.earliest("pk"), actor="ann", reason="a test", now=clock.now())
    assert missing(row, now=clock.now() + timedelta(hours=23, minutes=59)) == 1


def test_nothing_is_pledged_twice_for_one_unit(
    world: World, miner: Miner, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(world, miner, {"in_work": 2})
    plain = pledge_create

    def killed(*args: Any, **named: Any) -> Any:
        plain(*args, **named)
        raise KeyboardInterrupt

    monkeypatch.setattr(targets, "pledge_create", killed)
    with pytest.raises(KeyboardInterrupt):
        targets_follow(work())
    assert not Pledge.objects.exists(), "the kill came before the end of the transaction"
    monkeypatch.setattr(targets, "pledge_create", plain)
    note, stale = targets._note, target_read()
    monkeypatch.setattr(targets, "_note", killed_note)
    with pytest.raises(KeyboardInterrupt):
        target_follow(stale, work=work())
    monkeypatch.setattr(targets, "_note", note)
    for _ in range(2):
        target_follow(stale, work=work())  # as another task that read the row before
        look()

    assert Sector.objects.count() == 2
    assert Pledge.objects.count() == 1


def target_read() -> SealTarget:
    return SealTarget.objects.select_related("miner__tenant").get()


@pytest.mark.parametrize("is_later", [False, True], ids=["of the same row", "begun later"])
def test_two_looks_at_once_pledge_what_can_be_paid(
    world: World, miner: Miner, monkeypatch: pytest.MonkeyPatch, *, is_later: bool
) -> None:
    now = work()
    price = pledge_price(miner, client=now.client, head=now.head, network=now.network)
    [payer] = payers_list(miner, price=price, count=2)
    put(world, miner, {"in_work": 4, "balance_min": str(payer.left)})
    row, same = target_read(), target_read()
    plain = numbers_allocated

    def another(*args: Any) -> Any:
        monkeypatch.setattr(targets, "numbers_allocated", plain)
        target_follow(target_read() if is_later else same, work=work(timedelta(minutes=1 if is_later else 0)))
        return plain(*args)

    monkeypatch.setattr(targets, "numbers_allocated", another)
    target_follow(row, work=work())

    assert Sector.objects.count() == 2


def test_two_miners_do_not_count_the_same_funds(
    world: World, miner: Miner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both are looked at in the same instant, by two processes, and one address pays for both."""
    other = world.miner_create("another-miner")
    now = work()
    price = pledge_price(miner, client=now.client, head=now.head, network=now.network)
    [payer] = payers_list(miner, price=price, count=2)
    for one in (miner, other):
        put(world, one, {"in_work": 4, "balance_min": str(payer.left)})
    first, second = SealTarget.objects.select_related("miner__tenant").order_by("pk")
    plain = numbers_allocated

    def meanwhile(*args: Any) -> Any:
        monkeypatch.setattr(targets, "numbers_allocated", plain)
        target_follow(second, work=work())
        return plain(*args)

    monkeypatch.setattr(targets, "numbers_allocated", meanwhile)
    target_follow(first, work=work())

    assert dict(Sector.objects.values_list("miner").annotate(Count("pk"))) == {second.miner_id: 2}
    assert shown(world, first.miner)["held_by"] == "BALANCE"


def test_nothing_is_pledged_that_the_miners_balance_alone_cannot_pay(world: World, miner: Miner) -> None:
    BatchSettings.objects.update_or_create(miner=miner, defaults={"send_funds": False})
    now = work()
    price = pledge_price(miner, client=now.client, head=now.head, network=now.network)
    Miner.objects.filter(pk=miner.pk).update(available=3 * price.locked - 1)
    put(world, miner, {"in_work": 4})
    look()
    look()

    assert Sector.objects.count() == 2
    found = shown(world, miner)
    assert (found["held_by"], miner.address in found["reason"]) == ("BALANCE", True)


@pytest.mark.parametrize("by_hand", [0, 1])
def test_the_most_power_is_no_more_than_that(
    world: World, miner: Miner, monkeypatch: pytest.MonkeyPatch, by_hand: int
) -> None:
    """Also where somebody pledges during the look."""
    plain = numbers_allocated

    def meanwhile(*args: Any) -> Any:
        taken = plain(*args)
        if by_hand:
            pledge_create(miner, count=by_hand, actor="ann", now=clock.now(), allocated=taken)
        return taken

    monkeypatch.setattr(targets, "numbers_allocated", meanwhile)
    assert put(world, miner, {"in_work": 9, "power_max": 3 * miner.sector_size})["missing"] == 3
    look()
    assert Sector.objects.count() == 3
    look()
    assert (Sector.objects.count(), shown(world, miner)["held_by"]) == (3, "REACHED")


def test_nothing_is_pledged_from_a_restored_database(world: World, miner: Miner) -> None:
    restore_check(now=clock.now())
    put(world, miner, {"in_work": 1})
    dump = Dump(*RESTORED_TABLES)
    look()
    assert Sector.objects.count() == 1

    dump.restore()
    look()

    assert not Sector.objects.exists(), "the one on the host's disk is not known yet"
    assert sectors_recovery() is not None


def test_who_read_the_miner_before_its_transfer_writes_nothing(world: World, miner: Miner) -> None:
    """A look and a setting, which the transfer has not waited for."""
    put(world, miner, {"in_work": 1})
    row = target_read()
    Miner.objects.filter(pk=miner.pk).update(tenant=tenant("bob"))

    target_follow(row, work=work())
    with pytest.raises(MinerUnknown):
        target_set(row.miner, values={"in_work": 2}, by=principal(miner.tenant.name), now=clock.now())

    assert not Sector.objects.exists()
    assert target_read().in_work == 1


def killed_note(*_args: Any, **_named: Any) -> None:
    raise KeyboardInterrupt


def test_it_waits_and_says_for_what(world: World, miner: Miner) -> None:
    """Price, balance, hosts and disk, and the date."""
    person("ann", of="alice")
    browser = signed_in("ann")

    def holds(values: dict[str, Any], held: str, words: str) -> None:
        put(world, miner, {"in_work": 2, **values})
        look()
        body = shown(world, miner)
        assert (body["held_by"], Sector.objects.count()) == (held, 0)
        assert words in body["reason"]
        assert words in text_of(browser.get(reverse("miner-target", args=[miner.address])))

    holds({"base_fee_max": "1"}, "PRICE", "the base fee is")
    holds({"balance_min": str(10**30)}, "BALANCE", "on top of the")
    report = evaluate(CheckData(principal("alice")))
    [found] = next(one for one in report.results if one.check.name == "targets_paused").findings
    assert "on top of the" in found.reason
    full = {"disk_free_bytes": 1, "disk_total_bytes": 100}
    Worker.objects.update(hardware=full)
    holds({}, "DISK", "1 sealing host short of disk")
    Worker.objects.update(is_draining=True)
    holds({}, "DISK", "no sealing host accepts new sectors")
    put(world, miner, {"in_work": 2, "until": "2020-01-01T00:00:00Z"}, status=400)
    put(world, miner, {"in_work": 2, "until": "2100-01-01T00:00:00Z"})
    SealTarget.objects.update(until=datetime(2020, 1, 1, tzinfo=UTC))
    look()
    body = shown(world, miner)
    assert (body["held_by"], Sector.objects.count()) == ("REACHED", 0)
    assert "its end date, 2020-01-01" in body["reason"]
    put(world, miner, {}, status=400)
    put(world, miner, {"in_work": 1, "day_bytes": miner.sector_size}, status=400)
    put(world, miner, {"day_bytes": 1}, status=400)

    Worker.objects.update(is_draining=False, hardware={})
    page = reverse("miner-target", args=[miner.address])
    SealTarget.objects.all().delete()
    assert "0 B" not in browser.get(page).content.decode()  # which would be a limit, not none
    assert browser.post(page, {"act": "set", "day_bytes": "4 parsecs"}).status_code == 422
    wish = {"act": "set", "day_bytes": "1 MiB", "until": "2090-12-31", "balance_min": "0.5"}
    assert browser.post(page, wish).status_code == 302
    row = SealTarget.objects.get()
    assert (row.day_bytes, row.in_work, row.held_by) == (1 << 20, None, "")
    assert 'value="2090-12-31"' in browser.get(page).content.decode()
    look()
    assert Sector.objects.count() == 1
    assert browser.post(page, {"act": "end"}).status_code == 302
    assert not SealTarget.objects.exists()
