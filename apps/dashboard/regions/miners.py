"""Miners: the list, and one miner with its proving period."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.urls import reverse

from apps.checks.object_reports import report_of_miner
from apps.checks.results import Topic
from apps.dashboard import numbers
from apps.dashboard.lines.cards import Event, Stat, Verdict, plural
from apps.dashboard.lines.deadlines import DeadlineLine, deadline_line
from apps.dashboard.lines.messages import message_why
from apps.dashboard.lines.miner_transfers import came_words
from apps.dashboard.lines.miners import MinerLine, miner_line
from apps.dashboard.lines.proofs import ProofLine, note_lines, proof_line
from apps.dashboard.regions.counts import sectors_under_way
from apps.dashboard.regions.place import Place, Regions, fragment
from apps.dashboard.regions.todo import ObjectFindings, found_of, verdict_by
from apps.messages.selectors import messages_by_ids
from apps.miners.errors import MinerUnknown
from apps.miners.selectors import miner_get, miners_visible
from apps.miners.services.remove import may_remove
from apps.miners.services.transfer import MOVED
from apps.miners.states import MinerState
from apps.proving.models import Deadline
from apps.proving.selectors import notes_of, posts_tried
from apps.proving.services.transfer import may_transfer

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from apps.dashboard.regions.scene import Scene
    from apps.miners.models import Miner
    from apps.proving.models import WindowPost


PROOFS_TOLD: Final = 12
"""Proofs on a miner's page; more are never open at once but where every partition fails."""


@dataclass(frozen=True, slots=True)
class RoleAddress:
    """An address with what the miner uses it for."""

    role: str
    address: str
    short: str
    balance: str


@dataclass(frozen=True, slots=True)
class MinerDetail:
    """The whole of one miner."""

    line: MinerLine
    say: str
    create_href: str
    """Its CreateMiner message, while that has not made it."""
    found: ObjectFindings
    tags: tuple[str, ...]
    period_say: str
    strip_word: str
    pledge_href: str
    remove_href: str
    """Where it is taken out of the pool; empty for one that stays."""
    transfer_href: str
    """Where it is transferred to another tenant; empty for whoever may not."""
    signing_href: str
    """The fragment that says whether its worker's signer signs for it; asking takes a call to the signer."""
    stats: tuple[Stat, ...]
    deadlines: tuple[DeadlineLine, ...]
    proofs: tuple[ProofLine, ...]
    tried: tuple[Event, ...]
    """What went wrong with these proofs, the newest first."""
    addresses: tuple[RoleAddress, ...]


def is_unmade(miner: Miner) -> bool:
    """Tell whether a miner is still to come out of its CreateMiner message."""
    return miner.create_message_id is not None and miner.state != MinerState.ACTIVE


def creation_words(miner: Miner) -> str:
    """Say what holds a miner's creation up."""
    if not is_unmade(miner) or miner.state != MinerState.CREATING:
        return ""
    message = messages_by_ids([miner.create_message_id or ""]).get(miner.create_message_id or "")
    why = message_why(message)[0] if message is not None else "it is not pushed yet"
    return f"It is there once its CreateMiner message has landed: {why}."


def miner_lines(miners: Sequence[Miner], scene: Scene) -> list[MinerLine]:
    """Lay out miners with their strips."""
    under_way = sectors_under_way(scene.viewer)
    return [miner_line(miner, scene=scene, in_work=under_way.get(miner.pk, 0)) for miner in miners]


def list_verdict_of(scene: Scene) -> Verdict:
    """Say in one sentence what the miners have."""
    report = scene.report_of(Topic.MINERS)
    if not scene.miners:
        return verdict_by(report, Verdict("", "No miner yet."))
    power = " ".join(numbers.size(sum(miner.qa_power for miner in scene.miners)))
    faulty = sum(miner.faulty_sectors for miner in scene.miners)
    rest = "" if report.found or faulty else "No faults."
    return verdict_by(report, Verdict(f"{plural(len(scene.miners), 'miner')}, {power}.", rest))


