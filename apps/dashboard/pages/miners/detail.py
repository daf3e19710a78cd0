"""One miner with its proving period."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.http import HttpRequest, HttpResponse
from django.urls import path, reverse
from django.utils.translation import gettext
from django.views.decorators.http import require_safe

from apps.blocks.selectors.mining_miners import miners_on
from apps.checks.report.objects import report_of_miner
from apps.core import formatting
from apps.core.reasons import shown_text
from apps.dashboard.cards import Event, Stat
from apps.dashboard.fragments import FragmentContext, LivePage, fragment
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.messages.rows import message_why
from apps.dashboard.pages.miners.deadlines import DeadlineRow, deadline_row
from apps.dashboard.pages.miners.listing import MinerRow, miner_rows
from apps.dashboard.pages.miners.proofs import ProofRow, note_rows, proof_row
from apps.dashboard.pages.miners.transfer_facts import transferred_text
from apps.dashboard.pages.miners.transferred import miner_transferred
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.todo import ObjectFindings, found_of
from apps.messages.selectors.messages import messages_by_ids
from apps.miners.errors import MinerUnknown
from apps.miners.selectors.miners import miner_get
from apps.miners.services.remove import may_remove
from apps.miners.services.transfer import MOVED
from apps.miners.states import MinerState
from apps.moves.rules.steps import Direction
from apps.moves.selectors.moves import direction_of
from apps.proving.selectors.posts import notes_of, posts_tried
from apps.proving.services.transfer import may_transfer
from apps.users.rules.principals import Principal
from apps.wallets.selectors import wallets_visible

if TYPE_CHECKING:
    from apps.miners.models import Miner
    from apps.proving.models import Deadline, WindowPost


def miner_stats(miner: Miner) -> Iterable[Stat]:
    """Yield a miner's vital signs: power and money."""
    power, unit = formatting.size(miner.qa_power)
    here = reverse("miner", args=[miner.address or miner.uuid])
    withdraw = reverse("miner-withdraw", args=[miner.address]) if miner.address else here
    yield Stat(
        "m-power",
        gettext("Power"),
        power,
        gettext("raw {raw_power}").format(raw_power=" ".join(formatting.size(miner.raw_power))),
        here,
        unit=unit,
    )
    yield Stat(
        "m-active",
        gettext("Active sectors"),
        formatting.whole(miner.active_sectors),
        live_text(miner),
        reverse("sectors"),
    )
    faulty = miner.faulty_sectors
    yield Stat(
        "m-faults",
        gettext("Faults"),
        formatting.whole(faulty),
        gettext("fee debt {fee_debt} FIL").format(fee_debt=formatting.fil(miner.fee_debt)),
        here,
        tone="bad" if faulty else "ok",
    )
    yield Stat(
        "m-available",
        gettext("Available"),
        formatting.fil_short(miner.available),
        gettext("of {balance} FIL").format(balance=formatting.fil(miner.balance)),
        withdraw,
        unit="FIL",
        tone="bad" if miner.available < 0 else "",
    )
    pledge, unit = formatting.amount_short(int(miner.pledge))
    yield Stat(
        "m-pledge", gettext("Pledge"), pledge, gettext("locked while sectors are live"), here, unit=unit
    )
    yield Stat(
        "m-locked",
        gettext("Vesting"),
        formatting.fil_short(miner.locked),
        gettext("deposits {deposits} FIL").format(deposits=formatting.fil(miner.deposits)),
        here,
        unit="FIL",
    )


def live_text(miner: Miner) -> str:
    """Return how many sectors live on the chain, and how many of them have no row."""
    text = gettext("{live_sectors} live").format(live_sectors=formatting.whole(miner.live_sectors))
    if not miner.unlisted_sectors:
        return text
    return gettext("{words}, {count} not in the database").format(
        words=text, count=formatting.whole(miner.unlisted_sectors)
    )


