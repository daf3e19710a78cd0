"""Wallets: addresses with their balances and signers, and the latest signatures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from apps.checks.results import Topic
from apps.dashboard.lines.cards import Verdict, plural
from apps.dashboard.lines.wallets import RecordLine, WalletLine, record_line, wallet_line
from apps.dashboard.regions.counts import messages_by_sender
from apps.dashboard.regions.place import Place, Regions, fragment
from apps.dashboard.regions.todo import verdict_by
from apps.wallets.selectors import sign_records

if TYPE_CHECKING:
    from collections.abc import Iterable

    from apps.dashboard.regions.scene import Scene
    from apps.wallets.models import Wallet

RECORDS: Final = 20
"""Signatures on the page."""


def wallet_lines(wallets: list[Wallet], scene: Scene) -> list[WalletLine]:
    """Lay out wallets, lowest balance first."""
    waiting = messages_by_sender(scene.viewer)
    ordered = sorted(wallets, key=lambda wallet: (wallet.balance or 0, wallet.pk))
    return [wallet_line(wallet, scene=scene, waiting=waiting.get(wallet.address, 0)) for wallet in ordered]


def record_lines(scene: Scene) -> list[RecordLine]:
    """The latest signatures."""
    return [record_line(record, scene=scene) for record in sign_records(scene.viewer)[:RECORDS]]


def list_verdict_of(scene: Scene) -> Verdict:
    """Say in one sentence whether everything can be signed."""
    report = scene.report_of(Topic.WALLETS)
    if not scene.wallets:
        return verdict_by(report, Verdict("", "No signer has connected yet."))
    many = plural(len(scene.wallets), "address", "addresses")
    if report.fails("signers_away"):
        return verdict_by(report, Verdict(f"{many}.", "Messages of those without a signer wait for it."))
    return verdict_by(report, Verdict(f"{many},", "all with a connected signer."))


def list_verdict(place: Place) -> Iterable[str]:
    yield fragment("dashboard/_verdict.html", verdict=list_verdict_of(place.scene))


def records_region(place: Place) -> Iterable[str]:
    yield fragment("wallets/_records.html", records=record_lines(place.scene))


def rows(place: Place, keys: list[str]) -> Iterable[str]:
    """Render the changed wallets by their pk or address."""
    scene = place.scene
    wanted = [wallet for wallet in scene.wallets if {str(wallet.pk), wallet.address} & set(keys)]
    for line in wallet_lines(wanted, scene):
        yield fragment("wallets/_row.html", wallet=line)


def all_rows(place: Place) -> Iterable[str]:
    """Render every wallet: a signer came or went."""
    scene = place.scene
    for line in wallet_lines(scene.wallets, scene):
        yield fragment("wallets/_row.html", wallet=line)


REGIONS: Final[Regions] = {
    "wallet": (list_verdict,),
    "head": (list_verdict,),
    "signer": (all_rows, list_verdict),
    "message": (records_region,),
    "messages": (all_rows, records_region),
}
