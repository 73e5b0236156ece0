"""Everybody's own organization: made once, whatever its name collides with."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from accounts.models import Membership, Organization, User
from accounts.models.organizations import SLUG
from accounts.services.users import ensure_personal_organization
from tests.accounts.threads import at_once

pytestmark = pytest.mark.django_db


def person(username, **fields):
    return User.objects.create_user(username=username, **fields)


def test_it_is_the_persons_own_and_they_own_it():
    user = person("alice", name="Alice")
    organization = ensure_personal_organization(user=user)
    assert (organization.slug, organization.name, organization.personal_for) == ("alice", "Alice", user)
    assert [(row.user, row.role) for row in organization.memberships.all()] == [(user, "owner")]


def test_it_is_made_once():
    user = person("alice")
    assert ensure_personal_organization(user=user) == ensure_personal_organization(user=user)
    assert Organization.objects.count() == Membership.objects.count() == 1


@pytest.mark.parametrize(
    ("username", "slug"),
    [("Alice", "alice"), ("a_b.c", "a-b-c"), ("--x--", "x"), ("@+.", "person"), ("é", "person"), ("a" * 150, "a" * 80)],
)
def test_its_slug_is_made_from_the_username(username, slug):
    assert ensure_personal_organization(user=person(username)).slug == slug


def test_a_taken_slug_gets_an_ending():
    Organization.objects.create(name="Another", slug="alice")
    slugs = [ensure_personal_organization(user=person(name)).slug for name in ("alice", "Alice", "ALICE")]
    assert len({*slugs, "alice"}) == 4
    assert all(re.fullmatch(r"alice-[0-9a-f]{4}", slug) for slug in slugs)


@pytest.mark.django_db(transaction=True)
def test_asked_for_at_once_it_is_made_once():
    user = person("alice")
    made = at_once(*[lambda: ensure_personal_organization(user=user).pk for _ in range(8)])
    assert len(set(made)) == 1
    assert Organization.objects.count() == Membership.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_people_of_one_name_at_once_each_get_their_own():
    users = [person(name) for name in ("alice", "Alice", "aLice", "alIce", "ali-ce", "ali_ce")]
    made = at_once(*[lambda user=user: ensure_personal_organization(user=user).slug for user in users])
    assert len(set(made)) == 6


class TestSlugs(TestCase):
    @given(st.text(max_size=150).filter(lambda name: "\0" not in name and name.strip()))
    def test_any_username_gives_a_proper_slug(self, username):
        SLUG(ensure_personal_organization(user=_saved(username)).slug)


def _saved(username):
    return User.objects.filter(username=username).first() or User.objects.create(username=username)
