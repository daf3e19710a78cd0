"""Inviting a person, and the link that lets them in."""

from __future__ import annotations

from typing import Final

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_safe

from apps.core.errors import DomainError
from apps.dashboard.first_steps import steps_href, steps_query
from apps.dashboard.forms import PageForm, form_render
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.pickers import picker
from apps.dashboard.reauthentication import reauthenticate_first
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.text_fields import Choice, Text
from apps.users.rules.principals import Principal
from apps.users.selectors.people import is_company_person
from apps.users.selectors.tenants import tenant_evident
from apps.users.services.people import (
    assignable_roles_list,
    can_manage_people,
    invitation_create,
    managed_person_find,
    person_invite,
)
from apps.users.states import Role


class InviteForm(PageForm):
    """Who is invited, as what."""

    blamed = "username"
    username = Text()
    role = Choice(Role.choices)
    tenant = Text()


@require_http_methods(["GET", "HEAD", "POST"])
@sign_in_required
def invite(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Show the form for an invitation, and make the account."""
    if not can_manage_people(viewer):
        raise Http404
    form = InviteForm.of(request, tenant=request.GET.get("tenant", tenant_evident(viewer)))
    if form.is_valid():
        if (held := reauthenticate_first(request, viewer)) is not None:
            return held
        with form.refusals():
            person = person_invite(principal=viewer, **form.cleaned_data)
            from_tenant = steps_query(request.GET.get("tenant", ""))
            return redirect(reverse("person-link", args=[person.pk]) + from_tenant)
    return form_render(
        request,
        viewer,
        "people/invite.html",
        form,
        title=_("Invite"),
        section="people",
        roles=[(role.value, role.label) for role in assignable_roles_list(viewer)],
        tenants=picker(viewer, "tenant", value=form.typed["tenant"]) if viewer.is_operator else None,
    )


@require_safe
@sign_in_required
def link(request: HttpRequest, viewer: Principal, pk: int) -> HttpResponse:
    """Show the link through which somebody without a password chooses one."""
    if not can_manage_people(viewer):
        raise Http404
    try:
        person = managed_person_find(viewer, pk=pk)
    except DomainError:
        raise Http404 from None
    if person.has_usable_password() or not person.is_active or is_company_person(person):
        raise Http404
    if (held := reauthenticate_first(request, viewer)) is not None:
        return held
    there = reverse("invitation", args=invitation_create(person))
    return page_render(
        request,
        "people/link.html",
        title=gettext("Link for {get_username}").format(get_username=person.get_username()),
        section="people",
        data=PageData(viewer),
        name=person.get_username(),
        link=request.build_absolute_uri(there),
        done=steps_href(viewer, request.GET.get("tenant", ""), otherwise="people"),
    )


urlpatterns: Final = [
    path("people/invite/", invite, name="person-invite"),
    path("people/<int:pk>/link/", link, name="person-link"),
]
