"""What programs have signed by Ethereum addresses: the bytes are the shown message's own, or are refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from apps.messages.errors import ApprovalRequired
from apps.messages.selectors.signature_checks import bytes_signature_check
from poolsite.filecoin.address import address_parse
from poolsite.filecoin.amounts import AttoFil
from poolsite.filecoin.ethereum import METHOD_INVOKE_EVM, signing_bytes
from poolsite.filecoin.message import Message, message_to_cbor
from poolsite.filecoin.policy import NETWORKS
from tests import factories

pytestmark = pytest.mark.django_db

SENDER = "f410fw3ftx2ui4snt4rhwo7nn3deeldenpeldyf5anpy"
SMALL = Message(
    to=address_parse("f410ftneq2nvsupe6w2mmbuaeprw565mdeepqnz56iba"),
    from_=address_parse(SENDER),
    value=AttoFil(1),
    method=METHOD_INVOKE_EVM,
    gas_limit=10,
    gas_fee_cap=AttoFil(3),
    gas_premium=AttoFil(1),
)
LARGE = replace(SMALL, value=AttoFil(9))
CHAIN_ID = NETWORKS["mainnet"].eth_chain_id


@pytest.fixture
def sign() -> Callable[..., None]:
    """Return what refuses bytes of a tenant with a rule for amounts above 4 attoFIL."""
    factories.approval_rule(of="alice", above=4)

    def check(to_sign: bytes, meta_type: str, extra: bytes = b"") -> None:
        bytes_signature_check(
            address=SENDER,
            accounts=["alice"],
            is_operator=False,
            to_sign=to_sign,
            meta_type=meta_type,
            extra=extra,
        )

    return check


@pytest.mark.parametrize("meta_type", ["unknown", "", "verify", "block"])
def test_an_ethereum_transaction_without_its_message_is_refused(
    sign: Callable[..., None], meta_type: str
) -> None:
    typed = signing_bytes(LARGE, chain_id=CHAIN_ID)

    for to_sign in (typed, typed[1:], LARGE.cid.data):  # a list without a type is a legacy transaction
        with pytest.raises(ApprovalRequired):
            sign(to_sign, meta_type)
    sign(b"\x19Ethereum Signed Message:\n2hi", meta_type)


def test_an_ethereum_transaction_is_compared_with_its_message(sign: Callable[..., None]) -> None:
    shown = message_to_cbor(SMALL)

    sign(signing_bytes(SMALL, chain_id=CHAIN_ID), "message", shown)
    for to_sign in (signing_bytes(LARGE, chain_id=CHAIN_ID), SMALL.cid.data):
        with pytest.raises(ApprovalRequired):
            sign(to_sign, "message", shown)
    no_transaction = replace(SMALL, method=7)
    with pytest.raises(ApprovalRequired):
        sign(no_transaction.cid.data, "message", message_to_cbor(no_transaction))
