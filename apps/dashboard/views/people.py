"""The page People: who may come in, invited and helped by their tenant's admin or the operator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from apps.core import clock
from apps.core.errors import DomainError, NotFound
from apps.dashboard.asking import Ask, ask_page, is_sure
from apps.dashboard.confirming import confirm_first
from apps.dashboard.frame import page_render
from apps.dashboard.lines.cards import Verdict, plural
from apps.dashboard.lines.people import PersonLine, TryLine, person_line, try_line
from apps.dashboard.people import for_people
from apps.dashboard.pickers import picker
from apps.dashboard.regions.scene import Scene
from apps.users.selectors import people_listed
from apps.users.services.logins import login_failures_recent
from apps.users.services.people import (
    can_manage_people,
    invitation_create,
    person_invite,
    person_manageable,
    person_reset,
    person_role_set,
    person_set_active,
    roles_assignable,
)
from apps.users.states import Role

if TYPE_CHECKING:
    from apps.users.principals import Principal

TRIES_SHOWN: Final = 20
OPS: Final = ("close", "open", "reset", "role")
QUESTIONS: Final = {
    "close": (
        "Close the account of",
        "Their sessions end at once and they cannot sign in until the account is opened again.",
        "Close it",
    ),
    "reset": (
        "Reset",
        "Password, app, passkeys and recovery codes are forgotten, and their sessions end at once. "
        "You get a new link to give them.",
        "Reset",
    ),
}
"""What is asked first: title, what it means, button."""


@require_safe
@for_people
def people(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """The list."""
    return people_page(request, viewer)


def people_page(request: HttpRequest, viewer: Principal, *, error: str = "") -> HttpResponse:
    """Show the list, with a refusal where there was one."""
    may = can_manage_people(viewer)
    lines = [
        person_line(
            row, may_act=may and row.role in roles_assignable(viewer) and row.get_username() != viewer.actor
        )
        for row in people_listed(viewer)
    ]
    return page_render(
        request,
        "people/list.html",
        title="People",
        section="people",
        page_key="",
        scene=Scene(viewer),
        status=422 if error else 200,
        people=lines,
        verdict=verdict_of(lines),
        tries=tries_shown(viewer) if may else None,
        may_invite=may,
        roles=[(role.value, role.label) for role in roles_assignable(viewer)],
        error=error,
    )


def tries_shown(viewer: Principal) -> list[TryLine]:
    """Give the logins that failed lately."""
    return [try_line(one) for one in login_failures_recent(viewer, now=clock.now())[:TRIES_SHOWN]]


def verdict_of(lines: list[PersonLine]) -> Verdict:
    """Say in one sentence who may come in, and whose password alone lets in."""
    here = [line for line in lines if line.is_open]
    weak = [line for line in here if line.factor == "password only" and line.word == "open"]
    if not weak:
        return Verdict(f"{plural(len(here), 'open account')}.", "Everybody has a second factor.")
    verb = "uses" if len(weak) == 1 else "use"
    return Verdict(f"{plural(len(here), 'open account')}.", f"{len(weak)} {verb} a password only.")


@require_http_methods(["GET", "HEAD", "POST"])
@for_people
def invite(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Ask whom to invite, and make the account."""
    if not can_manage_people(viewer):
        raise Http404
    form = {name: request.POST.get(name, "").strip() for name in ("username", "role", "tenant")}
    errors: dict[str, str] = {}
    if request.method == "POST":
        if (held := confirm_first(request, viewer)) is not None:
            return held
        try:
            person = person_invite(principal=viewer, **form)
        except DomainError as refusal:
            errors[refusal.field if refusal.field in form else "username"] = refusal.reason
        else:
            return redirect("person-link", person.pk)
    form["role"] = form["role"] or Role.TENANT
    form["tenant"] = form["tenant"] or viewer.tenant_name
    return page_render(
        request,
        "people/invite.html",
        title="Invite",
        section="people",
        page_key="",
        scene=Scene(viewer),
        status=422 if errors else 200,
        form=form,
        errors=errors,
        roles=[(role.value, role.label) for role in roles_assignable(viewer)],
        tenants=picker(viewer, "tenant", value=form["tenant"]) if viewer.is_operator else None,
    )


@require_safe
@for_people
def link(request: HttpRequest, viewer: Principal, pk: int) -> HttpResponse:
    """Show the link through which somebody without a password chooses one."""
    if not can_manage_people(viewer):
        raise Http404
    try:
        person = person_manageable(viewer, pk)
    except DomainError:
        raise Http404 from None
    if person.has_usable_password() or not person.is_active:
        raise Http404
    if (held := confirm_first(request, viewer)) is not None:
        return held
    there = reverse("welcome", args=invitation_create(person))
    return page_render(
        request,
        "people/link.html",
        title=f"Link for {person.get_username()}",
        section="people",
        page_key="",
        scene=Scene(viewer),
        name=person.get_username(),
        link=request.build_absolute_uri(there),
    )


def question_of(op: str, name: str) -> Ask:
    """Write the question before an act."""
    title, text, label = QUESTIONS[op]
    there = reverse("people")
    return Ask(f"{title} {name}", text, label, back=there, page="People", section="people")


@require_POST
@for_people
def act(request: HttpRequest, viewer: Principal, pk: int, op: str) -> HttpResponse:
    """Close, open or reset an account, or give another role."""
    if op not in OPS or not can_manage_people(viewer):
        raise Http404
    try:
        person = person_manageable(viewer, pk)
        if (held := confirm_first(request, viewer)) is not None:
            return held
        if op in QUESTIONS and not is_sure(request):
            return ask_page(request, viewer, question_of(op, person.get_username()))
        if op == "role":
            person_role_set(principal=viewer, person=person, role=request.POST.get("role", ""))
        elif op == "reset":
            person_reset(principal=viewer, person=person)
        else:
            person_set_active(principal=viewer, person=person, is_open=op == "open")
    except NotFound:
        raise Http404 from None
    except DomainError as refusal:
        return people_page(request, viewer, error=refusal.reason)
    return redirect("person-link", pk) if op == "reset" and person.is_active else redirect("people")
