"""Adding a miner: one that is made anew, or one that the chain has already."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods

from apps.chain.node.client import chain_client, page_client
from apps.chain.selectors.network import network_current
from apps.core import formatting
from apps.core.errors import DomainError
from apps.core.formatting import plural
from apps.core.languages import list_text
from apps.dashboard.confirm_page import (
    ConfirmPage,
    confirm_page_render,
    is_confirm_submitted,
    verdict_facts,
)
from apps.dashboard.first_steps import steps_href
from apps.dashboard.forms import PageForm, form_render
from apps.dashboard.object_fields import Found
from apps.dashboard.page_data import PageData
from apps.dashboard.pickers import picker, tenant_named, tenant_picker
from apps.dashboard.reauthentication import reauthenticate_first
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.text_fields import Choice, Key, Text, Tick
from apps.miners.services.create import creation_verdicts_read, miner_create
from apps.miners.services.creation_plan import MinerSpec, creation_deposit_read, creation_plan
from apps.miners.services.importing import miner_import
from apps.miners.states import ProvenBy
from apps.users.rules.principals import Principal
from apps.users.selectors.tenants import tenant_evident, tenant_resolve
from poolsite.filecoin.amounts import fil_format
from poolsite.filecoin.sector import RegisteredSealProof

if TYPE_CHECKING:
    from apps.miners.models import Miner
    from apps.wallets.models import Wallet


SIZES: Final = sorted({int(proof.sector_size) for proof in RegisteredSealProof})
"""Of sectors, in bytes; the page offers those of the network."""


class MinerForm(PageForm):
    """A miner that is made anew, or imported; the key makes a double click one miner."""

    how = Choice([("", ""), ("make", ""), ("import", "")])
    name = Text()
    tenant = Found(tenant_resolve)
    owner = Text()
    worker = Text()
    sector_size = Choice([("", ""), *((size, size) for size in SIZES)], coerce=int, empty=0)
    address = Text()
    proven_by = Choice([("", ""), *ProvenBy.choices])
    key = Key()
    fund_worker = Tick()


@require_http_methods(["GET", "HEAD", "POST"])
@sign_in_required
def miner_new(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Show the form, and add the miner; it costs the chain's deposit, so who asks is asked who it is."""
    if not viewer.may("sign"):
        raise Http404
    form = MinerForm.from_address(request, viewer, tenant=tenant_evident(viewer))
    if form.is_valid():
        with form.refusals():
            sent = form.cleaned_data
            if sent["how"] != "import" and not is_confirm_submitted(request):
                return review_page(request, viewer, form)
            if (held := reauthenticate_first(request, viewer)) is not None:
                return held
            added = miner_added(viewer, sent)
            page = "miner-move-in" if added.is_held else "miner"
            return redirect(page, added.address or str(added.uuid))
    return form_render(
        request,
        viewer,
        "miners/new.html",
        form,
        title=_("Add a miner"),
        section="miners",
        **choices_of(viewer, form.typed),
    )


def review_page(request: HttpRequest, viewer: Principal, form: MinerForm) -> HttpResponse:
    """Show what a new miner is and costs before it is created.  Raises DomainError naming the field."""
    sent = form.cleaned_data
    tenant, spec = sent["tenant"], spec_of(sent)
    network = network_current()
    plan = creation_plan(spec, principal=viewer, tenant=tenant, client=chain_client(), network=network)
    data = PageData(viewer)
    held = {row.address: row for row in data.wallets}
    facts = [
        (gettext("Name"), spec.name),
        (gettext("Tenant"), tenant.name),
        (gettext("Owner"), held_text(plan.owner, held)),
        (gettext("Worker"), held_text(plan.worker, held)),
        (gettext("Sector size"), " ".join(formatting.size(spec.sector_size))),
        (
            gettext("Deposit from the owner"),
            gettext("{deposit}, vests to the miner over {span}").format(
                deposit=fil_format(plan.deposit), span=data.vesting_text
            ),
        ),
    ]
    if plan.worker_fund:
        fund = gettext("{worker_fund}: its address does not exist on chain yet, and CreateMiner").format(
            worker_fund=fil_format(plan.worker_fund)
        )
        facts.append(
            (
                gettext("Transfer to the worker first"),
                gettext("{fund} would fail with exit code 16").format(fund=fund),
            )
        )
    facts.append(
        (
            gettext("Owner pays"),
            gettext("{total} and the gas of {messages}").format(
                total=fil_format(plan.total), messages=plural(2 if plan.worker_fund else 1, "message")
            ),
        )
    )
    later = gettext("its owner adds the new miner once it exists; the miner's page proposes the change")
    facts.append((gettext("Signer's policy"), later))
    facts += verdict_facts(creation_verdicts_read(plan, principal=viewer, tenant=tenant))
    ask = ConfirmPage(
        is_danger=False,
        title=gettext("Create miner {wish}").format(wish=spec.name),
        text=_(
            "Check the owner and the sector size. Only the owner's key can change the owner later; "
            "the size is final."
        ),
        label=_("Send transfer and create miner") if plan.worker_fund else _("Create miner"),
        back=form.address_of(reverse("miner-new")),
        page=_("Add a miner"),
        section="miners",
        hidden_fields=tuple((form.typed | {"fund_worker": "yes" if plan.worker_fund else ""}).items()),
        facts=tuple(facts),
    )
    return confirm_page_render(request, viewer, ask)


def held_text(address: str, held: dict[str, Wallet]) -> str:
    """Describe a wallet of the form with the balance that it had last."""
    row = held.get(address)
    if row is None:
        return address
    return list_text((f"{row.label} {address}".strip(), f"{formatting.fil(row.balance)} FIL"))


def spec_of(form: dict[str, Any]) -> MinerSpec:
    """Return what the form of a new miner asks for."""
    names = ("name", "owner", "worker", "sector_size", "key", "fund_worker")
    return MinerSpec(**{name: form[name] for name in names})


def miner_added(viewer: Principal, form: dict[str, Any]) -> Miner:
    """Do what the form says.  Raises DomainError with the field to blame."""
    tenant, client, network = form["tenant"], chain_client(), network_current()
    if form["how"] == "import":
        return miner_import(
            form["address"],
            name=form["name"],
            principal=viewer,
            tenant=tenant,
            client=client,
            network=network,
            proven_by=form["proven_by"],
        )
    return miner_create(spec_of(form), principal=viewer, tenant=tenant, client=client, network=network)


def choices_of(viewer: Principal, form: dict[str, str]) -> dict[str, Any]:
    """Return what the form offers, with the deposit as the chain has it now."""
    data, offered = PageData(viewer), tenant_named(viewer, form["tenant"])
    try:
        deposit = formatting.amount_text(creation_deposit_read(page_client()))
    except DomainError:
        deposit = ""
    sizes = {int(proof.sector_size) for proof in data.network.seal_proofs} if data.network else set()
    return {
        "tenants": picker(viewer, "tenant", value=form["tenant"]) if viewer.is_operator else None,
        "wallets": tenant_picker(viewer, "wallet", tenant=offered, value=form["owner"]),
        "workers": tenant_picker(viewer, "worker", tenant=offered, value=form["worker"]),
        "is_offered": bool(offered),
        "steps": steps_href(viewer, offered, otherwise="today"),
        "sizes": [{"bytes": size, "label": " ".join(formatting.size(size))} for size in sorted(sizes)],
        "deposit": deposit,
        "span": data.vesting_text,
        "provers": ProvenBy.choices,
        "may_import": viewer.is_operator and viewer.may("admin"),
    }


urlpatterns: Final = [
    path("miners/add/", miner_new, name="miner-new"),
]
