"""Reading rows of which there mostly are none."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple, TypeVar

from django.db.models import BooleanField, Exists, ExpressionWrapper, Model, Q, QuerySet
from django.db.models.expressions import Combinable, RawSQL

from apps.automation.models import AutoRule
from apps.blocks.models import Round
from apps.blocks.selectors.foreign_blocks import FOREIGN_BLOCK
from apps.blocks.states import LOSSES, RoundState
from apps.chain.models import Network
from apps.checks.models import AlertChannel, CheckSetting
from apps.core.compiled import Compiled
from apps.core.models import Console
from apps.gateway.models import ProverConnection, SignerConnection
from apps.gateway.selectors.signer_grants import grants_unchosen
from apps.market.models import MinerMarket
from apps.market.selectors.deals import deals_unsealed, deals_waiting
from apps.messages.models import Message, Sender
from apps.messages.selectors.creations import creations_since
from apps.messages.selectors.failed import given_up_since, refused_since
from apps.messages.selectors.foreign import senders_odd
from apps.messages.states import MessageState, Wait
from apps.miners.models import Role
from apps.miners.states import EXCLUSIVE_ROLES, RoleState
from apps.pieces.models import Piece
from apps.pieces.selectors import indexes_wrong
from apps.pieces.states import PieceState
from apps.proving.models import Dispute, SectorCheck
from apps.sectors.models import (
    RUNS_OVER,
    Allocation,
    ClaimsEnding,
    Job,
    PipelineRun,
    SealTarget,
    Sector,
    SectorChange,
    SectorCopy,
    StoreMove,
)
from apps.sectors.selectors.stopped_work import FAILED_CHANGES
from apps.sectors.states import CopyCondition, Hold, JobState, MoveState
from apps.users.selectors.guessed_factors import wrong_codes
from poolsite.wire.jobs import JobKind
from poolsite.wire.pipeline import SectorState

Row = TypeVar("Row", bound=Model)

SECTORS_OVER: Final = (SectorState.PROVING, SectorState.ABORTED, SectorState.TERMINATED)
"""As the index of those under way has it."""

COUNTED_MAX: Final = 1_000
"""More is said as "at least 1,000": a count reads every row that it counts."""


class Rare(NamedTuple):
    """Of what the pool has any row, whoever may see it: where it has none, no check looks for some."""

    sectors_open: bool = True
    """Sectors under way."""
    sectors_bad: bool = True
    disputes: bool = True
    roles: bool = True
    """Exclusive roles that were given to hosts."""
    runs_stopped: bool = True
    changes_failed: bool = True
    moves_failed: bool = True
    unseals_failed: bool = True
    pieces_failed: bool = True
    pieces_due: bool = True
    """Not active yet, and must be by some epoch."""
    copies_bad: bool = True
    allocations: bool = True
    claims_ending: bool = True
    targets_paused: bool = True
    messages_open: bool = True
    """Neither landed nor given up."""
    messages_unapproved: bool = True
    """Waiting for a second person."""
    messages_replaced: bool = True
    """Messages that were not carried out, as another message used the nonce."""
    rules_hindered: bool = True
    """Automatic rules that switched themselves off, or that something is in the way of."""
    senders_odd: bool = True
    """With a nonce gap, paused, or used by another program lately."""
    messages_given_up: bool = True
    messages_refused: bool = True
    miners_created: bool = True
    """By programs, in the last week."""
    signers_failed: bool = True
    signers_advised: bool = True
    """Signers whose policy needs a change."""
    grants_unchosen: bool = True
    """Grants of another tenant's keys that no person made."""
    provers_failed: bool = True
    wins_lost: bool = True
    blocks_foreign: bool = True
    codes_wrong: bool = True
    """Wrong codes of second factors lately."""
    channels: bool = True
    severities_set: bool = True
    """Checks whose severity the operator set."""
    consoles: bool = True
    """More than one console machine."""
    deals_waiting: bool = True
    """Accepted deals that are not active yet."""
    doors: bool = True
    """Miners with a libp2p door."""
    indexes_wrong: bool = True
    """Block indexes that are wrong, or could not be made."""


