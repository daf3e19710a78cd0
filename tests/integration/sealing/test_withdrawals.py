"""A miner's available balance is withdrawn by REST on a real devnet and arrives at its owner."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django.test import Client

from apps.messages.models import Message
from apps.messages.services.push import message_push
from apps.miners.selectors.miners import miner_principal
from poolsite.filecoin.amounts import FIL
from tests import people

if TYPE_CHECKING:
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
