"""An app that asks often and at once: few calls reach Nango, and others get their share of them."""

import pytest

from core import rate_limits
from integrations.services.single_flight import Flights
from integrations.sources.nango import Nango
from tests.accounts.threads import at_once
from tests.integrations.conftest import credentials

LIMITED = {"error": "Too many requests. Please slow down."}


@pytest.mark.django_db(transaction=True)
def test_concurrent_asks_for_one_credential_are_one_call(alice, alice_api, connect, sandbox, calls):
    connection_id = connect(alice)
    sandbox.faults(target="nango", match=f"GET /connections/{connection_id}", delay=1)

    answers = at_once(*[lambda: credentials(alice_api, connection_id)] * 12)

    assert {answer.status_code for answer in answers} == {200}
    assert {answer.content for answer in answers} == {answers[0].content}
    assert calls() == ["GET /connections", f"GET /connections/{connection_id}"]


@pytest.mark.django_db(transaction=True)
def test_they_share_its_failure_too_and_the_next_one_asks_anew(alice, alice_api, connect, sandbox):
    connection_id = connect(alice)
    sandbox.faults(target="nango", match=f"GET /connections/{connection_id}", delay=1, status=500)

    answers = at_once(*[lambda: credentials(alice_api, connection_id)] * 4)

    assert [answer.status_code for answer in answers] == [502] * 4
    assert credentials(alice_api, connection_id).status_code == 200


@pytest.mark.django_db(transaction=True)
def test_two_people_never_share_an_answer(alice, bob, alice_api, bob_api, connect, sandbox):
    connection_id = connect(alice)
    sandbox.faults(target="nango", match=f"GET /connections/{connection_id}", delay=1)

    hers, his = at_once(lambda: credentials(alice_api, connection_id), lambda: credentials(bob_api, connection_id))
    assert (hers.status_code, his.status_code) == (200, 404)


def test_who_asks_after_an_answer_asks_anew():
    flights, asked = Flights(), []

    def ask():
        asked.append(1)
        return b"%d" % len(asked)

    assert [flights.share("key", ask) for _ in range(2)] == [b"1", b"2"]
    assert flights._under_way == {}


@pytest.mark.django_db
def test_the_limit_is_what_nango_says_it_is(alice, alice_api, bob, bob_api, connect, sandbox):
    hers, his = connect(alice, connection_id="hers"), connect(bob, connection_id="his")
    sandbox.settings(rate_limit_per_minute=40)
    credentials(alice_api, hers)
    assert Nango.from_settings().calls_a_minute == 40
    rate_limits.forget_all()

    statuses = [credentials(alice_api, hers).status_code for _ in range(40)]
    assert statuses == [200] * 36 + [429] * 4
    assert credentials(bob_api, his).status_code == 200


@pytest.mark.django_db
def test_a_nango_without_a_limit_has_none_here(alice, alice_api, connect, sandbox):
    connection_id = connect(alice)
    sandbox.settings(rate_limit_per_minute=0)

    assert {credentials(alice_api, connection_id).status_code for _ in range(200)} == {200}
    assert Nango.from_settings().calls_a_minute == 0
