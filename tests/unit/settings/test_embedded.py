"""The settings of `make up`, as its processes read them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from poolsite.settings.variables import VARIABLES

TELLS = """
import json
from django.conf import settings
print(json.dumps(settings.ALLOWED_HOSTS))
"""
OURS = ["localhost", "127.0.0.1", "[::1]"]


@pytest.mark.parametrize(
    ("env", "names"),
    [
        ({}, OURS),
        ({"POOLSITE_HOST": "10.1.2.3"}, [*OURS, "10.1.2.3"]),
        ({"POOLSITE_HOST": "fd00::2"}, [*OURS, "[fd00::2]"]),
        ({"ALLOWED_HOSTS": "pool.example, pool", "POOLSITE_HOST": "::"}, ["pool.example", "pool", "[::]"]),
    ],
)
def test_the_pool_answers_to_the_name_that_it_listens_on(env: dict[str, str], names: list[str]) -> None:
    assert told(TELLS, env) == names


def test_earlier_secret_keys_come_from_the_environment() -> None:
    tells = TELLS.replace("ALLOWED_HOSTS", "SECRET_KEY_FALLBACKS")

    assert told(tells, {"SECRET_KEY": "new", "SECRET_KEY_FALLBACKS": "old, older"}) == ["old", "older"]


TLS = """
import json
from django.conf import settings
names = ("SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE", "SECURE_HSTS_SECONDS", "SECURE_PROXY_SSL_HEADER")
print(json.dumps([getattr(settings, name) for name in names]))
"""


@pytest.mark.parametrize(
    ("env", "values"),
    [
        ({}, [False, False, 0, None]),
        ({"POOLSITE_TLS": "0"}, [False, False, 0, None]),
        ({"POOLSITE_TLS": "1"}, [True, True, 365 * 24 * 3600, ["HTTP_X_FORWARDED_PROTO", "https"]]),
    ],
)
def test_cookies_go_by_tls_alone_where_a_proxy_speaks_it(env: dict[str, str], values: list[object]) -> None:
    assert told(TLS, env) == values


EVERYTHING = """
import json
from django.conf import settings
from poolsite.embedded.options import Options
values = {name: getattr(settings, name) for name in dir(settings) if name.isupper()}
plain = lambda value: repr(value).partition(" at 0x")[0]
print(json.dumps([values, Options.of_environment()], default=plain, sort_keys=True))
"""


def test_an_empty_variable_is_as_one_that_is_not_set() -> None:
    """Each of the table: a unit or compose file hands on what somebody left blank."""
    names = {name for group in VARIABLES.values() for name in group}
    assert names >= {"REDIS_URL", "DATABASE_URL", "POOLSITE_VAR", "ALLOWED_HOSTS", "CHAIN_URLS", "PIECES_DIR"}

    key = {"SECRET_KEY": "of a pool that ran"}
    assert told(EVERYTHING, dict.fromkeys(names, "") | key) == told(EVERYTHING, key)
    assert told(TELLS, {"ALLOWED_HOSTS": ","}) == [], "an empty list is told by a comma"


def told(script: str, env: dict[str, str]) -> list[Any]:
    """Run a script under the settings of `make up`, and return the list that it prints."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}

    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**kept, "DJANGO_SETTINGS_MODULE": "poolsite.settings.embedded", **env},
        capture_output=True,
        text=True,
        check=True,
    )

    values: list[Any] = json.loads(done.stdout)
    return values
