"""What most pages need, read once: the clock, the network, deadlines, names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, TypeVar

from apps.blocks.selectors.nodes import f3_leases
from apps.checks.findings.results import Topic
from apps.checks.report.cache import report_last
from apps.checks.report.report import Report
from apps.checks.selectors.alerts import alerts_open
from apps.checks.selectors.data import CheckData
from apps.checks.selectors.exposure import senders_needed
from apps.core.clock import DAY_S
from apps.core.formatting import plural
from apps.miners.selectors.miners import miner_names, miners_visible
from apps.miners.selectors.scope import viewer_in
from apps.proving.selectors.deadlines import deadlines_filled, period_starts
from apps.proving.selectors.faults import sectors_faulty
from apps.proving.selectors.posts import posts_opened
from apps.sectors.selectors.host_groups import tenants_of_kind
from apps.sectors.selectors.host_speed import HostSpeed, host_speeds
from apps.sectors.selectors.hosts import commands_open
from apps.sectors.selectors.sector_changes import changes_open
from apps.users.rules.principals import Principal
from apps.wallets.selectors import wallet_labels, wallets_by_balance, wallets_visible
from poolsite.filecoin.pledge import VESTING_DAYS
from poolsite.filecoin.policy import EPOCHS_PER_DAY_MAINNET
from poolsite.wire.jobs import JobKind

if TYPE_CHECKING:
    from apps.blocks.models import F3Lease
    from apps.checks.models import Alert
    from apps.miners.models import Miner
    from apps.proving.models import Deadline, WindowPost
    from apps.sectors.models import SectorChange
    from apps.wallets.models import Wallet

Part = TypeVar("Part")
LOWEST_SHOWN: Final = 8
"""Wallets on Today."""


@dataclass(frozen=True)
class PageData(CheckData):
    """What one viewer's page reads: what the checks read too, and what only pages show."""

    asker: Principal | None = None
    """Who looks, where `viewer` is only what is in the chosen scope; None: all of the viewer's is shown."""

    @property
    def person(self) -> Principal:
        """Whoever looks: what may be done does not depend on what is shown."""
        return self.viewer if self.asker is None else self.asker

    @cached_property
    def whole(self) -> PageData:
        """The same look at all that the viewer has."""
        if self.asker is None:
            return self
        found = PageData(self.asker)
        vars(found).update(at=self.at, nodes=self.nodes)
        return found

    @property
    def is_of_miner(self) -> bool:
        """Return whether one miner is in the scope."""
        return self.asker is not None and bool(self.viewer.miners)

    @cached_property
    def of_tenant(self) -> Principal:
        """Who sees all of the tenant: signers and wallets belong to one, never to a miner."""
        return replace(self.viewer, miners=()) if self.is_of_miner else self.viewer

    @cached_property
    def has_devnet(self) -> bool:
        """Return whether there is a devnet whose faults the viewer may set."""
        return self.viewer.is_operator and any(node.is_devnet for node in self.nodes)

    @cached_property
    def host_speeds(self) -> dict[int, HostSpeed]:
        """Return how fast the viewer's hosts were lately, by their keys."""
        return host_speeds(self.viewer)

    @cached_property
    def tenants_sealing(self) -> set[int]:
        """Keys of the tenants of which a host that seals has registered."""
        return tenants_of_kind(self.viewer, JobKind.SEAL)

    def of(self, kind: Callable[[PageData], Part]) -> Part:
        """Return what a page's module reads for itself, read once."""
        if kind not in self.parts:
            self.parts[kind] = kind(self)
        found: Part = self.parts[kind]
        return found

    @cached_property
    def parts(self) -> dict[Any, Any]:
        """Return what was read so, by kind."""
        return {}

    @property
    def vesting_text(self) -> str:
        """In what time rewards and deposits vest: 180 days of 30 s epochs, less where epochs are shorter."""
        epoch_s = DAY_S / EPOCHS_PER_DAY_MAINNET if self.network is None else self.network.epoch_s
        return plural(round(VESTING_DAYS * EPOCHS_PER_DAY_MAINNET * epoch_s / DAY_S), "day")

    def of_miners(self, miners: Sequence[Miner]) -> PageData:
        """Return the same look at these miners alone: one page of a long list reads no others' deadlines."""
        narrowed = replace(self)
        vars(narrowed).update(miners=miners, network=self.network, clock=self.clock)
        return narrowed

    @cached_property
    def miners(self) -> list[Miner]:
        """The viewer's miners, those with most power first, without what checks alone read of them."""
        rows = miners_visible(self.viewer).prefetch_related(None)
        return sorted(rows, key=lambda miner: (-miner.qa_power, miner.pk))

    @cached_property
    def f3_leases(self) -> list[F3Lease]:
        """The leases of these miners in fast finality."""
        return f3_leases(self.miners)

    @cached_property
    def deadlines(self) -> dict[tuple[int, int], Deadline]:
        """The deadlines of these miners with sectors, by the miner's pk and the deadline's index."""
        return deadlines_filled(self.miners)

    @cached_property
    def period_starts(self) -> dict[int, int]:
        """First epoch of the running proving period of each of these miners, by its pk."""
        return period_starts(self.miners)

    @cached_property
    def deadlines_by_miner(self) -> dict[int, list[Deadline]]:
        """Each miner's deadlines with sectors in their order, by its pk."""
        found: dict[int, list[Deadline]] = {}
        for (miner_pk, _), row in self.deadlines.items():
            found.setdefault(miner_pk, []).append(row)
        return found

    def deadlines_of(self, miner: Miner) -> Sequence[Deadline]:
        """One miner's deadlines with sectors in their order."""
        return self.deadlines_by_miner.get(miner.pk, [])

    @cached_property
    def posts(self) -> dict[int, dict[tuple[int, int], list[WindowPost]]]:
        """Proofs of the running and the past period, by the miner's pk, then deadline and opening epoch."""
        found: dict[int, dict[tuple[int, int], list[WindowPost]]] = {}
        if self.network is None or not self.period_starts:
            return found
        since = min(self.period_starts.values()) - self.network.proving_period
        for row in posts_opened(set(self.period_starts), since_epoch=since):
            windows = found.setdefault(row.miner_id, {})
            windows.setdefault((row.deadline_index, row.open_epoch), []).append(row)
        return found

    def posts_of(self, miner: Miner) -> dict[tuple[int, int], list[WindowPost]]:
        """One miner's proofs by deadline and opening epoch."""
        return self.posts.get(miner.pk, {})

    @cached_property
    def faults(self) -> dict[tuple[int, int], bool]:
        """Faulty sectors by the miner's pk and the number; True for those declared recovered."""
        return sectors_faulty(self.miners)

    @cached_property
    def changes(self) -> dict[int, SectorChange]:
        """Terminations and extensions that are under way, by the sector's pk."""
        return changes_open(self.viewer)

    @cached_property
    def pending_commands(self) -> dict[int, str]:
        """The last command to each worker that is not done yet, by the worker's pk."""
        return commands_open(self.viewer)

    @cached_property
    def report(self) -> Report:
        """All checks that the viewer may see, as evaluated last: for verdicts and the bell."""
        return report_last(self)

    def report_of(self, *topics: Topic) -> Report:
        """Return the checks of these topics."""
        return self.report.of(*topics)

    @cached_property
    def alerts(self) -> dict[str, Alert]:
        """Open alerts of the viewer by check; read only where something was found."""
        return alerts_open(self.of_tenant) if self.report.found else {}

    @cached_property
    def wallets(self) -> list[Wallet]:
        """All of the viewer's wallets, of which a large pool has thousands."""
        return list(wallets_visible(self.viewer))

    @cached_property
    def addresses_away(self) -> set[str]:
        """Addresses in use for which no signer is connected; read only where the check finds some."""
        if not self.report.fails("signers_away"):
            return set()
        away = {wallet.address for wallet in self.wallets_used if not wallet.is_served(self.at)}
        return senders_needed(self, away).addresses

    @cached_property
    def lowest_wallets(self) -> list[Wallet]:
        """The few wallets with the lowest balances."""
        rows = wallets_by_balance(self.of_tenant)
        if self.is_of_miner:
            named = {text for one in self.miners for text in (one.worker, one.owner, *one.control)}
            rows = rows.filter(address__in=named)
        return list(rows[:LOWEST_SHOWN])

    @cached_property
    def wallet_names(self) -> dict[str, str]:
        """Labels of wallets that have one, by address; in a miner's scope those of its tenant."""
        return wallet_labels(self.of_tenant)

    @cached_property
    def names(self) -> AddressNames:
        """Names of addresses and miners."""
        if "miners" in vars(self):  # read already
            miners = {miner.address: miner.name or miner.address for miner in self.miners if miner.address}
        else:
            miners = miner_names(self.viewer)
        return AddressNames(wallets=self.wallet_names, miners=miners)


def data_in_scope(viewer: Principal, chosen: Mapping[str, str]) -> PageData:
    """Return a look at what of the viewer's is in a scope.  Raises MinerUnknown."""
    return data_of(viewer, viewer_in(viewer, chosen))


def data_of(viewer: Principal, seen: Principal) -> PageData:
    """Return a look of `viewer` at what `seen` sees."""
    return PageData(viewer) if seen == viewer else PageData(seen, asker=viewer)


@dataclass(frozen=True, slots=True)
class AddressNames:
    """Names of addresses and miners, read once for a page."""

    wallets: dict[str, str]
    """Address to the wallet's name; none of a wallet without one."""
    miners: dict[str, str]
    """f0 address to the miner's name."""
