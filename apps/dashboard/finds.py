"""Finding anything by what stands on a note: an address, a CID, an id, `f01004 / 3`, a name, an epoch.

Every source is asked through the selector that its own page uses, so nobody finds what is not theirs, and by
an index or in a table that does not grow with the pool's age.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Final

from django.db.models import Q
from django.urls import reverse

from apps.chain.models import Head
from apps.dashboard import numbers
from apps.dashboard.frame import NAV
from apps.dashboard.lines.messages import message_line
from apps.dashboard.lines.sectors import sector_word
from apps.messages.models import SignedVersion
from apps.messages.selectors import messages_visible, senders_visible
from apps.messages.selectors.stuck import stuck_marked
from apps.miners.selectors import miners_visible
from apps.sectors.selectors import is_uuid, sectors_visible, workers_visible
from apps.wallets.selectors import wallets_visible
from poolsite.filecoin.address import ID, BadAddress, address_parse
from poolsite.filecoin.cids import BadCid, cid_parse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from apps.dashboard.regions.scene import Scene
    from apps.miners.models import Miner
    from poolsite.filecoin.address import Address

MOST: Final = 8
"""Things of one kind that are shown."""
WORDS_MAX: Final = 256
"""Longest question: a message's id has so many characters."""
DIGITS_MAX: Final = 18
SECTOR: Final = re.compile(r"(?:[ft]0(?P<miner>[0-9]{1,18})[\s/]+)?(?P<number>[0-9]{1,18})")
"""`f01004 / 3`, as the pages write it, or the number alone."""


@dataclass(frozen=True, slots=True)
class Find:
    """Something that fits."""

    kind: str
    icon: str
    name: str
    sub: str
    href: str


def finds(scene: Scene, words: str) -> list[Find]:
    """Give what fits `words`, what they name exactly before what only has them in its name."""
    words = words.strip()
    if not words or len(words) > WORDS_MAX:
        return []
    sources = (addresses, sectors, messages, epochs, miners, wallets, hosts, pages)
    found: dict[str, Find] = {}
    for source in sources:
        for find in source(scene, words):
            found.setdefault(find.href, find)
    return list(found.values())


def address_read(words: str) -> Address | None:
    """Read an address of any form; None for anything else."""
    try:
        return address_parse(words)
    except BadAddress:
        return None


def addresses(scene: Scene, words: str) -> Iterator[Find]:
    """The miner, wallet or sender of an address."""
    address = address_read(words)
    if address is None:
        return
    is_id = address.protocol == ID
    fits = Q(actor_id=address.actor_id) if is_id else Q(robust=str(address))
    for miner in miners_visible(scene.viewer).filter(fits)[:MOST]:
        yield _miner_find(miner)
    known = Q(actor_id=address.actor_id) if is_id else Q(address=str(address))
    yield from _wallet_finds(scene, known)
    if not is_id and senders_visible(scene.viewer).filter(address=str(address)).exists():
        yield _sender_find(scene, str(address))


def _miner_find(miner: Miner) -> Find:
    name = f"{miner.name} {miner.address}".strip()
    href = reverse("miner", args=[miner.address or miner.uuid])
    return Find("Miner", "miners", name, f"tenant {miner.tenant.name}", href)


def _sender_find(scene: Scene, address: str) -> Find:
    name = scene.names.wallets.get(address) or numbers.shortened(address)
    return Find(
        "Sender", "pipeline", name, "its nonces, messages and fees", reverse("sender", args=[address])
    )


def _wallet_finds(scene: Scene, known: Q) -> Iterator[Find]:
    """Wallets, each with the sender that it may be."""
    for wallet in wallets_visible(scene.viewer).filter(known)[:MOST]:
        balance = f"{numbers.shortened(wallet.address)}, {numbers.fil(wallet.balance)} FIL"
        name, here = wallet.label or numbers.shortened(wallet.address), f"#f-wallet-{wallet.pk}"
        if senders_visible(scene.viewer).filter(address=wallet.address).exists():
            yield _sender_find(scene, wallet.address)
        yield Find("Wallet", "wallets", name, balance, reverse("wallets") + here)


def sectors(scene: Scene, words: str) -> Iterator[Find]:
    """Sectors of a number, or of an id."""
    rows = sectors_visible(scene.viewer)
    asked = SECTOR.fullmatch(words)
    if is_uuid(words):
        rows = rows.filter(uuid=words)
    elif asked is not None:
        # By the miners that are seen: a number alone has no index.
        seen = [miner.pk for miner in scene.miners if asked["miner"] in (None, str(miner.actor_id))]
        rows = rows.filter(miner__in=seen, number=int(asked["number"]))
    else:
        return
    for row in rows[:MOST]:
        name = f"{row.miner.address or row.miner} / {row.number}"
        yield Find(
            "Sector", "sectors", name, sector_word(row, scene).word, reverse("sector", args=[row.uuid])
        )


def messages(scene: Scene, words: str) -> Iterator[Find]:
    """The message of an id or of a CID: of any version of it, signed or not."""
    cid = cid_read(words)
    fits = Q(push_id=words) | Q(pk=words)
    if cid:
        versions = SignedVersion.objects.filter(cid=cid).values_list("message_id", flat=True)
        fits = Q(cid=cid) | Q(unsigned_cid=cid) | Q(pk__in=list(versions))
    rows = stuck_marked(messages_visible(scene.viewer), head=scene.head, network=scene.network)
    for row in rows.filter(fits)[:MOST]:
        line = message_line(row, scene.names)
        yield Find("Message", "messages", line.method, f"{line.about}, {line.word}", line.href)


def cid_read(words: str) -> str:
    """Read a CID; empty for anything else."""
    try:
        return str(cid_parse(words))
    except BadCid:
        return ""


def epochs(_scene: Scene, words: str) -> Iterator[Find]:
    """The tipset of an epoch that is kept."""
    digits = words.replace(numbers.NARROW, "").replace(" ", "")
    if not digits.isascii() or not digits.isdigit() or len(digits) > DIGITS_MAX:
        return
    for head in Head.objects.filter(height=int(digits), is_canonical=True)[:1]:
        sub = f"{len(head.cids)} blocks, base fee {numbers.fee_text(int(head.base_fee))}"
        name = f"Epoch {numbers.whole(head.height)}"
        yield Find("Tipset", "chain", name, sub, reverse("chain-tipset", args=[head.height]))


def miners(scene: Scene, words: str) -> Iterator[Find]:
    """Miners by their names."""
    for miner in miners_visible(scene.viewer).filter(name__icontains=words)[:MOST]:
        yield _miner_find(miner)


def wallets(scene: Scene, words: str) -> Iterator[Find]:
    """Wallets by their labels."""
    return _wallet_finds(scene, Q(label__icontains=words))


def hosts(scene: Scene, words: str) -> Iterator[Find]:
    """Hosts by their names."""
    for worker in workers_visible(scene.viewer).filter(name__icontains=words)[:MOST]:
        yield Find(
            "Host",
            "hosts",
            worker.name,
            f"tenant {worker.tenant.name}",
            f"{reverse('hosts')}#f-host-{worker.pk}",
        )


def pages(_scene: Scene, words: str) -> Iterator[Find]:
    """Pages by their names."""
    for item in chain.from_iterable(NAV):
        if item.label.lower().startswith(words.lower()):
            yield Find("Page", item.icon, item.label, "", item.href)
