"""An open browser alone makes no token, invites nobody, takes nobody's access; what was typed is kept."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable
from typing import Any

import pyotp
import pytest
from django.test import Client

from apps.chain.models import Node
from apps.core import clock
from apps.users.models import AccountApproval, LoginAttempt, Token, TotpDevice, User
from apps.users.rules.encryption import text_decrypt
from apps.users.services import login_throttle
from apps.users.services.passkeys import RelyingParty, passkey_add, registration_options_generate
from apps.users.services.reauthentication import CONFIRMED, CONFIRMED_FOR_S
from apps.users.services.second_factor import recovery_codes_generate, totp_begin, totp_confirm
from tests import people
from tests.authenticator import Authenticator
from tests.page_client import HTMX, left_open, signed_in, text_of
from tests.people import PASSWORD, bearer

pytestmark = pytest.mark.django_db

TOKEN = {"name": "miner one", "part": "all", "perm": "sign", "life": "30", "methods": 'Gateway.* "&<x>'}


@pytest.fixture
def adam() -> User:
    return people.person("adam", role="TENANT_ADMIN")


def fields_of(page: str) -> dict[str, str]:
    """What the question carries along."""
    found = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', page)
    return {name: html.unescape(value) for name, value in found if name != "csrfmiddlewaretoken"}


def asked(answer: Any) -> dict[str, str]:
    """Check that this is the question; gives its fields."""
    assert answer.status_code == 200
    assert "Confirm your identity" in text_of(answer)
    return fields_of(text_of(answer))


def test_token_form_survives_reauthentication(adam):
    client = left_open("adam")

    kept = asked(client.post("/tokens/new/", TOKEN))
    assert not Token.objects.exists()
    assert client.post("/tokens/new/", {**kept, "confirm-password": "wrong"}).status_code == 422
    assert not Token.objects.exists()
    made = client.post("/tokens/new/", {**kept, "confirm-password": PASSWORD})

    assert made["Location"] == "/tokens/made/"
    row = Token.objects.get()
    assert (row.name, row.perm, row.methods) == ("miner one", "sign", ["Gateway.*", '"&<x>'])
    assert client.post("/tokens/new/", {**TOKEN, "name": "two"})["Location"] == "/tokens/made/"


def test_component_token_has_its_scopes_and_the_start_command(adam):
    client = signed_in("adam")
    form = {"name": "host", "part": "sealer", "life": "90", "tenant": "alice"}

    low = client.post("/tokens/new/", {**form, "perm": "read"})
    made = client.post("/tokens/new/", {**form, "perm": ""}, follow=True)

    assert (low.status_code, Token.objects.get().perm) == (422, "write")
    assert "this component needs at least level write" in text_of(low)
    assert "make worker CONSOLE=http://testserver TOKEN_FILE=token" in text_of(made)


@pytest.mark.parametrize(
    ("perm", "limits", "is_shown"),
    [("sign", {}, True), ("write", {}, False), ("sign", {"methods": "Gateway.*"}, False)],
)
def test_a_token_of_level_sign_shows_once_how_a_lotus_miner_connects(adam, perm, limits, is_shown):
    client = signed_in("adam")
    form = {"name": "miner", "part": "all", "life": "90", "tenant": "alice", "perm": perm, **limits}

    made = text_of(client.post("/tokens/new/", form, follow=True))

    assert ("/dns/testserver/tcp/80/http" in made) is is_shown
    assert ("DisableWindowPoSt = true" in made) is is_shown
    assert "FULLNODE_API_INFO" not in text_of(client.get("/tokens/made/", follow=True))


def test_a_form_that_cannot_be_taken_comes_back_as_it_was(adam):
    client = left_open("adam")

    kept = asked(client.post("/people/invite/", {"username": "two words", "role": "AUDITOR"}))
    answer = client.post("/people/invite/", {**kept, "confirm-password": PASSWORD})

    assert answer.status_code == 422
    assert 'value="two words"' in text_of(answer)
    assert not User.objects.filter(username="two words").exists()


def paths_of_others() -> dict[str, str]:
    """What takes or gives somebody's access."""
    carl, eve = people.person("carl"), people.person("eve")
    eve.set_unusable_password()
    eve.save()
    people.token("read", of="alice")
    wish = AccountApproval.objects.create(
        signer_tenant=people.tenant("bob"), account=people.tenant("alice"), approved_at=None
    )
    own = signed_in("carl").session.session_key
    assert own
    return {
        "close": f"/people/{carl.pk}/close/",
        "reset": f"/people/{carl.pk}/reset/",
        "role": f"/people/{carl.pk}/role/",
        "revoke": f"/tokens/{Token.objects.get().pk}/revoke/",
        "approve": f"/gateway/approvals/{wish.pk}/approve/",
        "sessions": "/account/sessions/end/",
    }


