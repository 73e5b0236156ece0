"""Chains: in their order, ended by a refusal, closed when one of them fails or is not there."""

import subprocess
import sys

import pytest
from django.conf import settings as django_settings
from django.core.checks import Error
from django.core.exceptions import ImproperlyConfigured
from django.utils import timezone

from accounts import authenticators, checks
from accounts.authenticators import HTTP, KEYS, CannotDecide, authenticate, authenticator, problems
from accounts.bearer import InvalidToken
from accounts.key_bearer import InvalidKey
from core import startup
from tests.accounts.keys import mistyped, personal
from tests.conftest import APIClient, token_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def more(monkeypatch):
    """A chain of these, registered for this test."""
    monkeypatch.setattr(authenticators, "_authenticators", dict(authenticators._authenticators))
    monkeypatch.setattr(authenticators, "CHAINS", {**authenticators.CHAINS})

    def chain(**known):
        for name, ask in known.items():
            authenticator(name)(ask)
        authenticators.CHAINS[HTTP] = (*known, *authenticators.CHAINS[HTTP])

    return chain


def test_what_is_recognised_and_refused_is_tried_on_no_other(alice, more):
    asked = []

    def refuse(credential, *, now):
        raise InvalidKey

    def note(credential, *, now):
        asked.append(credential)

    token = token_of(alice)
    more(refuse=refuse, note=note)
    with pytest.raises(InvalidKey):
        authenticate(HTTP, token, now=timezone.now())
    assert asked == []


def test_a_mistyped_key_is_no_static_key(alice, settings):
    # Whoever configures one that looks like a personal key is told so; this is what would happen otherwise.
    key = mistyped(personal(alice).plain)
    settings.STATIC_API_KEYS = {authenticators.key_bearer.digest(key): object()}
    with pytest.raises(InvalidKey):
        authenticate(HTTP, key, now=timezone.now())


def test_the_first_that_knows_it_decides(alice, more):
    principal = authenticate(HTTP, token_of(alice), now=timezone.now())
    more(mine=lambda credential, now: principal, other=lambda credential, now: 1 / 0)
    assert authenticate(HTTP, "x", now=timezone.now()) is principal


@pytest.mark.parametrize("error", [ValueError, KeyError, RuntimeError, AssertionError])
def test_an_authenticator_that_fails_lets_nobody_in(alice, more, error, caplog):
    def fail(credential, *, now):
        raise error(credential)

    token = token_of(alice)
    more(fail=fail)
    with pytest.raises(CannotDecide):
        authenticate(HTTP, token, now=timezone.now())
    answer = APIClient(token).get("/api/cloud-dev/list")
    assert (answer.status_code, answer.json()) == (503, {"error": str(CannotDecide.default)})


@pytest.mark.parametrize("credential", ["", "x", "a.b.c", "0" * 63, "0" * 8193, "Ü", "\x00"])
def test_what_no_authenticator_knows_is_refused(credential):
    for chain in (HTTP, KEYS):
        with pytest.raises(InvalidToken):
            authenticate(chain, credential, now=timezone.now())


def test_the_chains_of_this_server_are_whole():
    assert problems() == []
    assert checks.chains_are_whole(None) == []
    assert "worker_key" not in authenticators.CHAINS[HTTP]


def test_an_empty_chain_and_an_unknown_authenticator_are_problems():
    assert problems({"a": (), "b": ("access_token", "nothing")}) == [
        "The chain a is empty.",
        "The chain b names nothing, which is no authenticator.",
    ]


def test_a_name_is_registered_once():
    with pytest.raises(ValueError, match="There is an authenticator access_token already"):
        authenticator("access_token")(authenticators.bearer.access_token)


def test_a_server_with_a_broken_chain_does_not_start(monkeypatch):
    monkeypatch.setattr(checks.authenticators, "problems", lambda: ["The chain http is empty."])
    (error,) = checks.chains_are_whole(None)
    assert isinstance(error, Error)
    assert error.id == "crayon.E016"
    with pytest.raises(ImproperlyConfigured, match=r"crayon\.E016"):
        startup.require()


def test_a_whole_server_starts():
    startup.require()


def test_a_web_process_asks_before_it_serves():
    code = (
        "import os; os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'config.settings')\n"
        "import django; django.setup()\n"
        "from accounts import authenticators; authenticators.CHAINS['http'] = ()\n"
        "import config.wsgi\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=django_settings.BASE_DIR, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert "The chain http is empty." in ended.stderr
