"""Actions on a deadline: a dry run, a test of one sector, the recovery of faulty sectors."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path
from django.utils.translation import gettext
from django.views.decorators.http import require_POST

from apps.core.errors import DomainError, NotAllowed, NotFound
from apps.dashboard.pages.proving.detail import deadline_render
from apps.dashboard.refusals import refusal_text
from apps.dashboard.sessions import sign_in_required
from apps.miners.selectors.miners import miner_get
from apps.proving.rules.proving_context import ProvingContext
from apps.proving.selectors.deadlines import deadline_index_of
from apps.proving.services.recovery_requests import recoveries_request
from apps.proving.services.trials import deadline_dry_run, sector_test
from apps.proving.tasks import proving_context
from apps.users.rules.principals import Principal

if TYPE_CHECKING:
    from apps.miners.models import Miner


def _miner_for_test(viewer: Principal, address: str) -> Miner:
    try:
        miner = miner_get(viewer, address)
    except NotFound:
        raise Http404 from None
    if not viewer.may("write"):
        raise Http404
    return miner


@require_POST
@sign_in_required
def dry_run(request: HttpRequest, viewer: Principal, address: str, index: int) -> HttpResponse:
    """Request the deadline's whole proof, which is not sent."""
    miner = _miner_for_test(viewer, address)

    def begin(context: ProvingContext) -> object:
        return deadline_dry_run(miner, index=index, principal=viewer, context=context)

    return _trial_start(request, viewer, miner, index, begin)


@require_POST
@sign_in_required
def test(request: HttpRequest, viewer: Principal, address: str, number: int) -> HttpResponse:
    """Request a check of one sector's files."""
    miner = _miner_for_test(viewer, address)
    index = deadline_index_of(miner, number)
    if index is None:
        raise Http404

    def begin(context: ProvingContext) -> object:
        return sector_test(miner, number=number, principal=viewer, context=context)

    return _trial_start(request, viewer, miner, index, begin)


@require_POST
@sign_in_required
def recover(request: HttpRequest, viewer: Principal, address: str, index: int) -> HttpResponse:
    """Request that the deadline's faulty sectors are checked now, and declared recovered if they are good."""
    miner = _miner_for_test(viewer, address)

    def begin(context: ProvingContext) -> object:
        return recoveries_request(miner, index=index, numbers=(), by=viewer, context=context)

    return _trial_start(request, viewer, miner, index, begin)


def _trial_start(
    request: HttpRequest,
    viewer: Principal,
    miner: Miner,
    index: int,
    begin: Callable[[ProvingContext], object],
) -> HttpResponse:
    context, problem = proving_context(), ""
    if context is None:
        problem = gettext("there is no chain head yet")
    else:
        try:
            begin(context)
        except (NotFound, NotAllowed):
            raise Http404 from None
        except DomainError as error:
            problem = refusal_text(error)
    if problem:
        return deadline_render(request, viewer, miner.address, index, problem=problem)
    return redirect("proving-deadline", miner.address, index)


urlpatterns: Final = [
    path("proving/<str:address>/<int:index>/dry-run/", dry_run, name="proving-dry-run"),
    path("proving/<str:address>/<int:index>/recover/", recover, name="proving-recover"),
    path("proving/<str:address>/sectors/<int:number>/test/", test, name="proving-test"),
]
