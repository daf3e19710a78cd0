"""A person's passkeys: a new one, and removing one."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlencode

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from apps.core.errors import DomainError, NotFound
from apps.dashboard.confirm_page import confirm_page_render, is_confirm_submitted
from apps.dashboard.forms import PageForm
from apps.dashboard.pages.account.factors import account_ask, codes_show
from apps.dashboard.pages.account.page import account_page, person_before
from apps.dashboard.passkeys import challenge_pop, place_of, question_json
from apps.dashboard.reauthentication import reauthenticated
from apps.dashboard.refusals import refusal_text
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.text_fields import Text
from apps.users.rules.principals import Principal
from apps.users.selectors.people import passkeys_of
from apps.users.services.own_account import own_passkey_add, own_passkey_remove
from apps.users.services.passkeys import registration_options_generate


@require_POST
@sign_in_required
@reauthenticated
def passkey_options(request: HttpRequest, _viewer: Principal) -> HttpResponse:
    """Start the registration of a passkey."""
    return question_json(
        request, registration_options_generate(person_before(request), place=place_of(request))
    )


class PasskeyForm(PageForm):
    """A browser's new passkey, by the name that its person gives it."""

    name = Text()
    answer = Text(strip=False)


@require_POST
@sign_in_required
@reauthenticated
def passkey_new(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Keep the browser's new passkey; who had to say first who they are goes on with the name they typed."""
    person = person_before(request)
    form = PasskeyForm(request.POST)
    form.full_clean()
    name, answer = form.cleaned_data.get("name", ""), form.cleaned_data.get("answer", "")
    if not answer:
        called = urlencode({"passkey": name[:60]})
        return redirect(f"{reverse('account')}?{called}#passkeys")
    try:
        codes = own_passkey_add(
            person,
            challenge=challenge_pop(request),
            place=place_of(request),
            name=name,
            answer=answer,
            by=viewer,
        )
    except DomainError as refusal:
        return account_page(request, viewer, error=refusal_text(refusal))
    return codes_show(request, codes)


@require_POST
@sign_in_required
@reauthenticated
def passkey_drop(request: HttpRequest, viewer: Principal, pk: int) -> HttpResponse:
    """Forget one passkey."""
    row = passkeys_of(person_before(request)).filter(pk=pk).first()
    if row is not None and not is_confirm_submitted(request):
        text = gettext("You can no longer sign in with it, even if your device keeps a copy.")
        return confirm_page_render(
            request,
            viewer,
            account_ask(gettext("Remove the passkey {name}").format(name=row.name), text, _("Remove")),
        )
    try:
        own_passkey_remove(person_before(request), pk=pk, by=viewer)
    except NotFound:
        raise Http404 from None
    return redirect("account")


urlpatterns: Final = [
    path("account/passkeys/", passkey_new, name="account-passkey-new"),
    path("account/passkeys/options/", passkey_options, name="account-passkey-options"),
    path("account/passkeys/<int:pk>/remove/", passkey_drop, name="account-passkey-remove"),
]
