"""Live updates: a process renders a changed fragment once per audience, for all its open pages."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs

import structlog
from channels.generic.websocket import AsyncWebsocketConsumer
from channels.layers import get_channel_layer
from redis.exceptions import RedisError

from apps.core.database_threads import in_database
from apps.core.event_loops import PerLoop
from apps.core.live import EVERYONE, POOL, group_of
from apps.core.redis_clients import redis_client
from apps.dashboard.fragments import frame_render
from apps.dashboard.people import Sitting, sittings_open, viewer_of
from apps.miners.services.transfer import MOVED
from apps.users.access import AccessChanges

if TYPE_CHECKING:
    from channels.layers import BaseChannelLayer

    from apps.users.principals import Principal

log = structlog.get_logger(__name__)

WINDOW_S: Final = 0.25
"""Pause after a frame; what changes meanwhile goes out together at its end."""
PROBE_S: Final = 1.0
"""How often a process sends itself a message, to notice that the layer was deaf."""
RECHECK_S: Final = 20.0
"""How often the people behind the open pages are looked up again without such a hint."""
MAX_CHANGES: Final = 60
"""More changed rows than that in one window: the pages fetch their regions again instead."""
HEARD_WITHIN_S: Final = 2.0
"""Longest that a socket waits for its subscription: without Redis it opens all the same."""
SIGNED_OUT: Final = 4401
"""Close code that makes a page reload itself, so that it lands at the login."""
TOO_MANY: Final = 4429
PAGES_MAX: Final = 200
"""Pages that one session may hold open in a process: each other page is rendered for itself."""
PAGE_KEY_MAX: Final = 400
"""Longest name of a page: a message's id has up to 256 characters."""
RESYNC: Final = (
    '<i id="f-resync" hidden hx-swap-oob="true" hx-get="/resync/" hx-trigger="load" hx-swap="none"></i>'
)
"""Makes a page ask `/resync/`, whose answer makes every live region fetch itself."""

Row = tuple[str, str]
"""Kind and key of a changed row."""


@dataclass(frozen=True, slots=True)
class Audience:
    """Whoever shares all of this may see the same bytes."""

    viewer: Principal
    """What may be seen, without the person's name."""
    page: str
    """Which page is open, with its object: `today`, `sector:<uuid>`."""


class Room:
    """The open pages of one audience in this process."""

    def __init__(self, audience: Audience) -> None:
        self.audience = audience
        self.pages: set[LiveConsumer] = set()
        self.dirty: set[Row] = set()
        self.flushing: asyncio.Task[None] | None = None

    def changed(self, row: Row) -> None:
        self.dirty.add(row)
        if self.flushing is None:
            self.flushing = asyncio.create_task(self.flush())

    async def flush(self) -> None:
        """Send at once, then keep the window closed: one change is quick, a burst is one frame per window."""
        try:
            while self.dirty:
                rows, self.dirty = self.dirty, set()
                await self.spread(await self.frame(rows))
                await asyncio.sleep(WINDOW_S)
        finally:
            self.flushing = None

    async def frame(self, rows: set[Row]) -> str:
        if len(rows) > MAX_CHANGES:
            return RESYNC
        try:
            frame = await in_database(
                frame_render, rows, viewer=self.audience.viewer, page=self.audience.page
            )
            # Rows that are another tenant's now cannot be rendered away one by one.
            return frame + RESYNC if any(kind == MOVED for kind, _ in rows) else frame
        except Exception:
            log.exception("live_frame_failed", page=self.audience.page)
            return RESYNC

    async def spread(self, frame: str) -> None:
        if not frame:
            return
        for number, page in enumerate(tuple(self.pages)):
            page.offer(frame)
            if number % 100 == 99:
                await asyncio.sleep(0)  # requests of other pages get their turn


def channel_layer() -> BaseChannelLayer:
    """The layer that every installation has."""
    layer = get_channel_layer()
    assert layer is not None, "CHANNEL_LAYERS has no default"
    return layer


