"""Passkeys in a real browser: Chromium's own virtual authenticator stands in for the fingerprint."""

from __future__ import annotations

from django.contrib.sessions.backends.db import SessionStore
from playwright.sync_api import expect

from apps.users.models import PersonSession, Token, User
from apps.users.services.reauthentication import CONFIRMED
from apps.users.states import Role
from tests.browser.axe import findings
from tests.browser.conftest import Visit
from tests.browser.visitor import Visitor
from tests.people import PASSWORD


def authenticator_add(page: Visitor) -> None:
    """Plug a device in that says yes to everything."""
    session = page.page.context.new_cdp_session(page.page)
    session.send("WebAuthn.enable")
    session.send(
        "WebAuthn.addVirtualAuthenticator",
        {
            "options": {
                "protocol": "ctap2",
                "transport": "internal",
                "hasResidentKey": True,
                "hasUserVerification": True,
                "isUserVerified": True,
                "automaticPresenceSimulation": True,
            }
        },
    )


def come_in(page: Visitor) -> None:
    page.go("/login/?next=/account/", live=False)
    page.see("#name").fill("ann")
    page.see("#pw").fill(PASSWORD)
    page.page.get_by_role("button", name="Sign in", exact=True).click()


def test_a_passkey_is_added_and_lets_in_by_itself(visit: Visit, alice: User) -> None:
    page = visit(None)
    page.url = page.url.replace("127.0.0.1", "localhost")
    authenticator_add(page)
    come_in(page)

    page.see("#passkey-name").fill("laptop")
    page.page.get_by_role("button", name="Add a passkey").click()
    expect(page.see("h1")).to_have_text("Recovery codes")
    assert findings(page) == []
    page.page.get_by_role("link", name="Done").click()
    expect(page.page.get_by_role("button", name="Remove… laptop")).to_be_visible()
    page.see("button[popovertarget=account]").click()
    page.page.get_by_role("button", name="Sign out", exact=True).click()
    expect(page.see("h1")).to_have_text("Sign in to Poolsite")
    page.go("/login/?next=/account/", live=False)
    page.page.get_by_role("button", name="Sign in with a passkey").click()

    expect(page.see("h1")).to_have_text("Account")
    expect(page.see(".table")).to_contain_text("Passkey")


def test_after_the_password_the_passkey_is_asked_for(visit: Visit, alice: User) -> None:
    page = visit(None)
    page.url = page.url.replace("127.0.0.1", "localhost")
    authenticator_add(page)
    come_in(page)
    page.see("#passkey-name").fill("laptop")
    page.page.get_by_role("button", name="Add a passkey").click()
    page.page.get_by_role("link", name="Done").click()
    expect(page.see("h1")).to_have_text("Account")
    page.wait_live()  # an answer under way would bring the cookie back
    page.page.context.clear_cookies()

    come_in(page)
    expect(page.see("h1")).to_have_text("Second step")
    assert findings(page) == []
    page.page.get_by_role("button", name="Use a passkey").click()

    expect(page.see("h1")).to_have_text("Account")


def test_by_its_number_a_page_offers_no_passkey_and_says_why(visit: Visit, alice: User) -> None:
    page = visit(alice).go("/account/")

    expect(page.see("[data-passkey-why]")).to_be_visible()
    expect(page.see("form[data-passkey]")).to_be_hidden()


def test_an_app_is_added_with_the_code_that_the_page_draws(visit: Visit, alice: User) -> None:
    page = visit(None)
    come_in(page)
    page.page.get_by_role("link", name="Add an app").click()

    code = page.page.get_by_alt_text("QR code with the secret below")
    expect(code).to_be_visible()
    expect(code).not_to_have_js_property("naturalWidth", 0)  # its place stands before it is drawn
    assert code.evaluate("image => image.naturalWidth") > 100
    assert findings(page) == []
    assert page.sideways((360, 1440)) == {}


def left_open(user: User) -> None:
    """Make the last proof of this person's only session an old one."""
    key = PersonSession.objects.get(user=user).key
    session = SessionStore(session_key=key)
    session[CONFIRMED] = 0
    session.save()


def test_an_open_browser_asks_before_a_token_and_keeps_the_form(visit: Visit, alice: User) -> None:
    User.objects.filter(pk=alice.pk).update(role=Role.TENANT_ADMIN)
    page = visit(None)
    page.url = page.url.replace("127.0.0.1", "localhost")
    authenticator_add(page)
    come_in(page)
    expect(page.see("h1")).to_have_text("Account")
    page.wait_live()  # an answer under way would write the session back
    left_open(alice)

    page.see("#passkey-name").fill("laptop")
    page.page.get_by_role("button", name="Add a passkey").click()
    expect(page.see("h1")).to_have_text("Confirm your identity")
    assert findings(page) == []
    page.see("#confirm-password").fill(PASSWORD)
    page.page.get_by_role("button", name="Confirm", exact=True).click()
    expect(page.see("#passkey-name")).to_have_value("laptop")
    page.page.get_by_role("button", name="Add a passkey").click()
    page.page.get_by_role("link", name="Done").click()
    expect(page.see("h1")).to_have_text("Account")
    page.wait_live()
    left_open(alice)
    page.go("/tokens/new/")
    page.see("#name").fill("miner one")
    page.see("#part").select_option("all")
    page.page.get_by_role("button", name="Create token").click()
    expect(page.see("h1")).to_have_text("Confirm your identity")
    assert findings(page) == []
    page.page.get_by_role("button", name="Confirm with a passkey").click()
    expect(page.see("h1")).to_have_text("New token")

    assert Token.objects.get().name == "miner one"
