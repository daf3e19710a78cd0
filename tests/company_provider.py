"""A company's identity provider: Canaille, a program of its own, in a process beside the tests.

`python -m tests.company_provider PORT CLIENT_URL` serves it with three people; `CompanyProvider` runs that,
and signs people in there as a browser would.
"""

from __future__ import annotations

import logging
import re
import subprocess
import sys
from html import unescape
from types import TracebackType
from typing import Any, Self
from urllib.parse import urljoin

import httpx
from canaille import create_app
from canaille.app import models
from canaille.app.flask import csrf
from canaille.backends import Backend
from flask import Flask, request
from joserfc.jwk import RSAKey
from werkzeug.serving import make_server

from tests.servers import port_free
from tests.waiting import until

CLIENT_ID, CLIENT_SECRET = "poolsite", "a secret of the tests"
PEOPLE = {"ada": "admins", "bob": "acme-ops", "eve": ""}
"""Who is there, and the group of each."""


class CompanyProvider:
    """The provider's process; `with` ends it."""

    def __init__(self, client_url: str) -> None:
        port = port_free()
        self.issuer = f"http://127.0.0.1:{port}"
        command = [sys.executable, "-m", "tests.company_provider", str(port), client_url]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until(self._answers)

    def _answers(self) -> bool:
        assert self.process.poll() is None, "the provider ended"
        try:
            return httpx.get(f"{self.issuer}/.well-known/openid-configuration").status_code == 200
        except httpx.TransportError:
            return False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End it, as a provider that is away."""
        self.process.kill()
        self.process.wait()

    def groups_set(self, name: str, *groups: str) -> None:
        """Put a person into these groups alone."""
        httpx.post(f"{self.issuer}/tests/groups/{name}", json=list(groups)).raise_for_status()

    def session_ends(self, url: str, browser: httpx.Client) -> str:
        """Follow the address of a sign-out; return where the provider sends the browser."""
        return _follow(browser, url)

    def sign_in(self, url: str, *, name: str, browser: httpx.Client | None = None) -> str:
        """Follow the question's address, sign in there, and return the address of the answer."""
        browser = browser or httpx.Client()
        return _follow(browser, url, {"login": name, "password": f"password of {name}"})


def _follow(browser: httpx.Client, url: str, typed: dict[str, str] | None = None) -> str:
    """Go on, filling in forms, until the browser is sent elsewhere; return that address."""
    home, answer = url.split("/oauth/")[0], browser.get(url)
    for _ in range(12):
        while answer.is_redirect:
            url = urljoin(str(answer.url), answer.headers["location"])
            if not url.startswith(home):
                return url
            answer = browser.get(url)
        names = re.findall(r'<input[^>]*name="(\w+)"[^>]*>', answer.text)
        token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', answer.text)
        assert token, f"no form that a person could send: {answer.text[:2000]}"
        assert typed, f"no form that a person could send: {answer.text[:2000]}"
        fields = {name: value for name, value in typed.items() if name in names}
        answer = browser.post(answer.url, data={"csrf_token": unescape(token[1]), **fields})
    raise AssertionError("the provider asks on and on")


def serve(port: int, client_url: str) -> None:
    """Serve the provider with its people and one client."""
    key = RSAKey.generate_key(2048, auto_kid=True).as_dict(private=True)
    app: Flask = create_app(
        config={
            "SECRET_KEY": "of the tests",
            "SERVER_NAME": f"127.0.0.1:{port}",
            "PREFERRED_URL_SCHEME": "http",
            "CANAILLE": {"DATABASE": "memory"},
            "CANAILLE_OIDC": {
                "ACTIVE_JWKS": [key],
                "USERINFO_MAPPING": {
                    "SUB": "id-of-{{ user.user_name }}",
                    "PREFERRED_USERNAME": "{{ user.user_name }}",
                },
            },
        }
    )
    logging.disable(logging.CRITICAL)

    def groups_put(name: str, groups: list[str]) -> None:
        found = Backend.instance.query(models.User, user_name=name)
        person = found[0] if found else models.User(**person_of(name))
        Backend.instance.save(person)
        for group in Backend.instance.query(models.Group):
            members = [member for member in group.members if member.user_name != name]
            if group.display_name in groups:
                members.append(person)
            group.members = members
            Backend.instance.save(group)

    def person_of(name: str) -> dict[str, Any]:
        return {
            "user_name": name,
            "given_name": name,
            "family_name": "Example",
            "formatted_name": f"{name} Example",
            "emails": [f"{name}@company.example"],
            "password": f"password of {name}",
        }

    @app.post("/tests/groups/<name>")
    def put(name: str) -> str:
        for code in Backend.instance.query(models.AuthorizationCode):
            Backend.instance.delete(code)  # in memory it mistakes a client's unused codes for each other
        groups_put(name, request.get_json())
        return ""

    csrf.exempt(put)
    with app.app_context():
        root = models.User(**person_of("root"))
        Backend.instance.save(root)
        for name in ("admins", "acme-ops", "acme-admins", "other"):
            Backend.instance.save(models.Group(display_name=name, members=[root]))
        for name, group in PEOPLE.items():
            groups_put(name, [group])
        client = models.Client(
            client_id=CLIENT_ID,
            client_secret=CLIENT_SECRET,
            client_name="Poolsite",
            client_uri="http://127.0.0.1/",
            redirect_uris=[f"{client_url}/login/company/back/"],
            post_logout_redirect_uris=[f"{client_url}/login/"],
            grant_types=["authorization_code"],
            response_types=["code"],
            scope=["openid", "profile", "groups"],
            token_endpoint_auth_method="client_secret_basic",
        )
        Backend.instance.save(client)  # it has an id from then on
        client.audience = [client]
        Backend.instance.save(client)
    make_server("127.0.0.1", port, app, threaded=True).serve_forever()


if __name__ == "__main__":
    serve(int(sys.argv[1]), sys.argv[2])
