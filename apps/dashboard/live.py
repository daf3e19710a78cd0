"""Live updates: a process renders a changed fragment once per audience, for all its open pages."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import Any, Final
from urllib.parse import parse_qs

import structlog
from channels.generic.websocket import AsyncWebsocketConsumer
from channels.layers import BaseChannelLayer, get_channel_layer
from django.conf import settings
from redis.exceptions import RedisError

from apps.core.database_threads import in_database
from apps.core.event_loops import PerLoop
from apps.core.live import EVERYONE, POOL, group_of
from apps.core.local_time import zone_named
from apps.dashboard.languages import is_language
from apps.dashboard.live_fragments import fragments_render
from apps.dashboard.live_gaps import PROBE_S, GapDetector, server_run
from apps.dashboard.sessions import PageSession, Viewer, viewer_of, viewers_of
from apps.miners.services.transfer import MOVED
from apps.users.rules.principals import Principal
from apps.users.services.access import AccessChanges

log = structlog.get_logger(__name__)
BATCH_WINDOW_S: Final = 0.25
"""Pause after a update; what changes meanwhile goes out together at its end."""
RECHECK_S: Final = 20.0
"""How often the people behind the open pages are looked up again without such a hint."""
MAX_CHANGES: Final = 60
"""More changed rows than that in one window: the pages fetch their fragments again instead."""
SUBSCRIBE_TIMEOUT_S: Final = 2.0
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
"""Makes a page ask `/resync/`, whose answer makes every live fragment fetch itself."""
Row = tuple[str, str]
"""Kind and key of a changed row."""


@dataclass(frozen=True, slots=True)
class Audience:
    """Whoever shares all of this may see the same bytes."""

    viewer: Principal
    """What may be seen, without the person's name."""
    page: str
    """Which page is open, with its object: `today`, `sector:<uuid>`."""
    language: str = settings.LANGUAGE_CODE
    """In which the page was rendered."""
    zone: tzinfo = UTC
    """In which its times are."""
    scope: str = ""
    """Query of the tenant and miner to which it is narrowed."""


class AudiencePages:
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
        """Send at once, then wait out the window: one change is quick, a burst is one update per window."""
        try:
            while self.dirty:
                rows, self.dirty = self.dirty, set()
                await self.broadcast(await self.update(rows))
                await asyncio.sleep(BATCH_WINDOW_S)
        finally:
            self.flushing = None

    async def update(self, rows: set[Row]) -> str:
        if len(rows) > MAX_CHANGES:
            return RESYNC
        try:
            update = await in_database(
                fragments_render,
                rows,
                viewer=self.audience.viewer,
                page=self.audience.page,
                language=self.audience.language,
                zone=self.audience.zone,
                scope=self.audience.scope,
            )
            # The old tenant can no longer read a transferred row, so its page must reload to drop it.
            return update + RESYNC if any(kind == MOVED for kind, _ in rows) else update
        except Exception:
            log.exception("live_update_failed", page=self.audience.page)
            return RESYNC

    async def broadcast(self, update: str) -> None:
        if not update:
            return
        for number, page in enumerate(tuple(self.pages)):
            page.push(update)
            if number % 100 == 99:
                await asyncio.sleep(0)  # others' turn: a push to many pages must not block the loop


def channel_layer() -> BaseChannelLayer:
    """Return the layer that every installation has."""
    layer = get_channel_layer()
    assert layer is not None, "CHANNEL_LAYERS has no default"
    return layer


