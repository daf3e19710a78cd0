from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import override_settings
from django.urls import path
from rest_framework import serializers
from rest_framework.response import Response

from apps.api.v1.serializers import AddressField, AmountField, InputSerializer
from apps.api.v1.views import PoolView, created
from apps.core import clock
from apps.core.errors import Conflict, NotFound, NotReachable
from apps.users.models import IdempotentAnswer, Tenant, Token
from apps.users.services.tenants import tenant_create, tenant_update
from apps.users.services.tokens import token_revoke
from tests import people

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]


class NameInput(InputSerializer):
    name = serializers.CharField(max_length=20)
    to = AddressField(required=False)
    value = AmountField(required=False)
    kind = serializers.ChoiceField(["one", "two"], required=False)


class NamesView(PoolView):
    def get(self, _request: Any) -> Response:
        return Response({"tenant": self.principal.tenant_name})

    def post(self, request: Any) -> Response:
        data = NameInput(data=request.data)
        data.is_valid(raise_exception=True)
        tenant_create(name=data.validated_data["name"])
        return created(data.data)


class SealerView(PoolView):
    scope = "sealer"

    def get(self, _request: Any) -> Response:
        return Response({})


class OperatorView(PoolView):
    operator_only = True

    def get(self, _request: Any) -> Response:
        return Response({})


class ErrorView(PoolView):
    errors = {"404": NotFound("no such thing"), "409": Conflict("busy"), "503": NotReachable("node away")}

    def get(self, _request: Any, which: str) -> Response:
        raise self.errors[which]


urlpatterns = [
    path("names", NamesView.as_view()),
    path("sealer", SealerView.as_view()),
    path("operator", OperatorView.as_view()),
    path("errors/<str:which>", ErrorView.as_view()),
]


def post(client: Any, body: Any, token: str, **headers: str) -> Any:
    data = body if isinstance(body, str | bytes) else json.dumps(body)
    return client.post(
        "/names", data, content_type="application/json", headers={**people.bearer(token), **headers}
    )


def rows() -> dict[str, int]:
    with connection.cursor() as cursor:
        cursor.execute(
            "select relname from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace"
        )
        names = [name for (name,) in cursor.fetchall()]
        counts = {}
        for name in names:
            cursor.execute(f'select count(*) from "{name}"')
            counts[name] = cursor.fetchone()[0]
    return counts


def test_a_token_is_let_in_as_its_tenant(client):
    answer = client.get("/names", headers=people.bearer(people.token()))

    assert (answer.status_code, answer.json()) == (200, {"tenant": "alice"})


def test_a_session_is_let_in_as_its_person(client):
    client.force_login(people.person(of="bob"))

    assert client.get("/names").json() == {"tenant": "bob"}


@pytest.mark.parametrize(
    ("token", "status"),
    [("none", 401), ("foreign", 401), ("revoked", 401), ("expired", 401), ("disabled", 401), ("read", 403)],
)
def test_who_may_not_write_changes_nothing(client, token, status):
    texts = {
        "none": "",
        "foreign": "x.y.z",
        "revoked": people.token(of="r"),
        "expired": people.token(of="e", expires_at=clock.now() - timedelta(seconds=1)),
        "disabled": people.token(of="d"),
        "read": people.token("read"),
    }
    token_revoke(Token.objects.get(tenant__name="r"))
    tenant_update(tenant=Tenant.objects.get(name="d"), enabled=False)
    before = rows()

    answer = post(client, {"name": "new"}, texts[token])

    assert answer.status_code == status
    assert set(answer.json()) == {"code", "message", "field"}
    assert rows() == before


@pytest.mark.parametrize(
    ("body", "status", "code", "field"),
    [
        ("{", 400, "malformed", ""),
        ("", 400, "bad_value", "name"),
        ('{"name": NaN}', 400, "malformed", ""),
        ("[" * 100_000, 400, "malformed", ""),
        (b"\xff", 400, "malformed", ""),
        ([], 400, "bad_value", ""),
        ({"name": 7.5, "nmae": 1}, 400, "bad_value", "nmae"),
        ({"name": ["x"]}, 400, "bad_value", "name"),
        ({"name": "a\0b"}, 400, "bad_value", "name"),
        ({"name": "x" * 21}, 400, "bad_value", "name"),
        ({"name": "x", "to": "f099x"}, 400, "bad_value", "to"),
        ({"name": "x", "value": "-1"}, 400, "bad_value", "value"),
        ({"name": "x", "kind": "three"}, 400, "bad_value", "kind"),
        ('{"name": "x", "kind": "\\ud800"}', 400, "bad_value", "kind"),
        ({"name": "alice"}, 409, "tenant_name_taken", "name"),
        (b'{"name": "' + b"x" * 10_000_000 + b'"}', 413, "body_too_large", ""),
    ],
)
def test_a_bad_body_gets_status_field_and_reason_and_changes_nothing(client, body, status, code, field):
    token = people.token()
    before = rows()

    answer = post(client, body, token)

    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (status, code, field)
    assert answer.json()["message"]
    assert rows() == before


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_scheme_of_a_token_may_be_written_in_any_case(client, scheme):
    answer = client.get("/names", headers={"Authorization": f"{scheme} {people.token()}"})

    assert answer.status_code == 200


