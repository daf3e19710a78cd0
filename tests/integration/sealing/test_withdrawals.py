"""A miner's available balance is withdrawn by REST on a real devnet and arrives at its owner."""

from __future__ import annotations

import json
from typing import Any

from django.test import Client

from apps.blocks.selectors.money import money_of
from apps.core import clock
from apps.core.day_ranges import last_days
from apps.messages.models import Message
from apps.messages.services.push import message_push
from apps.miners.models import Miner, MinerDay
from apps.miners.selectors.miners import miner_principal
from apps.users.rules.principals import SYSTEM
from poolsite.filecoin.amounts import FIL
from tests import people
from tests.integration.sealing.world import World


def landed(world: World, pk: str) -> Message:
    """Advance epochs until a message has landed; it must do what it says."""
    world.until(lambda: Message.objects.get(pk=pk).state == "LANDED", epochs=40)
    message = Message.objects.get(pk=pk)
    assert message.exit_code == 0
    return message


def test_withdrawn_balance_arrives_at_the_owner(world: World) -> None:
    miner = world.miner_create()
    sent = message_push(
        principal=miner_principal(miner),
        id="fund",
        to=miner.address,
        from_=world.owner,
        value=5 * FIL,
        method=0,
    )
    landed(world, sent.pk)
    headers = people.bearer(people.token("sign", of="alice"))

    def balances() -> tuple[int, int]:
        owner = int(world.ask("WalletBalance", world.owner))
        return owner, int(world.ask("StateMinerAvailableBalance", miner.address, None))

    def withdraw(body: dict[str, Any]) -> Message:
        answer = Client().post(
            f"/api/v1/miners/{miner.address}/withdrawals",
            json.dumps(body),
            content_type="application/json",
            headers=headers,
        )
        assert answer.status_code == 201, answer.content
        return landed(world, answer.json()["message"])

    owner, available = balances()
    assert available >= 5 * FIL
    message = withdraw({"amount": str(2 * FIL)})
    assert balances() == (owner + 2 * FIL - message.gas_cost, available - 2 * FIL)

    rest = withdraw({})

    assert balances() == (owner + available - message.gas_cost - rest.gas_cost, 0)


def test_what_came_and_went_accounts_for_the_whole_balance(world: World) -> None:
    miner = world.miner_create()
    world.until(lambda: MinerDay.objects.filter(miner=miner).exists(), epochs=40)
    sent = [
        message_push(
            principal=miner_principal(miner),
            id=name,
            to=miner.address,
            from_=world.owner,
            value=5 * FIL,
            method=0,
        )
        for name in ("first", "second")
    ]
    for one in sent:
        landed(world, one.pk)
    answer = Client().post(
        f"/api/v1/miners/{miner.address}/withdrawals",
        json.dumps({"amount": str(2 * FIL)}),
        content_type="application/json",
        headers=people.bearer(people.token("sign", of="alice")),
    )
    message = landed(world, answer.json()["message"])
    world.until(lambda: Miner.objects.get(pk=miner.pk).refreshed_height > message.height, epochs=5)

    miner.refresh_from_db()
    (line,) = money_of(miner, viewer=SYSTEM, days=last_days(1, now=clock.now())).lines

    assert (line.received, line.withdrawn, line.other) == (10 * FIL, 2 * FIL, 0)
    assert line.closing - line.opening == 8 * FIL
    assert line.gas == message.gas_cost, "of transfers of value nobody asks for which miner they are"
    assert line.net == -line.gas
