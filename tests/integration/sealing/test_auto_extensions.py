"""A rule that extends sectors, on a real chain: which it takes, its limits, kills, what it leaves alone."""

from __future__ import annotations

from typing import Any

import pytest

from apps.automation.models import AutoAct, AutoRule
from apps.automation.rules.extend_specs import ExtendSpec
from apps.automation.services import rule_steps
from apps.automation.services.extend_plans import ExtendPlan, extend_plan
from apps.automation.services.rule_changes import auto_rule_add, auto_rule_set, auto_rule_set_on
from apps.automation.services.rule_steps import auto_rules_step
from apps.chain.models import Head
from apps.chain.node.client import chain_client
from apps.chain.selectors.heads import head_current
from apps.core import clock
from apps.miners.models import Miner
from apps.sectors.models import Sector, SectorChange
from apps.sectors.services.changes.steps import change_cancel
from apps.users.models import AuditEntry
from poolsite.wire.pipeline.changes import ChangeState
from tests.integration.sealing.world import World
from tests.people import principal

pytestmark = pytest.mark.xdist_group("pair")  # one worker seals the two sectors


@pytest.fixture(autouse=True)
def willing(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the signer would refuse: nothing, until a test adds a text."""
    texts: list[str] = []
    monkeypatch.setattr(
        "apps.automation.services.extend_plans.signers_refusal_find", lambda _plan, **_: "".join(texts)
    )
    return texts


def head_now() -> Head:
    head = head_current()
    assert head is not None
    return head


def spec(**data: Any) -> ExtendSpec:
    return ExtendSpec(**{"remaining_days": 60, "day_sectors": 10, **data})


def rule(miner: Miner, *, is_on: bool = True, **data: Any) -> AutoRule:
    row = auto_rule_add(principal=principal(), tenant=miner.tenant, kind="extend", spec=spec(**data))
    return auto_rule_set_on(principal=principal(actor="ann"), rule=row, is_on=True) if is_on else row


def step() -> None:
    AutoRule.objects.update(looked_height=0)  # as if it had not looked for a while
    auto_rules_step(client=chain_client(), head=head_now(), now=clock.now())


def plan_of(row: AutoRule) -> ExtendPlan:
    return extend_plan(row, client=chain_client(), head=head_now(), now=clock.now())


def numbers(found: ExtendPlan) -> list[int]:
    return [one.sector.number for one in found.plan.accepted] if found.plan else []


def test_sectors_that_end_soon_are_extended_once(
    world: World, pair: tuple[Miner, list[Sector]], monkeypatch: pytest.MonkeyPatch, willing: list[str]
) -> None:
    miner, sectors = pair
    before = {one.number: expiration(world, miner, one) for one in sectors}
    row = rule(miner, is_on=False)
    assert numbers(plan_of(row)) == [one.number for one in sectors]
    step()
    assert not SectorChange.objects.exists(), "it is off"

    name = f"{miner.address}-{sectors[0].number}"
    assert numbers(plan_of(auto_rule_set(principal=principal(), rule=row, spec=spec(excluded=(name,))))) == [
        sectors[1].number
    ]
    for data in ({"age_days": 300}, {"size": 1}, {"data": "verified"}):
        row = auto_rule_set(principal=principal(), rule=row, spec=spec(**data))
        assert numbers(plan_of(row)) == [] or plan_of(row).why, data
    row = auto_rule_set(principal=principal(), rule=row, spec=spec(gas_max=1, day_sectors=1))
    assert "the gas of a sector would cost" in plan_of(row).why
    row = auto_rule_set(principal=principal(), rule=row, spec=spec(day_sectors=1))
    row = auto_rule_set_on(principal=principal(actor="ann"), rule=row, is_on=True)

    willing.append("no rule allows it")
    step()
    row.refresh_from_db()
    assert (row.note, SectorChange.objects.count()) == ("no rule allows it", 0)
    willing.clear()
    with monkeypatch.context() as patch:

        def killed(**_: Any) -> None:
            raise SystemExit

        patch.setattr(rule_steps, "audit_record", killed)
        with pytest.raises(SystemExit):
            step()
    assert (SectorChange.objects.count(), AutoAct.objects.count()) == (0, 0)
    for _ in range(3):
        step()
    [change] = SectorChange.objects.all()
    assert (change.sector_id, change.actor) == (sectors[0].pk, "ann")
    assert change.reason == f"automatic rule {row.uuid}"
    row.refresh_from_db()
    assert row.note == "1 sector extended today: the daily limit is used up"
    row = auto_rule_set(principal=principal(), rule=row, spec=spec())
    row = auto_rule_set_on(principal=principal(actor="ann"), rule=row, is_on=True)
    step()
    assert SectorChange.objects.count() == 2
    world.until(lambda: SectorChange.objects.filter(state=ChangeState.EXTEND_LANDED).count() == 2)
    assert all(expiration(world, miner, one) > before[one.number] for one in sectors)
    step()
    assert SectorChange.objects.count() == 2, "the latest epoch grows with each head"
    line = AuditEntry.objects.filter(action="auto-rule.act").latest("pk")
    assert line.after == {"sectors": 1, "act": "act 1"}


def test_what_a_person_cancelled_is_left_alone(world: World, pair: tuple[Miner, list[Sector]]) -> None:
    miner, _ = pair
    row = rule(miner)
    step()
    for change in SectorChange.objects.all():
        change_cancel(change, by=principal(), now=clock.now())
    assert (SectorChange.objects.count(), plan_of(row).why) == (2, "nothing is due")
    step()
    assert SectorChange.objects.count() == 2
    assert world.console is not None


def expiration(world: World, miner: Miner, sector: Sector) -> int:
    return int(world.ask("StateSectorGetInfo", miner.address, sector.number, None)["Expiration"])
