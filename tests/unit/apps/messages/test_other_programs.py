"""A waiting message that another program sends too: with our signature it shows no restored backup."""

from __future__ import annotations

import pytest

from apps.messages.models import Recovery, Sender
from apps.messages.services.recovery import unrecorded
from apps.messages.states import SenderState
from apps.wallets.models import SignRecord
from apps.wallets.services.sign import bytes_sign, message_sign
from poolsite.filecoin.address import address_parse
from poolsite.filecoin.message import SignedMessage, message_to_cbor
from tests.messaging import Pool
from tests.people import tenant

AMOUNT = 55


def sent_by_a_program(pool: Pool, address: str, *, how: str) -> SignedMessage:
    """What waits here is sent with the next nonce by a program, signed at the interface `how`."""
    foreign = pool.foreign(address, nonce=1, value=AMOUNT)
    message, whose = foreign.message, tenant("alice").pk
    if how == "node interface":
        message_sign(message, tenant_id=whose, asked_by=how)
    elif how == "gateway interface":
        bytes_sign(
            address=address_parse(address),
            to_sign=message.cid.data,
            meta_type="message",
            extra=message_to_cbor(message),
            tenant_id=whose,
            asked_by=how,
        )
    pool.node.pool[(address, 1)] = foreign
    return foreign


@pytest.mark.parametrize("is_selecting", [True, False])
@pytest.mark.parametrize(
    ("how", "is_noticed"), [("node interface", False), ("gateway interface", False), ("elsewhere", True)]
)
def test_what_a_program_had_signed_here_begins_no_recovery(
    pool: Pool, monkeypatch: pytest.MonkeyPatch, how: str, is_noticed: bool, is_selecting: bool
) -> None:
    monkeypatch.setattr(unrecorded, "_snapshots", [])  # nothing is known to be of this process's life
    address = pool.address()
    pool.push("before", address)
    pool.choose()
    pool.step()
    pool.push("waits", address, value=AMOUNT)
    if not is_selecting:  # noticed where it lands
        Sender.objects.update(state=SenderState.FORBIDDEN)
    foreign = sent_by_a_program(pool, address, how=how)
    pool.choose()
    pool.step()
    pool.step()

    assert Recovery.objects.filter(restored_at__isnull=False).exists() == is_noticed
    if not is_noticed:
        assert Sender.objects.get(address=address).foreign_cid == str(foreign.cid)
        assert pool.row("waits").nonce == (2 if is_selecting else None)
        assert SignRecord.objects.filter(cid=str(foreign.message.cid), asked_by=how).count() == 1
