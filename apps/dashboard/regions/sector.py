"""One sector with its clocks, stages and timeline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.urls import reverse

from apps.checks.object_reports import report_of_sector
from apps.dashboard import numbers
from apps.dashboard.lines.acts import Act
from apps.dashboard.lines.cards import Event, Fact, plural
from apps.dashboard.lines.gantts import Gantt, sector_gantt
from apps.dashboard.lines.messages import MessageLine, message_line
from apps.dashboard.lines.sectors import SectorLine, expires_in, place_words, sector_line
from apps.dashboard.regions.miners import gone_fragment
from apps.dashboard.regions.place import Place, Regions, fragment
from apps.dashboard.regions.todo import ObjectFindings, found_of
from apps.dashboard.words import EVENTS, STAGES
from apps.messages.selectors.stuck import stuck_mark
from apps.miners.services.transfer import MOVED
from apps.proving.models import Deadline
from apps.sectors.errors import SectorUnknown
from apps.sectors.models import Sector
from apps.sectors.policy import sealing_policy
from apps.sectors.selectors import sector_events, sector_get, sectors_messages
from poolsite.filecoin.cids import commd_cid, commr_cid
from poolsite.filecoin.sector import RegisteredSealProof
from poolsite.wire.pipeline import BACK_TO, NEXT_STAGE, SectorState, Stage

if TYPE_CHECKING:
    from collections.abc import Iterable

    from apps.dashboard.regions.scene import Scene
    from apps.messages.models import Message
    from apps.sectors.models import JobEvent


@dataclass(frozen=True, slots=True)
class Clock:
    """One of a sector's clocks."""

    key: str
    label: str
    value: str
    foot: str
    unit: str = ""
    tone: str = ""
    until: int | None = None


@dataclass(frozen=True, slots=True)
class SectorDetail:
    """The whole of one sector."""

    line: SectorLine
    number: int
    miner_name: str
    miner_href: str
    tags: tuple[str, ...]
    verdict: str
    verdict_rest: str
    found: ObjectFindings
    zone: str
    clocks: tuple[Clock, ...]
    gantt: Gantt
    events: tuple[Event, ...]
    messages: tuple[MessageLine, ...]
    facts: tuple[Fact, ...]
    acts: tuple[Act, ...]


def sector_detail(sector: Sector, scene: Scene) -> SectorDetail:
    """Lay out the whole of one sector."""
    events = list(sector_events(sector))
    line = sector_line(sector, scene=scene)
    size, unit = numbers.size(sector.sector_size)
    messages = [
        sent.message
        for sent in sectors_messages([sector])[sector.pk]
        if sent.message is not None and is_shown(sent.message, sector, scene)
    ]
    verdict, rest = sector_verdict(sector, line, scene)
    stuck_mark(messages, head=scene.head, network=scene.network)
    return SectorDetail(
        line=line,
        number=sector.number,
        miner_name=sector.miner.name or sector.miner.address,
        miner_href=reverse("miner", args=[sector.miner.address or sector.miner.uuid]),
        tags=(f"{size} {unit}", f"attempt {sector.attempts + 1}"),
        verdict=verdict,
        verdict_rest=rest,
        found=found_of(report_of_sector(scene, sector), scene),
        zone="UTC",
        clocks=tuple(sector_clocks(sector, scene)),
        gantt=sector_gantt(sector, events, at=scene.at),
        events=(*(event_line(event) for event in reversed(events)), pledged_line(sector)),
        messages=tuple(message_line(message, scene.names) for message in messages),
        facts=tuple(sector_facts(sector)),
        acts=detail_acts(sector) if scene.viewer.may("sign") else (),
    )


def is_shown(message: Message, sector: Sector, scene: Scene) -> bool:
    """Tell whether a sector shows its tenant a message: what another pushed before stays that one's."""
    return scene.viewer.is_operator or message.tenant_id == sector.tenant_id