class Hearing:
    """Whether a subscription has heard everything: the layer tells nobody that it was cut off for a while."""

    def __init__(self) -> None:
        self.number = 0
        self.server = ""
        self.heard = time.monotonic()

    def missed(self, event: dict[str, Any]) -> bool:
        """Tell whether events may be lost: after a silence, a lost probe, or another start of Redis."""
        silence, self.heard = time.monotonic() - self.heard, time.monotonic()
        if event["type"] != "live.probe":
            return silence > 3 * PROBE_S
        expected, self.number = self.number + 1, event["number"]
        before, self.server = self.server or event["server"], event["server"]
        return silence > 3 * PROBE_S or self.number != expected or self.server != before


def server_run() -> str:
    """Name this start of Redis: another one has lost what was published in between."""
    return str(redis_client().info("server")["run_id"])


class Hub:
    """One subscription per group of watchers and process, whatever the number of pages."""

    def __init__(self) -> None:
        self.rooms: dict[Audience, Room] = {}
        self.listeners: dict[str, asyncio.Task[None]] = {}
        self.heard: dict[str, asyncio.Event] = {}
        """Set while a group is subscribed to."""
        self.recheck: asyncio.Task[None] | None = None
        self.sittings: Counter[Sitting] = Counter()
        """Open pages of each session."""

    def has_place(self, sitting: Sitting) -> bool:
        return self.sittings[sitting] < PAGES_MAX

    def join(self, page: LiveConsumer) -> None:
        self.sittings[page.sitting] += 1
        self.rooms.setdefault(page.audience, Room(page.audience)).pages.add(page)
        group = group_watched(page.audience.viewer)
        if group not in self.listeners:
            self.heard[group] = asyncio.Event()
            self.listeners[group] = asyncio.create_task(self.listen(group))
        if self.recheck is None:
            self.recheck = asyncio.create_task(self.recheck_people())

    async def hears(self, page: LiveConsumer) -> None:
        """Return when changes reach this page, or when that takes too long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(HEARD_WITHIN_S):
                await self.heard[group_watched(page.audience.viewer)].wait()

    def leave(self, page: LiveConsumer) -> None:
        room = self.rooms.get(page.audience)
        if room is None or page not in room.pages:
            return
        room.pages.discard(page)
        self.sittings[page.sitting] -= 1
        if not self.sittings[page.sitting]:
            del self.sittings[page.sitting]
        if room.pages:
            return
        del self.rooms[page.audience]
        group = group_watched(page.audience.viewer)
        if not self.rooms_of(group):
            self.listeners.pop(group).cancel()
            del self.heard[group]
        if not self.rooms and self.recheck is not None:
            self.recheck.cancel()
            self.recheck = None

    def rooms_of(self, group: str) -> list[Room]:
        return [room for audience, room in self.rooms.items() if group_watched(audience.viewer) == group]

    async def listen(self, group: str) -> None:
        while True:
            try:
                await self.relay(group)
            except (RedisError, OSError):  # no Redis at the first page: subscribing is tried until it works
                await asyncio.sleep(1)
            except Exception:  # the outermost loop: a process whose pages are deaf would be worse
                log.exception("live_relay_failed", group=group)
                await asyncio.sleep(1)

    async def relay(self, group: str) -> None:
        layer, heard = channel_layer(), self.heard[group]
        name = await layer.new_channel()
        groups = [group] if group == POOL else [group, EVERYONE]
        for watched in groups:
            await layer.group_add(watched, name)
        probe, hearing = asyncio.create_task(self.probe(name)), Hearing()
        heard.set()
        try:
            for room in self.rooms_of(group):
                await room.spread(RESYNC)  # pages that opened unheard have missed what came until now
            while True:
                event = await layer.receive(name)
                await self.hand_on(group, event, deaf=hearing.missed(event))
        finally:
            heard.clear()
            probe.cancel()
            with suppress(RedisError, OSError):
                for watched in groups:
                    await layer.group_discard(watched, name)

    async def hand_on(self, group: str, event: dict[str, Any], *, deaf: bool) -> None:
        for room in self.rooms_of(group):
            if deaf:  # Redis was away: nobody knows what was missed
                await room.spread(RESYNC)
            if event["type"] == "live.change":
                room.changed((event["kind"], str(event["pk"])))

    async def probe(self, name: str) -> None:
        layer, number = channel_layer(), 0
        while True:
            number += 1
            with suppress(RedisError, OSError):  # deaf: the missing number tells
                server = await asyncio.to_thread(server_run)
                await layer.send(name, {"type": "live.probe", "number": number, "server": server})
            await asyncio.sleep(PROBE_S)

    async def recheck_people(self) -> None:
        """Look again who may see what: at once when access was changed somewhere, else now and then."""
        changes, due_at = AccessChanges(), time.monotonic() + RECHECK_S
        try:
            while True:
                is_told = await changes.wait(max(0.0, due_at - time.monotonic()))
                if not is_told and time.monotonic() < due_at:
                    continue
                due_at = time.monotonic() + RECHECK_S
                try:
                    await self.recheck_once()
                except Exception:  # the outermost loop: the next look tries again
                    log.warning("live_recheck_failed", exc_info=True)
        finally:
            await asyncio.shield(changes.close())

    async def recheck_once(self) -> None:
        """Close the pages of people who may no longer see what they see."""
        pages = [page for room in self.rooms.values() for page in room.pages if page.is_open]
        sittings = {page.sitting for page in pages}
        viewers = await in_database(sittings_open, sittings)
        for page in pages:
            if viewers.get(page.sitting) != page.audience.viewer:
                await page.close(code=SIGNED_OUT)


def group_watched(viewer: Principal) -> str:
    """The channel group whose events concern this viewer."""
    return POOL if viewer.is_operator else group_of(viewer.own_id)


hub_here: Final = PerLoop(Hub)


class LiveConsumer(AsyncWebsocketConsumer):
    """One open page.  A reader too slow for the changes misses frames and fetches its regions again."""

    channel_layer_alias = (
        "none"  # no subscription of its own: the hub has one, and a socket opens without Redis too
    )
    audience: Audience
    sitting: Sitting
    sending: asyncio.Task[None] | None = None
    behind = False
    is_open = False
    """Before it is accepted it can be sent nothing, not even its close code."""

    async def connect(self) -> None:
        user, session = self.scope["user"], self.scope["session"]
        self.sitting = Sitting(user_id=user.pk if user else None, session_key=session.session_key)
        viewer = await in_database(viewer_of, self.sitting)
        if viewer is None or not hub_here().has_place(self.sitting):
            await self.accept()  # a refusal before accept reaches the page as 1006: it would dial for ever
            await self.close(code=SIGNED_OUT if viewer is None else TOO_MANY)
            return
        page = parse_qs(self.scope["query_string"].decode("latin-1")).get("page", [""])[0]
        self.audience = Audience(viewer=viewer, page=page[:PAGE_KEY_MAX].replace("\0", ""))
        hub_here().join(self)
        # A page fetches itself once its socket is open: whatever is committed after that must find it here.
        await hub_here().hears(self)
        self.is_open = True
        try:
            await self.accept()
        except OSError:  # the page went away while it waited: nobody is told of its disconnect
            hub_here().leave(self)
            raise

    def offer(self, frame: str) -> None:
        if not self.is_open:
            return
        if self.sending is None or self.sending.done():
            self.sending = asyncio.create_task(self.deliver(frame))
        else:
            self.behind = True

    async def deliver(self, frame: str) -> None:
        try:
            await self.send(text_data=frame)
            if self.behind:
                self.behind = False
                await self.send(text_data=RESYNC)
        except OSError:  # the page went away while this was written; its disconnect follows
            self.behind = False

    async def disconnect(self, _code: int) -> None:
        if hasattr(self, "audience"):
            hub_here().leave(self)