@pytest.mark.parametrize("status", [404, 409, 503])
def test_domain_errors_have_their_status(client, status):
    answer = client.get(f"/errors/{status}", headers=people.bearer(people.token()))

    assert answer.status_code == status
    assert answer.headers.get("Retry-After") == ("2" if status == 503 else None)


def refused(answer: Any) -> tuple[int, str, str]:
    assert set(answer.json()) == {"code", "message", "field"}
    assert answer.json()["message"]
    return answer.status_code, answer.json()["code"], answer.json()["field"]


def test_a_request_that_does_not_suit_its_route_is_refused_by_name(client):
    token = people.bearer(people.token())
    plain = {"content_type": "text/plain"}

    assert refused(client.delete("/names", headers=token)) == (405, "method_not_allowed", "")
    assert refused(client.generic("TRACE", "/names?x=1", headers=token)) == (405, "method_not_allowed", "")
    assert refused(client.delete("/names", '{"x": 1}', headers=token)) == (405, "method_not_allowed", "")
    assert refused(client.post("/names", "a=1", **plain, headers=token)) == (
        415,
        "unsupported_media_type",
        "",
    )
    answer = client.get("/names", headers={**token, "Accept": "application/xml"})
    assert refused(answer) == (406, "not_acceptable", "")


@override_settings(ROOT_URLCONF="poolsite.urls")
@pytest.mark.parametrize("path", ["/api/v1/nothing", "/api/v1/miners/", "/api/", "/api/v2/miners"])
def test_an_address_that_is_none_is_refused_in_the_same_form(client, path):
    assert refused(client.get(path, headers=people.bearer(people.token()))) == (404, "not_found", "")


@override_settings(ROOT_URLCONF="poolsite.urls")
@pytest.mark.parametrize(
    "name", ["tokens", "wallets", "senders", "workers", "gas", "gas/spend", "chain/head", "audit"]
)
def test_a_misspelt_filter_is_refused(client, name):
    answer = client.get(f"/api/v1/{name}?colour=red", headers=people.bearer(people.token()))

    assert refused(answer) == (400, "bad_value", "colour")


@pytest.mark.parametrize(
    ("path_", "scopes", "status"),
    [
        ("/sealer", ["sealer"], 200),
        ("/sealer", [], 200),
        ("/sealer", ["signer"], 403),
        ("/names", ["sealer"], 403),
    ],
)
def test_a_token_of_one_part_reaches_only_that_part(client, path_, scopes, status):
    token = people.token(scopes=scopes)

    assert client.get(path_, headers=people.bearer(token)).status_code == status


def test_only_the_operator_reaches_what_is_the_operators(client):
    assert client.get("/operator", headers=people.bearer(people.token("admin"))).status_code == 403
    assert client.get("/operator", headers=people.bearer(people.operator_token())).status_code == 200


def test_a_repeated_request_with_a_key_is_carried_out_once(client):
    token = people.token()

    first = post(client, {"name": "new"}, token, **{"Idempotency-Key": "k1"})
    again = post(client, {"name": "new"}, token, **{"Idempotency-Key": "k1"})

    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert again["Idempotent-Replay"] == "true"


def test_a_key_of_another_request_is_refused(client):
    token = people.token()
    post(client, {"name": "new"}, token, **{"Idempotency-Key": "k1"})

    answer = post(client, {"name": "other"}, token, **{"Idempotency-Key": "k1"})

    assert (answer.status_code, answer.json()["code"]) == (409, "idempotency_key_reused")


def test_a_refused_request_does_not_use_up_its_key(client):
    token = people.token()

    refused = post(client, {"name": "alice"}, token, **{"Idempotency-Key": "k1"})

    assert refused.status_code == 409
    assert not IdempotentAnswer.objects.exists()


@override_settings(ROOT_URLCONF="poolsite.urls")
@pytest.mark.parametrize("path", ["miners", "messages", "chain/head", "tokens"])
@pytest.mark.parametrize("name", ["json", "foo"])
def test_a_format_is_a_misspelt_filter(client, path, name):
    answer = client.get(f"/api/v1/{path}?format={name}", headers=people.bearer(people.token()))

    assert refused(answer) == (400, "bad_value", "format")


@override_settings(ROOT_URLCONF="poolsite.urls")
def test_an_unknown_format_of_the_schema_is_refused_by_name(client):
    answer = client.get("/api/schema/?format=foo")

    assert (answer.status_code, answer.data["field"]) == (400, "format")
    assert answer.data["message"] == "must be one of json, yaml"


@override_settings(ROOT_URLCONF="poolsite.urls")
def test_the_schema_describes_the_interface(client):
    answer = client.get("/api/schema/", {"format": "json"})

    assert answer.status_code == 200
    assert answer.json()["openapi"].startswith("3.")
    filters = {one["name"]: one for one in answer.json()["paths"]["/api/v1/pieces"]["get"]["parameters"]}
    assert "one per miner and allocation or deal" in filters["piece_cid"]["description"]
