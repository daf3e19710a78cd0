"""Terminations and extensions of proving sectors on a real chain: price, message, outcome, kills, restore."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pytest
from django.test import TestCase
from django.urls import reverse

from apps.chain.node.client import chain_client
from apps.chain.selectors.heads import head_current
from apps.chain.selectors.network import network_current
from apps.core import clock
from apps.messages.models import Message, UnmatchedMessage
from apps.messages.services.recovery.detect import restore_check
from apps.miners.models import Miner
from apps.proving.services.failures import failures_retry
from apps.sectors.models import Batch, Job, JobEvent, Sector, SectorChange
from apps.sectors.selectors.change_prices import ChangeRequest
from apps.sectors.selectors.failures import failures_grouped
from apps.sectors.selectors.restored import sectors_recovery
from apps.sectors.selectors.sealing_context import sealing_context_read
from apps.sectors.services.changes import following, push, sending
from apps.sectors.services.changes.messages import METHODS
from apps.sectors.services.changes.plans import ChangePlan, changes_plan
from apps.sectors.services.changes.steps import change_cancel
from apps.sectors.services.waiting_verdicts import waiting_verdicts_read
from apps.users.models import AuditEntry
from poolsite.devnet.forks import reorg
from poolsite.filecoin.actors.miner import Method
from poolsite.wire.pipeline.changes import ChangeKind
from poolsite.wire.policy import MessageVerdict
from tests.factories import approval_rule
from tests.integration.sealing.changes import TERMINATE, ask, on_chain
from tests.integration.sealing.kills import Killed, Kills
from tests.integration.sealing.life import money
from tests.integration.sealing.restored import RESTORED_TABLES
from tests.integration.sealing.world import PERIOD, SKIP, World, active_on_chain, fresh
from tests.page_client import HTMX, hidden_fields, signed_in, text_of
from tests.people import person, principal
from tests.unit.apps.messages.recovery import Dump

pytestmark = pytest.mark.xdist_group("pair")  # one worker seals the two sectors


def plan_of(sectors: Sequence[Sector], request: ChangeRequest) -> ChangePlan:
    head = head_current()
    assert head is not None
    return changes_plan(sectors, request=request, client=chain_client(), head=head, network=network_current())


def expiration_on_chain(world: World, miner: Miner, sector: Sector) -> int:
    return int(world.ask("StateSectorGetInfo", miner.address, sector.number, None)["Expiration"])


def sent(method: int) -> list[Message]:
    return list(Message.objects.filter(method=method))


def test_sectors_are_terminated_in_one_message_for_the_fee_that_was_shown(
    world: World, pair: tuple[Miner, list[Sector]]
) -> None:
    miner, sectors = pair
    price = plan_of(sectors, TERMINATE)
    assert [one.refusal for one in price.sectors] == ["", ""]
    assert price.pledge == sum(int(fresh(one).initial_pledge) for one in sectors)
    assert not price.debts
    known = Miner.objects.filter(pk=miner.pk).values("available", "locked").get()
    Miner.objects.filter(pk=miner.pk).update(available=5 - price.pledge, locked=2)
    assert plan_of([fresh(one) for one in sectors], TERMINATE).debts == {miner.address: price.fee - 7}
    Miner.objects.filter(pk=miner.pk).update(**known)
    before = money(world, miner)
    locked = int(world.ask("StateReadState", miner.address, [])["State"]["InitialPledge"])

    plan, changes = ask(sectors, TERMINATE)
    assert {change.state for change in changes} == {"TERMINATE_QUEUED"}
    rule = approval_rule(of="alice", actor="miner", method=Method.TERMINATE_SECTORS)
    assert waiting_verdicts_read(miner, work=sealing_context_read()).approval == "miner TerminateSectors"
    rule.delete()
    with pytest.raises(Exception, match="is already in progress"):
        ask(sectors, TERMINATE)
    world.until(lambda: {fresh(one).state for one in sectors} == {"TERMINATED"}, epochs=PERIOD)
    world.epoch(2)

    assert active_on_chain(world, miner) == []
    assert not any(fresh(one).active for one in sectors)
    assert (
        int(world.ask("StateReadState", miner.address, [])["State"]["InitialPledge"]) == locked - plan.pledge
    )
    assert before - money(world, miner) == pytest.approx(price.fee, rel=0.02), "taken as it was shown"
    messages = sent(Method.TERMINATE_SECTORS)
    assert {message.exit_code for message in messages} == {0}
    assert len(messages) == 1
    assert {change.state for change in SectorChange.objects.all()} == {"TERMINATE_LANDED"}
    entry = AuditEntry.objects.filter(action="sector.terminate").latest("pk")
    assert entry.after is not None
    assert entry.after["reason"] == "the disk is needed"
    notes = list(JobEvent.objects.filter(job__sector=sectors[0]).values_list("event", flat=True))
    assert notes[-3:] == ["TERMINATE_REQUEST", "TERMINATE_SEND", "TERMINATE"]
    assert "already terminated" in plan_of(sectors, TERMINATE).sectors[0].refusal


def test_a_sector_is_extended_as_far_as_was_shown(world: World, pair: tuple[Miner, list[Sector]]) -> None:
    miner, sectors = pair
    one, other = sectors
    before = expiration_on_chain(world, miner, one)
    request = ChangeRequest(kind=ChangeKind.EXTEND, expiration=before + 5000)
    price = plan_of([one], request)
    assert (price.sectors[0].refusal, price.fee, price.messages) == ("", 0, 1)
    assert (price.gas_expected or 0) > 0
    late = ChangeRequest(kind=ChangeKind.EXTEND, expiration=before + 10**8)
    assert "cannot be more than" in plan_of([one], late).sectors[0].refusal
    early = ChangeRequest(kind=ChangeKind.EXTEND, expiration=before - 1)
    assert "cannot reduce" in plan_of([one], early).sectors[0].refusal

    ask([one], request)
    world.until(lambda: fresh(one).expiration == before + 5000, epochs=10)

    assert expiration_on_chain(world, miner, one) == before + 5000
    assert expiration_on_chain(world, miner, other) == fresh(other).expiration != before + 5000
    assert SectorChange.objects.get().state == "EXTEND_LANDED"
    assert len(sent(Method.EXTEND_SECTOR_EXPIRATION2)) == 1
    ask([other], ChangeRequest(kind=ChangeKind.EXTEND))
    world.until(lambda: SectorChange.objects.latest("pk").state == "EXTEND_LANDED", epochs=10)
    assert expiration_on_chain(world, miner, other) == fresh(other).expiration
    assert (fresh(other).expiration or 0) > before + 5000


def test_a_reorganisation_takes_a_termination_back_until_it_lands_again(
    world: World, pair: tuple[Miner, list[Sector]]
) -> None:
    _, (one, _other) = pair
    ask([one], TERMINATE)
    world.until(lambda: fresh(one).state == "TERMINATED", epochs=PERIOD)

    reorg(world.node.devnet, 8)
    world.head_take()
    world.until(lambda: fresh(one).state == "TERMINATED", epochs=PERIOD)
    world.epoch(3)

    assert fresh(one).state == "TERMINATED"
    assert len(sent(Method.TERMINATE_SECTORS)) == 1
    assert Batch.objects.filter(kind="terminate").count() == 1


def test_a_termination_that_was_not_sent_can_be_cancelled(
    world: World, pair: tuple[Miner, list[Sector]], settings: Any
) -> None:
    settings.SEALING = {"terminate_wait_epochs": 50}
    _, (one, _other) = pair
    _, (change,) = ask([one], TERMINATE)
    world.epoch(3)

    change_cancel(change, by=principal(), now=clock.now())
    world.epoch(60, stride=SKIP)

    assert fresh(one).state == "PROVING"
    assert SectorChange.objects.get().state == "TERMINATE_CANCELLED"
    assert sent(Method.TERMINATE_SECTORS) == []


WRITES = [
    (sending, "change_step"),
    (push, "message_push"),
    (following, "batch_mark_sent"),
    (following, "change_step"),
    (following, "advance"),
]


@pytest.mark.parametrize("kind", [ChangeKind.TERMINATE, ChangeKind.EXTEND])
def test_a_kill_at_each_write_leaves_one_message(
    world: World, pair: tuple[Miner, list[Sector]], monkeypatch: pytest.MonkeyPatch, kind: ChangeKind
) -> None:
    _, sectors = pair
    until = (fresh(sectors[0]).expiration or 0) + 4000
    request = TERMINATE if kind is ChangeKind.TERMINATE else ChangeRequest(kind=kind, expiration=until)

    def done() -> bool:
        open_ = Batch.objects.filter(kind=kind.lower()).exclude(state="LANDED")
        return not (open_.exists() or SectorChange.objects.exclude(state=f"{kind}_LANDED").exists())

    ask(sectors, request)
    kills = Kills(monkeypatch, WRITES)
    for _ in range(2 * PERIOD):
        if done():
            break
        with suppress(Killed):
            world.epoch()
    world.epoch(3)

    assert done()
    assert kills.left == set()
    expected = {"TERMINATED"} if kind is ChangeKind.TERMINATE else {"PROVING"}
    assert {fresh(one).state for one in sectors} == expected
    messages = sent(METHODS[kind])
    numbers = [
        change.sector_id
        for batch in Batch.objects.filter(kind=kind.lower())
        for change in batch.changes.all()
    ]
    assert sorted(numbers) == sorted(one.pk for one in sectors), "each sector is in one batch"
    assert {message.exit_code for message in messages} == {0}
    assert len(messages) == Batch.objects.filter(kind=kind.lower()).count()


@pytest.mark.parametrize("kind", [ChangeKind.TERMINATE, ChangeKind.EXTEND])
@pytest.mark.parametrize("made_at", ["nothing", "QUEUED", "SENT"])
def test_a_restored_database_sends_nothing_twice(
    world: World, pair: tuple[Miner, list[Sector]], kind: ChangeKind, made_at: str
) -> None:
    restore_check(now=clock.now())
    miner, (one, _other) = pair
    until = (fresh(one).expiration or 0) + 4000
    request = TERMINATE if kind is ChangeKind.TERMINATE else ChangeRequest(kind=kind, expiration=until)
    tables = (*RESTORED_TABLES, SectorChange)
    dump = Dump(*tables)
    ask([one], request)
    if made_at == "QUEUED":
        dump = Dump(*tables)
    world.until(lambda: SectorChange.objects.filter(state=f"{kind}_SENT").exists(), epochs=PERIOD)
    if made_at == "SENT":
        dump = Dump(*tables)
    world.until(lambda: SectorChange.objects.filter(state=f"{kind}_LANDED").exists(), epochs=10)

    dump.restore()
    restore_check(now=clock.now())  # as the pool's start does
    world.epoch(12)
    price = plan_of([fresh(one)], request)

    assert SectorChange.objects.get().state == f"{kind}_LANDED"
    if kind is ChangeKind.TERMINATE:
        assert (fresh(one).state, fresh(one).active) == ("TERMINATED", False)
    else:
        assert fresh(one).expiration == expiration_on_chain(world, miner, one)
    assert sectors_recovery() is None
    assert price.sectors[0].refusal
    assert on_chain(miner, METHODS[kind]) == 1
    assert Job.objects.filter(sector=one).exists()


@pytest.mark.parametrize("kind", [ChangeKind.TERMINATE, ChangeKind.EXTEND])
def test_a_change_on_its_way_at_the_restore_is_followed(
    world: World, pair: tuple[Miner, list[Sector]], kind: ChangeKind
) -> None:
    restore_check(now=clock.now())
    miner, (one, _other) = pair
    until = (fresh(one).expiration or 0) + 4000
    dump = Dump(*RESTORED_TABLES, SectorChange)
    ask([one], TERMINATE if kind is ChangeKind.TERMINATE else ChangeRequest(kind=kind, expiration=until))
    world.until(lambda: Message.objects.filter(kind=kind.lower(), state="FILLED").exists(), epochs=PERIOD)

    dump.restore()
    restore_check(now=clock.now())  # as the pool's start does
    world.until(lambda: SectorChange.objects.filter(state=f"{kind}_LANDED").exists(), epochs=10)

    assert on_chain(miner, METHODS[kind]) == 1
    gone = kind is ChangeKind.TERMINATE
    assert fresh(one).state == ("TERMINATED" if gone else "PROVING")
    assert gone or fresh(one).expiration == until


@pytest.mark.parametrize("kind", [ChangeKind.TERMINATE, ChangeKind.EXTEND])
def test_the_chain_is_compared_where_no_message_is_known(
    world: World, pair: tuple[Miner, list[Sector]], kind: ChangeKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with what another program sent for the miner: by its content, too, it is no message of ours."""
    monkeypatch.setattr("apps.messages.services.recovery.matching.OWN_KINDS", {})
    restore_check(now=clock.now())
    miner, (one, other) = pair
    until = (fresh(one).expiration or 0) + 4000
    dump = Dump(*RESTORED_TABLES, SectorChange)
    ask([one], TERMINATE if kind is ChangeKind.TERMINATE else ChangeRequest(kind=kind, expiration=until))
    world.until(lambda: SectorChange.objects.filter(state=f"{kind}_LANDED").exists(), epochs=PERIOD)
    world.ids.clear()

    dump.restore()
    restore_check(now=clock.now())  # as the pool's start does
    world.epoch(2)
    UnmatchedMessage.objects.update(decided_at=clock.now())
    world.epoch(12)

    assert not SectorChange.objects.exists()
    assert fresh(other).state == "PROVING"
    if kind is ChangeKind.TERMINATE:
        assert fresh(one).state == "TERMINATED"
    else:
        assert fresh(one).expiration == expiration_on_chain(world, miner, one) == until
    assert on_chain(miner, METHODS[kind]) == 1


