"""What a large pool costs: lists, exports, and what runs at each head, at 100,000 sectors and 40 miners.

Everything runs in this process on a PostgreSQL of its own; the node stands in this process too and hands
out its answers as JSON text, so that reading them is measured and making them is not.  CPU time is this
process's (`process_time`): the machine's other work does not change it.
"""

from __future__ import annotations

import asyncio
import atexit
import base64
import importlib
import json
import os
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import django

from tests.crowd import copies
from tests.servers import TEMPLATE, PostgresServer, RedisServer

if TYPE_CHECKING:
    from collections.abc import Callable

SECTORS: Final = 100_000
MINERS: Final = 40
MESSAGES: Final = 10_000
WALLETS: Final = 10_000
PER_BATCH: Final = 250
PARAMS_BYTES: Final = 47 * 1024
"""Of one pre-commit batch on a network with proofs of 192 bytes and 250 sectors."""
BATCH_EVERY: Final = 25
"""One message in so many is a batch's."""
DEADLINES: Final = 48
HEIGHT: Final = 10_000
PAGE: Final = 1_000


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value."""

    name: str
    value: float
    unit: str
    peer: float | None = None
    limit: float | None = None


class Pool:
    """A database with many rows, and the operator's browser."""

    def __init__(self) -> None:
        postgres, redis = PostgresServer(), RedisServer()
        postgres.start()
        redis.start()
        atexit.register(postgres.stop)
        atexit.register(redis.stop)
        os.environ.update(
            DJANGO_SETTINGS_MODULE="poolsite.settings.test",
            PGHOST=str(postgres.sockets),
            PGDATABASE=TEMPLATE,
            LOG_LEVEL="ERROR",
        )
        django.setup()
        settings = importlib.import_module("django.conf").settings
        settings.REDIS_URL = redis.url
        settings.ALLOWED_HOSTS = ["*"]
        self.factories = importlib.import_module("tests.factories")
        self.people = importlib.import_module("tests.people")
        self.people.operator_person("boss")
        self.token = self.people.bearer(self.people.operator_token())
        self.client = importlib.import_module("tests.visits").signed_in("boss")
        self.fill()

    def fill(self) -> None:
        """Make the rows: real ones by the tests' factories, then copies of them."""
        connection = importlib.import_module("django.db").connection
        states = importlib.import_module("poolsite.wire.pipeline").SectorState
        make = self.factories
        make.head(1000)
        make.network()
        self.miners = [make.miner(1000 + number) for number in range(MINERS)]
        first = self.miners[0]
        batch = make.batch(first, params=os.urandom(PARAMS_BYTES), message_id="batch-0", state="LANDED")
        make.message("batch-0", state="LANDED", params=os.urandom(PARAMS_BYTES), from_addr=make.bls(1))
        proven = {"state": states.PROVING, "active": True, "comm_r": b"r" * 32, "comm_d": b"d" * 32}
        make.sector(
            first, number=0, precommit_batch=batch, commit_batch=batch, deadline=0, partition=0, **proven
        )
        make.wallet()
        rows = SECTORS // PER_BATCH
        with connection.cursor() as cursor:
            of = "message_id = 'batch-0'"
            change = {"uuid": "gen_random_uuid()", "message_id": "'batch-' || n"}
            copies(cursor, "sectors_batch", of=of, changed=change, rows=f"generate_series(1, {rows}) n")
            change = {
                "id": "'batch-' || n",
                "push_id": "'batch-' || n",
                "nonce": "n",
                "cid": "''",
                "unsigned_cid": "''",
            }
            for name in ("params", "signed"):  # most messages are proofs of windows
                change[name] = (
                    f"case n % {BATCH_EVERY} when 0 then one.params else substr(one.params, 1, 400) end"
                )
            copies(
                cursor,
                "messages_message",
                of="id = 'batch-0'",
                changed=change,
                rows=f"generate_series(1, {MESSAGES}) n",
            )
            batch_of = f"(select id from sectors_batch where message_id = 'batch-' || (n / {PER_BATCH} + 1))"
            ids = ", ".join(str(miner.pk) for miner in self.miners)
            change = {
                "uuid": "gen_random_uuid()",
                "number": "n",
                "miner_id": f"(array[{ids}])[n % {MINERS} + 1]",
                "precommit_batch_id": batch_of,
                "commit_batch_id": batch_of,
                "partition": f"n / {MINERS} % 48 / 48",
                "deadline": f"n / {MINERS} % 48",
            }
            copies(
                cursor,
                "sectors_sector",
                of="number = 0",
                changed=change,
                rows=f"generate_series(1, {SECTORS - 1}) n",
            )
            change = {"uuid": "gen_random_uuid()", "sector_id": "n", "miner_id": "m"}
            rest = "(select id as n, miner_id as m from sectors_sector where number > 0) s"
            copies(
                cursor,
                "sectors_job",
                of="sector_id = (select min(id) from sectors_sector)",
                changed=change,
                rows=rest,
            )
            change = {"address": "'f0' || (500000 + n)", "label": "''", "actor_id": "500000 + n"}
            copies(
                cursor,
                "wallets_wallet",
                of="id = (select min(id) from wallets_wallet)",
                changed=change,
                rows=f"generate_series(1, {WALLETS - 1}) n",
            )
            cursor.execute("vacuum analyze")