PROOFS_SHOWN: Final = 12
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

    row: MinerRow
    say: str
    create_href: str
    """Its CreateMiner message, while that has not made it."""
    found: ObjectFindings
    tags: tuple[str, ...]
    period_say: str
    strip_label: str
    pledge_href: str
    remove_href: str
    """Where it is taken out of the pool; empty for one that stays."""
    addresses_href: str
    senders_href: str
    batches_href: str
    adopt_href: str
    """Where sectors without a row are adopted; empty while none was counted."""
    market_href: str
    """URL of its market settings; empty for a miner that does not exist yet."""
    target_href: str
    """Where they are changed; empty for a miner that does not exist yet."""
    roles_href: str
    """Which host does what for it, and its sector numbers; empty for one that does not exist yet."""
    timeline_href: str
    move_href: str
    """Where it moves in from another program, or out to one; empty for one that does not exist yet."""
    is_moving_in: bool
    money_href: str
    """Its days of earnings and costs; empty for one that does not exist yet."""
    withdraw_href: str
    """Where available balance is withdrawn; empty for one that does not exist yet."""
    transfer_href: str
    """Where it is transferred to another tenant; empty for whoever may not."""
    signing_href: str
    """The fragment that says whether its worker's signer signs for it; asking takes a call to the signer."""
    stats: tuple[Stat, ...]
    deadlines: tuple[DeadlineRow, ...]
    proofs: tuple[ProofRow, ...]
    tried: tuple[Event, ...]
    """What went wrong with these proofs, the newest first."""
    addresses: tuple[RoleAddress, ...]


def is_unmade(miner: Miner) -> bool:
    """Return whether a miner is still to come out of its CreateMiner message."""
    return miner.create_message_id is not None and miner.state != MinerState.ACTIVE


def creation_text(miner: Miner) -> str:
    """Return what holds a miner's creation up."""
    if not is_unmade(miner) or miner.state != MinerState.CREATING:
        return ""
    message = messages_by_ids([miner.create_message_id or ""]).get(miner.create_message_id or "")
    why = message_why(message)[0] if message is not None else gettext("it is not pushed yet")
    return gettext("It exists once its CreateMiner message has landed: {why}.").format(why=why)


def period_text(start: int | None, *, height: int | None) -> str:
    """Return when a proving period started; a new miner's first one is yet to come."""
    if start is None:
        return ""
    is_to_come = height is not None and start > height
    return gettext("{word} at epoch {start}").format(
        word=gettext("starts") if is_to_come else gettext("started"), start=formatting.whole(start)
    )


def miner_detail(miner: Miner, data: PageData) -> MinerDetail:
    """Lay out the whole of one miner."""
    own = data.of_miners([miner])
    deadlines, [row] = own.deadlines_of(miner), miner_rows([miner], own)
    posts = posts_shown(miner, data)
    size, unit = formatting.size(miner.sector_size)
    transferred = (
        transferred_text(miner.transfers.select_related("from_tenant").first())
        if data.viewer.is_operator
        else ""
    )
    tenant = gettext("Tenant {tenant}.").format(tenant=miner.tenant.name)
    may_pledge = data.viewer.may("write") and miner.state == MinerState.ACTIVE
    way = direction_of(miner)
    is_proven_here = data.head is not None and miner.works_at(data.head.height)
    if way == Direction.IN and is_proven_here and miners_on([miner]):
        way = Direction.OUT  # it has moved in

    def page(name: str) -> str:
        return reverse(f"miner-{name}", args=[miner.address]) if miner.state == MinerState.ACTIVE else ""

    return MinerDetail(
        row=row,
        say=" ".join(filter(None, [tenant, transferred, creation_text(miner), shown_text(miner.error)])),
        create_href=reverse("message", args=[miner.create_message_id]) if is_unmade(miner) else "",
        found=found_of(report_of_miner(data, miner), data, reasons=True),
        tags=(gettext("{size} {unit} sectors").format(size=size, unit=unit),),
        period_say=period_text(miner.proving_period_start, height=data.head.height if data.head else None),
        strip_label=gettext("{told} with sectors").format(told=len(deadlines)),
        pledge_href=f"{reverse('pledge')}?miner={miner.address}" if may_pledge else "",
        remove_href=reverse("miner-remove", args=[miner.address or miner.uuid])
        if may_remove(data.viewer, miner=miner)
        else "",
        addresses_href=page("addresses"),
        senders_href=page("senders"),
        batches_href=page("batches"),
        adopt_href=page("adopt") if miner.unlisted_sectors else "",
        market_href=page("market"),
        target_href=page("target"),
        roles_href=page("roles"),
        move_href=page(f"move-{way}"),
        is_moving_in=way == Direction.IN,
        money_href=page("money"),
        withdraw_href=page("withdraw"),
        transfer_href=page("transfer") if may_transfer(data.viewer) else "",
        timeline_href=reverse("miner-timeline", args=[miner.address or miner.uuid]),
        signing_href=reverse("miner-signing", args=[miner.address or miner.uuid]),
        stats=tuple(miner_stats(miner)),
        deadlines=tuple(
            deadline_row(row, clock=data.clock, before=before(row, own))
            for row in sorted(deadlines, key=lambda row: row.open_epoch)
        ),
        proofs=tuple(proof_row(post, clock=data.clock, network=data.network, now=data.at) for post in posts),
        tried=tuple(note_rows(notes_of(posts))),
        addresses=tuple(role_addresses(miner, data)),
    )


