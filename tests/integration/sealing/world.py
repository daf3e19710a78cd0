"""A whole pool in one process on a real devnet: console services, a sealing host, a prover, mined on demand.

Only two things are not the product's own: signatures come from keys held here instead of a signer
behind the hub, and tasks run at once instead of in Celery workers.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from celery import current_app
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections

import poolsite.celery
from apps.chain.heads.steps import head_steps, tasks_due
from apps.chain.node.client import chain_client
from apps.chain.selectors.network import network_current
from apps.chain.services.heads import head_follow
from apps.chain.services.networks import network_bind
from apps.chain.services.nodes import nodes_sync
from apps.core import clock
from apps.gateway.services.signatures import WalletSignRequest
from apps.miners.models import Miner
from apps.miners.onchain.actors import numbers_allocated
from apps.miners.services.create import create_miner_push
from apps.sectors.models import Sector
from apps.sectors.services.sealing.pledge import pledge_create
from apps.users.services.grants import signer_grant
from apps.wallets.models import Wallet
from poolsite.devnet.clock import ManualClock
from poolsite.devnet.node import Devnet
from poolsite.devnet.profile import Profile
from poolsite.devnet.server import Server
from poolsite.filecoin.amounts import FIL
from poolsite.filecoin.keys import KEY_BLS, KeyInfo, key_address, key_generate, key_sign
from poolsite.filecoin.message import message_from_cbor
from poolsite.filecoin.sector import RegisteredSealProof
from poolsite.filecoin.signature import Signature
from poolsite.wire.jobs import STAGED, Assignment, JobKind
from poolsite.wire.origins import IdFound
from tests import factories
from tests.people import tenant, token
from workers.agent.inventory import sectors_here, stored_here
from workers.agent.journal import journal_open
from workers.agent.loop import Agent
from workers.agent.stages import StageRunner
from workers.config import DEFAULT_SLOTS, HostConfig, SealerConfig
from workers.console.client import Console
from workers.console.lease_keeper import LeaseKeeper
from workers.host_settings import SECTOR_ROOM, SECTORS_MAX, HostSettings
from workers.processors.pool import ProcessorPool
from workers.prover.loop import Prover
from workers.setting_levels import slots_default
from workers.storage.store import Store
from workers.storage.stores import Stores

FUNDS = 1_000
CHAIN = "chain.sqlite"
PERIOD, WINDOW, SKIP = 60, 10, 3
"""Epochs of a proving period and of a window, and how many heads a follower may skip."""


def repeated(seed: int, size: int) -> bytes:
    """Bytes that are the same in every run."""
    return bytes([seed]) * size


class Node:
    """A devnet in this process, served on a port of its own."""

    def __init__(
        self, path: Path, *, funds: dict[Any, int] | None = None, chain_time: float | None = None
    ) -> None:
        self.clock = ManualClock() if chain_time is None else ManualClock(chain_time)
        # A lost election would take a head from steps that are counted in epochs.
        profile = Profile(null_free=True)
        self.devnet = Devnet(path, network="test", clock=self.clock, funds=funds, profile=profile)
        # Its own blocks are not verified again: that is what the devnet's tests are for.
        self.devnet.validator.check = lambda *_args, **_more: None  # type: ignore[method-assign]
        self.link = socket.socket()
        self.link.bind(("127.0.0.1", 0))
        self.link.listen()  # at once: the server's thread may begin later than the first question
        config = uvicorn.Config(Server(self.devnet), log_level="critical", lifespan="on")
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [self.link]}, daemon=True)
        self.thread.start()

    @property
    def url(self) -> str:
        """Address of its JSON-RPC."""
        return f"http://127.0.0.1:{self.link.getsockname()[1]}/rpc/v1"

    def close(self) -> None:
        """Stop serving; again does no harm."""
        self.server.should_exit = True
        self.thread.join(60)
        self.devnet.close()
        self.link.close()


class InlineHints:
    """Stands where the sealing host's Celery app is: a hint is followed at once."""

    def __init__(self, runner: StageRunner) -> None:
        self.runner = runner
        self.hints = 0

    def send_task(self, _name: str, *, args: list[str], **_options: Any) -> None:
        """Run the stage that is written down."""
        self.hints += 1
        self.runner.run(args[0])


