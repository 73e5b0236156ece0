"""/admin/login/: operators enter with GitHub or a password, and guessing is limited and noted."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar

import pytest
from allauth.usersessions.models import UserSession
from django.contrib.auth.hashers import MD5PasswordHasher
from django.db import connection
from django.test import Client

from accounts.models import AuditEvent, Membership, User
from tests.operators import PASSWORD, browser_of, make_operator

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("quick_hashing")]
PATH = "/admin/login/?next=/admin/"


@pytest.fixture
def operator(db):
    return make_operator(password=PASSWORD)


def attempt(browser, username="operator", password=PASSWORD, **extra):
    return browser.post(PATH, {"username": username, "password": password, "next": "/admin/"}, **extra)


def failures():
    return [
        (event.target_label, event.details) for event in AuditEvent.objects.filter(action="operator.sign_in_failed")
    ]


def test_a_password_opens_the_front_page_and_is_noted(client, operator):
    answer = attempt(client)
    assert (answer.status_code, answer.headers["Location"]) == (302, "/admin/")
    assert client.get("/admin/").status_code == 200
    event = AuditEvent.objects.get(action="operator.signed_in")
    assert (event.actor_id, event.address) == (operator.pk, "127.0.0.1")


def test_an_operator_made_on_the_command_line_has_an_organization_from_their_first_sign_in(client):
    operator = User.objects.create_superuser("operator", "operator@example.com", PASSWORD)
    for _ in range(2):
        assert attempt(client).status_code == 302
    (membership,) = Membership.objects.select_related("organization").filter(user=operator)
    assert (membership.organization.personal_for, membership.role) == (operator, "owner")
    assert client.get("/workspaces/").status_code == 200


def test_the_page_offers_github_with_a_form_that_comes_back_here(client, operator):
    html = client.get(PATH).content.decode()
    start = html.index('action="/auth/github"')
    form = html[start : html.index("</form>", start)]
    assert "csrfmiddlewaretoken" in form
    assert '<input type="hidden" name="next" value="/admin/">' in form
    assert "Sign in with GitHub" in form


def test_the_page_offers_no_github_where_it_is_not_set_up(client, settings):
    settings.GITHUB_CLIENT_ID = ""
    assert "Sign in with GitHub" not in client.get(PATH).content.decode()


def test_the_github_form_does_not_lead_to_another_site(client):
    html = client.get("/admin/login/?next=https://evil.example/").content.decode()
    assert 'value="https://evil.example' not in html


def test_a_wrong_password_is_noted_without_the_password(client, operator):
    answer = attempt(client, password="visibly-wrong-password")
    assert answer.status_code == 200
    assert failures() == [("Operator", {"known_name": True})]
    assert "visibly-wrong-password" not in str(list(AuditEvent.objects.values()))
    assert client.get("/admin/").status_code == 302


def test_an_unknown_name_is_not_kept_since_it_may_be_a_password(client, operator):
    attempt(client, username="a-password-in-the-wrong-field")
    assert failures() == [("", {"known_name": False})]
    assert "a-password-in-the-wrong-field" not in str(list(AuditEvent.objects.values()))


def test_the_right_password_of_somebody_who_is_no_operator_is_refused(client, alice):
    alice.set_password(PASSWORD)
    alice.save()
    assert attempt(client, username="alice").status_code == 200
    assert client.get("/admin/").status_code == 302
    assert failures() == [("Alice", {"known_name": True})]


def test_a_suspended_operators_password_is_refused(client, operator):
    User.objects.filter(pk=operator.pk).update(is_active=False)
    assert attempt(client).status_code == 200
    assert client.get("/admin/").status_code == 302


def test_an_address_that_guesses_too_often_has_to_wait_even_with_the_right_password(client, operator):
    statuses = [attempt(client, username=f"person-{number}", password="wrong").status_code for number in range(10)]
    assert statuses == [200] * 10
    refused = attempt(client)
    assert refused.status_code == 429
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert "Too many requests" in refused.content.decode()


def test_the_addresses_of_one_ipv6_network_share_their_attempts(client, operator):
    statuses = [
        attempt(client, username=f"person-{number}", password="wrong", REMOTE_ADDR=f"2001:db8::{number:x}").status_code
        for number in range(11)
    ]
    assert statuses == [200] * 10 + [429]


def test_a_name_is_limited_from_many_addresses_together(client, operator):
    addresses = [f"203.0.113.{number}" for number in range(22)]
    names = ["operator", "OPERATOR"] * 11
    statuses = [
        attempt(client, username=name, password="wrong", REMOTE_ADDR=address).status_code
        for name, address in zip(names, addresses, strict=True)
    ]
    assert statuses == [200] * 20 + [429] * 2


def test_a_form_without_its_token_is_refused_before_anything_is_counted(operator):
    browser = Client(enforce_csrf_checks=True)
    assert {attempt(browser).status_code for _ in range(12)} == {403}
    assert attempt(Client()).status_code == 302


def test_an_empty_form_is_not_counted(client, operator):
    for _ in range(12):
        assert attempt(client, password="").status_code == 200
    assert attempt(client).status_code == 302


@pytest.mark.parametrize("username", ["operator\x00", "x" * 5000, "' OR 1=1 --"])
def test_a_hostile_name_is_only_wrong(client, operator, username):
    assert attempt(client, username=username).status_code == 200


def test_somebody_who_is_signed_in_and_no_operator_is_told_so(alice):
    answer = browser_of(alice).get(PATH)
    assert answer.status_code == 403
    assert "These pages are for the operators of this server, and you are not one of them." in answer.content.decode()


def test_an_operator_signs_out(client, operator):
    attempt(client)
    assert client.get("/admin/logout/").status_code == 405
    assert client.get("/admin/").status_code == 200
    assert client.post("/admin/logout/").status_code in {200, 302}
    assert client.get("/admin/").status_code == 302
    assert not UserSession.objects.exists()
    assert AuditEvent.objects.get(action="user.signed_out").actor_id == operator.pk


class CountingHasher(MD5PasswordHasher):
    """Says how often a password was hashed, and can be made to wait."""

    counted: ClassVar[list[str]] = []
    wait: ClassVar[Callable[[], object]] = staticmethod(lambda: None)

    def encode(self, password, salt):
        CountingHasher.counted.append(password)
        CountingHasher.wait()
        return super().encode(password, salt)


@pytest.fixture
def hashes(settings, monkeypatch, operator):
    settings.PASSWORD_HASHERS = [f"{__name__}.CountingHasher"]
    monkeypatch.setattr(CountingHasher, "counted", [])
    return CountingHasher.counted


@pytest.mark.parametrize("username", ["operator", "nobody-has-this-name", "without-password", "suspended"])
def test_a_wrong_guess_costs_one_hash_whoever_it_is_about(client, hashes, username):
    User.objects.create_user("without-password").save()
    make_operator("suspended", password=PASSWORD)
    User.objects.filter(username="suspended").update(is_active=False)
    hashes.clear()
    assert attempt(client, username=username, password="wrong").status_code == 200
    assert len(hashes) == 1


def test_the_right_password_costs_one_hash_too(client, hashes):
    assert attempt(client).status_code == 302
    assert len(hashes) == 1


@pytest.mark.django_db(transaction=True)
def test_two_passwords_are_looked_at_at_once_and_no_more(hashes, monkeypatch):
    looking, go_on = threading.Barrier(3), threading.Event()

    def wait():
        looking.wait(10)
        go_on.wait(10)

    monkeypatch.setattr(CountingHasher, "wait", staticmethod(wait))

    def guess():
        try:
            return attempt(Client(), password="wrong").status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        two = [pool.submit(guess) for _ in range(2)]
        looking.wait(10)
        refused = attempt(Client())
        go_on.set()
        assert [each.result() for each in two] == [200, 200]
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "1")
    assert len(hashes) == 2


def test_all_addresses_together_have_a_limit_that_keeps_some_for_those_that_guessed_nothing(client, operator):
    addresses = [f"203.0.113.{number}" for number in range(30)]
    statuses = [
        attempt(client, username=f"n-{turn}-{address}", password="wrong", REMOTE_ADDR=address).status_code
        for turn in range(3)
        for address in addresses
    ]
    assert statuses == [200] * 60 + [429] * 30
    assert attempt(client, REMOTE_ADDR="198.51.100.1").status_code == 302