def posts_shown(miner: Miner, data: PageData) -> list[WindowPost]:
    """Return the proofs of open windows, and those of the last period that were not made at the first try."""
    if data.clock is None or data.network is None:
        return []
    now, period = data.clock.epoch, data.network.proving_period
    return list(posts_tried(miner, open_after=now, since_epoch=now - period)[:PROOFS_SHOWN])


def before(deadline: Deadline, data: PageData) -> Sequence[WindowPost]:
    """Return the proofs of the window that this deadline had one period ago."""
    period = 0 if data.network is None else data.network.proving_period
    windows = data.posts.get(deadline.miner_id, {})
    return windows.get((deadline.index, deadline.open_epoch - period), [])


def role_addresses(miner: Miner, data: PageData) -> Iterable[RoleAddress]:
    """Owner, worker and control addresses with what they hold."""
    roles = [
        (gettext("Owner"), miner.owner),
        (gettext("Worker"), miner.worker),
        *((gettext("Control"), address) for address in miner.control),
    ]
    if miner.beneficiary and miner.beneficiary not in (miner.owner, f"f0{miner.owner_id}"):
        roles.append((gettext("Beneficiary"), miner.beneficiary))
    shown = wallets_visible(data.viewer).filter(address__in={address for _, address in roles})
    balances = dict(shown.values_list("address", "balance"))
    for role, address in roles:
        yield RoleAddress(role, address, formatting.shortened(address), formatting.fil(balances.get(address)))


def detail_fragment(context: FragmentContext) -> Iterable[str]:
    """All that changes on a miner's page."""
    try:
        miner = miner_detail(miner_get(context.viewer, context.key), context.data)
    except MinerUnknown:
        return
    yield fragment("miners/_head.html", miner=miner)
    yield fragment("dashboard/_stats.html", stats=miner.stats)
    yield fragment("miners/_period.html", miner=miner)
    yield fragment("miners/_deadlines.html", deadlines=miner.deadlines)
    yield fragment("miners/_proofs.html", proofs=miner.proofs, tried=miner.tried)


@require_safe
@sign_in_required
def miner(request: HttpRequest, viewer: Principal, address: str) -> HttpResponse:
    """One miner with its proving period, power and money."""
    data = PageData(viewer)
    detail = miner_detail(miner_get(viewer, address), data)
    return page_render(
        request,
        "miners/detail.html",
        title=detail.row.name,
        section="miners",
        page_key=f"miner:{address}",
        data=data,
        miner=detail,
    )


urlpatterns: Final = [
    path("miners/<str:address>/", miner, name="miner"),
]
LIVE: Final = {
    "miner": LivePage(
        {
            "miner": (detail_fragment,),
            "deadline": (detail_fragment,),
            "head": (detail_fragment,),
            MOVED: (miner_transferred,),
        }
    )
}