class LiveUpdates:
    """One subscription per channel group and process, whatever the number of pages."""

    def __init__(self) -> None:
        self.audiences: dict[Audience, AudiencePages] = {}
        self.listeners: dict[str, asyncio.Task[None]] = {}
        self.subscribed: dict[str, asyncio.Event] = {}
        """Set while a group is subscribed to."""
        self.recheck: asyncio.Task[None] | None = None
        self.sessions: Counter[PageSession] = Counter()
        """Open pages of each session."""

    def has_capacity(self, session: PageSession) -> bool:
        return self.sessions[session] < PAGES_MAX

    def join(self, page: LiveConsumer) -> None:
        self.sessions[page.session] += 1
        self.audiences.setdefault(page.audience, AudiencePages(page.audience)).pages.add(page)
        group = group_watched(page.audience.viewer)
        if group not in self.listeners:
            self.subscribed[group] = asyncio.Event()
            self.listeners[group] = asyncio.create_task(self.listen(group))
        if self.recheck is None:
            self.recheck = asyncio.create_task(self.recheck_access_loop())

    async def wait_subscribed(self, page: LiveConsumer) -> None:
        """Return when changes reach this page, or when that takes too long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(SUBSCRIBE_TIMEOUT_S):
                await self.subscribed[group_watched(page.audience.viewer)].wait()

    def leave(self, page: LiveConsumer) -> None:
        watchers = self.audiences.get(page.audience)
        if watchers is None or page not in watchers.pages:
            return
        watchers.pages.discard(page)
        self.sessions[page.session] -= 1
        if not self.sessions[page.session]:
            del self.sessions[page.session]
        if watchers.pages:
            return
        del self.audiences[page.audience]
        group = group_watched(page.audience.viewer)
        if not self.watchers_of(group):
            self.listeners.pop(group).cancel()
            del self.subscribed[group]
        if not self.audiences and self.recheck is not None:
            self.recheck.cancel()
            self.recheck = None

    def watchers_of(self, group: str) -> list[AudiencePages]:
        return [
            audience_pages
            for audience, audience_pages in self.audiences.items()
            if group_watched(audience.viewer) == group
        ]

    async def listen(self, group: str) -> None:
        while True:
            try:
                await self.relay(group)
            except (RedisError, OSError):  # no Redis at the first page: subscribing is tried until it works
                await asyncio.sleep(1)
            except Exception:  # the outermost loop: a process whose pages get no updates would be worse
                log.exception("live_relay_failed", group=group)
                await asyncio.sleep(1)

    async def relay(self, group: str) -> None:
        layer, subscribed = channel_layer(), self.subscribed[group]
        name = await layer.new_channel()
        groups = [group] if group == POOL else [group, EVERYONE]
        for watched in groups:
            await layer.group_add(watched, name)
        probe, gaps = asyncio.create_task(self.probe(name)), GapDetector()
        subscribed.set()
        try:
            for audience_pages in self.watchers_of(group):
                # Sockets that opened before this subscription missed earlier changes.
                await audience_pages.broadcast(RESYNC)
            while True:
                event = await layer.receive(name)
                await self.dispatch(group, event, has_gap=gaps.has_gap(event))
        finally:
            subscribed.clear()
            probe.cancel()
            # A connection that is gone has left its groups.
            with suppress(RedisError, OSError):
                for watched in groups:
                    await layer.group_discard(watched, name)

    async def dispatch(self, group: str, event: dict[str, Any], *, has_gap: bool) -> None:
        for watchers in self.watchers_of(group):
            if has_gap:  # after a Redis outage the missed changes are unknown: reload all
                await watchers.broadcast(RESYNC)
            if event["type"] == "live.change":
                watchers.changed((event["kind"], str(event["pk"])))

    async def probe(self, name: str) -> None:
        layer, number = channel_layer(), 0
        while True:
            number += 1
            with suppress(RedisError, OSError):  # the missing number reveals the gap
                server = await asyncio.to_thread(server_run)
                await layer.send(name, {"type": "live.probe", "number": number, "server": server})
            await asyncio.sleep(PROBE_S)

    async def recheck_access_loop(self) -> None:
        """Look again who may see what: at once when access was changed somewhere, else now and then."""
        changes, due_at = AccessChanges(), time.monotonic() + RECHECK_S
        try:
            while True:
                is_notified = await changes.wait(max(0.0, due_at - time.monotonic()))
                if not is_notified and time.monotonic() < due_at:
                    continue
                due_at = time.monotonic() + RECHECK_S
                try:
                    await self.recheck_access()
                except Exception:  # the outermost loop: the next look tries again
                    log.warning("live_recheck_failed", exc_info=True)
        finally:
            await asyncio.shield(changes.close())

    async def recheck_access(self) -> None:
        """Close the pages of people who may see something else now, or chose another language or zone."""
        pages = [
            page
            for audience_pages in self.audiences.values()
            for page in audience_pages.pages
            if page.is_open
        ]
        sessions = {page.session for page in pages}
        viewers = await in_database(viewers_of, sessions)
        for page in pages:
            if viewers.get(page.session) != page.viewer:
                await page.close(code=SIGNED_OUT)


def group_watched(viewer: Principal) -> str:
    """Return the channel group whose events concern this viewer."""
    return POOL if viewer.is_operator else group_of(viewer.own_id)


live_updates: Final = PerLoop(LiveUpdates)


class LiveConsumer(AsyncWebsocketConsumer):
    """One open page.  A reader too slow for the changes misses updates and fetches its fragments again."""

    channel_layer_alias = (
        "none"  # no subscription of its own: LiveUpdates has one, and a socket opens without Redis too
    )
    audience: Audience
    session: PageSession
    viewer: Viewer
    """What the person might see, and had chosen, when the page opened."""
    sending: asyncio.Task[None] | None = None
    missed_updates = False
    is_open = False
    """Before it is accepted it can be sent nothing, not even its close code."""

    async def connect(self) -> None:
        user, session = self.scope["user"], self.scope["session"]
        self.session = PageSession(user_id=user.pk if user else None, session_key=session.session_key)
        seen = await in_database(viewer_of, self.session)
        if seen is None or not live_updates().has_capacity(self.session):
            await self.accept()  # refused before accept, the browser sees 1006 and reconnects for ever
            await self.close(code=SIGNED_OUT if seen is None else TOO_MANY)
            return
        query = parse_qs(self.scope["query_string"].decode("latin-1"))
        names = ("page", "language", "zone", "scope")
        page, language, zone, scope = (query.get(name, [""])[0] for name in names)
        self.viewer = seen
        self.audience = Audience(
            viewer=seen.principal,
            page=page[:PAGE_KEY_MAX].replace("\0", ""),
            language=language if is_language(language) else settings.LANGUAGE_CODE,
            zone=zone_named(zone),
            scope=scope[:PAGE_KEY_MAX].replace("\0", ""),
        )
        live_updates().join(self)
        # A page fetches itself once its socket is open: whatever is committed after that must find it here.
        await live_updates().wait_subscribed(self)
        self.is_open = True
        try:
            await self.accept()
        except OSError:  # the page closed while it waited: its disconnect is not delivered here
            live_updates().leave(self)
            raise

    def push(self, update: str) -> None:
        if not self.is_open:
            return
        if self.sending is None or self.sending.done():
            self.sending = asyncio.create_task(self.deliver(update))
        else:
            self.missed_updates = True

    async def deliver(self, update: str) -> None:
        try:
            await self.send(text_data=update)
            if self.missed_updates:
                self.missed_updates = False
                await self.send(text_data=RESYNC)
        except OSError:  # the page closed during the send; its disconnect event follows
            self.missed_updates = False

    async def disconnect(self, _code: int) -> None:
        if hasattr(self, "audience"):
            live_updates().leave(self)
