"""A tenant's first steps, up to its first sector: what is there is read from rows; nothing else is kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Final

from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.core import formatting
from apps.core.formatting import plural
from apps.core.languages import list_text
from apps.dashboard.list_page import Link
from apps.dashboard.page_data import PageData
from apps.gateway.selectors.connections import signers_connected
from apps.miners.selectors.miners import miners_visible
from apps.miners.states import MinerState
from apps.sectors.selectors.host_groups import first_names, hosts_doing, hosts_known
from apps.sectors.selectors.pledge_outlook import stores_to_prove
from apps.sectors.selectors.sectors import sectors_visible
from apps.users.rules.principals import Principal
from apps.users.selectors.people import is_company_person, people_visible
from apps.users.selectors.tenants import tenants_visible
from apps.users.services.people import can_manage_people
from apps.wallets.selectors import wallets_named
from poolsite.wire.jobs import STAGED
from poolsite.wire.pipeline import SectorState

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

    from apps.gateway.models import SignerConnection
    from apps.miners.models import Miner
    from apps.users.models import Tenant
    from apps.wallets.models import Wallet

READ_MAX: Final = 50
"""Rows of each kind that are looked at: a tenant before its first sector has a few."""
NAMES_MAX: Final = 3
OWNER: Final = "owner"
"""The label that a signer gives the key that owns miners."""
LIVE_KINDS: Final = ("signer", "wallet", "miner", "worker", "store", "sector", "person")
"""Kinds of changes that may complete a step."""


def steps_href(viewer: Principal, tenant_name: str, *, otherwise: str) -> str:
    """Return the page with a tenant's first steps for an operator who came from there; else the other one."""
    if viewer.is_operator and tenant_name:
        tenant = tenants_visible(viewer).filter(name=tenant_name).first()
        if tenant is not None:
            return reverse("tenant", args=[tenant.uuid])
    return reverse(otherwise)


def steps_query(tenant_name: str) -> str:
    """Return the query by which the page after an act knows the tenant from whose page it was begun."""
    return f"?{urlencode({'tenant': tenant_name})}" if tenant_name else ""


@dataclass(frozen=True, slots=True)
class Step:
    """One step."""

    key: str
    title: StrOrPromise
    text: str
    """The facts that are there; else the next act."""
    is_done: bool
    links: Sequence[Link] = ()
    """The page of that act; empty for whoever may not do it."""


@dataclass(frozen=True, slots=True)
class FirstSteps:
    """How far a tenant is on its way to its first sector."""

    name: str
    steps: tuple[Step, ...]
    policy_miner: str
    """The miner whose signer's policy is read anew with the page; empty: there is none."""

    @property
    def done_count(self) -> int:
        """Return how many are done."""
        return sum(step.is_done for step in self.steps)

    @property
    def is_policy_done(self) -> bool:
        """Return whether the policy, when it was last read, allowed sealing for the miner."""
        return any(step.key == "policy" and step.is_done for step in self.steps)

    @property
    def next_key(self) -> str:
        """Return the first step that is not done."""
        return next((step.key for step in self.steps if not step.is_done), "")


def own_first_steps(data: PageData) -> FirstSteps | None:
    """Return the first steps of the viewer's own tenant; None for operators, and once it has a sector."""
    if data.viewer.is_operator or data.viewer.is_partial:
        return None
    tenant = tenants_visible(data.viewer).first()
    return None if tenant is None else first_steps(data, tenant)


def first_steps(data: PageData, tenant: Tenant) -> FirstSteps | None:
    """Return how far a tenant is on its way to its first sector; None once one of its sectors is active."""
    own = tenant_only(data.viewer, tenant)
    if sectors_visible(own).filter(state=SectorState.PROVING).order_by().exists():
        return None
    return _StepsReader(data.viewer, own, data.at).read()


