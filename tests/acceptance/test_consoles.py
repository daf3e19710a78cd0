"""Three console machines of one pool: whatever befalls one, others go on, and nothing is lost or done twice.

It befalls them at random for POOLSITE_SOAK_MINUTES (60); POOLSITE_TEST_SEED repeats it.  Each machine reaches
database, Redis and node by cables of the test.  What was lost or done twice is read from the chain.
"""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Final

import psycopg2
import pytest

from tests.acceptance.console_faults import ROLES, ConsoleDisturber, Consoles
from tests.acceptance.machines import machine_kill, machine_start
from tests.acceptance.messager import token_for
from tests.acceptance.pool import RunningPool, dice
from tests.acceptance.roles import Machine
from tests.acceptance.shifted_clock import ShiftedClock, compiler
from tests.acceptance.soak import Soak, miners_make, sectors_make
from tests.cables import Cut
from tests.integration.consoles import JoinedConsole, Site, servers
from tests.integration.disks import mounted
from tests.integration.pools import wait_until
from tests.notes import REPORT
from tests.servers import port_free

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from psycopg2.extensions import connection

    Note = Callable[[str, object], None]

pytestmark = [pytest.mark.xdist_group("pool"), pytest.mark.slow]

NETWORK: Final = "soak"
"""Epochs of 4 s, windows of 40."""
EPOCH_S: Final = 4
MINUTES: Final = float(os.environ.get("POOLSITE_SOAK_MINUTES") or 60)
BUSY: Final = 30
"""Processes that want a core all the time."""
BUSY_MINUTES: Final = min(MINUTES, 10.0)
CALM_MINUTES: Final = 30.0
"""A shorter run may have no win but beside faults."""
SECTORS: Final = 2
DISK_MB: Final = 460
"""Some more than a console asks for at its start."""
FUNDS_FIL: Final = 10_000


class SharedPool(RunningPool):
    """The machine on which the pool began, with its hosts; database and Redis are elsewhere."""

    def __init__(self, site: Site, **env: str) -> None:
        urls = {"DATABASE_URL": site.urls["database"], "REDIS_URL": site.urls["redis"]}
        super().__init__(
            web_processes=1, has_kernels=True, has_tables=False, POOLSITE_MACHINE="first", **urls, **env
        )
        self.site = site

    @contextmanager
    def database(self) -> Iterator[connection]:
        """A connection to the pool's database, by no cable."""
        link = psycopg2.connect(self.site.database)
        try:
            yield link
        finally:
            link.close()