def test_the_page_shows_the_price_and_wants_the_words_typed(
    world: World, pair: tuple[Miner, list[Sector]]
) -> None:
    _, sectors = pair
    person("ann", of="alice")
    browser = signed_in("ann")
    ids = [str(one.uuid) for one in sectors]
    page = reverse("sectors-change", args=["terminate"])

    rule = approval_rule(of="alice", actor="miner", method=Method.TERMINATE_SECTORS)
    assert "waits for a second person: miner TerminateSectors" in text_of(browser.post(page, {"id": ids}))
    rule.delete()
    shown = text_of(browser.post(page, {"id": ids}))
    assert "Terminate 2 sectors" in shown
    assert "second person" not in shown
    assert "Total burnt" in shown or "known once a deadline accepts changes" in shown
    sure = {"id": ids, "sure": "yes", "count": "2", "reason": "full"}
    wrong = browser.post(page, {**sure, "confirm": "terminate 1"})
    assert (wrong.status_code, SectorChange.objects.count()) == (422, 0)
    with TestCase.captureOnCommitCallbacks(execute=True):
        done = browser.post(page, {**sure, "confirm": "terminate 2"})
    assert done.headers["Location"] == f"{reverse('sectors')}?state=changing"
    assert text_of(browser.get(done.headers["Location"])).count("termination") >= 2
    first = SectorChange.objects.earliest("pk")
    assert "Cancel termination" in text_of(browser.get(reverse("sector", args=[first.sector.uuid])))
    other = {"id": [str(SectorChange.objects.latest("pk").sector.uuid)], "sure": "yes", "count": "1"}
    chinese = {"Accept-Language": "zh-hans"}
    refused = browser.post(reverse("sectors-change", args=["extend"]), other, headers=chinese)
    assert (refused.status_code, "其终止已在进行中" in refused.content.decode()) == (422, True)
    cancel, target = reverse("sector-change-cancel", args=[first.uuid]), {"HX-Target": "f-sector-head"}
    heads = [browser.post(cancel, headers={**HTMX, **target}) for _ in range(2)]
    assert [answer.status_code for answer in heads] == [200, 422]
    assert all('id="f-sector-head"' in text_of(answer) for answer in heads)
    assert AuditEntry.objects.latest("pk").action == "sector.change-cancel"

    extend = reverse("sectors-change", args=["extend"])
    shown = text_of(browser.get(extend, {"id": str(first.sector.uuid)}))
    assert "Extend 1 sector" in shown
    assert "New expiration in" in shown
    bad = browser.post(extend, {"id": str(first.sector.uuid), "days": "x"})
    kept = hidden_fields(bad, form="f-end")
    assert (bad.status_code, kept["id"]) == (422, [str(first.sector.uuid)])
    assert 'value="x"' in bad.content.decode()
    world.until(lambda: fresh(sectors[1]).state == "TERMINATED", epochs=PERIOD)
    assert "Terminated." in text_of(browser.get(reverse("sector", args=[sectors[1].uuid])))
    assert fresh(sectors[0]).state == "PROVING"


