"""Signing in through the company's identity provider, a real one (`tests/company_provider.py`)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import reverse

from apps.core import clock
from apps.dashboard.company_provider import DESCRIPTION
from apps.users.models import AuditEntry, CompanyAccount, PersonSession, Tenant, User
from tests.company_provider import CLIENT_ID, CLIENT_SECRET, CompanyProvider
from tests.page_client import text_of
from tests.people import PASSWORD, operator_person, person

pytestmark = [pytest.mark.django_db, pytest.mark.long, pytest.mark.usefixtures("contexts")]

BACK = "/login/company/back/"


@pytest.fixture(scope="module")
def running() -> Iterator[CompanyProvider]:
    with CompanyProvider("http://testserver") as provider:
        yield provider


@pytest.fixture
def company(running: CompanyProvider, settings: Any, tmp_path: Path) -> CompanyProvider:
    """The provider, to which the console is set up; its people are in their first groups."""
    secret = tmp_path / "secret"
    secret.touch(0o600)
    secret.write_text(f"{CLIENT_SECRET}\n")
    settings.OIDC_ISSUER, settings.OIDC_CLIENT_ID = running.issuer, CLIENT_ID
    settings.OIDC_CLIENT_SECRET_FILE, settings.OIDC_NAME = str(secret), "Example SSO"
    settings.OIDC_GROUPS = {
        "admins": "OPERATOR",
        "acme-ops": "TENANT acme",
        "acme-admins": "TENANT_ADMIN acme",
        "other": "AUDITOR other",
    }
    operator_person()
    person("ann", of="acme")
    running.groups_set("ada", "admins")
    running.groups_set("bob", "acme-ops")
    running.groups_set("eve")
    DESCRIPTION.forget()
    return running


def come(
    provider: CompanyProvider,
    name: str,
    *,
    client: Client | None = None,
    browser: httpx.Client | None = None,
    query: str = "",
) -> tuple[Client, Any]:
    """Sign in as a browser does; return it with the answer to what the provider sent it back with."""
    client = client or Client()
    question = client.get(f"/login/company/{query}")
    assert question.status_code == 302, text_of(question)
    answer = urlsplit(provider.sign_in(question.headers["Location"], name=name, browser=browser))
    assert f"{answer.scheme}://{answer.netloc}{answer.path}" == f"http://testserver{BACK}"
    return client, client.get(f"{BACK}?{answer.query}")


def tenant_of(person: User) -> Tenant:
    assert person.tenant is not None
    return person.tenant


def test_a_person_of_a_mapped_group_comes_in_with_its_role(company):
    client, answer = come(company, "bob", query="?next=/hosts/")

    bob = User.objects.get(company__subject="id-of-bob")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/hosts/")
    assert (bob.username, bob.role, tenant_of(bob).name, bob.email) == ("bob", "TENANT", "acme", "")
    assert client.get("/sectors/").status_code == 200
    line = AuditEntry.objects.get(action="login")
    assert (line.actor, line.target) == ("bob", "bob")
    assert line.after == {"factor": "COMPANY", "provider": company.issuer, "subject": "id-of-bob"}
    assert PersonSession.objects.get(user=bob).factor == "COMPANY"


def test_the_question_has_state_nonce_and_pkce_and_no_secret(company):
    first, second = (
        parse_qs(urlsplit(Client().get("/login/company/").headers["Location"]).query) for _ in range(2)
    )

    assert first["code_challenge_method"] == ["S256"]
    assert first["response_type"] == ["code"]
    for name in ("state", "nonce", "code_challenge"):
        assert len(first[name][0]) >= 43
        assert first[name] != second[name]
    assert CLIENT_SECRET not in str(first)


def test_whose_groups_are_not_mapped_stays_out(company):
    client, answer = come(company, "eve")

    assert answer.status_code == 422
    assert "none of the groups that Example SSO names for you may sign in here" in text_of(answer)
    assert "_auth_user_id" not in client.session
    assert not CompanyAccount.objects.exists()


def test_an_equal_name_takes_no_local_account_over(company):
    local = person("bob", of="other")

    come(company, "bob")

    bob = User.objects.get(company__subject="id-of-bob")
    assert bob != local
    assert bob.username == "bob@127.0.0.1"
    assert Client().post("/login/", {"username": "bob", "password": PASSWORD}).status_code == 302


def test_groups_are_read_anew_and_a_lost_one_ends_what_was_open(company):
    client, _ = come(company, "bob")
    company.groups_set("bob", "acme-admins")
    come(company, "bob")
    promoted = User.objects.get(company__subject="id-of-bob").role

    company.groups_set("bob")
    _, refused = come(company, "bob")

    assert promoted == "TENANT_ADMIN"
    assert refused.status_code == 422
    assert client.get("/sectors/").headers["Location"].startswith("/login/")
    line = AuditEntry.objects.get(action="login.refuse")
    assert line.after is not None
    assert (line.target, line.after["subject"]) == ("bob", "id-of-bob")


def test_groups_of_two_tenants_are_refused(company):
    company.groups_set("bob", "acme-ops", "other")

    _, answer = come(company, "bob")

    assert "belong to several tenants (acme, other)" in text_of(answer)


def test_a_deactivated_account_stays_out(company):
    come(company, "bob")
    User.objects.filter(company__subject="id-of-bob").update(is_active=False)

    _, answer = come(company, "bob")

    assert answer.status_code == 422
    assert "deactivated here" in text_of(answer)


def test_a_disabled_tenants_people_stay_out(company):
    tenant = tenant_of(User.objects.get(username="ann"))
    tenant.enabled = False
    tenant.save()

    _, answer = come(company, "bob")

    assert "the tenant acme is disabled" in text_of(answer)


def test_a_session_ends_however_much_it_is_used(company, settings):
    settings.OIDC_SESSION_H = 2
    client, _ = come(company, "bob")
    first = Session.objects.get(session_key=client.session.session_key).expire_date

    session = client.session
    session["touched"] = True
    session.save()

    last = Session.objects.get(session_key=session.session_key).expire_date
    assert abs(first - clock.now() - timedelta(hours=2)) < timedelta(minutes=1)
    assert last == first


@pytest.mark.parametrize(
    "forged", ["state=wrong&code=x", "code=x", "", "state={state}", "state={state}&error=a b"]
)
def test_an_answer_to_no_question_of_this_browser_is_refused(company, forged):
    client = Client()
    asked = parse_qs(urlsplit(client.get("/login/company/").headers["Location"]).query)

    answer = client.get(f"{BACK}?{forged.format(state=asked['state'][0])}")

    assert answer.status_code == 422
    assert "_auth_user_id" not in client.session


def test_an_answer_counts_once_and_in_its_browser_only(company):
    client = Client()
    question = client.get("/login/company/").headers["Location"]
    query = urlsplit(company.sign_in(question, name="bob")).query

    stranger = Client().get(f"{BACK}?{query}")
    first = client.get(f"{BACK}?{query}")
    client.logout()
    again = client.get(f"{BACK}?{query}")

    assert [stranger.status_code, first.status_code, again.status_code] == [422, 302, 422]


def test_an_old_question_is_refused(company, monkeypatch):
    client = Client()
    question = client.get("/login/company/").headers["Location"]
    query = urlsplit(company.sign_in(question, name="bob")).query
    later = clock.now() + timedelta(minutes=11)
    monkeypatch.setattr(clock, "now", lambda: later)

    answer = client.get(f"{BACK}?{query}")

    assert "too long ago" in text_of(answer)


def test_signing_out_ends_the_providers_session_too(company):
    browser = httpx.Client()
    client, _ = come(company, "bob", browser=browser)
    # Signed in there already: the provider asks nothing.
    _, silent = come(company, "nobody", browser=browser)

    page = client.post("/logout/")
    there = page.context["there"]
    back = company.session_ends(there, browser)

    assert silent.status_code == 302
    assert client.get("/sectors/").headers["Location"].startswith("/login/")
    assert "Signed out of Poolsite" in text_of(page)
    assert back.startswith("http://testserver/login/")
    with pytest.raises(AssertionError, match="asks on and on"):  # who it is: no longer signed in there
        company.sign_in(Client().get("/login/company/").headers["Location"], name="nobody", browser=browser)


def test_a_sensitive_act_asks_the_provider_again(company):
    browser = httpx.Client()
    client, _ = come(company, "ada", browser=browser)
    session = client.session
    session.pop("confirmed_at")
    session.save()
    typed = {"username": "new", "role": "AUDITOR", "tenant": "acme"}
    question = client.post("/people/invite/", typed)
    held = client.post("/people/invite/", typed | {"confirm-back": "/people/"})

    come(company, "ada", client=client, browser=browser, query="?again=1")
    done = client.post("/people/invite/", typed | {"confirm-back": "/people/"})

    assert "Sign in again at Example SSO" in text_of(question)
    assert 'type="password"' not in question.content.decode()
    assert held.status_code == 200
    assert done.status_code == 302
    assert User.objects.filter(username="new").exists()


def test_nobody_else_confirms_an_act(company):
    client, _ = come(company, "ada")
    session = client.session
    session.pop("confirmed_at")
    session.save()

    come(company, "bob", client=client, query="?again=1")

    assert "confirmed_at" not in client.session
    assert "somebody else" in text_of(client.get("/account/"))


def test_local_ways_in_are_shut_for_people_of_the_company(company):
    client, _ = come(company, "bob")
    bob = User.objects.get(company__subject="id-of-bob")
    operator = Client()
    operator.force_login(User.objects.get(username="olga"))
    session = operator.session
    session["confirmed_at"] = int(clock.now().timestamp())
    session.save()

    listed = text_of(operator.get("/people/"))
    link = operator.get(f"/people/{bob.pk}/link/")
    reset = operator.post(f"/people/{bob.pk}/reset/", {"confirmed": "1"})
    role = operator.post(f"/people/{bob.pk}/role/", {"role": "OPERATOR"})
    account = client.get("/account/").content.decode()

    assert "at Example SSO" in listed
    assert link.status_code == 404
    assert role.status_code == 422
    assert reset.status_code in (200, 422)
    assert "h-pw" not in account
    assert "h-app" not in account
    bob.refresh_from_db()
    assert (bob.role, bob.has_usable_password()) == ("TENANT", False)


def test_the_secret_is_shown_and_logged_nowhere(company, settings, caplog):
    Path(settings.OIDC_CLIENT_SECRET_FILE).chmod(0o644)

    _, answer = come(company, "bob")

    assert answer.status_code == 422
    assert "cannot be asked now" in text_of(answer)
    assert CLIENT_SECRET not in answer.content.decode() + caplog.text


def test_a_wrong_secret_lets_nobody_in(company, settings):
    Path(settings.OIDC_CLIENT_SECRET_FILE).write_text("another")

    _, answer = come(company, "bob")

    assert answer.status_code == 422
    assert "is not valid" in text_of(answer)


def test_without_a_provider_there_is_no_such_way_in(ann):
    assert "login/company" not in Client().get("/login/").content.decode()
    assert Client().get("/login/company/").status_code == 404
    assert Client().get(BACK).status_code == 404


def test_a_provider_that_is_away_leaves_the_local_way(company, settings):
    settings.OIDC_ISSUER = "http://127.0.0.1:9"
    client = Client()

    answer = client.get("/login/company/")

    assert answer.status_code == 422
    assert "Example SSO cannot be asked now" in text_of(answer)
    assert client.post("/login/", {"username": "ann", "password": PASSWORD}).status_code == 302


def test_a_strangers_question_costs_no_row(company):
    client = Client()
    company.sign_in(client.get("/login/company/?next=/hosts/").headers["Location"], name="bob")

    assert Session.objects.count() == 0
    cookie = client.cookies["company_asked"]
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Lax", "/login/")


def test_another_hosts_question_is_none_of_this_one(company):
    client = Client()
    query = urlsplit(company.sign_in(client.get("/login/company/").headers["Location"], name="bob")).query

    assert client.get(f"{BACK}?{query}", headers={"host": "localhost"}).status_code == 422


def test_whoever_is_refused_can_still_go_on_to_the_page_they_wanted(company):
    _, refused = come(company, "eve", query="?next=/hosts/")

    assert refused.context["next"] == "/hosts/"


@pytest.mark.parametrize("there", ["//evil.example/", "https://evil.example/", "/" + "x" * 5_000])
def test_nobody_is_sent_elsewhere(company, there):
    _, answer = come(company, "bob", query=f"?next={there}")

    assert answer.headers["Location"] == "/"


def test_no_page_asks_the_companys_people_for_what_they_do_not_have(company):
    client, _ = come(company, "ada")
    session = client.session
    session["confirmed_at"] = int(clock.now().timestamp())
    session.save()

    app = client.post("/account/totp/", {"code": "123456"})
    session["confirmed_at"] = 0
    session.save()
    question = client.post("/account/confirm/?next=/people/")

    assert (app.status_code, app.headers["Location"]) == (302, "/account/")
    assert "Example SSO has not confirmed it yet." in text_of(question)
    assert "Enter your password" not in text_of(question)


def test_the_tenants_page_and_its_steps_count_the_companys_people(company):
    ann = User.objects.get(username="ann")
    there = reverse("tenant", args=[tenant_of(ann).uuid])
    ann.delete()
    come(company, "bob")
    client, _ = come(company, "ada")

    page = text_of(client.get(there))

    assert "bob can sign in" in page
    assert "invited" not in page
