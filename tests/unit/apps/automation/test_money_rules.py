"""Rules that move money: what they push, when they push nothing, and that they push nothing twice."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from apps.automation.models import AutoAct, AutoRule
from apps.automation.reasons import FAILED_WITH, MONEY_LIMIT, NOT_CARRIED_OUT
from apps.automation.rules.specs import MoneySpec
from apps.automation.selectors.auto_rules import auto_rules_hindered
from apps.automation.services import rule_steps
from apps.automation.services.rule_changes import (
    auto_rule_add,
    auto_rule_remove,
    auto_rule_set,
    auto_rule_set_on,
)
from apps.automation.services.rule_plans import SETTLE_EPOCHS, rule_plan
from apps.automation.services.rule_steps import auto_rule_step, auto_rules_step
from apps.core.errors import BadValue, Conflict, NotAllowed
from apps.market.states import DealDoor
from apps.messages.models import Message
from apps.messages.selectors.approval_choice import content_digest_compute
from apps.messages.services.approvals import message_approve
from apps.messages.services.cancel import message_mark_bad
from apps.messages.states import MessageState
from apps.users.models import AuditEntry
from poolsite.filecoin.actors.market import AddBalanceParams
from poolsite.filecoin.address import address_parse
from poolsite.filecoin.codec import to_cbor
from poolsite.filecoin.piece_cids import SizedPiece
from tests import factories
from tests.messaging import FIL, Pool
from tests.people import person, principal, tenant
from tests.unit.apps.messages.recovery import heads

TARGET = "f01234"


@pytest.fixture(autouse=True)
def willing(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the signer would refuse: nothing, until a test adds a text."""
    texts: list[str] = []
    monkeypatch.setattr(
        "apps.automation.services.rule_plans.run_refusal_find", lambda _run, **_: "".join(texts)
    )
    return texts


def spec(source: str, target: str = TARGET, **data: Any) -> MoneySpec:
    values: dict[str, Any] = {"low": 10 * FIL, "high": 30 * FIL, "day_max": 100 * FIL}
    return MoneySpec(source=source, target=target, **values | data)


def rule(pool: Pool, kind: str = "top_up", *, is_on: bool = True, **data: Any) -> AutoRule:
    """A rule of a wallet with a thousand FIL."""
    source = data.pop("source", None) or pool.address(fil=1000)
    row = auto_rule_add(principal=principal(), tenant=tenant(), kind=kind, spec=spec(source, **data))
    return auto_rule_set_on(principal=principal(people=("ann",)), rule=row, is_on=True) if is_on else row


def step(pool: Pool) -> None:
    auto_rules_step(client=pool.client, head=pool.head, now=pool.now)


def pushed(row: AutoRule) -> list[Message]:
    return list(Message.objects.filter(push_id__startswith=f"rule:{row.uuid}:").order_by("push_id"))


def note(row: AutoRule) -> str:
    row.refresh_from_db()
    return str(row.note)


def test_a_rule_is_off_until_it_is_switched_on(pool: Pool) -> None:
    row = rule(pool, is_on=False)
    step(pool)
    assert not Message.objects.exists()
    assert rule_plan(row, client=pool.client, head=pool.head, now=pool.now).amount == 30 * FIL
    assert not Message.objects.exists(), "a dry run stores nothing"


def test_a_top_up_fills_to_the_high_mark_once(pool: Pool) -> None:
    pool.node.balances[TARGET] = 9 * FIL
    row = rule(pool)
    for _ in range(3):
        step(pool)
    [message] = pushed(row)
    assert (message.to, message.from_addr, message.value) == (TARGET, row.settings["source"], 21 * FIL)
    assert message.tenant_id == row.tenant_id
    pool.choose()
    heads(pool, 3)
    step(pool)
    assert [one.state for one in pushed(row)] == [MessageState.LANDED], "the node may be behind"
    heads(pool, SETTLE_EPOCHS)
    pool.node.balances[TARGET] = 30 * FIL
    step(pool)
    assert len(pushed(row)) == 1
    pool.node.balances[TARGET] = 5 * FIL
    step(pool)
    assert [one.value for one in pushed(row)] == [21 * FIL, 25 * FIL]
    line = AuditEntry.objects.filter(action="auto-rule.act").latest("pk")
    assert line.after is not None
    assert line.after["amount"] == "25 FIL"


def test_nothing_is_due_between_the_marks(pool: Pool) -> None:
    pool.node.balances[TARGET] = 10 * FIL
    row = rule(pool)
    step(pool)
    assert (pushed(row), note(row)) == ([], "")


