"""POST /api/deploy/prepare: the app's address, at Fly once and for all. What happens inside has tests of its own."""

import pytest

from deployments.models import Deployment
from deployments.services.preparation import PREPARATIONS

pytestmark = pytest.mark.django_db
PATH = "/api/deploy/prepare"
NAME_RULE = "appName: Use lower-case letters, digits and hyphens, a letter first, 63 characters at most."


def test_an_app_is_prepared_and_its_address_told(alice_api, alice, sandbox):
    answer = alice_api.post(PATH, {"appName": "shop"})
    app = Deployment.objects.get()
    assert (answer.status_code, answer.json()) == (200, {"data": {"appUrl": app.url}})
    assert (app.owner_id, app.app_name, app.state) == (alice.pk, "shop", Deployment.State.READY)


def test_a_second_call_answers_the_same_app(alice_api, sandbox):
    answers = [alice_api.post(PATH, {"appName": "shop"}).json() for _ in range(2)]
    assert answers[0] == answers[1]
    assert Deployment.objects.count() == 1


def test_another_person_gets_an_app_of_their_own(alice_api, bob_api, sandbox):
    urls = {api.post(PATH, {"appName": "shop"}).json()["data"]["appUrl"] for api in (alice_api, bob_api)}
    assert len(urls) == 2


def test_the_longest_name_is_fine(alice_api, sandbox):
    assert alice_api.post(PATH, {"appName": "a" * 63}).status_code == 200


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({}, "appName: This field is required."),
        ({"appName": None}, "appName: This field may not be null."),
        ({"appName": ["shop"]}, "appName: Not a valid string."),
        ({"appName": ""}, "appName: This field may not be blank."),
        ({"appName": "a" * 64}, NAME_RULE),
        ({"appName": "Shop"}, NAME_RULE),
        ({"appName": "1shop"}, NAME_RULE),
        ({"appName": "sh_op"}, NAME_RULE),
        ({"appName": "shop\n"}, NAME_RULE),
        ({"appName": " shop"}, NAME_RULE),
    ],
)
def test_a_name_that_no_app_can_have_is_refused(alice_api, sandbox, body, sentence):
    answer = alice_api.post(PATH, body)
    assert (answer.status_code, answer.json()) == (400, {"error": sentence})
    assert not Deployment.objects.exists()


def test_without_a_token_nothing_is_prepared(nobody_api, sandbox):
    assert nobody_api.post(PATH, {"appName": "shop"}).status_code == 401
    assert sandbox.requests("fly") == []


def test_on_a_server_without_fly_the_missing_setting_is_named(alice_api, settings):
    settings.FLY_API_TOKEN = ""
    answer = alice_api.post(PATH, {"appName": "shop"})
    assert answer.status_code == 503
    assert "FLY_API_TOKEN" in answer.json()["error"]


def test_asking_without_end_is_limited(alice_api, alice, sandbox):
    for _ in range(60):
        PREPARATIONS.spend(str(alice.pk))
    answer = alice_api.post(PATH, {"appName": "shop"})
    assert answer.status_code == 429
    assert int(answer["Retry-After"]) >= 1