class Scene:
    """A pool with a proven miner, whose node runs by itself, and its three machines."""

    def __init__(self, folder: Path, ends: ExitStack) -> None:
        node = f"127.0.0.1:{port_free()}"
        self.site = Site(*ends.enter_context(servers()), f"http://{node}/rpc/v1", ends)
        self.first = SharedPool(self.site, POOLSITE_NETWORK=NETWORK, DEVNET_LISTEN=node)
        ends.push(self.first.__exit__)
        self.first.start()
        self.miners = miners_make(self.first, 1)
        sectors_make(self.first, self.miners, SECTORS)
        self.first.stop()
        self._node_start(node, ends)
        self.first.env |= {"CHAIN_URLS": self.site.urls["node"], "POOLSITE_SECTOR_SIZE": "2KiB"}
        self.first.start()
        self.first.wait_all_up()
        clocks: dict[str, ShiftedClock] = {}
        env: dict[str, str] = {}
        if compiler() is not None:
            clock_folder = folder / "clock"
            clock_folder.mkdir()
            clocks["second"] = ShiftedClock(clock_folder)
            env = clocks["second"].env
        second = self._joined("second", ends, disk_mb=0, **env)
        third = self._joined("third", ends, disk_mb=DISK_MB)
        machines = {"first": self.first, "second": second, "third": third}
        self.consoles = Consoles(self.site, machines, clocks)
        token = folder / "token"
        token.write_text(token_for(self.first, "pool", perm="write", scopes=["prover"]))
        self.prover = Machine(self.first, "rack-b", token, port=second.port)
        ends.callback(self.prover.kill)
        self.prover.start()
        self.consoles.settle()

    def _node_start(self, listen: str, ends: ExitStack) -> None:
        """Run the pool's small chain beside it: the cable to it must stand before its port."""
        addresses = dict.fromkeys(json.loads((self.first.var / "signer.json").read_text()).values())
        funds = [word for address in addresses for word in ("--fund", f"{address}={FUNDS_FIL}")]
        data = str(self.first.var / "devnet" / "chain.sqlite")
        process = machine_start(
            [
                *(sys.executable, "-m", "poolsite.devnet", "--listen", listen, "--network", NETWORK),
                *("--data", data, *funds),
            ],
            log=self.first.base / "devnet.log",
            env=self.first.env | {"POOLSITE_PROCESS": "devnet"},
        )
        ends.callback(machine_kill, process)

    def _joined(self, name: str, ends: ExitStack, *, disk_mb: int, **env: str) -> JoinedConsole:
        answer = self.first.ask("POST", "/api/v1/consoles/join-tokens", json={})
        assert answer.status_code == 201, answer.text
        shared = {
            "PIECES_DIR": str(self.first.var / "pieces"),
            "C1_DIR": str(self.first.var / "c1"),
        }
        made = JoinedConsole(self.first, answer.json()["token"], machine=name, **shared, **env)
        if disk_mb:
            ends.enter_context(mounted(made.var, megabytes=disk_mb, mode=0o711))
        ends.push(made.__exit__)
        made.start()
        return made

    def soak(self) -> Soak:
        """Begin to watch the chain."""
        disturber: Any = ConsoleDisturber(self.first, self.consoles, dice())
        return Soak(self.first, self.miners, disturber, is_strict=True)

    def lead_move(self, machine: str) -> None:
        """Let a machine lead in each role, and the others stand by."""
        if any(self.site.leaders(role) != [machine] for role in ROLES):
            others = [name for name in self.consoles.machines if name != machine]
            self.site.cables["node"].cut(Cut.REFUSED, *others)
            for role in ROLES:
                wait_until(
                    lambda role=role: self.site.leaders(role) == [machine],
                    within_s=60,
                    what=f"{machine} leads {role}",
                )
            self.site.mend()
        self.consoles.settle()


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with ExitStack() as ends:
        yield Scene(tmp_path_factory.mktemp("consoles"), ends)


def test_no_lead_is_lost_beside_busy_loops(scene: Scene, record_property: Note) -> None:
    """Whoever works keeps its lead, however slowly."""
    scene.lead_move("first")
    before = {role: scene.site.leaders(role) for role in ROLES}
    given_up = scene.site.rows("select count(*) from core_processlease where is_given_up")
    with ExitStack() as ends:
        for _ in range(BUSY):
            loop = machine_start(
                [sys.executable, "-c", "while True: pass"],
                log=scene.first.base / "busy.log",
                env=dict(os.environ),
            )
            ends.callback(machine_kill, loop)
        until, height, looks = time.monotonic() + 60 * BUSY_MINUTES, scene.site.height(), 0
        while time.monotonic() < until:
            assert {role: scene.site.leaders(role) for role in ROLES} == before
            looks += 1
            time.sleep(1)
    assert scene.site.rows("select count(*) from core_processlease where is_given_up") == given_up
    heads = scene.site.height() - height
    record_property(
        REPORT, f"{BUSY_MINUTES:g} min beside {BUSY} loops: no lead lost in {looks} looks, {heads} heads"
    )
    assert heads > 60 * BUSY_MINUTES / EPOCH_S / 2


def test_an_hour_at_random_costs_nothing(scene: Scene, record_property: Note) -> None:
    soak = scene.soak()
    soak.needs_calm = MINUTES >= CALM_MINUTES
    try:
        soak.run(int(60 * MINUTES / EPOCH_S), dice())
        soak.end()
    finally:
        record_property(REPORT, f"{len(soak.done)} faults; {soak.report}")
