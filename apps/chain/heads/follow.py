"""The follower: writes each head, runs the clock of epochs, and hands the steps of both to the queues.

One leads, further ones stand by.  Killed at any line it goes on where its rows say: a head whose steps
were not yet enqueued gets them at the next start, and every step is safe to run twice.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Final

import structlog
from django.conf import settings
from django.db import InterfaceError, OperationalError, close_old_connections
from kombu.exceptions import OperationalError as BrokerAway
from redis.exceptions import RedisError

from apps.chain.errors import NetworkUnknown, NodeRefused, NodeUnavailable, WrongNetwork
from apps.chain.heads.notify import HeadListener, LatestHead
from apps.chain.heads.steps import Steps
from apps.chain.heads.watch import NodeWatch
from apps.chain.models import Follower, Head
from apps.chain.node.addresses import NodeAddress
from apps.chain.node.client import ChainClient, chain_client
from apps.chain.node.link import link_to
from apps.chain.node.reach import Reach
from apps.chain.node.tipsets import TipsetFacts
from apps.chain.selectors.epochs import epoch_at
from apps.chain.selectors.network import network_current
from apps.chain.selectors.nodes import nodes_for_reading
from apps.chain.selectors.read_cache import chain_read_once
from apps.chain.services.heads import enqueued_steps_record, follower_load, head_follow, head_is_stale
from apps.chain.services.networks import network_bind
from apps.chain.services.nodes import nodes_sync
from apps.chain.services.probes import node_require_own, nodes_probe
from apps.core import clock
from apps.core.ability import Ability
from apps.core.leader import FOLLOWER_LOCK, Leadership, lead_forever
from apps.core.liveness import HEARTBEAT_EVERY_S, heartbeat_send
from apps.core.marked_texts import gettext
from apps.core.process_leases import Turns
from poolsite.tracing import span

log = structlog.get_logger(__name__)

WAIT_S: Final = 0.25
"""Longest wait for a head in one turn: the leader's lock is asked for between turns."""

STEP_EXPIRES_EPOCHS: Final = 4
"""A step that waited longer in its queue is dropped: a newer head has its own."""

EPOCH_GRACE_S: Final = 0.5
"""So long, but no longer than a quarter of an epoch, the clock waits for a head before it counts an epoch
without one: otherwise every epoch's steps run twice, at its first moment and when its head comes."""

CLOCK_TRUST_S: Final = 15.0
"""Epochs without a head are only counted while a node was heard within this time."""


