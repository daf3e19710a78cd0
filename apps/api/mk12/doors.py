"""The doors of this machine: each miner's listens here while this process leads it and no other host has
the role Deal.

Of several processes one serves a miner, by a lock that ends with its session (`leader`): a killed one's
supervisor starts it anew, or another machine's goes on within seconds.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import structlog
from django.db import Error as DatabaseError
from django.db import close_old_connections, connections
from psycopg2 import Error as LinkError

from apps.api.mk12.answers import Door
from apps.api.mk12.peer_keys import BadPeerKey, door_socket_path, identity_read, keys_folder
from apps.api.mk12.streams import Streams
from apps.chain.node.isolation import for_each_isolated
from apps.chain.node.reach import Reach
from apps.core import clock
from apps.core.ability import Ability
from apps.core.leader import DEALS_LOCK, Leadership
from apps.core.liveness import HEARTBEAT_EVERY_S, heartbeat_send
from apps.core.process_leases import Turns
from apps.market.reasons import (
    DOOR_KEY_MISSING,
    DOOR_KEY_OTHER,
    DOOR_MUTE,
    DOOR_NOT_LISTENING,
    DOOR_STOPPED,
)
from apps.market.selectors.deals import DOOR_SILENCE, console_address, doors_reported, doors_switched_on
from apps.market.selectors.discovery import peers_unsigned
from apps.market.services.advertisements import advertisements_sign
from apps.market.services.doors import door_report
from apps.miners.selectors.miners import miners_active
from apps.miners.selectors.roles import roles_of_miners
from apps.miners.states import RoleKind, RoleState
from apps.sectors.services.roles.assignments import host_roles_renew
from poolsite.filecoin.multiaddr import multiaddr_encode, multiaddr_parse
from poolsite.libp2p.identity import Identity
from poolsite.libp2p.listener import Listener
from poolsite.libp2p.multistream import HELLO

if TYPE_CHECKING:
    from apps.market.models import MinerDoor, MinerMarket
    from apps.miners.models import Miner

log = structlog.get_logger(__name__)

AGENT: Final = "poolsite"
TURN_S: Final = HEARTBEAT_EVERY_S
RENEW_S: Final = 10.0
"""Between two prolongations of the role's lease, and between two reports of a door."""
PROBE_S: Final = 3.0
ANYWHERE: Final = "0.0.0.0"  # noqa: S104  # clients are anywhere
LOCAL: Final = "127.0.0.1"
WAIT_S: Final = 0.2


@dataclass(frozen=True, slots=True)
class DoorPlan:
    """A door that is to be served, and where."""

    miner: Miner
    address: str
    """IP address on which it listens."""
    port: int
    key: Path
    makes_key: bool = False
    """Whether a new key is made in place of one that this machine lacks: somebody asked for it."""
    announced: tuple[str, ...] = ()
    http: tuple[bytes, ...] = ()
    """Multiaddresses of retrieval."""


@dataclass(slots=True)
class OpenDoor:
    """A door that listens."""

    plan: DoorPlan
    identity: Identity
    streams: Streams
    listener: Listener
    reported_at: float = -RENEW_S

    async def close(self) -> None:
        """Stop listening, and wait for the answers that are under way."""
        await self.listener.close()
        await asyncio.to_thread(self.streams.close)


def plan_of(market: MinerMarket) -> DoorPlan:
    """Return the door that a miner's page asks for; it names the console's address if the data are served."""
    key = keys_folder() / f"{market.miner.address}.key"
    address = console_address() if market.serves_data else ""
    http = (multiaddr_encode(multiaddr_parse(address)),) if address else ()
    return DoorPlan(market.miner, ANYWHERE, market.libp2p_port, key, http=http)


def key_fault(plan: DoorPlan, report: MinerDoor | None) -> str:
    """Return why a door is not served with what is in its key's file: clients know another key."""
    if plan.makes_key or report is None or not report.peer_id:
        return ""
    known = {"file": str(plan.key), "peer_id": report.peer_id, "miner": plan.miner.address}
    if not plan.key.exists():
        return DOOR_KEY_MISSING(host=report.host, **known)
    try:
        own = identity_read(plan.key).text
    except BadPeerKey:  # said when it is opened
        return ""
    return "" if own == report.peer_id else DOOR_KEY_OTHER(own=own, host=report.host, **known)