def state_of() -> Any:
    people_now = sorted(User.objects.values_list("username", "is_active", "role", "password"))
    tokens = list(Token.objects.values_list("revoked_at", flat=True))
    return people_now, tokens, list(AccountApproval.objects.values_list("approved_at", flat=True))


def test_taking_or_giving_the_access_of_others_asks_first(adam):
    paths, client = paths_of_others(), left_open("adam")
    before = state_of()

    for path in paths.values():
        kept = asked(client.post(path, {"sure": "yes", "role": "AUDITOR"}))
        assert (kept["sure"], kept["role"]) == ("yes", "AUDITOR")
        assert state_of() == before, path


def test_the_link_of_an_invitation_is_shown_only_soon_after_a_proof(adam):
    paths_of_others()
    client, eve = left_open("adam"), User.objects.get(username="eve")
    path = f"/people/{eve.pk}/link/"

    there = client.get(path)["Location"]
    assert there == f"/account/confirm/?next=%2Fpeople%2F{eve.pk}%2Flink%2F"
    assert client.post(there, {"confirm-password": PASSWORD})["Location"] == path

    assert "/invitation/" in text_of(client.get(path))


def test_row_button_reauthenticates_and_returns_to_its_page(adam):
    path = paths_of_others()["approve"]
    headers = {**HTMX, "HX-Current-URL": "http://testserver/gateway/"}

    answer = left_open("adam").post(path, headers=headers)

    assert answer.status_code == 204
    assert answer["HX-Redirect"] == "/account/confirm/?next=%2Fgateway%2F"
    assert not AccountApproval.objects.filter(approved_at__isnull=False).exists()


def test_a_node_that_would_be_believed_is_added_only_soon_after_a_proof():
    people.operator_person()
    form = {"url": "token.a.b:/ip4/127.0.0.1/tcp/1/http", "name": "n", "role": "READ", "weight": "1"}

    kept = asked(left_open("olga").post("/chain/nodes/add/", form))

    assert {**kept, **form} == kept
    assert not Node.objects.exists()


def test_who_may_not_do_it_is_not_even_asked():
    people.person("anna", role="AUDITOR")
    client = left_open("anna")

    assert client.post("/tokens/new/", TOKEN).status_code == 404
    assert client.post("/people/invite/", {"username": "x"}).status_code == 404


@pytest.mark.parametrize(
    ("age_s", "status"), [(CONFIRMED_FOR_S - 60, 302), (CONFIRMED_FOR_S + 1, 200), (-60, 200)]
)
def test_a_proof_is_good_for_fifteen_minutes(adam, age_s, status):
    client = left_open("adam")
    session = client.session
    session[CONFIRMED] = int(clock.now().timestamp()) - age_s
    session.save()

    assert client.post("/tokens/new/", TOKEN).status_code == status


def app_of(user: User) -> Callable[[], str]:
    """Give this person an app; gives its codes."""
    totp_begin(user)
    app = pyotp.TOTP(text_decrypt(TotpDevice.objects.get(user=user).sealed_secret))
    now = clock.now()
    totp_confirm(user, code=app.at(now.timestamp() - 30), now=now)
    return app.now


def test_a_code_of_the_app_will_do_once_and_a_recovery_code_will_not(adam):
    code = app_of(adam)
    client = left_open("adam")
    recovery = recovery_codes_generate(adam)[0]

    kept = asked(client.post("/tokens/new/", TOKEN))
    assert client.post("/tokens/new/", {**kept, "confirm-code": recovery}).status_code == 422
    used = code()
    assert client.post("/tokens/new/", {**kept, "confirm-code": used})["Location"] == "/tokens/made/"

    again = left_open("adam").post("/tokens/new/", {**kept, "confirm-code": used})
    assert again.status_code == 422


