"""`manage.py sectors`: end proving sectors before their time, or extend them, as on their pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError

from apps.chain.client import chain_client
from apps.chain.selectors import head_current, network_current
from apps.core import clock
from apps.core.errors import DomainError
from apps.core.formatting import fil, plural
from apps.miners.selectors import miner_get
from apps.sectors.errors import SectorUnknown
from apps.sectors.selectors import sectors_by_numbers
from apps.sectors.services.change_plans import ChangeRequest, changes_plan
from apps.sectors.services.changes import changes_request
from apps.users.principals import SYSTEM
from poolsite.wire.pipeline.changes import ChangeKind

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from apps.sectors.models import Sector
    from apps.sectors.services.change_plans import ChangePlan


class Command(BaseCommand):
    """Show what it costs; do it once that is confirmed."""

    help = "terminate or extend sectors of a miner: `sectors terminate f01000 5 7-9 --dry-run`."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Define the arguments."""
        parser.add_argument("act", choices=["terminate", "extend"])
        parser.add_argument("miner", help="address of the miner, such as f01000")
        parser.add_argument("numbers", nargs="+", help="sector numbers, such as 5 7-9")
        parser.add_argument("--expiration", type=int, help="epoch; without it as long as the chain takes")
        parser.add_argument("--drop-claims", action="store_true", help="give up claims that end sooner")
        parser.add_argument("--reason", default="", help="kept in the timeline and the audit log")
        parser.add_argument("--dry-run", action="store_true", help="say what it costs, and do nothing")
        parser.add_argument("--yes", action="store_true", help="do not ask")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Print the price, ask, do it."""
        kind = ChangeKind(options["act"].upper())
        if kind is ChangeKind.TERMINATE and (options["expiration"] or options["drop_claims"]):
            raise CommandError("a termination has no new expiration")
        wanted = ChangeRequest(
            kind=kind,
            expiration=options["expiration"],
            drops_claims=options["drop_claims"],
            reason=options["reason"][:500],
        )
        try:
            self._change(sectors_of(options["miner"], options["numbers"]), wanted, options)
        except DomainError as refusal:
            raise CommandError(refusal.reason) from None

    def _change(self, sectors: list[Sector], wanted: ChangeRequest, options: dict[str, Any]) -> None:
        head, network, client = head_current(), network_current(), chain_client()
        if head is None:
            raise CommandError("no head of the chain is known yet")
        plan = changes_plan(sectors, wanted, client=client, head=head, network=network)
        self._print(plan)
        if options["dry_run"]:
            return
        count = len(plan.accepted)
        phrase = f"{options['act']} {count}"
        if count and not options["yes"] and input(f'Type "{phrase}" to confirm: ').strip() != phrase:
            raise CommandError("nothing was done")
        _, made = changes_request(
            sectors,
            wanted,
            by=SYSTEM,
            client=client,
            head=head,
            network=network,
            now=clock.now(),
            count=count or None,
        )
        self.stdout.write(f"{plural(len(made), 'sector')}: the message follows with the next heads")

    def _print(self, plan: ChangePlan) -> None:
        for one in plan.sectors:
            name = f"{one.sector.miner} / {one.sector.number}"
            if one.refusal:
                self.stdout.write(f"{name}: left out: {one.refusal}")
            elif one.after is not None and one.live is not None:
                self.stdout.write(f"{name}: epoch {one.live.expiration} -> {one.after.expiration}")
            else:
                self.stdout.write(f"{name}: fee {fil(one.fee)} FIL, pledge released {fil(one.pledge)} FIL")
        gas = "not known now" if plan.gas_expected is None else f"{fil(plan.gas_expected)} FIL"
        self.stdout.write(f"fee {fil(plan.fee)} FIL, gas {gas}, {plural(plan.messages, 'message')}")
        if plan.trial_error:
            self.stdout.write(f"the chain would refuse it: {plan.trial_error}")


def sectors_of(address: str, words: list[str]) -> list[Sector]:
    """Read sector numbers and ranges of a miner.  Raises CommandError, MinerUnknown, SectorUnknown."""
    miner = miner_get(SYSTEM, address)
    numbers: list[int] = []
    for word in words:
        first, dash, last = word.partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise CommandError(f"{word} is no sector number")
        numbers += range(int(first), int(last if dash else first) + 1)
    found = sectors_by_numbers(SYSTEM, [(miner.pk, number) for number in numbers])
    for number in numbers:
        if (miner.pk, number) not in found:
            raise SectorUnknown(f"{address} / {number}")
    return [found[miner.pk, number] for number in numbers]
