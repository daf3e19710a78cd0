"""What somebody without an account can do from the network."""

from __future__ import annotations

import base64

import pytest
from django.test import Client

from tests import people

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("password", [people.PASSWORD, "wrong"])
@pytest.mark.parametrize("path", ["/api/schema/", "/api/v1/miners"])
def test_no_address_takes_a_password_by_http_basic(path, password):
    """It would tell right passwords from wrong ones without any wait, and without the second step."""
    people.person("ann")
    word = base64.b64encode(f"ann:{password}".encode()).decode()

    answer = Client().get(path, headers={"Authorization": f"Basic {word}"})

    without = Client().get(path)
    assert answer.status_code == (without.status_code if path == "/api/schema/" else 401)
    assert "Basic" not in answer.headers.get("WWW-Authenticate", "")
