"""What the company's people are called here, and who they are to the lists of people."""

from __future__ import annotations

import pytest

from apps.users.errors import CompanyRefused
from apps.users.models import CompanyAccount, User
from apps.users.rules.principals import SYSTEM
from apps.users.selectors.people import is_company_person, people_visible
from apps.users.services.company_logins import CompanyClaims, company_login
from tests import people

pytestmark = pytest.mark.django_db

ISSUER = "https://sso.example/realm"
RULES = {"ops": "TENANT alice", "admins": "OPERATOR"}


def come(subject: str, *groups: str, name: str = "bob") -> User:
    claims = CompanyClaims(issuer=ISSUER, subject=subject, name=name, groups=groups or ("ops",))
    return company_login(claims, rules=RULES, provider="SSO", source="192.0.2.1")


def test_each_of_several_people_of_one_name_comes_in():
    people.person("Bob")

    names = [come(subject).username for subject in "1232"]

    assert names == ["bob@sso.example", "bob@sso.example-2", "bob@sso.example-3", "bob@sso.example-2"]


def test_a_name_that_nobody_may_have_lets_nobody_in():
    people.tenant("alice")

    with pytest.raises(CompanyRefused, match="is taken here"):
        come("1", name="a\u200bb" * 60)

    assert not CompanyAccount.objects.exists()


def test_a_group_of_operators_counts_above_all_and_its_loss_too():
    people.tenant("alice")
    people.tenant("pool")

    operator = come("1", "ops", "admins")
    demoted = come("1")

    assert (operator.role, demoted.role) == ("OPERATOR", "TENANT")
    assert (demoted.pk, demoted.tenant) == (operator.pk, people.tenant("alice"))


def test_lists_of_people_know_the_companys_without_a_query_each(django_assert_num_queries):
    people.person("ann")
    come("1")
    come("2")

    with django_assert_num_queries(1):
        found = {row.username: is_company_person(row) for row in people_visible(SYSTEM)}

    assert found == {"ann": False, "bob": True, "bob@sso.example": True}
