"""People: who may do what, and logins that failed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from apps.core.errors import DomainError, NotFound
from apps.core.formatting import NOTHING, plural, whole
from apps.core.languages import list_text, sentence_text
from apps.dashboard import cells
from apps.dashboard.cards import Verdict
from apps.dashboard.confirm_page import ConfirmPage, confirm_page_render, is_confirm_submitted
from apps.dashboard.forms import PageForm
from apps.dashboard.html_time import time_html
from apps.dashboard.labels import StateLabel
from apps.dashboard.list_page import Column, Empty, Link, ListPage
from apps.dashboard.page_data import PageData
from apps.dashboard.pagination import page_in_turn
from apps.dashboard.reauthentication import reauthenticate_first
from apps.dashboard.refusals import refusal_text
from apps.dashboard.registry import NavItem
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.text_fields import Choice
from apps.users.rules.principals import Principal
from apps.users.selectors.people import PeopleFilters, is_company_person, people_counted, people_listed
from apps.users.services.login_throttle import recent_login_failures_list
from apps.users.services.people import (
    assignable_roles_list,
    can_manage_people,
    managed_person_find,
    person_reset,
    person_role_set,
    person_set_active,
)
from apps.users.states import Role

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

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


@dataclass(frozen=True, slots=True)
class PersonRow:
    """A person in the list."""

    row: User
    name: str
    label: StateLabel
    is_company: bool
    is_invited: bool
    factor: str
    may_act: bool
    roles: list[tuple[str, StrOrPromise]]
    """Those that the viewer may give."""


def people_rows(rows: Sequence[User], data: PageData) -> list[PersonRow]:
    """Lay out one page of the list."""
    may, roles = can_manage_people(data.viewer), assignable_roles_list(data.viewer)
    return [
        PersonRow(
            row=row,
            name=row.get_username(),
            label=person_label(row),
            is_company=is_company_person(row),
            is_invited=not row.has_usable_password() and (row.tenant is None or row.tenant.is_open),
            factor=factor_text(row),
            may_act=may and row.role in roles and row.get_username() != data.viewer.actor,
            roles=[(role.value, role.label) for role in roles],
        )
        for row in rows
    ]


def more(_request: HttpRequest, data: PageData) -> dict[str, Any]:
    """Return what stands below the list: failed logins, for those whose business they are."""
    may = can_manage_people(data.viewer)
    return {"tries": recent_login_failures_list(data.viewer, now=data.at)[:TRIES_SHOWN] if may else None}


def links(data: PageData) -> Iterable[Link]:
    """Return the buttons above the list."""
    if can_manage_people(data.viewer):
        yield Link(_("Invite…"), reverse("person-invite"), icon="plus", kind="primary")


def role(shown: PersonRow, token: str) -> SafeString:
    """Return a person's role, as a form where the viewer may give another."""
    if not shown.may_act or shown.is_company:
        return format_html("{}", shown.row.get_role_display())
    return cells.partial("people/_role.html", p=shown, csrf_token=token)


def acts(shown: PersonRow, token: str) -> SafeString:
    """Return what the viewer may do with a person."""
    return cells.partial("people/_acts.html", p=shown, csrf_token=token) if shown.may_act else cells.EMPTY


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


PEOPLE: Final = ListPage(
    name="people",
    one="person",
    title=_("People"),
    table=_("Table of people"),
    caption=_("People by name"),
    icon="people",
    template="people/list.html",
    more=more,
    rows=lambda data: people_listed(data.viewer),
    page=page_in_turn,
    lay_out=people_rows,
    id_of=attrgetter("row.pk"),
    tone_of=lambda _row: "",
    verdict=lambda data: verdict_of(*people_counted(data.viewer)),
    links=links,
    filters=PeopleFilters,
    search=_("Name"),
    places=("role",),
    places_label=_("Filter"),
    options={"role": lambda _data: Role.choices},
    facets=(
        ("", _("All"), "", ""),
        ("active", pgettext_lazy("an account", "active"), "ok", "ok"),
        ("invited", _("invited"), "run", "wait"),
        ("deactivated", _("deactivated"), "idle", "off"),
    ),
    empty=lambda _data: Empty(_("Nobody yet"), _("People are invited here.")),
    none=Empty(_("No matching people"), _("Choose another filter.")),
    columns=(
        Column(head=_("Name"), cell=attrgetter("name"), is_name=True, key="name", by="username"),
        Column(
            head=_("State"), cell=lambda shown: cells.chip(shown.label), css="tight c-state", is_plain=True
        ),
        Column(
            head=_("Role"),
            acts=role,
            css="c-wide",
            key="role",
            by="role",
        ),
        Column(
            head=_("Tenant"),
            cell=lambda shown: shown.row.tenant.name if shown.row.tenant else NOTHING,
            css="keep lo c-half",
            key="tenant",
            by="tenant__name",
        ),
        Column(head=_("Second factor"), cell=attrgetter("factor"), css="c-half", key="factor"),
        Column(
            head=_("Sessions"),
            cell=lambda shown: whole(shown.row.sessions_count),
            css="num",
            key="sessions",
            by="sessions_count",
        ),
        Column(
            head=_("Last seen"),
            cell=lambda shown: time_html(shown.row.last_seen) if shown.row.last_seen else gettext("never"),
            css="keep",
            key="seen",
            by="last_seen",
        ),
        Column(head=_("Actions"), acts=acts, css="tight c-wide"),
    ),
    csv={
        "name": attrgetter("username"),
        "role": attrgetter("role"),
        "tenant": lambda row: row.tenant and row.tenant.name,
        "active": attrgetter("is_active"),
        "apps": attrgetter("apps_count"),
        "passkeys": attrgetter("passkeys_count"),
        "sessions": attrgetter("sessions_count"),
        "last_seen": lambda row: row.last_seen and row.last_seen.isoformat(),
    },
)


def question_of(op: str, name: str) -> ConfirmPage:
    """Write the question before an action."""
    title, text, label = QUESTIONS[op]
    there = reverse("people")
    return ConfirmPage(f"{title} {name}", text, label, back=there, page=_("People"), section="people")


class RoleForm(PageForm):
    """Another role for a person."""

    role = Choice(Role.choices)


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
            if not form.is_valid():
                return PEOPLE.show(request, viewer, refused=form.why)
            person_role_set(principal=viewer, person=person, role=form.cleaned_data["role"])
        elif op == "reset":
            person_reset(principal=viewer, person=person)
        else:
            person_set_active(principal=viewer, person=person, is_open=op == "open")
    except NotFound:
        raise Http404 from None
    except DomainError as refusal:
        return PEOPLE.show(request, viewer, refused=refusal_text(refusal))
    return redirect("person-link", pk) if op == "reset" and person.is_active else redirect("people")


NAV: Final = NavItem("people", _("People"), "people", place=(7, 2))
urlpatterns: Final = [
    *PEOPLE.urls,
    path("people/<int:pk>/<str:op>/", action, name="person-act"),
]
