"""What the steps of a move rest on: rows of the pool, and what its node and signer say now."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from django.db.models import Exists, OuterRef, Sum

from apps.blocks.models import Block
from apps.blocks.rounds.warm_up import node_has_key
from apps.blocks.selectors.foreign_blocks import foreign_blocks_since_move
from apps.blocks.selectors.mining_miners import miners_on
from apps.chain.errors import NetworkUnknown
from apps.chain.node.client import page_client
from apps.chain.selectors.heads import head_current
from apps.chain.selectors.network import network_current
from apps.chain.selectors.status import clock_of
from apps.core import clock
from apps.core.errors import DomainError
from apps.core.marked_texts import gettext
from apps.gateway.selectors.connections import keys_served
from apps.messages.rules.push_items import PushItem
from apps.messages.services.dry_run import message_approval_read
from apps.miners.models import Miner
from apps.miners.onchain.actors import deposits_locked
from apps.miners.selectors.miners import miner_principal
from apps.miners.selectors.senders import sender_choose
from apps.miners.services.transfer import waiting_messages_count
from apps.miners.states import Use
from apps.moves.rules.steps import MoveWindow
from apps.proving.models import CheckRun, Deadline, Partition, Recovery, SectorCheck, WindowPost
from apps.proving.rules.proving_context import ProvingContext
from apps.proving.selectors.faults import sectors_bad
from apps.proving.services.preconditions import Readiness, readiness_check
from apps.proving.services.recoveries import OPEN as OPEN_RECOVERIES
from apps.proving.states import CheckKind, CheckState, PostState
from apps.sectors.models import (
    RUNS_OVER,
    PipelineRun,
    SealTarget,
    Sector,
    SectorChange,
    SectorNumbers,
    Store,
    StoreFinding,
    StoreMove,
)
from apps.sectors.onchain.sectors import precommits_read
from apps.sectors.selectors.ended_sectors import needs_no_proof
from apps.sectors.selectors.expirations import sectors_counted
from apps.sectors.selectors.sectors import numbers_precommitted
from apps.sectors.states import OPEN_MOVES, FindingKind, FindingState
from apps.users.rules.principals import Principal
from apps.wallets.errors import NoPolicy
from apps.wallets.services.policies import policy_read
from poolsite.filecoin.actors.miner import Method
from poolsite.filecoin.address import address_parse
from poolsite.filecoin.bitfield import BitField, bitfield_from_json, bitfield_of
from poolsite.wire.pipeline import FINAL_STATES, SectorState
from poolsite.wire.pipeline.changes import OPEN_CHANGES
from poolsite.wire.proposals import own_miners_edit

NUMBERS_MAX: Final = 1_000
"""How many numbers are named one by one."""

WAITING: Final = (PostState.PROVING, PostState.PROVED, PostState.SENT, PostState.NOTHING)
"""States of a proof whose window is not over."""


@dataclass(frozen=True, slots=True)
class SectorFiles:
    """Where the proving sectors of a miner lie; no more rows are read of a larger miner."""

    rows: int
    """Those that prove, as of `counted_at`."""
    counted_at: datetime | None
    """None: they were not counted yet."""
    unplaced: BitField
    """Those that name no store, `NUMBERS_MAX` at most."""
    found: dict[str, BitField]
    """Those that the last scans found whole, by store."""
    parted: dict[int, dict[str, str]]
    """Those of which the last scans found only parts: by number and store the folders with files of it."""
    unread: tuple[str, ...]
    """Stores with sectors of it that no prover in charge reads."""
    expected: int
    """Sectors that proofs of now must cover."""
    checked: int
    """How many of them provers have opened, by each deadline's most complete recent check."""
    bad: BitField
    """Sectors found missing or damaged in each store that was checked, `NUMBERS_MAX` at most."""


def to_prove(part: Partition) -> set[int]:
    """Return the sectors of a partition that a proof of now must cover."""
    return set(part.live) - set(part.faulty) | set(part.live) & set(part.recovering)


