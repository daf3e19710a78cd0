"""A real host's agent over a real store folder with two sectors of 2 KiB, and the console's own views."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from django.utils.timezone import now

from apps.sectors.models import Sector
from apps.sectors.models import Store as StoreRow
from apps.sectors.services.stores.scan_comparison import scans_compare
from poolsite.filecoin.porep.parameters import seal_parameters
from poolsite.wire.jobs import JobKind
from tests import factories
from tests.people import token
from workers.config import HostConfig
from workers.console.client import Console
from workers.console.lease_keeper import LeaseKeeper
from workers.storage.checksums import Checksums, file_digest
from workers.storage.sector import SectorFiles
from workers.storage.store import Store
from workers.storage.stores import Stores
from workers.store_watch import StoreWatch

PROOF = 5
LONG_S = 60.0


def views() -> Any:
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


def _rest() -> None:
    time.sleep(0.005)


class Farm:
    """A host that seals, its store, and the rows of the two sectors that lie there."""

    def __init__(self, folder: Path, root: Path | None = None) -> None:
        self.folder, self.root = folder, root or folder / "store"
        self.stores = Stores(folder / "host", (self.root,))
        self.stores.open()
        self.miner = factories.miner(1000)
        self.sectors = [self.stored(number) for number in (1, 2)]
        self.start()

    def stored(self, number: int) -> Sector:
        """A sector as it was sealed and put into the store, with the sums of most of its files."""
        name = f"s-t01000-{number}"
        made = SectorFiles(
            seal_parameters(PROOF), self.folder / "cache" / name, self.folder / "sealed" / name
        )
        made.cache.mkdir(parents=True)
        made.sealed.parent.mkdir(exist_ok=True)
        made.sealed.write_bytes(bytes([number]) * 2048)
        made.p_aux.write_bytes(bytes(32) + bytes([number]) * 31 + b"\0")
        made.t_aux.write_bytes(b"t")
        made.tree_r_last(0).write_bytes(bytes(32 * made.tree_r_last_nodes))
        known = (made.sealed, made.p_aux, made.tree_r_last(0))
        Checksums(made.cache).record_all({path: file_digest(path) for path in known})
        store = Store(self.root)
        files = store.persist(made, miner_id=1000, number=number)
        facts: dict[str, Any] = {
            "state": "PROVING",
            "store": store.name(),
            "comm_r": files.comm_r,
            "number": number,
        }
        return factories.sector(self.miner, seal_proof=PROOF, **facts)

    def start(self) -> None:
        """Start the host: it registers as a new start of itself, and knows nothing of what it was told."""
        config = HostConfig(
            folder=self.folder / "host", stores=(self.root,), console="", token="", name="box"
        )
        self.leases = LeaseKeeper(config, self.line("write"), kinds=(JobKind.SEAL,), slots={})
        self.watch = StoreWatch(self.stores, sector_bytes=2048)
        self.leases.watch_stores(self.watch)
        self.look()
        self.leases.register()

    def line(self, perm: str) -> Console:
        """A line to the console's own views."""
        console = Console("http://testserver", token(perm, of="alice"))
        transport = httpx.WSGITransport(app=views())
        console._client = httpx.Client(base_url="http://testserver", auth=console.auth, transport=transport)
        return console

    @property
    def row(self) -> StoreRow:
        """The store as the console knows it."""
        return StoreRow.objects.get()

    def ask(self, method: str, end: str, *, perm: str = "sign", **request: Any) -> httpx.Response:
        """Ask for something of the store over REST."""
        path = f"/api/v1/stores/{self.row.uuid}/{end}"
        return self.line(perm)._client.request(method, path, **request)

    def path(self, kind: str, sector: Sector, *more: str) -> Path:
        """Return where a file of a sector lies."""
        return self.root.joinpath(kind, f"s-t01000-{sector.number}", *more)

    def look(self) -> None:
        """Look at all stores once, to the end."""
        self.watch.tick()
        self._wait(lambda: not any(one.is_running for one in self.watch._checks.values()))

    def beat(self) -> None:
        """Look, send a heartbeat, and carry out what it brought."""
        self.look()
        self.leases.heartbeat()
        self._wait(lambda: None not in self.watch.orders._orders.values())

    def beats(self, condition: Callable[[], bool]) -> None:
        """Send heartbeats until a condition holds, then have a head compare what was scanned."""
        self._wait(condition, self.beat)
        scans_compare(now=now())

    def _wait(self, condition: Callable[[], bool], act: Callable[[], None] = _rest) -> None:
        end = time.monotonic() + LONG_S
        while not condition():
            assert time.monotonic() < end, "not within a minute"
            act()


@pytest.fixture
def farm(tmp_path: Path, db: None) -> Farm:
    """A host with its store."""
    return Farm(tmp_path)
