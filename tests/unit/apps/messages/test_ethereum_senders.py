"""Ethereum wallets: what they push is made what their keys can sign, or refused with no row left behind."""

from __future__ import annotations

from typing import Any

import pytest

from apps.messages.errors import BadMessage
from apps.messages.models import Message
from apps.messages.rules.push_items import PushItem
from apps.messages.services.dry_run import message_dry_run
from apps.messages.services.signer_trials import run_refusal_find
from apps.messages.states import MessageState
from poolsite.filecoin.address import address_parse
from poolsite.filecoin.eth_text import eth_text
from poolsite.filecoin.ethereum import METHOD_INVOKE_EVM, transaction_unsigned
from poolsite.wire.policy import MessageVerdict
from tests import factories
from tests.fake_node import FakeNode, Refusal
from tests.messaging import Pool
from tests.people import principal

OTHER = "f410fkkld55ioe7qg24wvt7fu6pbknb56ht7pt4zamxa"
KNOWN, UNKNOWN = factories.secp(1), factories.secp(2)


@pytest.fixture(autouse=True)
def lookups(monkeypatch: pytest.MonkeyPatch) -> None:
    """The node knows one of the addresses."""

    def lookup(_: FakeNode, address: str, _key: Any) -> str:
        if address != KNOWN:
            raise Refusal("actor not found")
        return "f01234"

    monkeypatch.setattr(FakeNode, "do_StateLookupID", lookup, raising=False)


@pytest.mark.parametrize(("to", "receiver"), [(OTHER, OTHER), ("f01000", "f01000"), (KNOWN, "f01234")])
def test_a_transfer_lands_as_a_call_without_data(pool: Pool, to: str, receiver: str) -> None:
    address = pool.address(kind="delegated")

    row = pool.push("one", address, to=to, value=7)
    again = pool.push("one", address, to=to, value=7)

    assert (row.to, row.method, again.pk) == (receiver, METHOD_INVOKE_EVM, row.pk)
    for _ in range(3):
        pool.step()
    landed = pool.row("one")
    assert (landed.state, landed.exit_code) == (MessageState.LANDED, 0)
    assert transaction_unsigned(landed.chain_message(), chain_id=1).data == b""


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"to": UNKNOWN}, "to"),
        ({"to": "f010"}, "to"),
        ({"method": 16, "params": b"\x81\x40"}, "method"),
        ({"method": 2}, "method"),
        ({"method": 0, "params": b"\x41a"}, "method"),
        ({"method": METHOD_INVOKE_EVM, "params": b"no call data"}, "params"),
    ],
    ids=str,
)
def test_what_its_key_can_never_sign_is_refused(pool: Pool, data: dict[str, Any], field: str) -> None:
    address = pool.address(kind="delegated")

    with pytest.raises(BadMessage) as refusal:
        pool.push("one", address, **data)

    assert refusal.value.field == field
    assert not Message.objects.exists()


def test_a_contract_is_called_with_the_data_given(pool: Pool) -> None:
    row = pool.push(
        "one", pool.address(kind="delegated"), to=OTHER, method=METHOD_INVOKE_EVM, params=b"\x41a"
    )

    assert (row.to, row.method, bytes(row.params)) == (OTHER, METHOD_INVOKE_EVM, b"\x41a")


def test_the_review_shows_what_would_be_sent(pool: Pool) -> None:
    item = PushItem(id="one", to=KNOWN, from_=pool.address(kind="delegated"), value=7, method=0)

    run = message_dry_run(item, principal=principal(), client=pool.client, head=pool.head)

    assert (run.exit_code, run.error) == (0, "")


@pytest.mark.parametrize(
    ("kind", "to", "sent"),
    [
        ("delegated", KNOWN, ("f01234", METHOD_INVOKE_EVM)),
        ("delegated", eth_text(address_parse(OTHER)), (OTHER, METHOD_INVOKE_EVM)),
        ("secp256k1", eth_text(address_parse(OTHER)), (OTHER, 0)),
    ],
)
def test_the_signer_is_asked_about_what_would_be_sent(
    pool: Pool, monkeypatch: pytest.MonkeyPatch, kind: str, to: str, sent: tuple[str, int]
) -> None:
    asked: list[Any] = []

    def policy_try(_viewer: Any, *, address: str, message: Any) -> MessageVerdict:
        asked.append((address, str(message.from_), str(message.to), message.method, int(message.value)))
        return MessageVerdict(words="", rule="", error="no rule allows it")

    monkeypatch.setattr("apps.wallets.services.policies.policy_try", policy_try)
    address = pool.address(kind=kind)
    item = PushItem(id="one", to=to, from_=address, value=7, method=0)
    run = message_dry_run(item, principal=principal(), client=pool.client, head=pool.head)

    assert run_refusal_find(run, by=principal()).endswith("no rule allows it")
    assert asked == [(address, address, *sent, 7)]
    assert run.gas_limit == run.message.gas_limit > 0


@pytest.mark.parametrize("kind", ["secp256k1", "bls"])
def test_other_keys_transfer_as_before(pool: Pool, kind: str) -> None:
    row = pool.push("one", pool.address(kind=kind), to=UNKNOWN)

    assert (row.to, row.method) == (UNKNOWN, 0)
