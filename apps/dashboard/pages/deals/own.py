"""A client's own page: its deals and where their data are served, by a token that the provider gave it.

It needs no account of the console and opens nothing else of it: the token is typed into a form, never part of
an address, and a cookie of these pages alone takes its place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import wraps
from http import HTTPStatus
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from django.conf import settings
from django.core import signing
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import path, reverse
from django.utils.http import urlencode
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from apps.chain.selectors.read_cache import chain_read_once
from apps.core import clock
from apps.core.errors import DomainError, NotFound
from apps.dashboard.cards import Fact
from apps.dashboard.csv_export import csv_answer, rows_in_turn
from apps.dashboard.forms import PageForm
from apps.dashboard.labels import StateLabel
from apps.dashboard.layout import THEME_COOKIE
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.deals.listing import facts_of
from apps.dashboard.pages.deals.rows import LABELS, reason_text, terms_text
from apps.dashboard.pagination import Pager, counts_text, facets_of, page_newest
from apps.dashboard.refusals import field_refusal_text, refusal_text
from apps.dashboard.sessions import client_ip, nul_bytes_refuse
from apps.dashboard.text_fields import Text
from apps.market.errors import ClientTokenRefused
from apps.market.rules import ulid_encode
from apps.market.selectors.client_tokens import (
    OwnDealFilters,
    client_token_by_uuid,
    client_token_check,
    data_back,
    own_deal,
    own_deals,
    reason_told,
)
from apps.market.services.client_tokens import client_token_login, client_token_touch
from apps.market.states import DealState
from apps.users.rules.principals import Principal
from apps.users.services.rate_limit_buckets import address_request_count

if TYPE_CHECKING:
    from apps.market.models import ClientToken, Deal

COOKIE: Final = "client_token"
COOKIE_S: Final = 12 * 3600
"""After which the token is typed again."""
PLACE: Final = "my-deals/"
NOBODY: Final = Principal(tenant_id=None, tenant_name="", is_operator=False, perm="")
"""Viewer of these pages: they read nothing that depends on one."""
View = Callable[..., HttpResponseBase]


@dataclass(frozen=True, slots=True)
class OwnRow:
    """One deal in its client's list."""

    row: Deal
    label: StateLabel
    say: str
    """Why it was refused or failed; else its terms."""


def own_row(deal: Deal) -> OwnRow:
    """Lay out one deal as its client sees it."""
    return OwnRow(deal, LABELS[deal.state], reason_text(deal.state, reason_told(deal)) or terms_text(deal))


@chain_read_once()
def own_rows(deals: Iterable[Deal]) -> list[OwnRow]:
    """Lay out deals; the network is read once for all."""
    return [own_row(deal) for deal in deals]


def cookie_salt(request: HttpRequest) -> str:
    """Return for what alone a cookie is signed: these pages of this host."""
    return f"{COOKIE} {request.get_host()}"


def token_of(request: HttpRequest) -> ClientToken | None:
    """Return the token of this browser; None if it showed none lately.  Raises ClientTokenRefused."""
    try:
        key = signing.loads(request.COOKIES.get(COOKIE, ""), salt=cookie_salt(request), max_age=COOKIE_S)
    except signing.BadSignature:
        return None
    return client_token_touch(client_token_check(client_token_by_uuid(str(key)), now=clock.now()))


def token_required(view: View) -> View:
    """Call the view with the browser's token; whoever has none, or none that is good, is asked for one."""

    @wraps(view)
    @never_cache
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        nul_bytes_refuse(request)
        try:
            token = token_of(request)
        except ClientTokenRefused as refusal:
            response = sign_in_page(request, refusal_text(refusal), status=HTTPStatus.FORBIDDEN)
            response.delete_cookie(COOKIE, path=f"/{PLACE}")
            return response
        if token is None:
            return redirect("own-sign-in")
        try:
            return view(request, token, *args, **kwargs)
        except NotFound as error:
            raise Http404 from error

    return guarded


def own_page(request: HttpRequest, template: str, *, status: int = 200, **context: Any) -> HttpResponse:
    """Render a page without the console's frame."""
    around = {"theme": request.COOKIES.get(THEME_COOKIE, ""), "here": reverse("own-deals")}
    return render(request, template, around | context, status=status)


class TokenForm(PageForm):
    """The token that a client shows."""

    token = Text(is_secret=True)


def sign_in_page(request: HttpRequest, error: str, *, status: int) -> HttpResponse:
    """Ask for a token."""
    return own_page(request, "deals/own_sign_in.html", status=status, title=_("Your deals"), error=error)


@sensitive_post_parameters("token")
@ensure_csrf_cookie
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def own_sign_in(request: HttpRequest) -> HttpResponse:
    """Exchange a token for the cookie of these pages."""
    nul_bytes_refuse(request)
    form = TokenForm.of(request)
    if not form.is_valid():
        return sign_in_page(request, form.why, status=422 if form.errors else 200)
    usage = address_request_count("own-deals", address=client_ip(request))
    if usage is not None and usage.is_over:
        say = gettext("Too many requests from this address; please try again in a moment.")
        return sign_in_page(request, say, status=HTTPStatus.TOO_MANY_REQUESTS)
    try:
        token = client_token_login(form.cleaned_data["token"])
    except ClientTokenRefused as refusal:
        return sign_in_page(request, refusal_text(refusal), status=HTTPStatus.FORBIDDEN)
    response = redirect("own-deals")
    response.set_cookie(
        COOKIE,
        signing.dumps(str(token.uuid), salt=cookie_salt(request)),
        max_age=COOKIE_S,
        path=f"/{PLACE}",
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )
    return response