@dataclass(slots=True)
class Doors:
    """Serves doors until it is told to stop."""

    host: str = field(default_factory=lambda: socket.gethostname()[:100])
    """Name of this machine, as its roles have it."""
    only: str = ""
    """Address of the one miner that is served; empty: all."""
    plan: DoorPlan | None = None
    """The one door that is served, whatever its miner's page says."""
    say: Callable[[str], Any] = log.info
    turns: Turns = field(default_factory=Turns)
    ability: Ability = field(default_factory=lambda: Ability(Reach()))
    _open: dict[int, OpenDoor] = field(default_factory=dict)
    _leads: dict[int, Leadership] = field(default_factory=dict)
    _printed: dict[int, str] = field(default_factory=dict)
    """The line printed last of each miner's door."""
    _noted: dict[int, tuple[str, float]] = field(default_factory=dict)
    """The report written last, and when."""
    _renewed_at: float = -RENEW_S
    _thread: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(1, thread_name_prefix="doors")
    )
    """The database's connection, and the sessions that hold the locks."""

    async def run(self, *, asked_to_stop: Callable[[], bool]) -> None:
        """Serve; closes all doors at the end."""
        try:
            while not asked_to_stop():
                self.turns.begin()
                await self.turn()
                until = time.monotonic() + TURN_S
                while time.monotonic() < until and not asked_to_stop():
                    await asyncio.sleep(WAIT_S)
        finally:
            for key in list(self._open):
                await self._close(key, reason=DOOR_STOPPED())
            await self._in_thread(self._end)
            self._thread.shutdown()

    async def turn(self) -> None:
        """Open what is to be served here, close what is not any more, and report."""
        plans = await self._in_thread(self._plans)
        for key, door in list(self._open.items()):
            if plans.get(key) != door.plan:
                await self._close(key, reason=DOOR_STOPPED() if key in plans else "")
        for key, plan in plans.items():
            if key not in self._open:
                await self._begin(key, plan)
        await asyncio.gather(*map(self._report, self._open.values()))
        await self._in_thread(self._sign)
        await self._in_thread(lambda: heartbeat_send(detail=f"{len(self._open)} open"))

    async def _in_thread(self, work: Callable[[], Any]) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _plans(self) -> dict[int, DoorPlan]:
        """Return the doors that this process serves from now on, by the miner's key."""
        close_old_connections()
        wanted: list[DoorPlan] = []
        barred: set[int] = set()
        able: dict[int, DoorPlan] = {}
        try:
            wanted = self._wanted()
            barred = self._roles_barred([one.miner for one in wanted])
            able = self._with_key([one for one in wanted if one.miner.pk not in barred])
        except DatabaseError as error:
            log.warning("database_away", reason=str(error).strip()[:200])
        for key in self._leads.keys() - able.keys():
            self._leads.pop(key).resign()
        served = {key: one for key, one in able.items() if self._leads_now(key)}
        for one in wanted:
            if one.miner.pk in barred:
                self._say(one.miner.pk, f"{self.host} does not hold the role Deal of {one.miner}: waiting")
            elif one.miner.pk not in served and one.miner.pk in self._leads:
                self._say(one.miner.pk, f"another process serves the door of {one.miner}: waiting")
        return served

    def _wanted(self) -> list[DoorPlan]:
        """Return the doors of miners as they are now, whoever serves them: one may be removed or moved."""
        if self.plan is not None:
            miners = miners_active().filter(pk=self.plan.miner.pk)
            return [replace(self.plan, miner=miner) for miner in miners]
        plans = [plan_of(market) for market in doors_switched_on()]
        return [one for one in plans if self.only in ("", one.miner.address)]

    def _leads_now(self, key: int) -> bool:
        lead = self._leads.setdefault(key, Leadership(DEALS_LOCK + key))
        with suppress(LinkError):
            return lead.leads(stands_back=self.ability.stands_back)
        return False

    def _with_key(self, plans: list[DoorPlan]) -> dict[int, DoorPlan]:
        """Return those whose key is here: one that clients know is not replaced unasked."""
        reports = doors_reported([one.miner.pk for one in plans])
        found = {}
        for plan in plans:
            row = reports.get(plan.miner.pk)
            reason = key_fault(plan, row)
            if row is None or not reason:
                found[plan.miner.pk] = plan
            # What another process of this machine serves by a key of its own answers.
            elif row.said_at <= clock.now() - DOOR_SILENCE or (row.host == self.host and row.reason):
                self._note(plan, reason, host=row.host)
        return found

    def _roles_barred(self, miners: list[Miner]) -> set[int]:
        """Return the miners whose role Deal other hosts have; this host's leases go on."""
        is_due = time.monotonic() - self._renewed_at >= RENEW_S
        roles = list(roles_of_miners([one.pk for one in miners]).filter(kind=RoleKind.DEAL))
        own = {role.miner_id for role in roles if role.host == self.host}
        if is_due and own:
            self._renewed_at = time.monotonic()
            for miner in miners:
                if miner.pk in own:  # another miner's door on this host has to live by itself
                    host_roles_renew(
                        miner.tenant_id, host=self.host, kinds=(RoleKind.DEAL,), now=clock.now(), miner=miner
                    )
            roles = list(roles_of_miners([one.pk for one in miners]).filter(kind=RoleKind.DEAL))
        held = {role.miner_id for role in roles if role.host == self.host and role.state == RoleState.HELD}
        return {role.miner_id for role in roles} - held

    async def _begin(self, key: int, plan: DoorPlan) -> None:
        """Open a door, or report why not."""
        try:
            identity = identity_read(plan.key)
            streams = Streams(Door(plan.miner.address or "", http_addresses=plan.http))
            listener = Listener(identity, streams.protocols, agent=AGENT, announced=plan.announced)
            await listener.open(plan.address, plan.port)
            await self._open_local(listener, plan)
        except (BadPeerKey, OSError) as error:
            reason = (
                error.reason
                if isinstance(error, BadPeerKey)
                else DOOR_NOT_LISTENING(port=plan.port, error=error.strerror or str(error))
            )
            await self._in_thread(lambda: self._give_up(key, plan, reason))
        else:
            self._open[key] = OpenDoor(plan, identity, streams, listener)
            self._say(key, f"deals of {plan.miner} on {plan.address}:{plan.port}, peer id {identity.text}")

    async def _open_local(self, listener: Listener, plan: DoorPlan) -> None:
        """Accept what web processes of this machine pass on; without that, clients still come over TCP."""
        path = door_socket_path(plan.miner.address or "")
        try:
            await listener.open_local(path)
        except OSError as error:
            log.warning("door_without_web_sockets", miner=plan.miner.address, reason=str(error))

    def _give_up(self, key: int, plan: DoorPlan, reason: str) -> None:
        """Report why a door cannot be opened here; until the next turn another machine may."""
        self._note(plan, reason)
        self._leads.pop(key).resign()

    def _sign(self) -> None:
        """Sign the advertisements that wait for the keys of open doors; no key leaves this process."""
        identities = {door.identity.text: door.identity for door in self._open.values()}
        try:
            for_each_isolated(
                peers_unsigned(list(identities)),
                lambda peer_id: advertisements_sign(identities[peer_id]),
                event="advertisements_not_signed",
            )
        except DatabaseError as error:
            log.warning("advertisements_not_signed", reason=str(error).strip()[:200])

    async def _close(self, key: int, *, reason: str) -> None:
        """Close a door; with a reason, report it."""
        door = self._open.pop(key)
        await door.close()
        self._say(key, f"deals of {door.plan.miner}: closed")
        if reason:
            await self._in_thread(lambda: self._note(door.plan, reason))

    async def _report(self, door: OpenDoor) -> None:
        """Note whether a door answers."""
        if time.monotonic() - door.reported_at < RENEW_S:
            return
        door.reported_at = time.monotonic()
        reason = "" if await answers(door.plan.address, door.plan.port) else DOOR_MUTE(port=door.plan.port)
        await self._in_thread(lambda: self._note(door.plan, reason, peer_id=door.identity.text))

    def _note(self, plan: DoorPlan, reason: str, *, host: str = "", peer_id: str = "") -> None:
        """Write how a door is; the next turn writes what a database that is away did not take."""
        key = plan.miner.pk
        now = time.monotonic()
        if reason and self._noted.get(key, ("", 0.0))[0] == reason and now - self._noted[key][1] < RENEW_S:
            return
        self._noted[key] = reason, now
        if reason:
            self._say(key, f"deals of {plan.miner}: {reason}")
        try:
            door_report(
                plan.miner,
                host=host or self.host,
                port=plan.port,
                peer_id=peer_id,
                reason=reason,
                now=clock.now(),
            )
        except DatabaseError as error:
            log.warning("door_not_reported", reason=str(error).strip()[:200])

    def _say(self, key: int, text: str) -> None:
        """Print a change once."""
        if self._printed.get(key) != text:
            self._printed[key] = text
            self.say(text)

    def _end(self) -> None:
        """Free the locks and the connection."""
        for lead in self._leads.values():
            lead.resign()
        self._leads.clear()
        connections.close_all()


async def answers(address: str, port: int) -> bool:
    """Return whether a libp2p node answers there."""
    host = LOCAL if address == ANYWHERE else address
    try:
        async with asyncio.timeout(PROBE_S):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(HELLO)
                return await reader.readexactly(len(HELLO)) == HELLO
            finally:
                writer.close()
    except (OSError, EOFError, TimeoutError):
        return False
