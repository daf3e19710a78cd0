"""A small pool for the messager's tests: a node, the follower's rows, a tenant with keys, a signer at hand.

Everything but the far side is the product's own: the node answers over HTTP, and signatures are asked for
where the hub would carry the question to a signer.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID

from apps.chain.models import Head, Node
from apps.chain.node.client import ChainClient
from apps.chain.node.link import NodeLink
from apps.chain.selectors.heads import head_current
from apps.chain.services.heads import head_follow
from apps.chain.services.networks import network_bind
from apps.chain.states import NodeCondition
from apps.core.errors import DomainError
from apps.gateway.errors import SignerAway, SignerRefused
from apps.gateway.services.signatures import WalletSignRequest, signature_read
from apps.messages.models import Message
from apps.messages.rules.push_items import PushItem
from apps.messages.services.approvals import approvals_expire
from apps.messages.services.expire import messages_expire
from apps.messages.services.gaps import gaps_fill
from apps.messages.services.publish import messages_publish, messages_republish
from apps.messages.services.push import message_push, messages_push
from apps.messages.services.recovery.detect import restore_check
from apps.messages.services.recovery.restore import recovery_step
from apps.messages.services.select import due_senders_list, sender_select
from apps.messages.services.selection import LargePool
from apps.messages.services.track import messages_track
from apps.users.rules.principals import Principal
from apps.users.services.grants import signer_grant
from poolsite.filecoin.address import address_parse
from poolsite.filecoin.amounts import AttoFil
from poolsite.filecoin.keys import KeyInfo, key_address, key_generate, key_sign
from poolsite.filecoin.message import Message as ChainMessage
from poolsite.filecoin.message import SignedMessage, message_from_cbor
from poolsite.filecoin.signature import Signature
from poolsite.wire.origins import SIGNED_FIELD, IdFound
from tests.fake_node import FakeNode, served
from tests.open_transactions import is_transaction_open
from tests.people import principal, tenant
from workers.signer.origins import SignedBefore, ids_find, origin_check
from workers.signer.records import Records, Verdict
from workers.signer.sign_request import MESSAGE, SignRequest

FIL = 10**18
START = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)
RECEIVER = "f01000"


class Keyring:
    """Signs like a connected signer; can be away or refuse single messages."""

    def __init__(self) -> None:
        self.keys: dict[str, KeyInfo] = {}
        self.is_away = False
        self.refused: set[bytes] = set()
        """CID bytes that the policy refuses, or parts of the message (`extra`)."""
        self.asked = 0
        with TemporaryDirectory() as folder:  # the open file outlives its name
            self.records = Records(Path(folder) / "records.sqlite")
        """Of a signer of ours: it keeps the ids of what it signed, and refuses a second nonce for one."""

    def sign_all(
        self, requests: Sequence[WalletSignRequest], *, timeout_s: float = 10
    ) -> list[Signature | DomainError]:
        """Stand where the hub is."""
        assert not is_transaction_open(), "a signer is asked inside a transaction"
        self.asked += len(requests)
        return [self.sign(request) for request in requests]

    def sign(self, request: WalletSignRequest) -> Signature | DomainError:
        """Answer one request."""
        if self.is_away or request.address not in self.keys:
            return SignerAway(request.address)
        if any(part in request.extra for part in self.refused):
            return SignerRefused("policy: not this one")
        message = message_from_cbor(request.extra)
        cid = str(message.cid)
        thing = SignRequest(MESSAGE, message.from_, request.to_sign, cid=cid, raw=request.extra)
        try:
            origin_check(self.records.link, thing, request.origin)
        except SignedBefore as refused:
            return signature_read(
                request.address,
                answer={SIGNED_FIELD: [base64.b64encode(one).decode() for one in refused.signed]},
            )
        self.records.write(thing, Verdict("all", ""), caller="test", now=START, origin=request.origin)
        return key_sign(self.keys[request.address], request.to_sign)

    def signed_ids_read(self, _address: str, *, pool: UUID, cids: Sequence[str]) -> dict[str, IdFound]:
        """Stand where the hub asks the signer for ids."""
        return {one.cid: one for one in ids_find(self.records.link, pool=str(pool), cids=cids).found}


class Follows:
    """What the follower and the tasks do, one call at a time, for a node at a URL."""

    def __init__(self, url: str) -> None:
        self.link = NodeLink(url, "")
        self.client = ChainClient([self.link])
        self.keyring = Keyring()
        self.ticks = 0
        Node.objects.create(url=url, condition=NodeCondition.HEALTHY)
        network_bind(self.client)
        self.follow()

    @property
    def now(self) -> datetime:
        """Time that passes with each step."""
        return START + timedelta(seconds=self.ticks)

    def push(self, id: str, from_: str, *, by: Principal | None = None, **data: Any) -> Message:
        """Push a message as a program would."""
        row: dict[str, Any] = {"to": RECEIVER, "method": 0, "value": 1, **data}
        return message_push(principal=by or principal(), id=id, from_=from_, **row)

    def push_many(self, count: int, from_: str) -> None:
        """Push m0, m1, … of 1 to 40 attoFIL, as a program pushes many at once."""
        items = [
            PushItem(id=f"m{at}", to=RECEIVER, from_=from_, method=0, value=at % 40 + 1)
            for at in range(count)
        ]
        for answer in messages_push(items, principal=principal()):
            assert isinstance(answer, Message), answer

    def follow(self) -> None:
        """Do the follower's part, and keep the head that it wrote."""
        head_follow(client=self.client, facts=self.client.chain_head(), now=self.now)
        head = head_current()
        assert head is not None
        self.head: Head = head

    def settle(self) -> None:
        """What the tasks do on the head that is there."""
        self.follow()
        if restore_check(now=self.now).since is not None:
            recovery_step(client=self.client, now=self.now)
        messages_track(head=self.head, client=self.client, now=self.now)
        self.choose()

    def choose(self) -> None:
        """The selection's part."""
        messages_expire(head=self.head, now=self.now)
        approvals_expire(now=self.now)
        messages_republish(now=self.now)
        gaps_fill(client=self.client, head=self.head)
        for address in due_senders_list(head=self.head):
            done = sender_select(address=address, head=self.head, client=self.client, now=self.now)
            messages_publish(done.filled, now=self.now)

    def row(self, id: str) -> Message:
        """Read a message again."""
        return Message.objects.get(push_id=id)

    def foreign(self, address: str, *, nonce: int, value: int = 77) -> SignedMessage:
        """Make a message of this address that the messager knows nothing of."""
        message = ChainMessage(
            to=address_parse(RECEIVER),
            from_=address_parse(address),
            nonce=nonce,
            value=AttoFil(value),
            gas_limit=1_000_000,
            gas_fee_cap=AttoFil(10**6),
            gas_premium=AttoFil(10**6),
        )
        return SignedMessage(message, key_sign(self.keyring.keys[address], bytes(message.cid)))


