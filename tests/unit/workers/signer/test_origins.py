"""The signer signs one nonce for one message id, whatever a restored console asks for."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from poolsite.filecoin.address import address_parse
from poolsite.filecoin.keys import key_address
from poolsite.filecoin.message import Message, message_from_cbor, message_to_cbor
from poolsite.wire.origins import IdsAsked, Origin
from tests.keys import fixed_key
from tests.unit.workers.signer.signing import message
from workers.signer.origins import SignedBefore
from workers.signer.records import Records

POOL = "5b1c6b3e-0000-4000-8000-000000000001"
ONE = Origin(pool=POOL, id="pay-1", account="alice", kind="")


def sign(signer: Any, one: Message, origin: Origin | None = ONE) -> bytes:
    signature, _ = signer.sign_by_rule(
        address=str(one.from_),
        to_sign=one.cid.data,
        meta_type="message",
        extra=message_to_cbor(one),
        caller="test",
        origin=origin,
    )
    return bytes(signature.data)


def test_a_second_nonce_for_an_id_is_refused_with_what_was_signed(signer):
    sign(signer, message(nonce=3))
    dearer = message(nonce=3, gas_premium=20)
    sign(signer, dearer)

    with pytest.raises(SignedBefore, match="nonce 3") as refused:
        sign(signer, message(nonce=8))

    assert [message_from_cbor(one) for one in refused.value.signed] == [dearer, message(nonce=3)]


def test_the_same_message_again_and_other_fees_are_signed(signer):
    first = sign(signer, message(nonce=3))

    assert sign(signer, message(nonce=3)) == first
    assert sign(signer, message(nonce=3, gas_fee_cap=5000)) != first


@pytest.mark.parametrize("other", [{"value": 5}, {"to": address_parse("f01235")}], ids=["value", "receiver"])
def test_other_content_under_a_signed_id_is_refused(signer, other):
    sign(signer, message(nonce=3))

    with pytest.raises(SignedBefore):
        sign(signer, message(nonce=3, **other))


@pytest.mark.parametrize("way", [{"selection": "s1", "step": 1}, {"dead": (3,)}], ids=["selection", "dead"])
def test_what_may_take_another_nonce_keeps_its_content(signer, way):
    sign(signer, message(nonce=3), replace(ONE, selection="s1"))

    with pytest.raises(SignedBefore):
        sign(signer, message(nonce=8, value=5), replace(ONE, **way))


def test_another_id_pool_account_or_key_and_no_id_are_other_messages(signer):
    sign(signer, message(nonce=3))

    sign(signer, message(nonce=4), replace(ONE, id="pay-2"))
    sign(signer, message(nonce=5), replace(ONE, pool="another"))
    sign(signer, message(nonce=6), None)
    sign(signer, message(nonce=7), replace(ONE, account="bob"))
    sign(signer, message(nonce=8, from_=key_address(fixed_key("bls"))))


def test_a_nonce_that_another_message_used_for_good_frees_the_id(signer):
    sign(signer, message(nonce=3))

    with pytest.raises(SignedBefore):
        sign(signer, message(nonce=8), replace(ONE, dead=(2,)))
    sign(signer, message(nonce=8), replace(ONE, dead=(3,)))
    with pytest.raises(SignedBefore, match="nonce 8"):
        sign(signer, message(nonce=3))


def test_one_selection_may_move_a_message_and_a_late_duplicate_may_not(signer):
    sign(signer, message(nonce=7), replace(ONE, selection="s1", step=0))
    sign(signer, message(nonce=6), replace(ONE, selection="s1", step=1))

    with pytest.raises(SignedBefore, match="nonce 6"):
        sign(signer, message(nonce=7), replace(ONE, selection="s1", step=0))
    with pytest.raises(SignedBefore, match="nonce 6"):
        sign(signer, message(nonce=5), replace(ONE, selection="s2", step=9))


def test_the_id_is_kept_in_the_chained_records_over_a_restart(signer):
    sign(signer, message(nonce=3))
    again = Records(signer.folder / "records.sqlite")
    try:
        row = again.link.execute("SELECT * FROM record").fetchone()
        assert (row["pool"], row["message"], row["account"]) == (POOL, "pay-1", "alice")
        assert again.chain_verify() is None
        again.link.execute("DROP TRIGGER record_no_update")
        again.link.execute("UPDATE record SET message = 'pay-9'")
        assert again.chain_verify() == 1
    finally:
        again.close()


def test_ids_are_found_by_cid_for_their_own_pool_only(signer):
    sign(signer, message(nonce=3))
    cid = str(message(nonce=3).cid)

    [found] = signer.ids_find(IdsAsked(pool=POOL, cids=(cid, "bafy2none"))).found
    assert (found.cid, found.id, found.account) == (cid, "pay-1", "alice")
    assert signer.ids_find(IdsAsked(pool="another", cids=(cid,))).found == ()