def list_verdict(place: Place) -> Iterable[str]:
    yield fragment("dashboard/_verdict.html", verdict=list_verdict_of(place.scene))


def rows(place: Place, keys: list[str]) -> Iterable[str]:
    """Render the changed miners by their pk or ID number."""
    scene = place.scene
    wanted = [
        miner
        for miner in scene.miners
        if {str(miner.pk), str(miner.actor_id), miner.address, str(miner.uuid)} & set(keys)
    ]
    for line in miner_lines(wanted, scene):
        yield fragment("miners/_row.html", miner=line)


def rows_of_deadlines(place: Place, keys: list[str]) -> Iterable[str]:
    """Render the miners whose deadlines changed."""
    numbers_only = [key for key in keys if key.isdigit()]
    miners = Deadline.objects.filter(pk__in=numbers_only).values_list("miner_id", flat=True).distinct()
    return rows(
        place,
        [str(pk) for pk in miners_visible(place.viewer).filter(pk__in=miners).values_list("pk", flat=True)],
    )


def period_words(start: int | None, *, height: int | None) -> str:
    """Say when a proving period started; a new miner's first one is yet to come."""
    if start is None:
        return ""
    is_to_come = height is not None and start > height
    return f"{'starts' if is_to_come else 'started'} at epoch {numbers.whole(start)}"


def miner_detail(miner: Miner, scene: Scene) -> MinerDetail:
    """Lay out the whole of one miner."""
    deadlines = scene.deadlines_of(miner)
    line = miner_lines([miner], scene)[0]
    told = [row for row in deadlines if row.live]
    posts = posts_told(miner, scene)
    size, unit = numbers.size(miner.sector_size)
    came = (
        came_words(miner.transfers.select_related("from_tenant").first()) if scene.viewer.is_operator else ""
    )
    may_pledge = scene.viewer.may("sign") and miner.state == MinerState.ACTIVE
    return MinerDetail(
        line=line,
        say=" ".join(
            filter(None, (f"Tenant {miner.tenant.name}.", came, creation_words(miner), miner.error))
        ),
        create_href=reverse("message", args=[miner.create_message_id]) if is_unmade(miner) else "",
        found=found_of(report_of_miner(scene, miner), scene, reasons=True),
        tags=(f"{size} {unit} sectors",),
        period_say=period_words(miner.proving_period_start, height=scene.head.height if scene.head else None),
        strip_word=f"{len(told)} with sectors",
        pledge_href=f"{reverse('pledge')}?miner={miner.address}" if may_pledge else "",
        remove_href=reverse("miner-remove", args=[miner.address or miner.uuid])
        if may_remove(scene.viewer, miner)
        else "",
        transfer_href=reverse("miner-transfer", args=[miner.address])
        if may_transfer(scene.viewer) and miner.state == MinerState.ACTIVE
        else "",
        signing_href=reverse("miner-signing", args=[miner.address or miner.uuid]),
        stats=tuple(miner_stats(miner)),
        deadlines=tuple(
            deadline_line(row, clock=scene.clock, before=before(row, scene))
            for row in sorted(told, key=lambda row: row.open_epoch)
        ),
        proofs=tuple(
            proof_line(post, clock=scene.clock, network=scene.network, now=scene.at) for post in posts
        ),
        tried=tuple(note_lines(notes_of(posts))),
        addresses=tuple(role_addresses(miner, scene)),
    )


def posts_told(miner: Miner, scene: Scene) -> list[WindowPost]:
    """The proofs of open windows, and those of the last period that were not made at the first try."""
    if scene.clock is None or scene.network is None:
        return []
    now, period = scene.clock.epoch, scene.network.proving_period
    return list(posts_tried(miner, open_after=now, since_epoch=now - period)[:PROOFS_TOLD])