class Pool(Follows):
    """The world of a unit test: a tiny node whose every answer is in plain sight."""

    def __init__(self, node: FakeNode, url: str) -> None:
        self.node = node
        super().__init__(url)

    def address(self, *, of: str = "alice", fil: int = 100, kind: str = "secp256k1") -> str:
        """Make a key whose owner is a tenant, with money on chain."""
        key = key_generate(kind)
        address = str(key_address(key))
        self.keyring.keys[address] = key
        signer_grant(tenant=tenant(of), address=address)
        if fil:
            self.node.balances[address] = fil * FIL
        return address

    def step(self, **how: Any) -> None:
        """One head: mined, followed, tracked, selected, published, in the heartbeat's order."""
        self.ticks += 1
        self.node.mine(**how)
        self.settle()

    def nonces_on_chain(self, address: str) -> list[int]:
        """Return the nonces that landed, in order."""
        return [signed.message.nonce for signed in self.node.landed(address)]


@contextmanager
def pool_world(monkeypatch: Any, *, node: FakeNode | None = None) -> Iterator[Pool]:
    """Serve a node and stand a keyring where the hub is."""
    node = FakeNode() if node is None else node
    with served(node) as url:
        pool = Pool(node, url)
        monkeypatch.setattr("apps.messages.services.selection._large_pool", LargePool())
        monkeypatch.setattr("apps.wallets.services.sign.wallet_sign_all", pool.keyring.sign_all)
        monkeypatch.setattr(
            "apps.messages.services.recovery.restore.signed_ids_read", pool.keyring.signed_ids_read
        )
        try:
            yield pool
        finally:
            pool.link.close()