def test_what_is_on_its_way_counts(pool: Pool) -> None:
    row = rule(pool)
    pool.push("by hand", pool.address(fil=50), to=TARGET, value=12 * FIL)
    step(pool)
    assert pushed(row) == []


def test_a_process_that_is_killed_leaves_all_or_nothing(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    row = rule(pool)
    with monkeypatch.context() as patch:

        def killed(**_: Any) -> None:
            raise SystemExit

        patch.setattr(rule_steps, "audit_record", killed)
        with pytest.raises(SystemExit):
            step(pool)
    assert (pushed(row), AutoAct.objects.count()) == ([], 0)
    step(pool)
    assert len(pushed(row)) == AutoAct.objects.count() == 1


def test_two_processes_at_once_push_one_message(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    row = rule(pool)

    def slow(rule: AutoRule, **how: Any) -> Any:
        plan = rule_plan(rule, **how)
        with monkeypatch.context() as patch:
            patch.setattr(rule_steps, "rule_plan", rule_plan)
            step(pool)  # the other one
        return plan

    monkeypatch.setattr(rule_steps, "rule_plan", slow)
    assert auto_rule_step(row, client=pool.client, head=pool.head, now=pool.now) is None
    assert len(pushed(row)) == 1


def test_what_a_restore_forgot_is_not_pushed_again(pool: Pool) -> None:
    row = rule(pool)
    step(pool)
    AutoAct.objects.all().delete()
    AutoRule.objects.update(acts_begun=0)
    step(pool)
    assert len(pushed(row)) == 1, "its dry run counts what is on its way"
    pool.choose()
    heads(pool, 3)
    row.refresh_from_db()
    step(pool)
    [act] = AutoAct.objects.all()
    assert (len(pushed(row)), act.number, act.amount) == (1, 0, 30 * FIL)


def test_the_daily_limit_holds(pool: Pool) -> None:
    row = rule(pool, day_max=40 * FIL)
    for _ in range(3):
        step(pool)
        pool.choose()
        heads(pool, SETTLE_EPOCHS + 2)
    assert [one.value for one in pushed(row)] == [30 * FIL, 10 * FIL]
    assert "40 FIL were moved today" in note(row)
    assert MONEY_LIMIT.made(row.note)
    assert list(auto_rules_hindered(principal())) == [row]
    pool.ticks += 24 * 3600
    step(pool)
    assert [one.value for one in pushed(row)][2:] == [30 * FIL]
    assert note(row) == ""


def test_a_market_balance_is_topped_up(pool: Pool) -> None:
    balance = {"Escrow": str(12 * FIL), "Locked": str(9 * FIL)}
    pool.node.do_StateMarketBalance = lambda _address, _key: balance  # type: ignore[attr-defined]
    row = rule(pool, is_escrow=True)
    step(pool)
    [message] = pushed(row)
    assert (message.to, message.method, message.value) == ("f05", 2, 27 * FIL)
    assert bytes(message.params) == to_cbor(AddBalanceParams(address_parse(TARGET)))


def test_what_accepted_deals_will_lock_is_topped_up_for(pool: Pool) -> None:
    balance = {"Escrow": str(19 * FIL), "Locked": "0"}
    pool.node.do_StateMarketBalance = lambda _address, _key: balance  # type: ignore[attr-defined]
    miner = factories.miner(2001)
    sized = SizedPiece(bytes(32), 127)
    for state in ("ACCEPTED", "UNPUBLISHED", "VERIFIED", "FAILED"):
        factories.deal(miner, sized, state=state, door=DealDoor.MK12, collateral=6 * FIL)
    row = rule(pool, is_escrow=True, target=miner.address)

    step(pool)

    [message] = pushed(row)
    assert message.value == 23 * FIL


def test_a_sweep_leaves_the_low_mark_and_what_messages_need(pool: Pool) -> None:
    row = rule(pool, "sweep", day_max=1000 * FIL)
    source = row.settings["source"]
    pool.push("waits", source, to=TARGET, value=100 * FIL)
    pool.choose()
    step(pool)
    [message] = pushed(row)
    assert (message.to, message.from_addr) == (TARGET, source)
    assert 889 * FIL < message.value < 890 * FIL


def test_what_the_signer_would_refuse_is_not_pushed(pool: Pool, willing: list[str]) -> None:
    row = rule(pool)
    willing.append("no rule allows it")
    step(pool)
    assert (pushed(row), note(row)) == ([], "no rule allows it")
    assert row.noted_at is not None
    willing.clear()
    step(pool)
    assert (len(pushed(row)), note(row)) == (1, "")


def test_a_wallet_that_cannot_pay_is_named(pool: Pool) -> None:
    row = rule(pool, source=pool.address(fil=20))
    step(pool)
    assert pushed(row) == []
    assert "lacks 10." in note(row)


def test_a_message_that_was_not_carried_out_stops_the_rule(pool: Pool) -> None:
    row = rule(pool)
    step(pool)
    message_mark_bad(message=pushed(row)[0], now=pool.now)
    step(pool)
    row.refresh_from_db()
    assert (row.is_on, len(pushed(row))) == (False, 1)
    assert NOT_CARRIED_OUT.made(row.stopped)
    assert list(auto_rules_hindered(principal())) == [row]
    auto_rule_set_on(principal=principal(), rule=row, is_on=True)
    step(pool)
    assert len(pushed(row)) == 2
    assert not auto_rules_hindered(principal()).exists()


def test_a_message_that_fails_on_chain_stops_the_rule(pool: Pool) -> None:
    row = rule(pool)
    step(pool)
    pool.node.exit_code = 6
    pool.choose()
    heads(pool, 3)
    step(pool)
    row.refresh_from_db()
    assert (row.is_on, len(pushed(row))) == (False, 1)
    assert FAILED_WITH.made(row.stopped)
    assert "exit code 6" in row.stopped


def test_switching_it_on_again_forgets_no_message_in_progress(pool: Pool) -> None:
    row = rule(pool)
    step(pool)
    for is_on in (False, True):
        auto_rule_set_on(principal=principal(), rule=row, is_on=is_on)
    pool.node.balances[TARGET] = -100 * FIL  # what is on its way does not cover it
    step(pool)
    assert len(pushed(row)) == 1


def test_four_eyes_hold_and_who_switched_it_on_is_the_first(pool: Pool) -> None:
    for name in ("ann", "bob"):
        person(name)
    factories.approval_rule(of="alice", above=FIL)
    row = rule(pool)
    step(pool)
    [message] = pushed(row)
    assert message.needs_approval
    content = content_digest_compute(message)
    with pytest.raises(NotAllowed):
        message_approve(message=message, by=principal(people=("ann",)), content=content, now=pool.now)
    message_approve(message=message, by=principal(people=("bob",)), content=content, now=pool.now)
    pool.choose()
    assert pushed(row)[0].state == MessageState.FILLED


def test_a_change_switches_it_off(pool: Pool) -> None:
    row = rule(pool)
    row = auto_rule_set(principal=principal(), rule=row, spec=spec(row.settings["source"], low=FIL))
    assert not row.is_on
    step(pool)
    assert pushed(row) == []


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"low": 0}, "low"),
        ({"high": FIL}, "high"),
        ({"day_max": 0}, "day_max"),
        ({"target": "nobody"}, "target"),
        ({"source": "f01999"}, "source"),
    ],
)
def test_refusals_name_the_field(pool: Pool, data: dict[str, Any], field: str) -> None:
    wanted = {"source": pool.address(fil=1), **data}
    with pytest.raises(BadValue) as refused:
        auto_rule_add(principal=principal(), tenant=tenant(), kind="top_up", spec=spec(**wanted))
    assert refused.value.field == field
    assert not AutoRule.objects.exists()


def test_rules_that_would_undo_each_other_are_refused(pool: Pool) -> None:
    one, two = pool.address(fil=100), pool.address(fil=100)
    rule(pool, source=one, target=two)
    with pytest.raises(Conflict, match="does this already"):
        rule(pool, source=pool.address(), target=two)
    with pytest.raises(Conflict, match="undo"):
        rule(pool, "sweep", source=two, target=one, low=FIL, high=20 * FIL)
    rule(pool, "sweep", source=two, target=one, low=30 * FIL, high=50 * FIL)


def test_a_strangers_rule_is_out_of_reach(pool: Pool) -> None:
    row = rule(pool)
    stranger = principal("mallory")
    for act in (
        lambda: auto_rule_set_on(principal=stranger, rule=row, is_on=False),
        lambda: auto_rule_set(principal=stranger, rule=row, spec=spec(row.settings["source"])),
        lambda: auto_rule_remove(principal=stranger, rule=row),
        lambda: auto_rule_set_on(principal=replace(principal(), perm="write"), rule=row, is_on=False),
    ):
        with pytest.raises(NotAllowed):
            act()
    row.refresh_from_db()
    assert row.is_on