def before(deadline: Deadline, scene: Scene) -> Sequence[WindowPost]:
    """The proofs of the window that this deadline had one period ago."""
    period = 0 if scene.network is None else scene.network.proving_period
    windows = scene.posts.get(deadline.miner_id, {})
    return windows.get((deadline.index, deadline.open_epoch - period), [])


def miner_stats(miner: Miner) -> Iterable[Stat]:
    """A miner's vital signs: power and money."""
    power, unit = numbers.size(miner.qa_power)
    here = reverse("miner", args=[miner.address or miner.uuid])
    yield Stat("m-power", "Power", power, f"raw {' '.join(numbers.size(miner.raw_power))}", here, unit=unit)
    yield Stat(
        "m-active",
        "Active sectors",
        numbers.whole(miner.active_sectors),
        f"{numbers.whole(miner.live_sectors)} live",
        reverse("sectors"),
    )
    faulty = miner.faulty_sectors
    yield Stat(
        "m-faults",
        "Faults",
        numbers.whole(faulty),
        f"fee debt {numbers.fil(miner.fee_debt)} FIL",
        here,
        tone="bad" if faulty else "ok",
    )
    yield Stat(
        "m-available",
        "Available",
        numbers.fil_short(miner.available),
        f"of {numbers.fil(miner.balance)} FIL",
        here,
        unit="FIL",
        tone="bad" if miner.available < 0 else "",
    )
    pledge, unit = numbers.amount_short(int(miner.pledge))
    yield Stat("m-pledge", "Pledge", pledge, "locked while sectors live", here, unit=unit)
    yield Stat(
        "m-locked",
        "Vesting",
        numbers.fil_short(miner.locked),
        f"deposits {numbers.fil(miner.deposits)} FIL",
        here,
        unit="FIL",
    )


def role_addresses(miner: Miner, scene: Scene) -> Iterable[RoleAddress]:
    """Owner, worker and control addresses with what they hold."""
    balances = {wallet.address: wallet.balance for wallet in scene.wallets}
    roles = [
        ("Owner", miner.owner),
        ("Worker", miner.worker),
        *(("Control", address) for address in miner.control),
    ]
    if miner.beneficiary and miner.beneficiary not in (miner.owner, f"f0{miner.owner_id}"):
        roles.append(("Beneficiary", miner.beneficiary))
    for role, address in roles:
        yield RoleAddress(role, address, numbers.shortened(address), numbers.fil(balances.get(address)))


def gone_region(place: Place) -> Iterable[str]:
    """The page of a miner that went to another tenant: nothing of it stays to be read."""
    try:
        miner_get(place.viewer, place.key)
    except MinerUnknown:
        yield gone_fragment("miners", "Miner")


def gone_fragment(noun: str, word: str) -> str:
    """What stands where an object of these pages was that went to another tenant."""
    return fragment(
        "core/_gone.html",
        icon=noun,
        title=f"{word} of another tenant",
        what="It was transferred",
        text="Messages that you pushed for it stay with you, and the audit log.",
        action=f"All {noun}",
        href=reverse(noun),
    )


def detail_region(place: Place) -> Iterable[str]:
    """All that changes on a miner's page."""
    try:
        miner = miner_detail(miner_get(place.viewer, place.key), place.scene)
    except MinerUnknown:
        return
    yield fragment("miners/_head.html", miner=miner)
    yield fragment("dashboard/_stats.html", stats=miner.stats)
    yield fragment("miners/_period.html", miner=miner)
    yield fragment("miners/_deadlines.html", deadlines=miner.deadlines)
    yield fragment("miners/_proofs.html", proofs=miner.proofs, tried=miner.tried)


REGIONS: Final[Regions] = {
    "miner": (detail_region,),
    "deadline": (detail_region,),
    "head": (detail_region,),
    MOVED: (gone_region,),
}