def _rare(day: Any, week: Any) -> QuerySet[Any]:
    """Return one row with a column for each field of `Rare`, by the indexes of the checks' own questions.

    Each must find at least what its checks look for: they ask for less, of those that their viewer may see.
    """
    sectors, messages = Sector.objects.order_by(), Message.objects.order_by()
    unseals = Job.objects.filter(kind=JobKind.UNSEAL, state=JobState.FAILED, updated_at__gte=day)
    parts: dict[str, Combinable] = {
        "sectors_open": Exists(sectors.exclude(state__in=SECTORS_OVER)),
        "sectors_bad": Exists(SectorCheck.objects.filter(is_good=False)),
        "disputes": Exists(Dispute.objects.all()),
        "roles": Exists(Role.objects.filter(kind__in=EXCLUSIVE_ROLES).exclude(state=RoleState.REMOVED)),
        "runs_stopped": Exists(PipelineRun.objects.exclude(state__in=RUNS_OVER).exclude(paused_at=None)),
        "changes_failed": Exists(SectorChange.objects.filter(state__in=FAILED_CHANGES, updated_at__gte=week)),
        "moves_failed": Exists(StoreMove.objects.filter(state=MoveState.FAILED, updated_at__gte=day)),
        "unseals_failed": Exists(unseals),
        "pieces_failed": Exists(Piece.objects.filter(state=PieceState.FAILED)),
        "pieces_due": Exists(
            Piece.objects.filter(state__in=[PieceState.READY, PieceState.PACKED]).exclude(
                start_epoch=None, terms_epoch=None
            )
        ),
        "copies_bad": Exists(SectorCopy.objects.filter(condition=CopyCondition.BAD)),
        "allocations": Exists(Allocation.objects.all()),
        "claims_ending": Exists(ClaimsEnding.objects.filter(count__gt=0)),
        "targets_paused": Exists(SealTarget.objects.exclude(held_by__in=[Hold.NONE, Hold.REACHED])),
        "messages_open": Exists(messages.filter(state__in=[MessageState.UNFILLED, MessageState.FILLED])),
        "messages_unapproved": Exists(messages.filter(state=MessageState.UNFILLED, needs_approval=True)),
        "messages_replaced": Exists(messages.filter(state=MessageState.REPLACED, wait=Wait.NONCE_TAKEN)),
        "rules_hindered": Exists(AutoRule.objects.filter(~Q(stopped="") | Q(is_on=True) & ~Q(note=""))),
        "senders_odd": Exists(Sender.objects.filter(senders_odd(foreign_since=day))),
        "messages_given_up": Exists(given_up_since(messages, day)),
        "messages_refused": Exists(refused_since(messages, day)),
        "miners_created": Exists(creations_since(messages, week)),
        "signers_advised": Exists(SignerConnection.objects.filter(closed_at=None).exclude(policy_advice=[])),
        "signers_failed": Exists(SignerConnection.objects.filter(failed_at__gt=day)),
        "grants_unchosen": Exists(grants_unchosen()),
        "provers_failed": Exists(ProverConnection.objects.filter(failed_at__gt=day)),
        "wins_lost": Exists(
            Round.objects.filter(win_count__gt=0, at__gte=day, state__in=[*LOSSES, RoundState.ORPHANED])
        ),
        "blocks_foreign": RawSQL(FOREIGN_BLOCK, [], BooleanField()),  # noqa: S611  # a constant
        "codes_wrong": Exists(wrong_codes(day)),
        "channels": Exists(AlertChannel.objects.filter(is_enabled=True, tenant=None)),
        "severities_set": Exists(CheckSetting.objects.exclude(severity="")),
        "consoles": Exists(Console.objects.order_by("machine")[1:2]),
        "deals_waiting": ExpressionWrapper(
            Q(Exists(deals_waiting()) | Exists(deals_unsealed())), output_field=BooleanField()
        ),
        "doors": Exists(MinerMarket.objects.filter(takes_libp2p=True)),
        "indexes_wrong": Exists(indexes_wrong()),
    }
    return Network.objects.order_by("pk").values_list(*(parts[name] for name in Rare._fields))[:1]


RARE: Final[Compiled[tuple[bool, ...]]] = Compiled(
    "checks_rare", _rare, day="timestamptz", week="timestamptz"
)


def rare_read(now: datetime) -> Rare:
    """Return of what there is any row, by one question; before the pool has a network, of everything."""
    found = RARE.rows(day=now - timedelta(days=1), week=now - timedelta(days=7))
    return Rare(*found[0]) if found else Rare()


def rare_rows(rows: QuerySet[Row], *, has_any: bool = True) -> tuple[list[Row], bool]:
    """Return the first `COUNTED_MAX` rows, and whether there are more; asks first whether there is any.

    To compile a query for the columns of five tables costs several times what that question costs.
    """
    found = list(rows[: COUNTED_MAX + 1]) if has_any and rows.order_by().exists() else []
    return found[:COUNTED_MAX], len(found) > COUNTED_MAX
