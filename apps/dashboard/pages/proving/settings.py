"""The pace of checks and the sizes of declarations: the pool's, and each miner's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods

from apps.core import formatting
from apps.dashboard.forms import PageForm, form_render
from apps.dashboard.notices import notice_leave
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.miners.batch_form import Own
from apps.dashboard.sessions import sign_in_required
from apps.miners.selectors.miners import miner_get
from apps.proving.rules.policy import LIMITS
from apps.proving.selectors.settings import pool_policy_default, proving_policy, proving_settings_own
from apps.proving.services.settings import proving_settings_set
from apps.users.rules.principals import Principal

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

    from apps.miners.models import Miner

FIELDS: Final[tuple[tuple[str, StrOrPromise, StrOrPromise], ...]] = (
    ("check_per_s", _("Sectors that a host checks per second"), _("0: as fast as possible")),
    (
        "declare_max",
        _("Max declared faulty per window"),
        _("sectors of a deadline; the proof skips the rest"),
    ),
    (
        "recover_max",
        _("Max declared recovered per window"),
        _("sectors of a deadline; the rest wait for the next period"),
    ),
    ("declaration_max", _("Max in one message"), _("sectors of one partition, faulty or recovered")),
)


class SettingsForm(PageForm):
    """The settings."""

    check_per_s = Own()
    declare_max = Own()
    recover_max = Own()
    declaration_max = Own()

    def values(self) -> dict[str, int | None]:
        """Return what is to be set."""
        return {name: self.cleaned_data[name] for name in LIMITS}


def pace_text(miner: Miner | None = None) -> str:
    """Return what is in force, in words."""
    policy = proving_policy(None if miner is None else miner.pk)
    pace = (
        gettext("{count} per second").format(count=formatting.whole(policy.check_per_s))
        if policy.check_per_s
        else gettext("no limit")
    )
    declared = gettext("{declare_max} faulty, {recover_max} recovered").format(
        declare_max=formatting.whole(policy.declare_max), recover_max=formatting.whole(policy.recover_max)
    )
    return gettext("Checks per host: {pace}. Per deadline and window: at most {declared}.").format(
        pace=pace, declared=declared
    )


def settings_page(request: HttpRequest, viewer: Principal, miner: Miner | None) -> HttpResponse:
    """Show and set those of a miner, or of the pool."""
    key = None if miner is None else miner.pk
    may_change = viewer.may("sign") if miner else viewer.is_operator and viewer.may("admin")
    own = proving_settings_own(key)
    form = SettingsForm.of(request, **{name: str(own.get(name, "")) for name in LIMITS})
    if request.method == "POST" and not may_change:
        raise Http404
    if request.method == "POST" and form.is_valid():
        with form.refusals():
            proving_settings_set(miner, values=form.values(), by=viewer)
            notice_leave(request, _("Saved."))
            return redirect(request.path)
    above = proving_policy() if miner else pool_policy_default()
    return form_render(
        request,
        viewer,
        "proving/settings.html",
        form,
        title=_("Checks and declarations"),
        section="proving",
        data=PageData(viewer),
        name="" if miner is None else f"{miner.name} {miner.address}".strip(),
        back=reverse("proving")
        if miner is None
        else f"{reverse('proving')}?miner={miner.address or miner.uuid}",
        fields=[(name, label, str(getattr(above, name)), help) for name, label, help in FIELDS],
        may_change=may_change,
    )


@require_http_methods(["GET", "HEAD", "POST"])
@sign_in_required
def pool_settings(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Show and set the pool's."""
    return settings_page(request, viewer, None)


@require_http_methods(["GET", "HEAD", "POST"])
@sign_in_required
def miner_settings(request: HttpRequest, viewer: Principal, address: str) -> HttpResponse:
    """Show and set a miner's own."""
    return settings_page(request, viewer, miner_get(viewer, address))


urlpatterns: Final = [
    path("proving/settings/", pool_settings, name="proving-settings"),
    path("miners/<str:address>/proving/", miner_settings, name="miner-proving-settings"),
]