def tenant_only(viewer: Principal, tenant: Tenant) -> Principal:
    """Return the principal that sees what this tenant has; the viewer sees the tenant."""
    return replace(viewer, tenant_id=tenant.pk, tenant_name=tenant.name, is_operator=False)


class _StepsReader:
    """One look at what a tenant has."""

    def __init__(self, viewer: Principal, own: Principal, at: datetime) -> None:
        self.viewer, self.own, self.at = viewer, own, at
        self.wallets: list[Wallet] = list(wallets_named(own)[:READ_MAX])
        self.signers: list[SignerConnection] = list(signers_connected(own)[:READ_MAX])
        self.miners: list[Miner] = list(miners_visible(own)[:READ_MAX])
        self.made = [row for row in self.miners if row.state == MinerState.ACTIVE]

    def read(self) -> FirstSteps:
        """Read all steps."""
        allowed, unnamed = self._policies()
        steps = (
            self._people(),
            self._signer(),
            self._funds(),
            self._miner(),
            self._policy(allowed, unnamed),
            self._host(),
            self._prover(),
            self._sector(),
        )
        created = Step(
            "tenant", _("Tenant"), gettext("{name} is created").format(name=self._name), is_done=True
        )
        miner = allowed or unnamed
        return FirstSteps(self._name, (created, *steps), "" if miner is None else miner.address)

    @property
    def _name(self) -> str:
        return self.own.tenant_name

    def _link(self, label: StrOrPromise, page: str, **filled: str) -> Iterator[Link]:
        """Yield the link to a form in which the tenant is filled in already."""
        if can_manage_people(self.viewer):
            yield Link(label, f"{reverse(page)}?{urlencode({'tenant': self._name, **filled})}")

    def _people(self) -> Step:
        rows = people_visible(self.own).filter(is_active=True)[:READ_MAX]
        joined, invited = list[str](), list[str]()
        for row in rows:
            may_come = row.has_usable_password() or is_company_person(row)
            (joined if may_come else invited).append(row.get_username())
        text = gettext("invite who runs the tenant; they choose their own password")
        if joined:
            text = gettext("{people} can sign in").format(people=_few(joined))
        elif invited:
            text = gettext("{people} invited: the link was not used yet").format(people=_few(invited))
        return Step("people", _("People"), text, bool(joined), [*self._link(_("Invite…"), "person-invite")])

    def _signer(self) -> Step:
        count = len(self.wallets)
        text = gettext("make a token for the signer; the page after shows the command to run on its machine")
        if count and self.signers:
            text = gettext("{keys} seen; the signer is connected").format(keys=plural(count, "key"))
        elif count:
            text = gettext("{keys} seen; no signer is connected now").format(keys=plural(count, "key"))
        elif self.signers:
            text = gettext("the signer is connected; it has shown no key yet")
        links = [*self._link(_("Token for a signer…"), "token-new", part="signer")]
        return Step("signer", _("Signer"), text, bool(count), links)

    def _funds(self) -> Step:
        known = [row.balance for row in self.wallets if row.balance is not None]
        funded = [balance for balance in known if balance > 0]
        text = gettext("its keys come first: their addresses receive the FIL")
        if funded:
            text = gettext("{amount} in {wallets}").format(
                amount=formatting.amount_text(sum(funded)), wallets=plural(len(funded), "wallet")
            )
        elif self.wallets and not known:
            text = gettext("balances are not read yet")
        elif self.wallets:
            named = f"{self._payer.shown_label} {self._payer.address}".strip()
            text = gettext("send FIL to {wallet}").format(wallet=named)
        links: list[Link] = []
        if self.wallets and self.viewer.is_operator and self.viewer.may("sign"):
            there = urlencode({"to": self._payer.address, "tenant": self._name})
            links = [Link(_("Send…"), f"{reverse('message-compose')}?{there}")]
        return Step("funds", _("Funds"), text, bool(funded), links)

    @property
    def _payer(self) -> Wallet:
        """Return the wallet that pays for a new miner: the one that is called so, else the first."""
        return next((row for row in self.wallets if row.shown_label == OWNER), self.wallets[0])

    def _miner(self) -> Step:
        text = gettext("create one with the tenant's keys, or import one")
        if self.made:
            text = _few([f"{row.name} {row.address}".strip() for row in self.made])
        elif any(row.state == MinerState.CREATING for row in self.miners):
            text = gettext("its message is on the way to the chain")
        links = []
        if self.viewer.may("sign"):
            links = [Link(_("Add a miner…"), f"{reverse('miner-new')}?{urlencode({'tenant': self._name})}")]
        return Step("miner", _("Miner"), text, bool(self.made), links)

    def _policies(self) -> tuple[Miner | None, Miner | None]:
        """Return a miner for which its signer may seal, and one of which that is not known."""
        allowed = unnamed = None
        for miner in self.made:
            known = [
                row.policy_receivers
                for row in self.signers
                if any(key.address == miner.worker for key in row.signer_keys.all())
                and row.policy_receivers is not None
            ]
            if any(not named or miner.address in named for named in known):
                allowed = allowed or miner
            else:
                unnamed = unnamed or miner
        return allowed, unnamed

    def _policy(self, allowed: Miner | None, unnamed: Miner | None) -> Step:
        text = gettext("once there is a miner, the signer's owner lets the signer seal and prove for it")
        links: list[Link] = []
        if allowed is not None:
            text = gettext("the signer seals and proves for {miner}").format(miner=allowed.address)
        elif unnamed is not None:
            text = gettext(
                "not known to allow {miner}: the worker's policy shows what the signer's owner approves"
            ).format(miner=unnamed.address)
            if any(wallet.address == unnamed.worker for wallet in self.wallets):
                links = [Link(_("Review the policy…"), reverse("policy", args=[unnamed.worker]))]
        return Step("policy", _("Signing policy"), text, allowed is not None, links)

    def _host(self) -> Step:
        rows = hosts_doing(hosts_known(self.own), [str(kind) for kind in STAGED])
        names = first_names(rows, NAMES_MAX + 1)
        text = gettext("join a machine that seals; the page after shows the command to run on it")
        if names:
            text = gettext("{hosts} joined").format(hosts=_few(names))
        links = [*self._link(_("Join a sealing host…"), "host-join", part="sealer")]
        return Step("host", _("Sealing host"), text, bool(names), links)

    def _prover(self) -> Step:
        stores = stores_to_prove(self.own, now=self.at)
        proved = [row.name for row in stores if getattr(row, "proved", False)]
        text = gettext("join a prover that has the sealing host's store")
        if proved:
            text = gettext("a live prover reads {stores}").format(stores=_few(proved))
        elif stores:
            text = gettext("no live prover reads {stores} yet").format(
                stores=_few([row.name for row in stores])
            )
        links = [*self._link(_("Join a prover…"), "host-join", part="prover")]
        return Step("prover", _("Prover"), text, bool(proved), links)

    def _sector(self) -> Step:
        ended = (SectorState.ABORTED, SectorState.TERMINATED)
        row = sectors_visible(self.own).exclude(state__in=ended).first()
        text = gettext("pledge one: its review says what is missing and what it costs")
        links: list[Link] = []
        if row is not None:
            text = gettext("being sealed: done with its first proof")
            links = [Link(_("Open the sector"), reverse("sector", args=[row.uuid]))]
        elif self.made and self.viewer.may("write"):
            filled = {"tenant": self._name} | ({"miner": self.made[0].address} if len(self.made) == 1 else {})
            links = [Link(_("Pledge…"), f"{reverse('pledge')}?{urlencode(filled)}")]
        return Step("sector", _("First sector"), text, False, links)


def _few(names: Sequence[str]) -> str:
    """List the first of some names."""
    shown = list_text(names[:NAMES_MAX])
    return gettext("{names} and more").format(names=shown) if len(names) > NAMES_MAX else shown