def held_by(user: User) -> Authenticator:
    """Give this person a passkey."""
    held, place = Authenticator(), RelyingParty(host="testserver", origin="http://testserver")
    question = registration_options_generate(user, place=place)
    answer = held.register(json.loads(question.options)["challenge"])
    passkey_add(user, answer=answer, challenge=question.challenge, place=place, name="laptop")
    return held


@pytest.mark.parametrize("verifies", [True, False])
def test_a_passkey_will_do_if_it_verified_its_owner(adam, verifies):
    held, client = held_by(adam), left_open("adam")
    held.verifies = verifies

    kept = asked(client.post("/tokens/new/", TOKEN))
    options = json.loads(client.post("/account/confirm/passkey/").content)
    assert options["userVerification"] == "required"
    answer = client.post("/tokens/new/", {**kept, "confirm-passkey": held.sign(options["challenge"])})

    assert answer.status_code == (302 if verifies else 422)
    assert Token.objects.exists() == verifies


def test_the_passkey_of_somebody_else_will_not_do(adam):
    held, client = held_by(people.person("carl")), left_open("adam")
    held_by(adam)

    options = json.loads(client.post("/account/confirm/passkey/").content)
    answer = client.post("/tokens/new/", {**TOKEN, "confirm-passkey": held.sign(options["challenge"])})

    assert answer.status_code == 422
    assert not Token.objects.exists()


def test_guessing_here_is_slowed_as_at_the_login(adam, monkeypatch):
    monkeypatch.setattr(login_throttle, "FIRST_WAIT_S", 300)  # not over before a slow machine asks again
    client = left_open("adam")
    for _ in range(5):
        client.post("/tokens/new/", {**TOKEN, "confirm-password": "wrong"})

    answer = client.post("/tokens/new/", {**TOKEN, "confirm-password": PASSWORD})

    assert answer.status_code == 422
    assert "Too many failed attempts" in text_of(answer)
    assert LoginAttempt.objects.filter(is_good=False).count() == 5
    assert not Token.objects.exists()


def test_the_name_of_a_passkey_is_there_again_after_the_proof(adam):
    client = left_open("adam")

    kept = asked(client.post("/account/passkeys/", {"name": "laptop & phone"}))
    done = client.post("/account/passkeys/", {**kept, "confirm-password": PASSWORD})

    assert done["Location"] == "/account/?passkey=laptop+%26+phone#passkeys"
    assert 'value="laptop &amp; phone"' in text_of(client.get(done["Location"]))


@pytest.mark.parametrize(
    "came_from", ["https://evil.example/x", "javascript:alert(1)", "http://testserver//evil.example"]
)
def test_the_way_back_stays_on_the_site(adam, came_from):
    client = left_open("adam")

    asked_page = text_of(client.post("/tokens/new/", TOKEN, headers={"Referer": came_from}))
    again = text_of(client.post("/tokens/new/", {**TOKEN, "confirm-back": came_from}))

    assert '<a class="btn" href="/">Cancel</a>' in asked_page
    assert '<a class="btn" href="/">Cancel</a>' in again


class TestRest:
    """The same over REST: a browser's session is asked, a token never."""

    BODY = {"name": "x", "perm": "read"}

    def post(self, client: Client, **headers: str) -> Any:
        return client.post("/api/v1/tokens", self.BODY, content_type="application/json", headers=headers)

    def test_a_session_left_open_makes_no_token(self, adam):
        answer = self.post(left_open("adam"))

        assert (answer.status_code, answer.json()["code"]) == (403, "not_confirmed")
        assert not Token.objects.exists()
        assert self.post(signed_in("adam")).status_code == 201

    def test_a_token_of_an_admin_makes_one_as_before(self, adam):
        assert self.post(Client(), **bearer(people.token("admin"))).status_code == 201

    def test_a_session_left_open_takes_and_gives_nothing(self):
        people.operator_person()
        people.token("read")
        client, json_type = left_open("olga"), "application/json"
        key = Token.objects.get().pk

        assert client.delete(f"/api/v1/tokens/{key}").status_code == 403
        assert client.post("/api/v1/tenants", {"name": "carol"}, json_type).status_code == 403
        assert client.patch("/api/v1/tenants/alice", {"enabled": False}, json_type).status_code == 403
        body = {"signer": "bob", "account": "alice", "approve": True}
        assert client.post("/api/v1/signer-approvals", body, json_type).status_code == 403
        assert client.get("/api/v1/tokens").status_code == 200
