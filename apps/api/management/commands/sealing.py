"""`manage.py sealing`: what hosts are at, and how a miner stands, as lotus-miner's `sealing` and `info`."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from django.core.management import call_command
from django.core.management.base import CommandError

from apps.api.management.caller import COMMAND
from apps.api.v1.host_output import detail_body
from apps.chain.selectors.heads import head_current
from apps.chain.selectors.status import network_known
from apps.core import clock
from apps.core.errors import DomainError
from apps.core.formatting import amount_text, fee_text, size
from apps.core.management.any_order import AnyOrderCommand
from apps.miners.selectors.miners import miner_get, miners_visible, reward_estimate
from apps.sectors.selectors.hosts import workers_visible
from apps.sectors.selectors.sectors import sectors_visible
from apps.wallets.selectors import wallets_visible
from poolsite.wire.pipeline import SECTOR_STATES

if TYPE_CHECKING:
    from apps.miners.models import Miner

MINER: Final = "M"
OF_EACH_MINER: Final[tuple[tuple[str, ...], ...]] = (
    ("miners", "senders", MINER),
    ("miners", "target", MINER),
    ("miners", "batches", MINER),
    ("miners", "waiting", MINER),
    ("deadlines", "list", MINER),
    ("sectors", "list", MINER),
    ("sectors", "precommits", MINER),
    ("sectors", "check-expire", MINER),
    ("pieces", "list", "--miner", MINER),
)
OF_THE_POOL: Final[tuple[tuple[str, ...], ...]] = (
    ("failures", "list"),
    ("stores", "list"),
    ("sealing", "workers"),
    ("sealing", "jobs"),
)
"""Commands whose answers `info --all` writes."""
SYNC_OK = 1.5
SYNC_SLOW = 5
"""Epochs behind the clock up to which the chain counts as synced, and as slow.
Source: lotus cli/info.go SyncBasefeeCheck."""


class Command(AnyOrderCommand):
    """Read only: acts are on `manage.py sectors`, on pages and over REST."""

    help = (
        "jobs: what each host does now; workers: the hosts; "
        "info [MINER] [--all]: miners with power and balances, with --all everything known about them"
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Define the arguments."""
        parser.add_argument("what", choices=["jobs", "workers", "info"])
        parser.add_argument(
            "miner", nargs="?", default="", help="for info: address of the miner; default: all"
        )
        parser.add_argument("--all", action="store_true", help="for info: everything known about them")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Write it, a line for each fact."""
        if options["what"] == "info":
            self._info(options["miner"], with_all=options["all"])
        elif options["what"] == "jobs":
            self._jobs()
        else:
            self._workers()

    def _jobs(self) -> None:
        for worker in workers_visible(COMMAND):
            for job in getattr(worker, "held_jobs", ()):
                number = "" if job.sector is None else f" / {job.sector.number}"
                self.stdout.write(f"{worker.name}: {job.stage} of {job.miner}{number}, job {job.uuid}")

    def _workers(self) -> None:
        for worker in workers_visible(COMMAND):
            for name, value in detail_body(worker).items():
                self.stdout.write(f"{name}: {value}")
            self.stdout.write("")

    def _info(self, address: str, *, with_all: bool) -> None:
        try:
            miners = [miner_get(COMMAND, address)] if address else list(miners_visible(COMMAND))
        except DomainError as refusal:
            raise CommandError(refusal.reason) from None
        for line in chain_lines():
            self.stdout.write(line)
        for miner in miners:
            self.stdout.write("")
            for line in miner_lines(miner):
                self.stdout.write(line)
            for words in OF_EACH_MINER if with_all and miner.address else ():
                self._section(*[miner.address if word == MINER else word for word in words])
        for words in OF_THE_POOL if with_all else ():
            self._section(*words)

    def _section(self, *words: str) -> None:
        """Write what another command shows, under its words; what it refuses is a line."""
        self.stdout.write(f"\n# {' '.join(words)}")
        try:
            call_command(*words, stdout=self.stdout)
        except CommandError as refusal:
            self.stdout.write(str(refusal))


def chain_lines() -> Iterator[str]:
    """Return how far the chain is, and its base fee."""
    head, network = head_current(), network_known()
    if head is None or network is None:
        yield "Chain: no head known yet"
        return
    behind = (clock.now().timestamp() - head.timestamp) / network.epoch_s
    sync = "ok" if behind < SYNC_OK else "slow" if behind < SYNC_SLOW else f"behind by {behind:.0f} epochs"
    yield f"Chain: sync {sync}, epoch {head.height}, base fee {fee_text(int(head.base_fee))}"


def miner_lines(miner: Miner) -> Iterator[str]:
    """Return a miner's power, balances and sectors, in the order of lotus-miner's `info`."""
    size_of = miner.sector_size
    yield f"Miner: {miner.address or miner.uuid} ({_bytes(size_of)} sectors) {miner.name}".rstrip()
    estimate = reward_estimate()
    total = 0 if estimate is None else estimate.power.value
    share = f" / {_bytes(total)} ({100 * int(miner.qa_power) / total:.4f} %)" if total else ""
    yield f"Power: {_bytes(int(miner.qa_power))}{share}"
    yield f"  Raw: {_bytes(int(miner.raw_power))}"
    yield f"  Committed: {_bytes(miner.live_sectors * size_of)}"
    proving = miner.live_sectors - miner.faulty_sectors
    faulty = f" ({_bytes(miner.faulty_sectors * size_of)} faulty)" if miner.faulty_sectors else ""
    yield f"  Proving: {_bytes(proving * size_of)}{faulty}"
    if not miner.has_min_power:
        yield "Below minimum power threshold, no blocks will be won"
    yield f"Miner balance: {amount_text(int(miner.balance))}"
    yield f"  PreCommit: {amount_text(int(miner.deposits))}"
    yield f"  Pledge: {amount_text(int(miner.pledge))}"
    yield f"  Vesting: {amount_text(int(miner.locked))}"
    yield f"  Available: {amount_text(int(miner.available))}"
    if int(miner.fee_debt):
        yield f"  Debt: {amount_text(int(miner.fee_debt))}"
    spendable = max(int(miner.available), 0)
    rows = wallets_visible(COMMAND).filter(address__in=[miner.worker, *miner.control])
    balances = dict(rows.values_list("address", "balance"))
    for label, address in (("Worker", miner.worker), *(("Control", one) for one in miner.control)):
        held = balances.get(address)
        spendable += int(held or 0)
        yield f"{label} balance: {amount_text(None if held is None else int(held))} {address}"
    yield f"Total spendable: {amount_text(spendable)}"
    states: dict[str, int] = {}
    own = sectors_visible(COMMAND).select_related(None).order_by().filter(miner=miner)
    for state in own.values_list("state", flat=True).iterator():
        states[state] = states.get(state, 0) + 1
    yield "Sectors:"
    yield f"  Total: {sum(states.values())}"
    for state in [one for one in SECTOR_STATES if one in states]:
        yield f"  {state}: {states[state]}"


def _bytes(count: int) -> str:
    return " ".join(size(count))