def sector_verdict(sector: Sector, line: SectorLine, scene: Scene) -> tuple[str, str]:
    """The sentence below a sector's name."""
    if sector.paused_at is not None:
        return f"{STAGES[sector.stage]} failed:", f"{sector.error.rstrip('.')}."
    if sector.stage == Stage.PROVING and sector.active:
        return "Active.", "It is proven in every proving period."
    if sector.stage == Stage.PROVING:
        is_recovering = scene.faults.get((sector.miner_id, sector.number))
        if is_recovering is None:
            return "Sealed.", "Its first proof makes it active."
        if is_recovering:
            return "Recovering.", "Its next proof makes it active again."
        return "Faulty.", "It counts again once its recovery is declared and proven."
    rest = batch_words(sector, scene)
    if sector.error:
        rest = f"{rest} Last failure: {sector.error}".strip()
    return f"{line.word[:1].upper()}{line.word[1:]}.", rest


def batch_words(sector: Sector, scene: Scene) -> str:
    """Say what a batch that this sector waits in waits for; empty for any other sector."""
    policy = sealing_policy()
    most = {
        SectorState.PERSISTED: policy.precommit_batch_max,
        SectorState.C2_DONE: policy.commit_batch_max,
    }.get(SectorState(sector.state))
    if most is None:
        return ""
    count = Sector.objects.filter(miner_id=sector.miner_id, state=sector.state, paused_at=None).count()
    full = f"{plural(count, 'sector')} of at most {most} wait to share the message"
    base_fee = 0 if scene.head is None else int(scene.head.base_fee)
    if policy.base_fee_max and base_fee > policy.base_fee_max:
        limit = numbers.fee_text(policy.base_fee_max)
        return f"{full}; the base fee, {numbers.fee_text(base_fee)}, has to fall to {limit} first."
    return f"{full}; a lone sector goes at once."


def sector_clocks(sector: Sector, scene: Scene) -> Iterable[Clock]:
    """The epochs that matter to a sector."""
    yield Clock(
        "ticket",
        "Ticket",
        numbers.whole(sector.ticket_epoch),
        "epoch it was drawn at" if sector.ticket_epoch is not None else "drawn before PC1",
    )
    yield Clock(
        "seed",
        "Seed",
        numbers.whole(sector.seed_epoch),
        "epoch of the challenge" if sector.seed_epoch is not None else "comes after the pre-commit",
    )
    key = (sector.miner_id, sector.deadline) if sector.deadline is not None else None
    deadline = scene.deadlines.get(key) if key is not None else None
    if deadline is not None and scene.clock is not None:
        is_ahead = deadline.open_epoch > scene.clock.epoch
        epoch = deadline.open_epoch if is_ahead else deadline.close_epoch
        yield Clock(
            "deadline",
            f"Deadline {deadline.index}",
            numbers.time_left(scene.clock.left_s(epoch)),
            f"until it {'opens' if is_ahead else 'closes'}, epoch {numbers.whole(epoch)}",
            until=scene.clock.starts_at(epoch),
        )
    else:
        yield Clock("deadline", "Deadline", numbers.NOTHING, "known once the commit has landed")
    if sector.initial_pledge:
        locked, unit = numbers.amount_short(int(sector.initial_pledge))
        yield Clock("pledge", "Pledge", locked, "locked while it lives", unit=unit)
    else:
        yield Clock("pledge", "Pledge", numbers.NOTHING, "locked when the commit lands")
    end = "set by the pre-commit" if sector.expiration is None else expiry_words(sector)
    yield Clock("expires", "Expires in", expires_in(sector, scene), end)


def expiry_words(sector: Sector) -> str:
    """Say when it ends, on the chain's own clock."""
    return f"at epoch {numbers.whole(sector.expiration)}"


def sector_facts(sector: Sector) -> Iterable[Fact]:
    """What the console knows of a sector, in the field's words."""
    yield Fact("Id", str(sector.uuid), mono=True)
    yield Fact("Seal proof", RegisteredSealProof(sector.seal_proof).name)
    if sector.comm_d is not None:
        yield Fact("CommD", str(commd_cid(bytes(sector.comm_d))), mono=True)
    if sector.comm_r is not None:
        yield Fact("CommR", str(commr_cid(bytes(sector.comm_r))), mono=True)
    yield Fact("Pre-commit epoch", numbers.whole(sector.precommit_epoch))
    yield Fact("Activation", numbers.whole(sector.activation))
    yield Fact("Deadline / partition", place_words(sector))
    yield Fact("Store", sector.store or numbers.NOTHING)


