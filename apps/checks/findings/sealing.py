"""Checks of sectors in progress and of sectors whose life ends."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Final

from django.db.models import Q
from django.utils.translation import gettext

from apps.checks.acts import ACTS_MAX, sectors_retry
from apps.checks.exposure import deposits_of
from apps.checks.rare import COUNTED_MAX, rare_rows
from apps.checks.results import Finding, Link
from apps.checks.text import named
from apps.core.formatting import plural, size, time_left, whole
from apps.sectors.selectors.ended_sectors import sectors_removable
from apps.sectors.selectors.restored import hosts_unreported, miners_unread, sectors_unpledged
from apps.sectors.selectors.sectors import DEPOSIT_OVER
from apps.sectors.services.sealing.advance import ticket_life
from poolsite.filecoin.noninteractive import LOOKBACK
from poolsite.filecoin.power import quality_power_max
from poolsite.filecoin.sector import RegisteredSealProof
from poolsite.wire.pipeline import SectorEvent, SectorState, states_with

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.db.models import QuerySet

    from apps.chain.chain_status import EpochClock
    from apps.checks.data import CheckData
    from apps.sectors.models import Sector
    from poolsite.filecoin.policy import Network

EXPIRING_S: Final = 30 * 86_400
"""A sector whose life ends within 30 days is named: extending it takes a decision and a message."""
UNCOMMITTED: Final = states_with(SectorEvent.RETICKET)
"""States with a ticket that no pre-commit has used yet."""
TICKET_PART: Final = 10
"""A ticket is named when this part of its life is left, or less than what is to be done takes here."""
SEED_LATE: Final = 20
"""Epochs after a seed in which it is read at every head: then something keeps it from being read."""
SEED_TEXT: Final = "the console has not read it: check its nodes and task processes"
NON_INTERACTIVE: Final = tuple(one for one in RegisteredSealProof if not one.is_interactive)
DEPOSIT_S: Final = 48 * 3600
"""A deposit that is lost within 48 hours is named: what is left of sealing takes hours."""


def sectors_paused(data: CheckData) -> Iterator[Finding]:
    """Sectors that failed, or were paused by a person, and wait for a decision."""
    count = data.sector_counts["PAUSED"]
    if not count:
        return
    paused = data.sectors.exclude(paused_at=None)
    named_ones = list(paused[:ACTS_MAX])
    first = next(iter(named_ones), None)
    why = "" if first is None else f"{first.miner.address} / {first.number}: {first.error}"
    is_single = first is not None and count == 1
    deposits = 0
    if data.reward is not None and first is not None:
        paid = paused.exclude(precommit_epoch=None).exclude(state__in=DEPOSIT_OVER).order_by()
        deposits = paid[:COUNTED_MAX].count() * data.reward.deposit(first.sector_size)
    yield Finding(
        "paused",
        gettext("{sectors} paused").format(sectors=plural(count, "sector")),
        why,
        link=Link("sector", (str(first.uuid),)) if first is not None and is_single else None,
        count=count,
        at_risk=deposits,
        deposits=deposits,
        acts=sectors_retry(named_ones),
    )


def sector_recovery(data: CheckData) -> Iterator[Finding]:
    """Sectors or pledges are held: the database was restored, and chain and hosts know more than it."""
    row, may_see = data.recovery, data.viewer.is_operator
    if row is None or row.sectors_since is None:
        count = sectors_unpledged(data.restored).count() if may_see else 0
        if count:
            yield Finding(
                "pledges-held",
                "pledges with an idempotency key are refused after a restore",
                gettext(
                    "{sectors} created since the backup by lost pledges: confirm that none is repeated"
                ).format(sectors=plural(count, "sector")),
                link=Link("recovery"),
                button="Recovery",
                count=count,
            )
        return
    names = list(hosts_unreported(row).values_list("name", flat=True))
    if miners_unread(row).exists():
        left = "sectors are being read back from chain and hosts; sealing resumes automatically"
    elif names:
        hosts = named(names) if may_see else plural(len(names), "host")
        left = gettext("start or retire {hosts}: work it may have begun is not given to another host").format(
            hosts=hosts
        )
    else:
        return
    yield Finding(
        "sector-recovery",
        "sectors are on hold: the pool is recovering from a restored backup",
        left,
        link=Link("recovery") if may_see else None,
        button="Recovery" if may_see else "",
    )


def _lost_soon(clock: EpochClock, network: Network) -> int:
    """Return the epoch before which a pre-commit lies whose deposit is lost within `DEPOSIT_S`."""
    life = network.max_prove_commit_duration
    # A small network leaves less time than 48 h from the start.
    return clock.epoch + min(DEPOSIT_S // network.epoch_s, life // 10) - life


def deposits_expiring(data: CheckData) -> Iterator[Finding]:
    """Pre-commits whose deposit the chain burns soon because the sector is not proved."""
    if data.clock is None or data.network is None or not data.rare.sectors_open:
        return
    life = data.network.max_prove_commit_duration
    rows = data.sectors.exclude(state__in=DEPOSIT_OVER)
    rows = rows.filter(precommit_epoch__lt=_lost_soon(data.clock, data.network)).order_by("precommit_epoch")
    late = rare_rows(rows)
    if not late:
        return
    first = late[0]
    deposits = deposits_of(data, [row.sector_size for row in late])
    yield Finding(
        "deposits",
        gettext("{deposits} will be lost within 48 h").format(deposits=plural(len(late), "deposit")),
        gettext(
            "{miner} / {number} was pre-committed at epoch {precommit_epoch} and is not proven yet"
        ).format(miner=first.miner.address, number=first.number, precommit_epoch=first.precommit_epoch),
        link=Link("sector", (str(first.uuid),)),
        count=len(late),
        at_risk=deposits,
        deposits=deposits,
        due_s=data.clock.starts_at((first.precommit_epoch or 0) + life),
        due_label="until the deposit is lost",
        acts=sectors_retry(late),
    )


def tickets_expiring(data: CheckData) -> Iterator[Finding]:
    """Sectors whose ticket the chain soon takes no more: their first stage would be made anew."""
    if data.clock is None or data.network is None or not data.rare.sectors_open:
        return
    usual = data.network.max_precommit_randomness_lookback
    old = Q(pk=None)
    for kind, life in (
        (~Q(seal_proof__in=NON_INTERACTIVE), usual),
        (Q(seal_proof__in=NON_INTERACTIVE), LOOKBACK),
    ):
        old |= kind & Q(ticket_epoch__lt=data.clock.epoch - life + life // TICKET_PART)
    for proof, state in data.precommit_times:
        life = LOOKBACK if proof in NON_INTERACTIVE else usual
        needed = ticket_needed(data, data.network, proof=proof, state=state, life=life)
        old |= Q(seal_proof=proof, state=state, ticket_epoch__lt=data.clock.epoch - life + needed)
    rows = data.sectors.filter(old, state__in=UNCOMMITTED).order_by("ticket_epoch")
    late = rare_rows(rows)
    if late:
        ends = {row.pk: (row.ticket_epoch or 0) + ticket_life(row, data.network) for row in late}
        first = min(late, key=lambda row: ends[row.pk])
        say = gettext("{tickets} about to expire").format(tickets=plural(len(late), "ticket"))
        yield Finding(
            "tickets",
            say,
            gettext(
                "{miner} / {number} is not pre-committed yet{takes}; if its ticket expires, sealing "
                "starts over"
            ).format(miner=first.miner.address, number=first.number, takes=_takes_text(first, data)),
            link=Link("sector", (str(first.uuid),)),
            count=len(late),
            due_s=data.clock.starts_at(ends[first.pk]),
            due_label="until the ticket expires",
            acts=sectors_retry(late),
        )


def ticket_needed(data: CheckData, network: Network, *, proof: int, state: str, life: int) -> int:
    """Return how many epochs before its ticket ends a sector is named."""
    takes_s = data.precommit_times.get((proof, state), 0.0)
    return max(life // TICKET_PART, ceil(takes_s / network.epoch_s))


def _takes_text(sector: Sector, data: CheckData) -> str:
    """Return how long the farm takes from where a sector is, if that is known."""
    takes_s = data.precommit_times.get((sector.seal_proof, sector.state))
    if takes_s is None:
        return ""
    return gettext(", which takes up to {takes_s} from its stage").format(takes_s=time_left(takes_s))


def seed_ready(data: CheckData) -> Iterator[Finding]:
    """Pre-committed sectors with a seed that nobody reads: their deposit is at stake."""
    if data.clock is None or data.network is None or data.head is None or not data.rare.sectors_open:
        return
    before = data.head.height - data.network.pre_commit_challenge_delay - SEED_LATE
    rows = data.sectors.filter(
        state=SectorState.PRECOMMIT_LANDED, precommit_epoch__lt=before, paused_at=None
    ).order_by("precommit_epoch")
    late = rare_rows(rows)
    if late:
        first = late[0]
        ready = (first.precommit_epoch or 0) + data.network.pre_commit_challenge_delay
        # Those that are lost soon are counted by `deposits_expiring`.
        named_there = _lost_soon(data.clock, data.network)
        paid = [row.sector_size for row in late if (row.precommit_epoch or 0) >= named_there]
        deposits = deposits_of(data, paid)
        yield Finding(
            "seeds",
            gettext("{sectors} with an unread seed").format(sectors=plural(len(late), "sector")),
            gettext("{miner} / {number}: seed available since epoch {ready}; {seed_text}").format(
                miner=first.miner.address, number=first.number, ready=ready, seed_text=SEED_TEXT
            ),
            link=Link("sector", (str(first.uuid),)),
            count=len(late),
            at_risk=deposits,
            deposits=deposits,
            due_s=data.clock.starts_at((first.precommit_epoch or 0) + data.network.max_prove_commit_duration),
            due_label="until the deposit is lost",
        )


def expires_soon(data: CheckData) -> Q:
    """The condition for sealed sectors whose life ends within `EXPIRING_S`; nothing without a chain."""
    if data.clock is None:
        return Q(pk=None)
    before = data.clock.epoch + EXPIRING_S // data.clock.delay_s
    # What has ended stays in this state and can be extended no more.
    return Q(state=SectorState.PROVING, expiration__gte=data.clock.epoch, expiration__lte=before)


def sectors_expiring(data: CheckData) -> Iterator[Finding]:
    """Sealed sectors whose life ends soon."""
    rows = data.sectors.select_related(None).order_by("expiration").filter(expires_soon(data))
    found = list(rows.only("miner", "expiration")[: COUNTED_MAX + 1])
    if found and data.clock is not None:
        count = len(found)
        many = (
            gettext("over {counted_max} sectors").format(counted_max=whole(COUNTED_MAX))
            if count > COUNTED_MAX
            else plural(count, "sector")
        )
        yield Finding(
            "expiring",
            gettext("{many} {word} within 30 d").format(
                many=many, word="expires" if count == 1 else "expire"
            ),
            "extend them, or let them expire to release their pledge",
            count=count,
            per_day=data.rewards_of(found),
            due_s=data.clock.starts_at(found[0].expiration or 0),
            due_label="until it expires" if count == 1 else "until the first expires",
        )


def claims_end(data: CheckData) -> Iterator[Finding]:
    """Verified claims that end soon: beyond that a sector goes on only without them, and counts less."""
    rows = data.claims_ending
    if not rows or data.clock is None:
        return
    first, count = rows[0], sum(row.count for row in rows)
    size_earning = sum(row.size for row in rows if row.miner.has_min_power)
    yield Finding(
        "claims",
        gettext("{claims} {word} within 30 d").format(
            claims=plural(count, "verified claim"), word="ends" if count == 1 else "end"
        ),
        gettext(
            "{miner} / {sector_number}: claim {claim} lasts until epoch {end_epoch}; extend the "
            "sector without it, or ask the client to extend the claim"
        ).format(
            miner=first.miner.address,
            sector_number=first.sector_number,
            claim=first.claim,
            end_epoch=first.end_epoch,
        ),
        count=count,
        per_day=data.reward_of_power(quality_power_max(size_earning) - size_earning),
        due_s=data.clock.starts_at(first.end_epoch or 0),
        due_label="until it ends" if count == 1 else "until the first ends",
    )


def targets_paused(data: CheckData) -> Iterator[Finding]:
    """Targets that want sectors and may not pledge them."""
    for row in data.targets_paused:
        yield Finding(
            f"target-{row.miner_id}",
            gettext("the target of {miner} is paused").format(miner=row.miner),
            row.reason,
            link=Link("miner-target", (row.miner.address,)),
        )


def files_left(data: CheckData) -> QuerySet[Sector]:
    """Return the sectors that the chain has ended for good and whose files some host still has."""
    if data.head is None or data.network is None:
        return data.sectors.none()
    stores = {name for worker in data.workers for name in worker.stores}
    return sectors_removable(
        data.sectors, stores=stores, height=data.head.height, network=data.network, now=data.at
    )


def files_of_ended(data: CheckData) -> Iterator[Finding]:
    """Files of sectors that the chain has ended, which only take disk."""
    sizes = list(files_left(data).order_by().values_list("sector_size", flat=True)[: COUNTED_MAX + 1])
    if sizes:
        count = len(sizes)
        many = (
            gettext("over {counted_max} sectors").format(counted_max=whole(COUNTED_MAX))
            if count > COUNTED_MAX
            else plural(count, "sector")
        )
        free = gettext("{sizes} can be freed").format(sizes=" ".join(size(sum(sizes))))
        yield Finding(
            "files-left", gettext("files left from {many} that ended").format(many=many), free, count=count
        )