@require_POST
def own_sign_out(request: HttpRequest) -> HttpResponse:  # noqa: ARG001  # Django's signature
    """Forget the token in this browser."""
    response = redirect("own-sign-in")
    response.delete_cookie(COOKIE, path=f"/{PLACE}")
    return response


def wanted_of(request: HttpRequest, token: ClientToken) -> OwnDealFilters:
    """Return what the address narrows a client's deals to."""
    return OwnDealFilters(request.GET, own_deals(token), viewer=NOBODY, beside=("cursor",))


@require_safe
@token_required
def own(request: HttpRequest, token: ClientToken) -> HttpResponse:
    """List a client's deals."""
    wanted, wrong, here = wanted_of(request, token), "", reverse("own-deals")
    rows: list[Deal] = []
    pager = Pager(shown=0, newer="", older="")
    try:
        cursor, query = request.GET.get("cursor", ""), dict(wanted.given)
        rows, pager = page_newest(wanted.rows(), cursor, of="own-deals", query=query, field="cursor")
    except DomainError as refusal:
        wrong = field_refusal_text(refusal)
    all_rows = own_deals(token)
    states = ("", *DealState.values)
    counts = counts_text({one: all_rows.filter(state=one) if one else all_rows for one in states})
    facets = facets_of(
        here,
        [
            ("", _("All"), "", ""),
            *(
                (one, DealState(one).label, LABELS[one].tone, LABELS[one].tone)
                for one in DealState.values
                if counts[one] != "0" or one == wanted["state"]
            ),
        ],
        counts,
        state=wanted["state"],
        q=wanted["q"],
    )
    csv_query = f"?{urlencode(wanted.given, doseq=True)}" if wanted.given else ""
    return own_page(
        request,
        "deals/own.html",
        status=422 if wrong else 200,
        title=_("Your deals"),
        client=token.client,
        rows=own_rows(rows),
        pager=pager,
        facets=facets,
        q=wanted["q"],
        state=wanted["state"],
        wrong=wrong,
        is_narrowed=bool(wanted),
        csv=f"{reverse('own-deals-csv')}{csv_query}",
    )


CSV: Final[dict[str, Callable[[Deal], Any]]] = {
    "id": attrgetter("uuid"),
    "miner": attrgetter("miner.address"),
    "sector": attrgetter("sector_number"),
    **{name: attrgetter(name) for name in ("state", "door", "piece_cid", "padded_size", "raw_size")},
    **{name: attrgetter(name) for name in ("allocation", "chain_deal", "start_epoch", "duration")},
    "price_atto": lambda row: int(row.price),
    "lockup_atto": lambda row: int(row.lockup),
    "reason": reason_told,
    "created": lambda row: row.created_at.isoformat(),
}


@require_safe
@token_required
def own_csv(request: HttpRequest, token: ClientToken) -> HttpResponseBase:
    """Return a client's deals as CSV, as they are narrowed."""
    try:
        rows = wanted_of(request, token).rows()
    except DomainError as refusal:
        return HttpResponse(field_refusal_text(refusal), status=422, content_type="text/plain")
    return csv_answer(
        "deals.csv", list(CSV), ([read(row) for read in CSV.values()] for row in rows_in_turn(rows))
    )


@require_safe
@token_required
def own_detail(request: HttpRequest, token: ClientToken, uuid: UUID) -> HttpResponse:
    """Show one deal of a client with its clocks and money, and where its data are served."""
    row, data = own_deal(token, str(uuid)), PageData(NOBODY)
    back = data_back(row)
    links: list[Fact] = []
    if back is not None:
        links.append(Fact(_("All bytes"), request.build_absolute_uri(f"/piece/{back.piece_cid}")))
        links += [
            Fact(_("By the root's CID"), request.build_absolute_uri(f"/ipfs/{root}")) for root in back.roots
        ]
    return own_page(
        request,
        "deals/own_detail.html",
        title=gettext("Deal {name}").format(name=ulid_encode(row.uuid)),
        client=token.client,
        label=LABELS[row.state],
        reason=reason_text(row.state, reason_told(row)),
        facts=facts_of(row, data),
        links=links,
        is_active=row.state == DealState.ACTIVE,
    )


urlpatterns: Final = [
    path(PLACE, own, name="own-deals"),
    path(f"{PLACE}sign-in/", own_sign_in, name="own-sign-in"),
    path(f"{PLACE}sign-out/", own_sign_out, name="own-sign-out"),
    path(f"{PLACE}deals.csv", own_csv, name="own-deals-csv"),
    path(f"{PLACE}<uuid:uuid>/", own_detail, name="own-deal"),
]
