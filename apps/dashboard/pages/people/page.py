"""People: who may do what, and logins that failed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.translation import gettext, ngettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST, require_safe

from apps.core import clock
from apps.core.errors import DomainError, NotFound
from apps.core.formatting import plural
from apps.core.languages import list_text, sentence_text
from apps.dashboard.cards import Verdict
from apps.dashboard.confirm_page import ConfirmPage, confirm_page_render, is_confirm_submitted
from apps.dashboard.forms import PageForm
from apps.dashboard.labels import StateLabel
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.pagination import ROWS, cursor_read, page_of
from apps.dashboard.reauthentication import reauthenticate_first
from apps.dashboard.refusals import refusal_text
from apps.dashboard.registry import NavItem
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.text_fields import Text
from apps.users.rules.principals import Principal
from apps.users.selectors.people import is_company_person, people_counted, people_listed
from apps.users.services.login_throttle import recent_login_failures_list
from apps.users.services.people import (
    assignable_roles_list,
    can_manage_people,
    managed_person_find,
    person_reset,
    person_role_set,
    person_set_active,
)

if TYPE_CHECKING:
    from apps.users.models import User


def person_label(person: User) -> StateLabel:
    """Return in words whether a person can come in."""
    if not person.is_active:
        return StateLabel("idle", _("deactivated"), "off")
    if person.tenant is not None and not person.tenant.is_open:
        return StateLabel("idle", _("tenant disabled"), "off")
    return (
        StateLabel("ok", pgettext_lazy("an account", "active"))
        if person.has_usable_password() or is_company_person(person)
        else StateLabel("run", _("invited"), "wait")
    )


def second_text(person: User) -> str:
    """`app, 2 passkeys`; empty without a second factor; the counts were read along."""
    parts = [gettext("app")] if getattr(person, "apps_count", 0) else []
    passkeys = getattr(person, "passkeys_count", 0)
    if passkeys:
        parts.append(plural(passkeys, "passkey"))
    return list_text(parts)


def factor_text(person: User) -> str:
    """Return what lets a person in."""
    if is_company_person(person):
        return gettext("at {provider}").format(provider=settings.OIDC_NAME)
    if not person.has_usable_password():
        return gettext("invitation pending")
    return second_text(person) or gettext("password only")


TRIES_SHOWN: Final = 20
OPS: Final = ("close", "open", "reset", "role")
QUESTIONS: Final = {
    "close": (
        _("Deactivate the account of"),
        _("Their sessions end at once and they cannot sign in until the account is activated again."),
        _("Deactivate"),
    ),
    "reset": (
        _("Reset the account of"),
        _(
            "Their password, app, passkeys and recovery codes are deleted, and their sessions end at once. "
            "You get a new link to send them."
        ),
        _("Reset"),
    ),
}
"""What is asked first: title, what it means, button."""


@require_safe
@sign_in_required
def people(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Return the list."""
    return people_page(request, viewer)


def people_page(request: HttpRequest, viewer: Principal, *, error: str = "") -> HttpResponse:
    """Show the list, with a refusal where there was one."""
    may = can_manage_people(viewer)
    roles = assignable_roles_list(viewer)
    after = cursor_read(request.GET.get("after", ""), of="people")
    shown, pager = page_of(
        people_listed(viewer, after=after, limit=ROWS + 1),
        of="people",
        cursor_of=lambda person: person.get_username(),
        query={},
        is_first=not after,
    )
    rows = [
        {
            "person": row,
            "name": row.get_username(),
            "label": person_label(row),
            "is_company": is_company_person(row),
            "is_invited": not row.has_usable_password() and (row.tenant is None or row.tenant.is_open),
            "factor": factor_text(row),
            "may_act": may and row.role in roles and row.get_username() != viewer.actor,
        }
        for row in shown
    ]
    return page_render(
        request,
        "people/list.html",
        title=_("People"),
        section="people",
        data=PageData(viewer),
        status=422 if error else 200,
        people=rows,
        pager=pager,
        verdict=verdict_of(*people_counted(viewer)),
        tries=recent_login_failures_list(viewer, now=clock.now())[:TRIES_SHOWN] if may else None,
        may_invite=may,
        roles=[(role.value, role.label) for role in roles],
        error=error,
    )


def verdict_of(count: int, weak: int, company: int) -> Verdict:
    """Return how many people may sign in, and how many of them have no second factor."""
    many = sentence_text(plural(count + company, "active account"))
    if company and not weak:
        return Verdict(
            many,
            ngettext(
                "{count} signs in with {provider}; all others have a second factor.",
                "{count} sign in with {provider}; all others have a second factor.",
                company,
            ).format(count=company, provider=settings.OIDC_NAME),
        )
    if not weak:
        return Verdict(many, _("All of them have a second factor.") if count else "")
    return Verdict(
        many,
        ngettext("{count} has no second factor.", "{count} have no second factor.", weak).format(count=weak),
    )


def question_of(op: str, name: str) -> ConfirmPage:
    """Write the question before an action."""
    title, text, label = QUESTIONS[op]
    there = reverse("people")
    return ConfirmPage(f"{title} {name}", text, label, back=there, page=_("People"), section="people")


class RoleForm(PageForm):
    """Another role for a person."""

    role = Text(strip=False)


@require_POST
@sign_in_required
def action(request: HttpRequest, viewer: Principal, pk: int, op: str) -> HttpResponse:
    """Close, open or reset an account, or give another role."""
    if op not in OPS or not can_manage_people(viewer):
        raise Http404
    try:
        person = managed_person_find(viewer, pk=pk)
        if (held := reauthenticate_first(request, viewer)) is not None:
            return held
        if op in QUESTIONS and not is_confirm_submitted(request):
            return confirm_page_render(request, viewer, question_of(op, person.get_username()))
        if op == "role":
            form = RoleForm(request.POST)
            form.full_clean()
            person_role_set(principal=viewer, person=person, role=form.cleaned_data.get("role", ""))
        elif op == "reset":
            person_reset(principal=viewer, person=person)
        else:
            person_set_active(principal=viewer, person=person, is_open=op == "open")
    except NotFound:
        raise Http404 from None
    except DomainError as refusal:
        return people_page(request, viewer, error=refusal_text(refusal))
    return redirect("person-link", pk) if op == "reset" and person.is_active else redirect("people")


NAV: Final = NavItem("people", _("People"), "people", place=(7, 2))
urlpatterns: Final = [
    path("people/", people, name="people"),
    path("people/<int:pk>/<str:op>/", action, name="person-act"),
]
