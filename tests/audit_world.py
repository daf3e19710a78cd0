"""A small pool in which every act that leaves an audit line can be done."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from django.test import Client

from apps.core import clock
from apps.messages.models import Message
from apps.messages.services.cancel import message_mark_bad
from apps.messages.services.sign import DEAD_EPOCHS
from apps.messages.services.track import messages_track
from apps.sectors.models import Sector, Store, StoreCheck, StoreFinding, StoreMove, StoreScan
from apps.wallets.models import Wallet
from poolsite.wire.jobs import JobKind
from tests import factories, people
from tests.messaging import Pool


class World:
    """A node, a sender with messages, a miner with a sector, a host; two callers."""

    def __init__(self, pool: Pool, client: Client) -> None:
        self.pool, self.client = pool, client
        self.address = pool.address()
        people.person("ann")
        people.operator_person()
        self.operator = people.operator_token()
        self.alice = people.token("admin", of="alice")
        for name in ("flying", "other"):
            pool.push(name, self.address)
        pool.choose()
        pool.push("waiting", self.address)
        self.miner = factories.miner(2001, of="alice")
        self.sector = factories.sector(self.miner)
        self.worker = factories.worker("box", of="alice")
        self.store = factories.store(self.worker)
        self.wallet = Wallet.objects.filter(address=self.address).first() or factories.wallet(self.address)

    def other_store(self) -> str:
        """A second store of alice's host, which proves too, and a proving sector in the first."""
        self.worker.kinds = [str(JobKind.SEAL), str(JobKind.WINDOW_POST)]
        other = factories.store(self.worker, "other")
        factories.sector(self.miner, number=77, state="PROVING", store=self.store.name, comm_r=bytes(32))
        return str(other.uuid)

    def queued(self) -> str:
        """A move that has not begun, out of the store that is returned."""
        other = Store.objects.get(uuid=self.other_store())
        sector = Sector.objects.get(number=77)
        ways = {"from_store": self.store, "to_store": other, "worker": self.worker}
        StoreMove.objects.create(sector=sector, actor="ann", **ways)
        return str(self.store.uuid)

    def checking(self) -> str:
        """Return the key of a check of the store's files that runs."""
        check = StoreCheck.objects.create(store=self.store, worker=self.worker, bytes_s=1, actor="ann")
        return str(check.uuid)

    def scanning(self) -> str:
        """Return the key of a scan of the store that runs."""
        return str(StoreScan.objects.create(store=self.store, worker=self.worker, actor="ann").uuid)

    def proven(self) -> str:
        """Return the key of a store with a proving sector."""
        self.other_store()
        return str(self.store.uuid)

    def stored(self) -> str:
        """Return the key of a sector whose files lie in the store."""
        self.other_store()
        return str(Sector.objects.get(number=77).uuid)

    def found(self) -> str:
        """Return the key of a store in which a lost sector was found."""
        self.other_store()
        sector = Sector.objects.get(number=77)
        Sector.objects.filter(pk=sector.pk).update(store="", comm_r=bytes(32))
        facts = {"miner_id": sector.miner.actor_id, "number": 77, "name": "s-t01000-77"}
        StoreFinding.objects.create(store=self.store, sector=sector, kind="ELSEWHERE", **facts)
        return str(self.store.uuid)

    def forgotten(self) -> None:
        """Forget a store that no host reads any more."""
        self.rest("POST", f"stores/{self.unread()}/forget", {"confirm": self.store.name})

    def unread(self) -> str:
        """Return the key of a store that no host has any more, nor has read for a day."""
        self.store.attachments.all().delete()
        Store.objects.filter(pk=self.store.pk).update(told_at=clock.now() - timedelta(days=1))
        return str(self.store.uuid)

    def moved(self) -> None:
        """Queue a move."""
        self.rest("POST", f"stores/{self.store.uuid}/moves", {"to": self.other_store(), "count": 1})

    def filled(self, text: str) -> str:
        """Put in what only this world knows."""
        text = text.replace("<address>", self.address).replace("<worker>", str(self.worker.uuid))
        text = text.replace("<tenant>", str(self.worker.tenant_id))
        return text.replace("<other>", self.other_store()) if "<other>" in text else text

    def uid(self, name: str) -> str:
        """The key of one of alice's messages."""
        return str(Message.objects.get(push_id=name).pk)

    def taken(self) -> str:
        """The key of a message whose nonce another program's message used long ago."""
        self.pool.node.pool[(self.address, 0)] = self.pool.foreign(self.address, nonce=0)
        for _ in range(DEAD_EPOCHS + 3):
            self.pool.node.mine()
        self.pool.follow()
        messages_track(head=self.pool.head, client=self.pool.client, now=clock.now())
        return self.uid("flying")

    def failed(self, *, is_signed: bool) -> None:
        """Return one up."""
        name = "flying" if is_signed else "waiting"
        message_mark_bad(message=Message.objects.get(push_id=name), now=clock.now())

    def rest(self, method: str, path: str, body: Any = None, *, by: str = "") -> None:
        """Ask over REST, or sophon-auth's routes."""
        answer = self.client.generic(
            method,
            path if path.startswith("/") else f"/api/v1/{path}",
            "" if body is None else json.dumps(body),
            content_type="application/json",
            headers=people.bearer(by or self.alice),
        )
        assert answer.status_code < 300, (path, answer.status_code, answer.content)

    def rpc(self, method: str, *params: Any, by: str = "") -> None:
        """Call a method."""
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
        answer = self.client.post(
            "/rpc/v0", body, content_type="application/json", headers=people.bearer(by or self.alice)
        )
        assert "error" not in answer.json(), answer.content