def test_second_click_is_for_the_sectors_of_the_review_alone(
    pair: tuple[Miner, list[Sector]],
) -> None:
    miner, (one, other) = pair
    person("ann", of="alice")
    browser, page = signed_in("ann"), reverse("sectors-change", args=["terminate"])

    def proving(sector: Sector) -> None:
        Sector.objects.filter(miner=miner).exclude(pk=sector.pk).update(state="COMMIT_LANDED")
        Sector.objects.filter(pk=sector.pk).update(state="PROVING")

    proving(one)
    fields = hidden_fields(browser.post(page, {"all": "1"}), form="f-confirm")
    assert fields["id"] == [str(one.uuid)]
    proving(other)
    sure = {**fields, "reason": "", "confirm": "terminate 1"}
    refused = browser.post(page, sure)
    again = browser.post(page, {**sure, "all": "1"})

    assert refused.status_code == 422
    assert hidden_fields(again, form="f-confirm")["id"] == [str(other.uuid)], "a filter is only reviewed"
    assert not SectorChange.objects.exists()


def test_rest_asks_with_the_price_first(
    world: World, pair: tuple[Miner, list[Sector]], monkeypatch: pytest.MonkeyPatch
) -> None:
    miner, (one, other) = pair
    asked = []

    def tried(_by: Any, *, address: str, message: Any) -> MessageVerdict:
        asked.append((address, message.method, str(message.to)))
        return MessageVerdict(words="terminate", rule="", error="no rule allows it")

    client = world.line_to_console("sign")._client
    path = f"/api/v1/sectors/{one.uuid}/terminate"

    price = client.post(path, params={"dry_run": "true"}, json={}).json()
    assert "could not be asked: " in price["signer"], "no signer is connected"
    monkeypatch.setattr("apps.wallets.services.policies.policy_try", tried)
    price = client.post(path, params={"dry_run": "true"}, json={}).json()
    [(sender, method, to)] = asked
    assert (method, to) == (Method.TERMINATE_SECTORS, miner.address)
    assert price["signer"] == f"the signer of {sender} would refuse miner.TerminateSectors: no rule allows it"
    assert SectorChange.objects.count() == 0
    assert int(price["fee"]) > 0
    with TestCase.captureOnCommitCallbacks(execute=True):
        first = client.post(path, json={"reason": "old"}, headers={"Idempotency-Key": "k1"})
    assert first.status_code == 201, first.text
    assert client.post(path, json={"reason": "old"}, headers={"Idempotency-Key": "k1"}).json() == first.json()
    second = client.post(path, json={})
    assert (second.status_code, second.json()["code"]) == (409, "change_refused")
    both = {"kind": "TERMINATE", "sectors": [str(one.uuid), str(other.uuid)]}
    Sector.objects.filter(pk=other.pk).update(state="FINALIZED")
    refused = client.post("/api/v1/sector-changes", json=both).json()["refused"]
    assert [row["uuid"] for row in refused] == both["sectors"]
    assert len({row["reason"] for row in refused}) == 2, refused
    Sector.objects.filter(pk=other.pk).update(state="PROVING")
    world.until(lambda: fresh(one).state == "TERMINATED", epochs=PERIOD)
    shown = client.get(f"/api/v1/sectors/{one.uuid}").json()
    assert (shown["state"], shown["change"]["state"]) == ("TERMINATED", "TERMINATE_LANDED")