@cache
def pool() -> Pool:
    """Start everything once."""
    return Pool()


def cpu_ms(do: Callable[[], Any], *, times: int = 3) -> float:
    """Milliseconds of this process's CPU that something takes; the best of some."""
    do()
    found = []
    for _ in range(times):
        begin = time.process_time()
        do()
        found.append((time.process_time() - begin) * 1000)
    return min(found)


def page(path: str) -> Any:
    """Ask for a page of the REST interface, and check that it came."""
    answer = pool().client.get(path, headers=pool().token)
    assert answer.status_code == 200, answer.content[:300]
    assert len(answer.json()["results"]) >= PAGE // 2
    return answer


def sectors_rest() -> Figure:
    """CPU of a row of `GET /api/v1/sectors`."""
    cost = cpu_ms(lambda: page(f"/api/v1/sectors?limit={PAGE}"))
    return Figure("GET /api/v1/sectors, CPU of a row", cost / PAGE * 1000, "µs", limit=200)


def messages_rest() -> Figure:
    """CPU of a row of `GET /api/v1/messages`."""
    cost = cpu_ms(lambda: page(f"/api/v1/messages?limit={PAGE // 2}"))
    return Figure("GET /api/v1/messages, CPU of a row", cost / (PAGE // 2) * 1000, "µs", limit=200)


def resident_mib() -> float:
    """This process's resident memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


@dataclass
class Download:
    """What was seen of one download."""

    first_s: float = 0.0
    cpu_s: float = 0.0
    peak_mib: float = 0.0
    lines: int = 0


async def download(path: str) -> Download:
    """Fetch a file through the ASGI app, forgetting its bytes, as a browser does that writes them to disk."""
    app = importlib.import_module("django.core.asgi").get_asgi_application()
    cookies = "; ".join(f"{name}={cookie.value}" for name, cookie in pool().client.cookies.items())
    where, _, query = path.partition("?")
    scope = {
        "type": "http",
        "method": "GET",
        "path": where,
        "query_string": query.encode(),
        "headers": [(b"host", b"testserver"), (b"cookie", cookies.encode())],
    }
    begin, cpu, idle = time.perf_counter(), time.process_time(), resident_mib()
    seen, left = Download(), asyncio.Event()
    asked = False

    async def receive() -> dict[str, Any]:
        nonlocal asked
        if asked:
            await left.wait()
        asked = True
        return {"type": "http.request"}

    async def send(event: dict[str, Any]) -> None:
        body = event.get("body", b"")
        if body and not seen.first_s and seen.lines + body.count(b"\n") > 1:
            seen.first_s = time.perf_counter() - begin
        seen.lines += body.count(b"\n")
        seen.peak_mib = max(seen.peak_mib, resident_mib() - idle)

    await app(scope, receive, send)
    seen.cpu_s = time.process_time() - cpu
    return seen


@cache
def export(path: str) -> Download:
    """Download once, after a short one that loads what any download needs."""
    asyncio.run(download(path + ("&" if "?" in path else "?") + "q=5"))
    return asyncio.run(download(path))


def sectors_first() -> Figure:
    """Time to the first byte of 100,000 sectors."""
    return Figure(
        "sectors.csv of 100,000, first byte", export("/sectors.csv").first_s * 1000, "ms", limit=1000
    )


def sectors_memory() -> Figure:
    """Memory above idle while 100,000 sectors are sent."""
    return Figure(
        "sectors.csv of 100,000, memory above idle", export("/sectors.csv").peak_mib, "MiB", limit=50
    )


def sectors_cpu() -> Figure:
    """CPU of a row of the export."""
    seen = export("/sectors.csv")
    return Figure("sectors.csv, CPU of a row", seen.cpu_s / seen.lines * 1e6, "µs", limit=200)


def messages_first() -> Figure:
    """Time to the first byte of the messages."""
    return Figure(
        f"messages.csv of {MESSAGES:,}, first byte", export("/messages.csv").first_s * 1000, "ms", limit=1000
    )


def messages_memory() -> Figure:
    """Memory above idle while the messages are sent."""
    return Figure(
        f"messages.csv of {MESSAGES:,}, memory above idle", export("/messages.csv").peak_mib, "MiB", limit=50
    )


def messages_cpu() -> Figure:
    """CPU of a row of the export."""
    seen = export("/messages.csv")
    return Figure("messages.csv, CPU of a row", seen.cpu_s / seen.lines * 1e6, "µs", limit=200)


class Node:
    """The miners' actors, deadlines and partitions, as JSON text; counts what is asked and read of it."""

    def __init__(self) -> None:
        self.calls = self.read = self.requests = 0
        self.texts: dict[tuple[str, str, int], str] = {}
        self.objects: dict[str, str] = {}
        self.moves = 0
        self.bitfields = importlib.import_module("poolsite.filecoin.bitfield")
        self.cbor = importlib.import_module("poolsite.filecoin.cbor")
        self.cids = importlib.import_module("poolsite.filecoin.cids")
        self.dues: dict[str, list[Any]] = {}
        for at, miner in enumerate(pool().miners):
            self.dues[miner.address] = [self.cid_new() for _ in range(DEADLINES)]
            self.texts.update({(name, miner.address, 0): text for name, text in FIXED.items()})
            for index in range(DEADLINES):
                numbers = [n for n in range(at, SECTORS, MINERS) if n // MINERS % DEADLINES == index]
                self.partition_set(miner.address, index, numbers)
            self.state_set(miner.address)

    def cid_new(self) -> Any:
        """Make up another CID."""
        self.moves += 1
        return self.cids.cid_of_cbor(self.cbor.encode(self.moves))

    def state_set(self, address: str) -> None:
        """Give a miner's actor another state root."""
        root = str(self.cid_new())
        body = {"Code": {"/": root}, "Head": {"/": root}, "Nonce": 0, "Balance": "1"}
        self.texts["StateGetActor", address, 0] = json.dumps(body)
        data = self.cbor.encode([self.dues[address]])
        due = str(self.cids.cid_of_cbor(data))
        self.objects[due] = json.dumps(base64.b64encode(data).decode())
        self.texts["StateReadState", address, 0] = json.dumps({"State": {"Deadlines": {"/": due}}})

    def partition_set(self, address: str, index: int, numbers: list[int]) -> None:
        """Set the sectors of a deadline's only partition, all of them active."""
        runs = self.bitfields.bitfield_to_json(self.bitfields.bitfield_of(numbers))
        names = ("AllSectors", "LiveSectors", "ActiveSectors", "FaultySectors", "RecoveringSectors")
        fields = {name: runs if name in names[:3] else [0] for name in names}
        self.texts["StateMinerPartitions", address, index] = json.dumps([fields])
        self.dues[address][index] = self.cid_new()

    def call_many(self, calls: Any) -> list[Any]:
        """Answer, reading JSON as the client does."""
        self.requests += 1
        return [self.answer(method, params) for method, params in calls]

    def call(self, method: str, link: Any) -> Any:
        """Answer ChainReadObj."""
        self.requests += 1
        return self.answer(method, [link["/"]])

    def state_account_key(self, address: str, _key: str) -> str:
        """Answer that an address is its own key."""
        self.calls += 1
        return address

    def answer(self, method: str, params: Any) -> Any:
        """Answer one call."""
        index = params[1] if method == "StateMinerPartitions" else 0
        text = self.objects[params[0]] if method == "ChainReadObj" else self.texts[method, params[0], index]
        self.calls += 1
        self.read += len(text)
        return json.loads(text)


WINDOW: Final = {
    "WPoStPeriodDeadlines": 48,
    "WPoStProvingPeriod": 2880,
    "WPoStChallengeWindow": 60,
    "WPoStChallengeLookback": 20,
    "FaultDeclarationCutoff": 70,
}
FIXED: Final = {
    name: json.dumps(body)
    for name, body in {
        "StateMinerInfo": {
            "Owner": "f0100",
            "Worker": "f0101",
            "ControlAddresses": None,
            "WindowPoStProofType": 8,
            "SectorSize": 34359738368,
            "WindowPoStPartitionSectors": 2349,
        },
        "StateMinerPower": {"MinerPower": {"RawBytePower": "1", "QualityAdjPower": "1"}, "HasMinPower": True},
        "StateMinerAvailableBalance": "1",
        "StateMinerSectorCount": {"Live": 2500, "Active": 2500, "Faulty": 0},
        "StateMinerProvingDeadline": {
            "CurrentEpoch": HEIGHT,
            "PeriodStart": HEIGHT - 30,
            "Index": 0,
            "Open": HEIGHT - 30,
            "Close": HEIGHT + 30,
            "Challenge": HEIGHT - 50,
            "FaultCutoff": HEIGHT - 100,
            **WINDOW,
        },
    }.items()
}
"""What a node says of a miner beside what moves."""


@cache
def node() -> Node:
    """The one node."""
    return Node()


@cache
def followed() -> int:
    """Follow the miners once, so that what is measured is what changes."""
    follow()
    return 1


def follow() -> None:
    """Do what the next head makes due for all miners: their state, active sectors, windows and forecasts.

    It is no miner's turn for a comparison.
    """
    now, one = pool().factories.now(), importlib.import_module
    policy = one("poolsite.filecoin.policy").network_by_name("mainnet")
    heights[0] += 1
    head = one("apps.chain.models").Head(height=heights[0], key="", base_fee=100)
    work = one("apps.sectors.services.rounds").round_make(client=node(), network=policy, head=head, now=now)
    selectors, look = one("apps.miners.selectors"), one("apps.proving.services.look")
    one("apps.miners.refresh").miners_refresh(
        list(selectors.miners_active()), client=node(), height=head.height, key="", params=policy.proving
    )
    one("apps.sectors.services.active").active_follow(selectors.roots_active(), work)
    one("apps.sectors.services.active").deadlines_fill(work)
    roots = selectors.roots_active()
    seen = look.Look(client=node(), network=policy, head=head, now=work.now)
    written = one("apps.proving.services.deadlines").deadlines_follow(roots, seen)
    miners = [row.miner for row in roots]
    one("apps.proving.services.recoveries").miners_faulty(miners)
    one("apps.proving.services.outlook").outlooks_follow(miners, seen, written=written)


heights = [HEIGHT]
"""The head that was followed last."""


def head_unchanged() -> Figure:
    """CPU of a head at which no miner's state moved."""
    followed()
    return Figure(f"{MINERS} miners unchanged, CPU of a head", cpu_ms(follow), "ms", limit=200)


def head_fault() -> Figure:
    """CPU of a head at which one miner lost a partition, or has it back."""
    followed()
    address, lost = pool().miners[3].address, [False]
    numbers = [n for n in range(3, SECTORS, MINERS) if n // MINERS % DEADLINES == 5]

    def change() -> None:
        lost[0] = not lost[0]
        node().partition_set(address, 5, [] if lost[0] else numbers)
        node().state_set(address)
        follow()

    return Figure("a partition of one miner lost or back, CPU of a head", cpu_ms(change), "ms", limit=200)


def head_all() -> Figure:
    """CPU of a head at which every miner's state moved, by a message to each."""
    followed()

    def change() -> None:
        for miner in pool().miners:
            node().state_set(miner.address)
        follow()

    return Figure(f"all {MINERS} miners moved, CPU of a head", cpu_ms(change), "ms", limit=200)


def head_proved() -> Figure:
    """CPU of a head at which one deadline of every miner moved, by a proof of each."""
    followed()

    def change() -> None:
        for at, miner in enumerate(pool().miners):
            numbers = [n for n in range(at, SECTORS, MINERS) if n // MINERS % DEADLINES == 7]
            node().partition_set(miner.address, 7, numbers)
            node().state_set(miner.address)
        follow()

    return Figure(f"a deadline of all {MINERS} miners moved, CPU of a head", cpu_ms(change), "ms", limit=200)


def head_calls() -> Figure:
    """Calls to the node at a head at which no miner's state moved."""
    followed()
    before = node().calls
    follow()
    return Figure(f"{MINERS} miners unchanged, calls to the node", node().calls - before, "")


def head_read() -> Figure:
    """Read of the node at a head at which one miner's state moved."""
    followed()
    before = node().read
    node().state_set(pool().miners[3].address)
    follow()
    return Figure("one miner moved, read of the node at a head", (node().read - before) / 1024, "KiB")


def cases() -> list[Callable[[], Figure]]:
    """Give what is measured."""
    return [
        sectors_rest,
        messages_rest,
        sectors_first,
        sectors_memory,
        sectors_cpu,
        messages_first,
        messages_memory,
        messages_cpu,
        head_unchanged,
        head_fault,
        head_all,
        head_proved,
        head_calls,
        head_read,
    ]


def run(case: Callable[[], Figure]) -> Figure:
    """Measure one."""
    return case()