class ChainFollower:
    """One follower process."""

    def __init__(self, *, steps: Steps) -> None:
        self.steps = steps
        self.box = LatestHead()
        self.is_bound = False
        """True once the network of the node that answers was checked."""
        self._enqueued: tuple[Head, int, int] | None = None
        """The head and the epoch whose steps were enqueued last, and an epoch's seconds."""
        self.turns = Turns()
        self.ability = Ability(Reach())
        self._signed_at = 0.0
        self._weights: dict[str, int] = {}
        """Weight of the chain below the head that was followed last, by its key."""
        self._logged_reason = ""
        self._listener: HeadListener | None = None
        self._watch: NodeWatch | None = None

    def run(self, *, asked_to_stop: Callable[[], bool]) -> None:
        """Follow until asked to stop."""
        with Leadership(FOLLOWER_LOCK) as leadership:
            self.ability.stand_back = leadership.resign
            try:
                lead_forever(
                    leadership,
                    self.turn,
                    asked_to_stop=lambda: self._alive() or asked_to_stop(),
                    stands_back=lambda: self.ability.stands_back,
                    rest=self.rest,
                )
            finally:
                self.rest()

    def turn(self) -> None:
        """Do what is due now, then wait a little for a head.  Survives an absent node or database."""
        try:
            self._turn()
        except (OperationalError, InterfaceError) as error:
            log.warning("database_away", reason=str(error).strip()[:200])
            close_old_connections()
            time.sleep(WAIT_S)
        except (BrokerAway, RedisError) as error:
            # Heads are followed all the same; their steps are still noted as due.
            log.warning("steps_not_sent", reason=str(error)[:200])
            time.sleep(WAIT_S)
        except (NodeUnavailable, NodeRefused, WrongNetwork, NetworkUnknown) as error:
            self._log_reason(error.reason)
            self.is_bound = False
            time.sleep(WAIT_S)

    def rest(self) -> None:
        """Stop probing and listening; the next turn begins anew.

        A head that still waits in the box would be an old one by then, and take back those after it.
        """
        self.is_bound, self._enqueued, self.box = False, None, LatestHead()
        if self._watch is not None:
            self._watch.stop()
            self._watch = None
        if self._listener is not None:
            self._listener.stop()
            self._listener = None

    def _turn(self) -> None:
        if self._listener is None:
            self._begin()
        received = self.box.take(WAIT_S)
        if received is None and self._is_quiet():
            return
        if not self.is_bound:
            network_bind(chain_client())
            self.is_bound = True
        with chain_read_once(), span("head", entry=""):
            network = network_current()
            place = None if received is None else self._follow(*received, finality=network.chain_finality)
            self.steps_due(place, epoch_s=network.epoch_s, finality=network.chain_finality)

    def _follow(self, facts: TipsetFacts, address: NodeAddress, *, finality: int) -> Follower | None:
        """Follow a tipset that was announced; return the new head if it moved."""
        node = client_of(address)
        node_require_own(address.http_url, client=node)
        if head_is_stale(facts, client=node, weights=self._weights):
            reason = gettext("{url} catches up: its head is far below ours and is not followed")
            self._log_reason(reason.format(url=address.http_url))
            return None
        self.box.heard_at = time.monotonic()
        result = head_follow(client=chain_client(), facts=facts, now=clock.now(), finality=finality)
        self._weights = {facts.key: facts.parent_weight}
        self._logged_reason = ""
        if result is None:
            return None
        log.info(
            "head", height=result.head.height, applied=len(result.applied), reverted=len(result.reverted)
        )
        return result.place

    def _log_reason(self, reason: str) -> None:
        """Log why the chain is not followed, each reason once until a head was taken again."""
        if reason != self._logged_reason:
            self._logged_reason = reason
            log.warning("chain_step_failed", reason=reason[:500])

    def _is_quiet(self) -> bool:
        """Return whether the epoch still runs whose steps were enqueued; asks nobody."""
        if self._enqueued is None or not self.is_bound:
            return False
        head, epoch, epoch_s = self._enqueued
        return self._epoch(head, epoch_s) <= epoch

    def _begin(self) -> None:
        """Probe every node once, then keep probing and listening beside the turns."""
        nodes_sync(settings.CHAIN_URLS)
        nodes_probe(now=clock.now())
        listener = HeadListener(addresses=lambda: watch.addresses(), client=client_of, on_head=self.box.put)
        watch = NodeWatch(
            order=nodes_for_reading,
            follow=listener.restrict_to,
            is_needed=lambda: not self.ability.stands_back,
        )
        watch.start()
        listener.start()
        self._watch, self._listener = watch, listener

    def steps_due(self, place: Follower | None = None, *, epoch_s: int, finality: int) -> bool:
        """Enqueue the steps of the newest head, or of an epoch that passed without one, once each.

        `place`: where the follower stands, if that was just read.
        """
        before, self._enqueued = self._enqueued, None
        row = place or follower_load()
        head = row.head
        if head is None:
            return False
        epoch = self._epoch(head, epoch_s)
        if row.steps_key == head.key and epoch <= row.steps_epoch:
            self._enqueued = head, row.steps_epoch, epoch_s
            return False
        if epoch <= row.steps_epoch and before is not None and is_sibling(before[0], head):
            enqueued_steps_record(row, key=head.key, epoch=row.steps_epoch)
            self._enqueued = head, row.steps_epoch, epoch_s
            return False
        expires_s = max(STEP_EXPIRES_EPOCHS * epoch_s, 30)
        self.steps.enqueue(
            height=epoch, key=head.key, expires_s=expires_s, before=row.steps_epoch, finality=finality
        )
        # The head is noted after sending: a kill between sends its steps twice, which each bears.
        enqueued_steps_record(row, key=head.key, epoch=epoch)
        self._enqueued = head, epoch, epoch_s
        return True

    def _epoch(self, head: Head, epoch_s: int) -> int:
        """Return the running epoch; without word from a node the clock stands at the newest head."""
        if time.monotonic() - self.box.heard_at > max(CLOCK_TRUST_S, 3 * epoch_s):
            return head.height
        grace = timedelta(seconds=min(EPOCH_GRACE_S, epoch_s / 4))
        return epoch_at(head, now=clock.now() - grace, epoch_s=epoch_s)

    def _alive(self) -> bool:
        """Send a heartbeat every few seconds, as leader and as stand-by; never ends the loop."""
        self.turns.begin()
        if time.monotonic() - self._signed_at > HEARTBEAT_EVERY_S:
            self._signed_at = time.monotonic()
            listener, standby = self._listener, self.ability.standby_text
            heartbeat_send(
                detail=standby if listener is None else f"follows {listener.connected_to or '...'}"
            )
        return False


def is_sibling(before: Head, head: Head) -> bool:
    """Return whether a head has the height and the parents of the one before: a further block has joined it.

    Both execute the same messages on the same state, so what was read of one holds on the other.
    """
    return (before.height, before.parent_key) == (head.height, head.parent_key)


def client_of(address: NodeAddress) -> ChainClient:
    """Return a client of one node alone."""
    return ChainClient([link_to(address.http_url, address.token)])
