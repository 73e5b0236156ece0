"""POST /api/deploy/prepare: the app's address, at Fly once and for all. What happens inside has tests of its own."""

import re

import pytest
from django.db import IntegrityError

from deployments.models import Deployment
from deployments.services.preparation import PREPARATIONS
from tests.accounts.threads import at_once
from tests.conftest import APIClient, token_of
from tests.deployments.builders import make_deployment

pytestmark = pytest.mark.django_db
PATH = "/api/deploy/prepare"
NAME_RULE = (
    "This can't be the name of an app: it needs 1 to 214 visible characters of one alphabet. "
    "Change the name, which is usually that of package.json."
)


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


@pytest.mark.parametrize(
    "name",
    [
        "@acme/web",
        "my_app",
        "my.app",
        "MyApp",
        "2048",
        "x" * 70,
        "x" * 214,
        "-x",
        "日本語",
        "../..",
        "a b",
        "a&b=c#d%00",
    ],
)
def test_whatever_package_json_calls_an_app_is_its_name(alice_api, alice, sandbox, name):
    answer = alice_api.post(PATH, {"appName": name})
    assert answer.status_code == 200
    app = Deployment.objects.get()
    assert (app.app_name, answer.json()) == (name, {"data": {"appUrl": app.url}})
    assert re.fullmatch(r"crayon-[0-9a-f]{16}", app.fly_app_id)
    assert alice_api.get("/api/deploy/status", appName=name).json()["data"]["status"] == "idle"


@pytest.mark.parametrize("again", ["MyApp", "myapp", "MYAPP", "  MyApp\n", "\uff2d\uff39\uff21\uff50\uff50"])
def test_the_same_name_in_other_letters_is_the_same_app(alice_api, sandbox, again):
    first = alice_api.post(PATH, {"appName": "MyApp"}).json()
    assert alice_api.post(PATH, {"appName": again}).json() == first
    assert [app.app_name for app in Deployment.objects.all()] == ["MyApp"]


def test_letters_beyond_ascii_are_matched_without_regard_to_case_and_form(alice_api, sandbox):
    first = alice_api.post(PATH, {"appName": "B\u00fccher"}).json()
    assert alice_api.post(PATH, {"appName": "BU\u0308CHER"}).json() == first


@pytest.mark.django_db(transaction=True)
def test_of_names_that_differ_in_case_only_one_is_recorded_at_once(alice, sandbox):
    token = token_of(alice)
    names = ("Shop", "shop", "SHOP", "sHOP")
    answers = at_once(*[lambda name=name: APIClient(token).post(PATH, {"appName": name}).json() for name in names])
    assert all(answer == answers[0] for answer in answers)
    assert Deployment.objects.count() == 1


def test_the_database_itself_knows_no_two_apps_of_a_person_that_differ_in_case_only(alice, charlie):
    make_deployment(alice, "Shop")
    make_deployment(charlie, "shop")
    with pytest.raises(IntegrityError):
        make_deployment(alice, "sHOP")


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({}, "appName: This field is required."),
        ({"appName": None}, "appName: This field may not be null."),
        ({"appName": ["shop"]}, "appName: Not a valid string."),
        ({"appName": ""}, "appName: This field may not be blank."),
        ({"appName": "a" * 215}, NAME_RULE),
        ({"appName": " \t "}, NAME_RULE),
        ({"appName": "sh\nop"}, NAME_RULE),
        ({"appName": "sh\0op"}, NAME_RULE),
        ({"appName": "sh\u200bop"}, NAME_RULE),
        ({"appName": "\u202eshop"}, NAME_RULE),
        ({"appName": "sh\u043ep"}, NAME_RULE),
        ({"appName": "\u3164"}, NAME_RULE),
        ({"appName": "\u0301shop"}, NAME_RULE),
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