def test_a_change_that_failed_is_asked_for_again_at_its_price_of_now(
    world: World, pair: tuple[Miner, list[Sector]]
) -> None:
    _, sectors = pair
    until = (fresh(sectors[0]).expiration or 0) + 4000
    for one in sectors:
        SectorChange.objects.create(
            sector=one,
            kind="EXTEND",
            state="EXTEND_FAILED",
            expiration=until,
            queued_height=1,
            actor="ann",
            reason="to keep the power",
            error="exit code 16",
        )
    (group,) = failures_grouped(principal())
    person("ann", of="alice")
    browser = signed_in()
    shown = browser.get(reverse("sectors-failures")).content.decode()
    fields = dict(re.findall(r'name="(expiration|reason)" value="([^"]*)"', shown))
    ids = re.findall(r'name="id" value="([^"]*)"', shown)
    review = browser.post(reverse("sectors-change", args=["extend"]), {**fields, "id": ids})
    assert "Extend 2 sectors" in text_of(review)
    assert fields == {"expiration": str(until), "reason": "to keep the power"}

    SectorChange.objects.update(expiration=1)
    done, refused = failures_retry(failures_grouped(principal())[0].key, by=principal(), now=clock.now())
    assert (done, {one for one, _ in refused}) == ([], set(sectors))
    SectorChange.objects.update(expiration=until)
    done, _ = failures_retry(group.key, by=principal(), now=clock.now())
    world.until(lambda: {fresh(one).expiration for one in sectors} == {until}, epochs=10)

    assert len(done) == 2
    assert SectorChange.objects.filter(state="EXTEND_LANDED", reason="to keep the power").count() == 2
    assert failures_grouped(principal()) == []