def detail_acts(sector: Sector) -> tuple[Act, ...]:
    """What a person can do on the sector's own page."""
    if sector.paused_at is None:
        return ()
    here = sector.uuid
    return (
        Act("retry", "Retry", reverse("sector-retry", args=[here]), icon="retry", kind="primary"),
        *(
            Act(
                f"back-{state}",
                f"Back to {STAGES[NEXT_STAGE[state].stage]}",
                reverse("sector-back", args=[here, state]),
                icon="left",
            )
            for state in sector.step.resume_at
        ),
        Act("abort", "Abort…", reverse("sector-abort", args=[here]), icon="close", kind="danger", asks=True),
    )


def pledged_line(sector: Sector) -> Event:
    """The first line of the timeline."""
    by = f"by {sector.pledge.actor}, " if sector.pledge is not None else ""
    at = str(numbers.moment(sector.created_at))
    return Event(at, "idle", "plus", "Pledged", f"{by}number {sector.number} from the allocator")


def event_line(event: JobEvent) -> Event:
    """One step in the timeline."""
    stage = STAGES.get(event.stage, event.stage)
    at = str(numbers.moment(event.at))
    if event.is_error:
        return Event(at, "bad", "bad", f"{stage} failed", event.note, _took(event))
    sub = " · ".join(part for part in (event.note, event.actor) if part)
    if event.event.startswith(BACK_TO):
        return Event(at, "idle", "left", f"Set back to {STAGES[NEXT_STAGE[event.to_state].stage]}", sub)
    say = EVENTS.get(event.event) or event.event.replace("_", " ").capitalize()
    tone = "ok" if event.event in STEP_EVENTS else "warn"
    if event.event == "RETRY":
        return Event(at, "run", "retry", say, sub)
    return Event(at, tone, tone, say, sub, _took(event))


STEP_EVENTS: Final = frozenset(
    event
    for event in EVENTS
    if event not in ("RETICKET", "RESEED", "ABORT", "RETRY", "LEASE_OVER")
    and not event.startswith(("FAIL_", "REVERT_"))
)
"""Steps forward."""


def _took(event: JobEvent) -> str:
    return numbers.duration(event.ms / 1000) if event.ms is not None else ""


def concerns(place: Place, row: Sector) -> bool:
    """Tell whether anything that this sector's page shows has changed."""
    batches = [batch for batch in (row.precommit_batch, row.commit_batch) if batch is not None]
    if place.heard("sector", row.uuid) or place.heard("job", row.job.pk) or place.heard("messages", "all"):
        return True
    if place.heard("message", *(batch.message_id for batch in batches)):
        return True
    if place.heard("batch", *(batch.pk for batch in batches)):
        return True
    if row.deadline is None or "deadline" not in place.changed:
        return False
    mine = Deadline.objects.filter(miner_id=row.miner_id, index=row.deadline)
    return place.heard("deadline", *mine.values_list("pk", flat=True))


def gone_region(place: Place) -> Iterable[str]:
    """The page of a sector whose miner went to another tenant."""
    try:
        sector_get(place.viewer, place.key)
    except SectorUnknown:
        yield gone_fragment("sectors", "Sector")


def detail_region(place: Place) -> Iterable[str]:
    """All that changes on a sector's page; its parts are small and change together."""
    try:
        row = sector_get(place.viewer, place.key)
    except SectorUnknown:
        return
    if not concerns(place, row):
        return
    sector = sector_detail(row, place.scene)
    yield fragment("sectors/_head.html", sector=sector)
    yield fragment("sectors/_clocks.html", clocks=sector.clocks)
    yield fragment("sectors/_gantt.html", gantt=sector.gantt)
    yield fragment("sectors/_timeline.html", events=sector.events, key="sector")
    yield fragment("sectors/_messages.html", sector_messages=sector.messages)
    yield fragment("messages/_facts.html", facts=sector.facts, title="Facts", key="sector-facts")


REGIONS: Final[Regions] = {
    "sector": (detail_region,),
    "deadline": (detail_region,),
    "message": (detail_region,),
    "messages": (detail_region,),
    "batch": (detail_region,),
    "job": (detail_region,),
    MOVED: (gone_region,),
}
