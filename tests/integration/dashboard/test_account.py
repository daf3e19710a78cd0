"""A person's own account and the page People, over HTTP: second step, passkeys, sessions, roles."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.test import Client

from apps.core import clock
from apps.users.models import AuditEntry, Passkey, PersonSession, RecoveryCode, User
from apps.users.services import login_throttle
from apps.users.services.second_factor import recovery_codes_generate
from tests import demo_data, people
from tests.authenticator import Authenticator
from tests.integration.dashboard.second_factors import NOW, app_of, passkey_added, secret_of, signed_in
from tests.people import PASSWORD
from tests.shared_reports import REPORT_NOW, SharedReports

pytestmark = pytest.mark.django_db


def text_of(answer: Any) -> str:
    return str(answer.content.decode())


def passkey_given(client: Client, held: Authenticator, **form: str) -> Any:
    options = client.post("/login/passkey/options/")
    answer = held.sign(json.loads(options.content)["challenge"])
    return client.post("/login/passkey/", {"answer": answer, **form})


def is_in(client: Client) -> bool:
    return client.get("/account/").status_code == 200


def test_new_app_shows_secret_until_confirmed_and_recovery_codes_once():
    ann = people.person()
    client = signed_in()

    page = text_of(client.get("/account/totp/"))
    drawing = client.get("/account/totp.svg")
    assert secret_of(ann).secret in page.replace(" ", "")
    assert drawing["Content-Type"] == "image/svg+xml"
    assert b"<svg" in drawing.content
    assert client.post("/account/totp/", {"code": "000"}).status_code == 422
    codes = client.post("/account/totp/", {"code": secret_of(ann).now()}, follow=True)

    assert text_of(codes).count('<li class="id">') == 10
    assert client.get("/account/recovery/").status_code == 302
    assert client.get("/account/totp.svg").status_code == 404
    assert "required at sign-in" in text_of(client.get("/account/"))


def test_a_password_alone_does_not_let_in_whoever_has_an_app():
    app = app_of(people.person())
    client = Client()

    first = client.post("/login/", {"username": "ann", "password": PASSWORD, "next": "/hosts/"})
    assert first["Location"] == "/login/second/"
    assert not is_in(client)
    assert client.post("/login/second/", {"code": "123"}).status_code == 422
    assert not is_in(client)
    second = client.post("/login/second/", {"code": app.now()})

    assert second["Location"] == "/hosts/"
    assert is_in(client)
    assert AuditEntry.objects.get(action="login").after == {"factor": "TOTP"}
    assert "Password and authenticator app" in text_of(client.get("/account/"))


def test_a_recovery_code_replaces_the_app():
    ann = people.person()
    app_of(ann)
    codes = recovery_codes_generate(ann)
    client = Client()
    client.post("/login/", {"username": "ann", "password": PASSWORD})

    client.post("/login/second/", {"code": codes[0]})

    assert "9 of 10 left" in text_of(client.get("/account/"))


def test_guessing_codes_is_slowed_and_a_right_password_does_not_forgive(monkeypatch):
    monkeypatch.setattr(login_throttle, "FIRST_WAIT_S", 300)  # not over before a slow machine asks again
    app = app_of(people.person())
    client = Client()
    for _ in range(5):
        client.post("/login/", {"username": "ann", "password": PASSWORD})
        client.post("/login/second/", {"code": "000"})

    answer = client.post("/login/second/", {"code": app.now()})

    assert answer.status_code == 422
    assert "Too many failed attempts" in text_of(answer)


@pytest.mark.parametrize("what", ["nothing", "late", "other password", "closed"])
def test_the_second_step_belongs_to_a_right_password_given_lately(what, monkeypatch):
    ann = people.person()
    app = app_of(ann)
    client = Client()
    if what != "nothing":
        client.post("/login/", {"username": "ann", "password": PASSWORD})
    if what == "late":
        monkeypatch.setattr("apps.dashboard.pages.entry.second_factor.PENDING_FOR", clock.now() - clock.now())
    if what == "other password":
        ann.set_password("another one of some length")
        ann.save()
    if what == "closed":
        User.objects.update(is_active=False)

    answer = client.post("/login/second/", {"code": app.now()})

    assert answer["Location"] == "/login/"
    assert not is_in(client)


def test_a_passkey_lets_in_without_name_and_password():
    people.person()
    held = Authenticator()
    assert passkey_added(signed_in(), held)["Location"] == "/account/recovery/"
    client = Client()

    answer = passkey_given(client, held, next="/miners/")

    assert answer["Location"] == "/miners/"
    assert ">Passkey<" in text_of(client.get("/account/"))
    assert Passkey.objects.get().last_used_at is not None


def test_a_passkey_is_a_second_step_too():
    people.person()
    held = Authenticator()
    passkey_added(signed_in(), held)
    held.verifies = False
    client = Client()
    assert client.post("/login/", {"username": "ann", "password": PASSWORD})["Location"] == "/login/second/"

    assert passkey_given(client, held)["Location"] == "/"
    assert is_in(client)


def test_a_passkeys_answer_is_taken_once():
    people.person()
    held = Authenticator()
    passkey_added(signed_in(), held)
    client = Client()
    options = client.post("/login/passkey/options/")
    answer = held.sign(json.loads(options.content)["challenge"])
    client.post("/login/passkey/", {"answer": answer})
    stranger = Client()

    for replay in (stranger, client):
        replay.post("/logout/")
        assert replay.post("/login/passkey/", {"answer": answer}).status_code == 422
        assert not is_in(replay)


def test_asking_for_a_passkey_costs_the_pool_no_row():
    for _ in range(3):
        assert Client().post("/login/passkey/options/").status_code == 200

    assert not Session.objects.exists()


def test_a_strangers_passkey_answer_counts_for_a_few_minutes_and_once(monkeypatch):
    people.person()
    held = Authenticator()
    passkey_added(signed_in(), held)
    client, late = Client(), Client()
    asked = client.post("/login/passkey/options/")
    cookie = dict(client.cookies)
    late.cookies.update(cookie)
    answer = held.sign(json.loads(asked.content)["challenge"])

    with monkeypatch.context() as patched:
        patched.setattr("django.core.signing.time.time", lambda: NOW.timestamp() + 3600)
        assert late.post("/login/passkey/", {"answer": answer}).status_code == 422
    assert client.post("/login/passkey/", {"answer": answer}).status_code == 302
    assert late.post("/login/passkey/", {"answer": answer}).status_code == 422
    assert not is_in(late)


def test_the_last_second_factor_takes_the_recovery_codes_with_it():
    people.person()
    client = signed_in()
    passkey_added(client, Authenticator())

    client.post(f"/account/passkeys/{Passkey.objects.get().pk}/remove/", {"sure": "yes"})

    assert not RecoveryCode.objects.exists()
    assert "Your password is the only factor" in text_of(client.get("/account/"))


def test_changes_that_would_let_a_stranger_in_ask_for_the_password_again():
    ann = people.person()
    client = Client()
    client.force_login(ann)

    asked = client.post("/account/passkeys/options/", headers={"Accept": "application/json"})
    assert json.loads(asked.content) == {"confirm": "/account/confirm/?next=%2Faccount%2F"}
    for path in ("totp/", "totp.svg", "recovery/"):
        assert client.get(f"/account/{path}")["Location"].startswith("/account/confirm/")
    assert client.post("/account/confirm/", {"confirm-password": "wrong"}).status_code == 422
    assert client.post("/account/confirm/", {}).status_code == 422
    assert client.get("/account/totp/").status_code == 302
    done = client.post("/account/confirm/?next=/account/totp/", {"confirm-password": PASSWORD})
    assert done["Location"] == "/account/totp/"

    assert client.get("/account/totp/").status_code == 200


def test_sessions_are_listed_with_device_and_address_and_end_at_once():
    people.person()
    here = signed_in()
    there = signed_in(agent="(iPhone; iOS 17_5) Version/17.5 Mobile/15E148 Safari/604.1")

    text = text_of(here.get("/account/"))
    assert "Firefox 128 on Linux" in text
    assert "Safari 17 on iPhone" in text
    assert text.count("127.0.0.1") == 2
    row = PersonSession.objects.get(device__contains="iPhone")
    assert here.post(f"/account/sessions/{row.pk}/end/")["Location"] == "/account/"

    assert not is_in(there)
    assert is_in(here)


def test_all_other_sessions_end_together():
    people.person()
    here, others = signed_in(), [signed_in() for _ in range(3)]

    here.post("/account/sessions/end/")

    assert is_in(here)
    assert not any(is_in(other) for other in others)


def test_a_stranger_ends_nobodys_session():
    people.person()
    people.person("bill", of="bob")
    client = signed_in()
    row = PersonSession.objects.get()

    assert signed_in("bill").post(f"/account/sessions/{row.pk}/end/").status_code == 404
    assert is_in(client)


def test_a_changed_password_keeps_this_session_and_ends_the_others():
    people.person()
    here, there = signed_in(), signed_in()
    new = "another one of some length"

    here.post("/password/", {"old_password": PASSWORD, "new_password1": new, "new_password2": new})

    assert is_in(here)
    assert not is_in(there)
    assert PersonSession.objects.count() == 1
    assert "this browser" in text_of(here.get("/account/"))


def test_an_invited_person_chooses_a_password_by_the_link():
    people.person("adam", role="TENANT_ADMIN")
    admin = signed_in("adam")
    made = admin.post("/people/invite/", {"username": "eve", "role": "AUDITOR"})
    page = text_of(admin.get(made["Location"]))
    link = page.split('value="http://testserver')[1].split('"')[0]
    client = Client()

    assert "Welcome, eve" in text_of(client.get(link))
    assert client.post(link, {"password": "x", "again": "y"}).status_code == 422
    done = client.post(link, {"password": PASSWORD, "again": PASSWORD})["Location"]
    assert done == "/login/?kept=1"
    assert client.get(link).status_code == 404
    assert is_in(signed_in("eve"))


@pytest.mark.parametrize("op", ["close", "open", "reset", "role"])
def test_only_admins_care_for_people_and_only_for_their_own(op):
    people.person("adam", role="TENANT_ADMIN")
    people.person("carl")
    people.person("anna", role="AUDITOR")
    strange = people.person("bill", of="bob")
    carl = User.objects.get(username="carl")
    path = f"/people/{carl.pk}/{op}/"

    for name in ("carl", "anna", "bill"):
        assert signed_in(name).post(path, {"role": "AUDITOR"}).status_code == 404
    admin = signed_in("adam")
    assert admin.post(f"/people/{strange.pk}/{op}/", {"role": "AUDITOR"}).status_code == 404
    assert admin.post(path, {"role": "AUDITOR", "sure": "yes"}).status_code == 302


def test_a_closed_person_is_out_at_once_and_in_again_when_opened():
    people.person("adam", role="TENANT_ADMIN")
    carl = people.person("carl")
    admin, theirs = signed_in("adam"), signed_in("carl")

    admin.post(f"/people/{carl.pk}/close/", {"sure": "yes"})
    assert not is_in(theirs)
    assert Client().post("/login/", {"username": "carl", "password": PASSWORD}).status_code == 422
    admin.post(f"/people/{carl.pk}/open/")

    assert is_in(signed_in("carl"))


def test_the_own_account_cannot_be_closed_and_the_page_says_so():
    adam = people.person("adam", role="TENANT_ADMIN")
    client = signed_in("adam")

    answer = client.post(f"/people/{adam.pk}/close/", {"sure": "yes"})

    assert answer.status_code == 422
    assert "you cannot do this to your own account" in text_of(answer)
    assert is_in(client)


def test_people_list_shows_who_has_no_second_factor():
    people.person("adam", role="TENANT_ADMIN")
    app_of(people.person("carl"))
    people.person("bill", of="bob")
    people.operator_person()

    text = text_of(signed_in("adam").get("/people/"))

    assert "1 has no second factor" in text
    User.objects.filter(username="adam").update(language="zh-hans")
    assert "均有双重验证" not in text_of(signed_in("adam").get("/people/"))
    assert "bill" not in text
    assert "olga" not in text
    assert "bill" in text_of(signed_in("olga").get("/people/"))


def test_failed_logins_are_shown_to_whoever_cares_for_these_people():
    people.person("adam", role="TENANT_ADMIN")
    people.person("carl")
    people.person("bill", of="bob")
    people.person("anna", role="AUDITOR")
    people.operator_person()
    for name, times in (("carl", 5), ("bill", 1), ("nobody <b>", 1)):
        for _ in range(times):
            Client().post("/login/", {"username": name, "password": "wrong"})

    own, every, others = (text_of(signed_in(name).get("/people/")) for name in ("adam", "olga", "anna"))

    assert ("delayed" in own, "127.0.0.1" in own) == (True, True)
    assert "bill" not in own
    assert "nobody" not in own
    assert ("nobody &lt;b&gt;" in every, "bill" in every) == (True, True)
    assert "Failed logins" not in others


def posts_of_pages(pool: demo_data.Pool) -> list[str]:
    """What people can do to objects of the tenant."""
    return [
        "/sectors/pledge/",
        f"/sectors/{pool.paused.uuid}/retry/",
        f"/sectors/{pool.paused.uuid}/abort/",
        f"/hosts/{pool.sealer.uuid}/pause/",
        f"/message/replace/{pool.flying.id}/",
        f"/message/mark-bad/{pool.stuck.id}/",
        "/send/",
        "/people/invite/",
    ]


def test_an_auditor_reads_every_page_and_changes_nothing(monkeypatch):
    monkeypatch.setattr(REPORT_NOW, SharedReports())
    pool = demo_data.busy_pool()
    people.person("anna", role="AUDITOR")
    client = signed_in("anna")

    own = {"password", "account", "account-confirm"}
    acts = {
        *demo_data.FORMS,
        "wallet-name",
        "claims-extend",
        "sector-abort",
        "sector-restore",
        "sector-state-set",
        "sectors-snap-up",
        "store-change",
        "store-adopt",
        "store-check",
        "store-leftovers",
        "host-drives",
        "host-leftovers",
        "host-setting",
        "store-redeclare",
        "store-scan",
        "store-forget",
        "message-approve",
        "message-mark-bad",
        "message-replace",
        "message-cancel",
    }
    for name, path in demo_data.addresses(pool).items():
        assert client.get(path).status_code == 200 or name in acts - own, name
    for path in posts_of_pages(pool):
        assert client.post(path, {"count": "1", "miner": pool.miner.address}).status_code in (403, 404), path
