"""Senders: the list with their lanes, and one with its settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.urls import reverse

from apps.checks.object_reports import report_of_sender
from apps.checks.results import Topic
from apps.dashboard import numbers
from apps.dashboard.lines.acts import Act
from apps.dashboard.lines.cards import Fact, Verdict, plural
from apps.dashboard.lines.senders import SenderLine, sender_line, worst_first
from apps.dashboard.regions.place import Place, Regions, fragment
from apps.dashboard.regions.todo import ObjectFindings, found_of, verdict_by
from apps.messages.errors import SenderNotFound
from apps.messages.models import Message, Sender
from apps.messages.selectors import sender_get, sender_may_set, senders_visible
from apps.messages.selectors.gas import LEARN_DAYS
from apps.messages.selectors.nonce_lanes import lanes_of, open_by_sender
from apps.messages.selectors.stuck import stuck_by_sender
from apps.messages.services.fees import shared_rules
from apps.messages.states import SenderState

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from apps.dashboard.regions.scene import Scene

SENDERS_MAX: Final = 200
"""Senders on the page; a search finds the others."""


def sender_lines(senders: Sequence[Sender], scene: Scene) -> list[SenderLine]:
    """Lay out senders, those that need somebody first."""
    base_fee = 0 if scene.head is None else int(scene.head.base_fee)
    lanes = lanes_of(
        senders, viewer=scene.viewer, open_counts=open_by_sender(scene.viewer), base_fee=base_fee
    )
    spent = scene.spend
    quota = shared_rules().quota
    stuck = stuck_by_sender(scene.viewer, head=scene.head, network=scene.network)
    return worst_first(
        [
            sender_line(
                row,
                lane=lanes[row.address],
                scene=scene,
                spent=spent.get(row.address),
                quota=quota,
                stuck=stuck.get(row.address, 0),
            )
            for row in senders
        ]
    )


def list_verdict_of(lines: Sequence[SenderLine], scene: Scene) -> Verdict:
    """Say in one sentence whether every address sends."""
    report = scene.report_of(Topic.SENDERS)
    if not lines:
        return verdict_by(report, Verdict("", "No message was pushed yet."))
    rest = "" if report.found else "no nonce gaps and nothing is stuck."
    return verdict_by(report, Verdict(f"{plural(len(lines), 'sender')}{',' if rest else '.'}", rest))


def list_senders(place: Place) -> list[Sender]:
    """The senders that the page shows."""
    return list(senders_visible(place.viewer)[:SENDERS_MAX])


def list_verdict(place: Place) -> Iterable[str]:
    lines = sender_lines(list_senders(place), place.scene)
    yield fragment("dashboard/_verdict.html", verdict=list_verdict_of(lines, place.scene))


def rows(place: Place, keys: list[str]) -> Iterable[str]:
    """Render the changed senders."""
    wanted = [row for row in list_senders(place) if str(row.pk) in set(keys)]
    yield from _rows(wanted, place)


def rows_of_messages(place: Place, keys: list[str]) -> Iterable[str]:
    """Render the senders of the changed messages."""
    found = set(Message.objects.filter(pk__in=keys).values_list("from_addr", flat=True))
    yield from _rows([row for row in list_senders(place) if row.address in found], place)


def all_rows(place: Place, _keys: list[str]) -> Iterable[str]:
    """Render every sender: a head moved the chain's nonces and balances."""
    yield from _rows(list_senders(place), place)


def _rows(senders: Sequence[Sender], place: Place) -> Iterable[str]:
    if not senders:
        return
    for line in sender_lines(senders, place.scene):
        yield fragment("senders/_row.html", sender=line)


LIST_REGIONS: Final[Regions] = {
    "message": (list_verdict,),
    "messages": (list_verdict,),
    "sender": (list_verdict,),
    "head": (list_verdict,),
}


@dataclass(frozen=True, slots=True)
class SenderDetail:
    """The whole of one sender."""

    line: SenderLine
    found: ObjectFindings
    acts: tuple[Act, ...]
    facts: tuple[Fact, ...]


def sender_detail(sender: Sender, scene: Scene) -> SenderDetail:
    """Lay out the whole of one sender."""
    [line] = sender_lines([sender], scene)
    found = found_of(report_of_sender(scene, sender, stuck=line.stuck), scene)
    return SenderDetail(line, found, sender_acts(sender, scene), tuple(sender_facts(sender, line)))


def sender_acts(sender: Sender, scene: Scene) -> tuple[Act, ...]:
    """What a person can do about a sender."""
    if not (scene.viewer.may("sign") and sender_may_set(scene.viewer, sender.address)):
        return ()
    if sender.state == SenderState.FORBIDDEN:
        address = reverse("sender-act", args=[sender.address, "resume"])
        return (Act("resume", "Let it send", address, icon="run", kind="primary"),)
    return (Act("pause", "Pause", reverse("sender-act", args=[sender.address, "pause"]), icon="pause"),)


def sender_facts(sender: Sender, line: SenderLine) -> Iterable[Fact]:
    """What is known of it."""
    yield Fact("Address", sender.address, mono=True)
    yield Fact("Balance", f"{line.balance} FIL")
    yield Fact("Runway", f"{line.runway}, at what the last {LEARN_DAYS} days cost")
    yield Fact(f"Gas of {LEARN_DAYS} days", f"{line.spent} FIL")
    yield Fact("In flight", f"{line.flying} of {line.quota}")
    yield Fact("Waiting", line.waiting)
    yield Fact("Next nonce", line.nonce)
    yield Fact("Chain wants", numbers.whole(sender.chain_nonce))
    if sender.gap_nonce is not None:
        yield Fact("Missing nonce", numbers.whole(sender.gap_nonce))
    if sender.foreign_at is not None:
        yield Fact("Used elsewhere", f"{sender.foreign_cid or 'seen in a node pool'}", mono=True)


def detail_region(place: Place) -> Iterable[str]:
    """The head and the facts of one sender's page."""
    try:
        row = sender_get(place.viewer, place.key)
    except SenderNotFound:
        return
    detail = sender_detail(row, place.scene)
    yield fragment("senders/_head.html", **head_context(detail))
    yield fragment("messages/_facts.html", facts=detail.facts, title="Where it stands", key="sender-facts")


def head_context(detail: SenderDetail) -> dict[str, Any]:
    """What the head of the page needs."""
    return {"sender": detail.line, "found": detail.found, "acts": detail.acts}


REGIONS: Final[Regions] = {
    "message": (detail_region,),
    "messages": (detail_region,),
    "sender": (detail_region,),
    "head": (detail_region,),
}