def test_rest_extends_what_ends_in_a_range_of_epochs(world: World, pair: tuple[Miner, list[Sector]]) -> None:
    miner, (one, other) = pair
    ends = [fresh(row).expiration or 0 for row in (one, other)]
    client = world.line_to_console("sign")._client

    def asked(*, dry_run: bool = False, **more: Any) -> Any:
        chosen = {"miner": miner.address, "ends_from": min(ends), "ends_to": max(ends), "kind": "EXTEND"}
        params = {"dry_run": "true"} if dry_run else {}
        with TestCase.captureOnCommitCallbacks(execute=True):
            return client.post("/api/v1/sector-changes", params=params, json=chosen | more).json()

    def numbers(answer: Any) -> list[int]:
        return sorted(row["number"] for row in answer["sectors"])

    both = sorted([one.number, other.number])
    assert numbers(asked(dry_run=True)) == both
    assert numbers(asked(dry_run=True, exclude=str(one.number))) == [other.number]
    for refused, field, why in (
        ({"tolerance": 99_999_999}, "sectors", "no sector that ends then can be extended"),
        ({"max_fee": "1 attoFIL"}, "sectors", "more than 0.000000000000000001 FIL"),
        ({"ends_from": 9, "ends_to": 8}, "ends_to", "epoch 8 is before epoch 9"),
        ({"kind": "TERMINATE"}, "miner", "a termination names its sectors"),
        ({"sectors": [str(one.uuid)]}, "sectors", "name either sectors or a miner"),
    ):
        answer = asked(**refused)
        assert (answer["field"], why in answer["message"]) == (field, True), answer
    assert SectorChange.objects.count() == 0

    [first] = asked(only_cc=True, max_sectors=1, max_fee="10 FIL")["changes"]
    assert first["kind"] == "EXTEND"
    [second] = asked(max_sectors=1)["changes"]
    assert sorted([first["number"], second["number"]]) == both
