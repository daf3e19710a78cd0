"""`manage.py sectors`: what their pages do: list, pledge, retry, abort, terminate, extend, adopt."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Callable, Iterable
from itertools import chain
from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandError

from apps.api.management.caller import COMMAND
from apps.api.management.expiring import (
    expiring_arguments,
    expiring_groups,
    fee_check,
    first_accepted,
    is_by_epochs,
    too_short,
)
from apps.api.management.words import confirm, plan_lines
from apps.api.v1.sector_epochs import expiring_body, head_and_network, precommit_body
from apps.api.v1.sector_output import detail_body
from apps.chain.node.client import chain_client
from apps.chain.selectors.heads import head_current
from apps.chain.selectors.network import network_current
from apps.core import clock
from apps.core.errors import DomainError
from apps.core.formatting import fil, plural, size
from apps.core.management.any_order import AnyOrderCommand
from apps.miners.onchain.actors import numbers_allocated
from apps.miners.selectors.miners import miner_get
from apps.sectors.errors.sectors import SectorUnknown
from apps.sectors.rules.sector_names import sector_name_parse
from apps.sectors.selectors.adoptions import adoption_get
from apps.sectors.selectors.change_prices import ChangeRequest
from apps.sectors.selectors.expirations import CUTOFF, precommits_open, sectors_expiring
from apps.sectors.selectors.sealing_context import sealing_context_read
from apps.sectors.selectors.sector_filters import SectorFilters
from apps.sectors.selectors.sectors import sector_get, sectors_by_numbers, sectors_listed
from apps.sectors.services.adoptions.plans import adoption_begin, adoption_plan
from apps.sectors.services.adoptions.rows import adoption_follow
from apps.sectors.services.changes.plans import ChangePlan, changes_plan
from apps.sectors.services.changes.steps import changes_request
from apps.sectors.services.reservations import numbers_format, numbers_parse
from apps.sectors.services.sealing.pledge import pledge_create
from apps.sectors.services.sealing.pledge_verdicts import pledge_verdicts_read
from apps.sectors.services.sealing.prices import payment_plan_make, pledge_price
from apps.sectors.services.sealing.restore import restoration_plan, sector_restore
from apps.sectors.services.sealing.steps import sector_abort, sector_retry, sector_state_set, sector_stop
from apps.sectors.services.stores.file_removals import removals_plan, removals_request
from apps.sectors.states import AdoptionState
from poolsite.wire.pipeline.changes import ChangeKind

if TYPE_CHECKING:
    from apps.sectors.models import Sector


REMOVE = "remove-files"
PAGE = 1_000
NUMBERS_MAX = 10_000
ADOPT = "adopt"
RESTORE = "restore"
LISTS = ("list", "check-expire", "precommits")
"""Acts on all sectors of a miner that only show them."""
CHANGES = tuple(kind.lower() for kind in ChangeKind)
SINGLE: dict[str, Callable[[Sector, dict[str, Any]], object]] = {
    "retry": lambda row, given: sector_retry(
        row, actor=COMMAND.actor, now=clock.now(), state=given["state"], by=COMMAND
    ),
    "pause": lambda row, given: sector_stop(
        row, actor=COMMAND.actor, now=clock.now(), ends_stage=given["end_stage"], by=COMMAND
    ),
    "abort": lambda row, given: sector_abort(
        row, actor=COMMAND.actor, reason=given["reason"], now=clock.now(), by=COMMAND
    ),
    "set-state": lambda row, given: sector_state_set(
        row, state=given["state"] or "", reason=given["reason"], by=COMMAND, now=clock.now()
    ),
}
"""Acts on each named sector by itself."""
SURE = ("abort", "set-state")
"""Those of them that must be confirmed."""


class Command(AnyOrderCommand):
    """Show what it costs; do it once that is confirmed."""

    help = (
        "list, check-expire, precommits, status, pledge; retry, pause, abort, set-state; terminate, extend; "
        "remove-files, adopt, restore: `sectors terminate f01000 5 7-9 --dry-run`."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Define the arguments."""
        parser.add_argument(
            "act", choices=[*LISTS, "status", "pledge", *SINGLE, *CHANGES, REMOVE, ADOPT, RESTORE]
        )
        parser.add_argument("miner", help="address of the miner, such as f01000")
        parser.add_argument("numbers", nargs="*", help="sector numbers, such as 5 7-9; or f01000-5")
        parser.add_argument(
            "--state", help="for list: only these states, comma-separated; for retry, set-state: the state"
        )
        parser.add_argument("--count", type=int, default=1, help="for pledge: how many")
        parser.add_argument(
            "--cutoff", type=int, default=CUTOFF, help="for check-expire: epochs from the head"
        )
        parser.add_argument("--expiration", type=int, help="epoch; default: as late as the chain allows")
        parser.add_argument("--drop-claims", action="store_true", help="drop claims that end sooner")
        expiring_arguments(parser)
        parser.add_argument("--reason", default="", help="recorded in the timeline and the audit log")
        parser.add_argument(
            "--force", action="store_true", help="for restore: without the clients' data that it had"
        )
        parser.add_argument(
            "--end-stage", action="store_true", help="for pause: its host ends what it computes, too"
        )
        parser.add_argument("--dry-run", action="store_true", help="only show what it would do and cost")
        parser.add_argument("--yes", action="store_true", help="skip the confirmation")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Print what it is about, ask where it is for good, do it."""
        act = options["act"]
        by_epochs = act == ChangeKind.EXTEND.lower() and is_by_epochs(options)
        if not by_epochs and act not in (*LISTS, "pledge", ADOPT) and not options["numbers"]:
            raise CommandError("name the sectors, such as 5 7-9")
        if act == REMOVE:
            self._remove(options)
            return
        if act not in CHANGES:
            try:
                self._plain(act, options)
            except DomainError as refusal:
                raise CommandError(refusal.reason) from None
            return
        kind = ChangeKind(options["act"].upper())
        if kind is ChangeKind.TERMINATE and (options["expiration"] or options["drop_claims"]):
            raise CommandError("a termination takes neither --expiration nor --drop-claims")
        request = ChangeRequest(
            kind=kind,
            expiration=options["expiration"],
            drops_claims=options["drop_claims"],
            reason=options["reason"][:500],
        )
        try:
            named = sectors_of(options["miner"], options["numbers"])
            groups = expiring_groups(options) if by_epochs else ()
            self._change(chain([named] if named else (), groups), request, options)
        except DomainError as refusal:
            raise CommandError(refusal.reason) from None

    def _plain(self, act: str, options: dict[str, Any]) -> None:
        """Do what has no price of its own."""
        of_miner = {
            "list": self._list,
            "check-expire": self._expiring,
            "precommits": self._precommits,
            "pledge": self._pledge,
            ADOPT: self._adopt,
        }
        if act in of_miner:
            of_miner[act](options)
            return
        sectors = sectors_of(options["miner"], options["numbers"])
        if act == RESTORE:
            self._restore(sectors, options)
            return
        if act == "status":
            for row in sectors:
                for name, value in detail_body(sector_get(COMMAND, str(row.uuid))).items():
                    for line in value if name == "events" else [value]:
                        self.stdout.write(f"{name}: {line}")
            return
        confirm(f"{act} {len(sectors)}", is_needed=act in SURE and not options["yes"])
        for row in sectors:
            SINGLE[act](row, options)
            self.stdout.write(f"{row.miner} / {row.number}: {act}")

    def _list(self, options: dict[str, Any]) -> None:
        states = (options["state"] or "").split(",")
        before: int | None = None
        while True:
            narrowed = {"miner": options["miner"], "state": states}
            listed = sectors_listed(COMMAND, before=before)
            rows = list(SectorFilters(narrowed, listed, viewer=COMMAND).rows()[:PAGE])
            for row in rows:
                paused = ""
                if row.paused_at is not None:
                    paused = f" {row.error}" if row.paused_by else f" failed: {row.error}"
                active = " active" if row.active else ""
                ends = "" if row.expiration is None else f" ends {row.expiration}"
                self.stdout.write(f"{row.number} {row.state}{active}{ends}{paused}")
            if len(rows) < PAGE:
                return
            before = rows[-1].pk

    def _expiring(self, options: dict[str, Any]) -> None:
        miner, (head, network) = miner_get(COMMAND, options["miner"]), head_and_network()
        before = head.height + options["cutoff"] + 1
        after: tuple[int, int] | None = None
        while rows := sectors_expiring(
            COMMAND, miner, start=head.height, before=before, after=after, limit=PAGE
        ):
            for row in rows:
                one = expiring_body(row, height=head.height, network=network)
                left = one["expiration"] - head.height
                ends = f"ends {one['expiration']} (in {left}), can be extended to {one['max_extension']}"
                self.stdout.write(f"{row.number} {ends}, pledge {fil(row.initial_pledge)} FIL")
            after = rows[-1].expiration or 0, rows[-1].pk

    def _precommits(self, options: dict[str, Any]) -> None:
        miner, (_, network) = miner_get(COMMAND, options["miner"]), head_and_network()
        after = -1
        while rows := precommits_open(COMMAND, miner, after=after, limit=PAGE):
            for row in rows:
                one = precommit_body(row, network=network)
                epochs = f"pre-committed {one['precommit_epoch']}, seed {one['seed_epoch']}"
                self.stdout.write(f"{row.number} {row.state} {epochs}, deposit lost at {one['lost_at']}")
            after = rows[-1].number

    def _pledge(self, options: dict[str, Any]) -> None:
        miner, count = miner_get(COMMAND, options["miner"]), options["count"]
        work = sealing_context_read()
        price = pledge_price(miner, client=work.client, head=work.head, network=work.network)
        paying = payment_plan_make(miner, price=price)
        funds = paying.funds(count)
        own = f"{fil(funds.from_balance)} of the miner's balance"
        self.stdout.write(f"locked: {fil(funds.needed)} FIL, {own}, {fil(funds.sent)} sent with the messages")
        for payer in paying.payers(count):
            self.stdout.write(f"{payer.address}: pays {fil(payer.needs)} FIL, has {fil(payer.balance)} FIL")
        verdicts = pledge_verdicts_read(miner, price=price, count=count, head=work.head)
        if verdicts.approval:
            self.stdout.write(f"waits for a second person: {verdicts.approval}")
        if verdicts.signer:
            self.stdout.write(verdicts.signer)
        if options["dry_run"]:
            return
        allocated = numbers_allocated(work.client, miner.address)
        made = pledge_create(
            miner, count=count, actor=COMMAND.actor, now=clock.now(), allocated=allocated, by=COMMAND
        )
        numbers = made.sectors.order_by("number").values_list("number", flat=True)
        self.stdout.write(f"pledged {', '.join(map(str, numbers))}")

    def _adopt(self, options: dict[str, Any]) -> None:
        """Write the rows of sectors that the chain has; their files follow with the heads."""
        miner, arguments = miner_get(COMMAND, options["miner"]), options["numbers"]
        work, numbers = sealing_context_read(), numbers_parse(",".join(arguments)) if arguments else None
        plan = adoption_plan(miner, numbers=numbers, work=work)
        self.stdout.write(
            f"to adopt: {plural(len(plan.numbers), 'sector')} {numbers_format(plan.numbers)}".rstrip()
        )
        if plan.absent:
            self.stdout.write(f"left out, not live on the chain: {numbers_format(plan.absent)}")
        if options["dry_run"]:
            return
        row = adoption_begin(miner, numbers=numbers, work=work, by=COMMAND)
        while row.state == AdoptionState.ROWS:
            adoption_follow(row, work=sealing_context_read())
            row = adoption_get(miner, str(row.uuid))
            self.stdout.write(f"{row.written} of {row.total} in the database")

    def _restore(self, sectors: list[Sector], options: dict[str, Any]) -> None:
        """Print where each would go, ask, bring those back that can be."""
        work, force, chosen = sealing_context_read(), options["force"], []
        for row in sectors:
            plan = restoration_plan(row, force=force, work=work)
            files = "" if plan.refusal or plan.has_files else " without files"
            text = f"left out: {plan.refusal}" if plan.refusal else f"{plan.state.lower()}{files}"
            self.stdout.write(f"{row.miner} / {row.number}: {text}")
            chosen += [] if plan.refusal else [row]
        if options["dry_run"] or not chosen:
            return
        confirm(f"restore {len(chosen)}", is_needed=not options["yes"])
        for row in chosen:
            sector_restore(row, force=force, reason=options["reason"][:500], by=COMMAND, work=work)
        self.stdout.write(f"restored: {plural(len(chosen), 'sector')}")

    def _change(
        self, groups: Iterable[list[Sector]], request: ChangeRequest, options: dict[str, Any]
    ) -> None:
        """Print what the change does to each group of sectors, ask once, request it for each."""
        head, network, client = head_current(), network_current(), chain_client()
        if head is None:
            raise CommandError("no chain head is known yet")

        def plan_of(sectors: list[Sector]) -> ChangePlan:
            return changes_plan(sectors, request=request, client=client, head=head, network=network)

        plans: list[ChangePlan] = []
        for sectors in groups:
            plan = plan_of(sectors)
            if is_by_epochs(options):
                plan = self._narrow(plan, plan_of, options, chosen=sum(len(one.accepted) for one in plans))
            plans.append(plan)
            if sum(len(one.accepted) for one in plans) >= options["max_sectors"]:
                self.stdout.write(f"--max-sectors: the first {options['max_sectors']} that can be extended")
                break
        plans = [one for one in plans if one.accepted] or plans[:1] or [plan_of([])]
        for line in chain.from_iterable(map(plan_lines, plans)):
            self.stdout.write(line)
        if options["max_fee"] is not None:
            fee_check(plans, limit=options["max_fee"])
        if options["dry_run"]:
            return
        count = sum(len(plan.accepted) for plan in plans)
        confirm(f"{options['act']} {count}", is_needed=bool(count) and not options["yes"])
        requested = 0
        for plan in plans:
            _, made = changes_request(
                [one.sector for one in plan.sectors],
                request=request,
                by=COMMAND,
                client=client,
                head=head,
                network=network,
                now=clock.now(),
                count=len(plan.accepted) or None,
            )
            requested += len(made)
        self.stdout.write(f"{plural(requested, 'sector')}: messages follow with the next heads")

    def _narrow(
        self,
        plan: ChangePlan,
        plan_of: Callable[[list[Sector]], ChangePlan],
        options: dict[str, Any],
        *,
        chosen: int,
    ) -> ChangePlan:
        """Return the plan without sectors that gain too little or are beyond --max-sectors."""
        short = too_short(plan, tolerance=options["tolerance"])
        if short:
            self.stdout.write(
                f"left out: {plural(len(short), 'sector')} with fewer epochs gained than --tolerance"
            )
        wanted = first_accepted(plan, limit=options["max_sectors"] - chosen, without=short)
        return plan if len(wanted) == len(plan.sectors) else plan_of(wanted)

    def _remove(self, options: dict[str, Any]) -> None:
        """Print what gets free, ask, have it removed."""
        try:
            sectors, work = sectors_of(options["miner"], options["numbers"]), sealing_context_read()
            plan = removals_plan(sectors, work=work)
            for one in plan:
                name = f"{one.sector.miner} / {one.sector.number}"
                free = " ".join(size(one.size))
                text = f"left out: {one.refusal}" if one.refusal else f"{free} on {', '.join(one.hosts)}"
                self.stdout.write(f"{name}: {text}")
            if options["dry_run"]:
                return
            count = sum(not one.refusal for one in plan)
            confirm(f"remove {count}", is_needed=bool(count) and not options["yes"])
            removals_request(
                sectors, by=COMMAND, work=work, reason=options["reason"][:500], count=count or None
            )
        except DomainError as refusal:
            raise CommandError(refusal.reason) from None
        self.stdout.write(f"{plural(count, 'sector')}: the hosts remove the files")


def sectors_of(address: str, arguments: list[str]) -> list[Sector]:
    """Read sector numbers and ranges of a miner.  Raises CommandError, MinerUnknown, SectorUnknown."""
    miner = miner_get(COMMAND, address)
    numbers: list[int] = []
    for word in arguments:
        place = sector_name_parse(word)
        if place is not None and place[0] != miner.actor_id:
            raise CommandError(f"{word} is a sector of another miner")
        span = numbers_parse(f"{place[1]}" if place else word)
        if len(numbers) + len(span) > NUMBERS_MAX:
            raise CommandError(f"at most {NUMBERS_MAX} sectors at a time")
        numbers += span
    found = sectors_by_numbers(COMMAND, [(miner.pk, number) for number in numbers])
    for number in numbers:
        if (miner.pk, number) not in found:
            raise SectorUnknown(f"{address} / {number}")
    return [found[miner.pk, number] for number in numbers]