def wsgi_application() -> Any:
    """The console's views; as with Django's own test client, a request must not close the connection."""
    plain = get_wsgi_application()

    def call(environ: dict[str, Any], start_response: Any) -> Any:
        request_started.disconnect(close_old_connections)
        request_finished.disconnect(close_old_connections)
        try:
            return list(plain(environ, start_response))
        finally:
            request_started.connect(close_old_connections)
            request_finished.connect(close_old_connections)

    return call


class World:
    """The pool and its chain; `epoch` lets one epoch pass and does everything that it makes due."""

    def __init__(self, folder: Path, pool: ProcessorPool, monkeypatch: Any, *, funds: int = FUNDS) -> None:
        self.folder = folder
        self.pool = pool
        self.keys: dict[str, KeyInfo] = {}
        for seed in (1, 2):
            key = key_generate(KEY_BLS, random_bytes=partial(repeated, seed))
            self.keys[str(key_address(key))] = key
        self.owner, self.worker = self.keys
        owned = {key_address(key): funds * FIL for key in self.keys.values()}
        self.node = Node(folder / CHAIN, funds=owned)
        poolsite.celery.app.loader.import_default_modules()
        monkeypatch.setattr("apps.wallets.services.sign.wallet_sign_all", self.sign_all)
        self.ids: dict[str, IdFound] = {}
        monkeypatch.setattr("apps.messages.services.recovery.restore.signed_ids_read", self.signed_ids_read)
        monkeypatch.setattr(poolsite.celery.app, "send_task", self.task_now)
        self.tenant = tenant("alice")
        for address in self.keys:
            signer_grant(tenant=self.tenant, address=address)
            Wallet.objects.create(address=address, tenant=self.tenant, account="alice", key_type="bls")
            factories.signer_connection(address, seen_at=clock.now() + timedelta(days=1))
        nodes_sync([self.node.url])
        network_bind(chain_client())
        self.proves = True
        self.besides: tuple[JobKind, ...] = ()
        """What the prover does beside the proofs of windows."""
        self.store = Store(folder / "store")
        self.stores = Stores(folder / "stores", (self.store.root,))
        self.stores.open()
        self.console = self.line_to_console("write")
        self.agent = self.sealer()
        self.others: list[Agent] = []
        """Further sealing hosts."""
        self.prover = self.prover_make()

    def close(self) -> None:
        """Stop the chain."""
        self.node.close()

    # What stands for signer and Celery

    def sign_all(self, requests: Sequence[WalletSignRequest], **_options: Any) -> list[Signature]:
        """Sign as the signer would, and keep the ids."""
        for request in requests:
            if request.origin is not None:
                cid = str(message_from_cbor(request.extra).cid)
                origin = request.origin
                self.ids[cid] = IdFound(cid=cid, id=origin.id, account=origin.account, kind=origin.kind)
        return [key_sign(self.keys[request.address], request.to_sign) for request in requests]

    def signed_ids_read(self, _address: str, *, pool: object, cids: Sequence[str]) -> dict[str, IdFound]:
        """Answer as the signer would from its record."""
        return {cid: self.ids[cid] for cid in cids if cid in self.ids}

    def task_now(self, name: str, *, kwargs: dict[str, Any] | None = None, **_options: Any) -> None:
        """Run a task at once."""
        current_app.tasks[name](**(kwargs or {}))

    # Hosts

    def line_to_console(self, perm: str) -> Console:
        """A worker's line to the console's own views."""
        console = Console("http://testserver", token(perm, of="alice"))
        transport = httpx.WSGITransport(app=wsgi_application())
        console._client = httpx.Client(base_url="http://testserver", auth=console.auth, transport=transport)
        return console

    def sealer(
        self, folder: str = "sealer", *, name: str = "sealer-1", slots: dict[str, int] | None = None
    ) -> Agent:
        """A sealing host that has just been started, with the usual slots but for those that are named."""
        config = SealerConfig(
            folder=self.folder / folder,
            stores=(self.store.root,),
            console="",
            token="",
            name=name,
            settings=HostSettings(
                self.folder / folder, {"default": slots_default() | {SECTOR_ROOM: 1 << 20, SECTORS_MAX: 0}}
            ),
            snark="vanilla",
        )
        leases = LeaseKeeper(config, self.console, kinds=STAGED, slots=DEFAULT_SLOTS | (slots or {}))
        journal = journal_open(config.folder)
        leases.sectors, leases.stored = partial(sectors_here, journal), partial(stored_here, self.stores)
        leases.stores = (self.store.name(),)
        leases.register()
        self.runner = StageRunner(
            folder=config.folder, stores=self.stores, pool=self.pool, console=self.console
        )
        app: Any = InlineHints(self.runner)
        return Agent(config, console=self.console, leases=leases, journal=journal, app=app)

    def prover_make(self) -> Prover:
        """A prover that has just been started."""
        config = HostConfig(
            folder=self.folder / "prover", stores=(self.store.root,), console="", token="", name="prover-1"
        )
        leases = LeaseKeeper(config, self.console, kinds=(JobKind.WINDOW_POST, *self.besides), slots={})
        leases.stores = (self.store.name(),)
        leases.register()
        return Prover(console=self.console, leases=leases, pool=self.pool, stores=self.stores)

    def hosts_work(self) -> None:
        """Run sealer and prover until neither has anything to do."""
        for _ in range(60):
            agents = (self.agent, *self.others)
            for agent in agents:
                agent.claim_after = 0.0
                agent.tick()
            if not any(agent.held for agent in agents):
                break
        self.prover_works()

    def prover_works(self) -> None:
        """Let the prover do all that it can do now."""
        while self.proves:
            jobs: tuple[Assignment, ...] = self.prover._claim(5, *self.besides)
            if not jobs:
                break
            for job in jobs:
                self.prover._prove(job)

    # Time

    def epoch(self, count: int = 1, *, stride: int = 1) -> None:
        """Let epochs pass, and do what each makes due; a follower may skip heads, so `stride` of them may."""
        for left in range(count, 0, -stride):
            self.node.devnet.advance(min(stride, left))
            self.head_take()
            self.hosts_work()

    def head_take(self) -> None:
        """Follow the chain's head and take the steps of the heartbeat that find work."""
        client = chain_client()
        done = head_follow(client=client, facts=client.chain_head(), now=clock.now())
        if done is None:
            return
        due = tasks_due(height=done.head.height, finality=network_current().chain_finality)
        for step in head_steps():
            if step.task in due:
                self.task_now(step.task, kwargs={"height": done.head.height, "key": done.head.key})

    @property
    def height(self) -> int:
        """The chain's head."""
        return int(self.node.devnet.head.height)

    def until(self, condition: Any, *, epochs: int = 200, stride: int = 1) -> int:
        """Let epochs pass until a condition holds; gives how many it took."""
        for passed in range(0, epochs, stride):
            if condition():
                return passed
            self.epoch(stride, stride=stride)
        raise AssertionError(f"not within {epochs} epochs")

    # The pool's things

    def miner_create(
        self,
        message_id: str = "bootstrap-miner",
        seal_proof: RegisteredSealProof = RegisteredSealProof.STACKED_DRG_2KIB_V1_1,
    ) -> Miner:
        """Make the pool's miner on the chain; another one by another message."""
        self.epoch(2)
        miner = create_miner_push(
            tenant=self.tenant,
            name="pool",
            owner=self.owner,
            worker=self.worker,
            seal_proof=seal_proof,
            deposit=2 * FIL,
            message_id=message_id,
        )
        self.until(lambda: Miner.objects.get(pk=miner.pk).state == "ACTIVE", epochs=20)
        self.epoch(2)
        return Miner.objects.get(pk=miner.pk)

    def ask(self, method: str, *params: Any) -> Any:
        """Ask the chain itself."""
        return chain_client().call(method, *params)


def pledged(world: World, miner: Miner, count: int = 1) -> list[Sector]:
    """Sectors that were just pledged."""
    taken = numbers_allocated(chain_client(), miner.address)
    pledge = pledge_create(miner, count=count, actor="ann", now=clock.now(), allocated=taken)
    return list(Sector.objects.filter(pledge=pledge).order_by("number"))


def fresh(sector: Sector) -> Sector:
    """The sector as its row is now."""
    sector.refresh_from_db()
    return sector


def active_on_chain(world: World, miner: Miner) -> list[int]:
    """Numbers that the chain lists as active."""
    return sorted(
        row["SectorNumber"] for row in world.ask("StateMinerActiveSectors", miner.address, []) or []
    )