class MoveReadings:
    """What is known of one miner now; what a step does not ask for is not read."""

    def __init__(self, miner: Miner, viewer: Principal) -> None:
        head = head_current()
        if head is None:
            raise NetworkUnknown
        self.miner, self.viewer = miner, viewer
        self.context = ProvingContext(
            client=page_client(), network=network_current(), head=head, now=clock.now()
        )

    @property
    def height(self) -> int:
        """The head's."""
        return self.context.head.height

    @property
    def epoch(self) -> int:
        """The epoch that runs now: ahead of the head where the chain waits for somebody's block."""
        context = self.context
        clock_now = clock_of(context.head, network=context.network, at=context.now)
        return self.height if clock_now is None else max(clock_now.epoch, self.height)

    @property
    def period(self) -> int:
        """A proving period in epochs."""
        return self.context.network.proving_period

    def seconds_until(self, height: int) -> int:
        """Return the seconds until a height at the network's pace."""
        return self.context.seconds_until(height)

    def windows(self) -> list[MoveWindow]:
        """Return the windows with sectors that are open or come within a proving period, the first first.

        Raises NodeRefused, NodeUnavailable.
        """
        rows = Deadline.objects.filter(miner=self.miner, live__gt=0, close_epoch__gt=self.height)
        onchain = self.context.client.state_miner_deadlines(self.miner.address, self.context.head.key)
        found = []
        for row in rows.prefetch_related("partitions").order_by("open_epoch"):
            window = self._window(row, row.open_epoch)
            if row.open_epoch <= self.height and row.index < len(onchain):
                done = bitfield_from_json(onchain[row.index]["PostSubmissions"])
                wanted = bitfield_of(part.index for part in row.partitions.all() if to_prove(part))
                window = replace(window, is_proven=not wanted - done)
            found.append(window)
        return found

    def windows_at(self, height: int) -> tuple[MoveWindow | None, MoveWindow | None]:
        """Return the last window with sectors that opens before a height, and the first that does not.

        None for the first where the chain is too young to have had one.
        """
        rows = list(Deadline.objects.filter(miner=self.miner, live__gt=0))
        after = [self._window(row, height + (row.open_epoch - height) % self.period) for row in rows]
        before = [self._window(row, height - 1 - (height - 1 - row.open_epoch) % self.period) for row in rows]
        return (
            max((one for one in before if one.open >= 0), key=lambda one: one.open, default=None),
            min(after, key=lambda one: one.open, default=None),
        )

    def _window(self, row: Deadline, opens: int) -> MoveWindow:
        return MoveWindow(
            deadline=row.index,
            open=opens,
            close=opens + row.close_epoch - row.open_epoch,
            sectors=row.live,
            is_ours=self.miner.works_at(opens),
            is_proven=None,
        )

    def readiness(self) -> Readiness:
        """Return the provers in charge, and what the next proof lacks."""
        return readiness_check(self.miner, context=self.context)

    def keys_held(self) -> dict[str, bool]:
        """Return owner, worker and control addresses, each with whether a connected signer holds its key.

        A multisig, as an owner often is, has none.
        """
        named = dict.fromkeys((self.miner.worker, self.miner.owner, *self.miner.control))
        wanted = [address for address in named if address and address_parse(address).is_key]
        held = keys_served(self.miner.tenant.name, wanted)
        return {address: address in held for address in wanted}

    def sender(self) -> str:
        """Return the address that would send the next proof."""
        return sender_choose(self.miner, Use.POST).address

    def policy_text(self) -> str:
        """Return why the worker's signer would not sign for the miner; empty if it does."""
        try:
            state = policy_read(self.viewer, address=self.miner.worker)
        except NoPolicy:
            return ""
        except DomainError as refusal:
            return gettext("the policy cannot be read now: {reason}").format(reason=refusal.reason)
        if state.error:
            return state.error
        edit = own_miners_edit(state.rules, [self.miner.address])
        return "" if edit is None else gettext("rule {rule} does not cover the miner").format(rule=edit.name)

    def proof_approval(self) -> str:
        """Return the rule by which its proofs would wait for a second person; empty: none."""
        item = PushItem(
            id=f"window_post-price:{uuid.uuid4()}",
            to=self.miner.address,
            from_=self.sender(),
            method=Method.SUBMIT_WINDOWED_POST,
            kind="window_post",
        )
        return message_approval_read(item, principal=miner_principal(self.miner))

    def node_key(self) -> bool | None:
        """Return whether a node that signs its blocks itself has the worker's key; None: it does not sign."""
        return node_has_key(self.miner.worker)

    def files(self, readiness: Readiness) -> SectorFiles:
        """Return where the sectors lie, and what provers found of them."""
        miner = self.miner
        proving = Sector.objects.filter(miner=miner, tenant=miner.tenant_id, state=SectorState.PROVING)
        proving = proving.exclude(needs_no_proof())
        unplaced = list(proving.filter(store="").order_by().values_list("number", flat=True)[:NUMBERS_MAX])
        read = {store for prover in readiness.provers for store in prover.stores}
        stores = Store.objects.filter(tenant=miner.tenant_id).exclude(name__in=read)
        unread = stores.filter(Exists(proving.filter(store=OuterRef("name")))).values_list("name", flat=True)
        found = sectors_bad([miner.pk], with_faulty=True, most=NUMBERS_MAX)
        bad = {row.number for row in found if not row.good_in}
        good = SectorCheck.objects.filter(miner=miner, is_good=True, number__in=bad)
        bad -= set(good.values_list("number", flat=True))
        rows, counted_at = sectors_counted(miner)
        expected, checked = self._checked()
        return SectorFiles(
            rows=rows,
            counted_at=counted_at,
            unplaced=bitfield_of(unplaced),
            found=self._found(unplaced),
            parted=self._parted(unplaced),
            unread=tuple(sorted(set(unread))),
            expected=expected,
            checked=checked,
            bad=bitfield_of(bad),
        )

    def _found(self, unplaced: list[int]) -> dict[str, BitField]:
        """Return the sectors that the last scans found whole, and that nobody has had adopted, by store."""
        rows = StoreFinding.objects.filter(
            store__tenant=self.miner.tenant_id,
            kind=FindingKind.ELSEWHERE,
            state=FindingState.FOUND,
            miner_id=self.miner.actor_id,
            number__in=unplaced,
        )
        found: dict[str, list[int]] = {}
        for number, store in rows.order_by("store__name").values_list("number", "store__name"):
            if number is not None:
                found.setdefault(store, []).append(number)
        return {store: bitfield_of(numbers) for store, numbers in found.items()}

    def _parted(self, unplaced: list[int]) -> dict[int, dict[str, str]]:
        """Return the sectors of which the last scans of the tenant's stores found parts."""
        parts = StoreFinding.objects.filter(
            store__tenant=self.miner.tenant_id, kind=FindingKind.HALF, miner_id=self.miner.actor_id
        )
        found: dict[int, dict[str, str]] = {}
        rows = parts.filter(number__in=unplaced).order_by("number", "store__name")
        for number, store, kinds in rows.values_list("number", "store__name", "kinds"):
            if number is not None:
                found.setdefault(number, {})[store] = kinds
        return found

    def _checked(self) -> tuple[int, int]:
        """Return how many sectors the next proofs must cover, and how many of them were checked."""
        runs = CheckRun.objects.filter(miner=self.miner, kind=CheckKind.AHEAD, state=CheckState.DONE)
        sums = runs.order_by().values("deadline_index", "open_epoch").annotate(sectors=Sum("count"))
        most: dict[int, int] = {}
        for row in sums:
            index = row["deadline_index"]
            most[index] = max(most.get(index, 0), row["sectors"])
        rows = Deadline.objects.filter(miner=self.miner, live__gt=0)
        wanted = {row.index: max(row.live - row.faulty, 0) for row in rows}
        return sum(wanted.values()), sum(min(most.get(index, 0), live) for index, live in wanted.items())

    def foreign_deposits(self) -> int:
        """Return the deposits of pre-commits that are not of the pool's own sectors, attoFIL.

        Raises NodeRefused, NodeUnavailable.
        """
        miner, context = self.miner, self.context
        if not miner.deposits:
            return 0
        client, key, network = context.client, context.head.key, context.network
        # An aborted sector's deposit stays locked until its pre-commit expires.
        since = self.height - network.max_prove_commit_duration - network.chain_finality
        numbers = numbers_precommitted(miner, since=since)
        own = precommits_read(client, miner.address, numbers, key).values() if numbers else ()
        locked = deposits_locked(client, miner.address, key)
        total = int(miner.deposits) if locked is None else locked
        return max(total - sum(one.deposit for one in own if one is not None), 0)

    def numbers(self) -> SectorNumbers | None:
        """Return the counter of its sector numbers; None before the first was asked for."""
        return SectorNumbers.objects.filter(miner=self.miner).first()

    def is_mining(self) -> bool:
        """Return whether its people want blocks."""
        return bool(miners_on([self.miner]))

    def last_block(self) -> int | None:
        """Return the height of the newest block that may have been signed here; None: there is none."""
        rows = Block.objects.filter(actor_id=self.miner.actor_id or 0).order_by("-height")
        return rows.values_list("height", flat=True).first()

    def foreign_block(self) -> int | None:
        """Return the newest epoch since its height of which another program made the block."""
        return foreign_blocks_since_move([self.miner]).get(self.miner.pk)

    def posts_waiting(self) -> int:
        """Count the proofs of its windows that have not come to their end."""
        return WindowPost.objects.filter(miner=self.miner, state__in=WAITING).count()

    def in_work(self) -> dict[str, int]:
        """Count what must come to its end before another program goes on, by what it is."""
        miner = self.miner
        sectors = Sector.objects.filter(miner=miner).exclude(state__in=FINAL_STATES).count()
        runs = PipelineRun.objects.filter(sector__miner=miner).exclude(state__in=RUNS_OVER).count()
        changes = SectorChange.objects.filter(sector__miner=miner, state__in=OPEN_CHANGES).count()
        moves = StoreMove.objects.filter(sector__miner=miner, state__in=OPEN_MOVES).count()
        recoveries = Recovery.objects.filter(miner=miner, state__in=OPEN_RECOVERIES).count()
        return {
            "sector": sectors,
            "run": runs,
            "change": changes,
            "store move": moves,
            "recovery": recoveries,
            "message": waiting_messages_count(miner),
        }

    def has_target(self) -> bool:
        """Return whether the pool pledges sectors by itself."""
        return SealTarget.objects.filter(miner=self.miner).exists()

    def own_proof_landed(self, height: int) -> WindowPost | None:
        """Return the first proof of the pool's own that landed in a window that opens from a height on."""
        rows = WindowPost.objects.filter(miner=self.miner, open_epoch__gte=height, state=PostState.LANDED)
        own = rows.exclude(message_id="").only("deadline_index", "open_epoch")
        return own.order_by("open_epoch", "pk").first()

    def posts_of(self, window: MoveWindow) -> list[WindowPost]:
        """Return the pool's proofs of one window."""
        rows = WindowPost.objects.filter(miner=self.miner, deadline_index=window.deadline)
        return list(rows.filter(open_epoch=window.open).only("state", "message_id", "landed_height"))

    def faulty(self, window: MoveWindow) -> int:
        """Return how many sectors of a window's deadline are faulty now."""
        row = Deadline.objects.filter(miner=self.miner, index=window.deadline).first()
        return 0 if row is None else row.faulty
