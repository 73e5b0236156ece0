"""Many requests at once, over two processes on PostgreSQL: one login, one successor, and none where it was ended."""

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import orjson
import pytest
from django.utils import timezone

from accounts.models import CLILogin, Login, OAuthClient, RefreshToken
from accounts.oauth import clients, logins, refresh
from accounts.services import cli_login, users
from tests.accounts.threads import at_once
from tests.conftest import make_person
from tests.gunicorn_process import GunicornProcess

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow(40)]
GRANT = "urn:ietf:params:oauth:grant-type:device_code"


@pytest.fixture(scope="module")
def two_processes(django_db_setup: None, sandbox_of_worker: Any) -> Iterator[GunicornProcess]:
    with GunicornProcess(sandbox=sandbox_of_worker, environment={"WEB_CONCURRENCY": "2"}, preloaded=True) as server:
        yield server


@pytest.fixture
def ask(transactional_db: None, two_processes: GunicornProcess) -> Any:
    """POST a form as our own tool; gives status and body."""
    clients.ensure_own()

    def post(path: str, **fields: str) -> tuple[int, dict[str, Any]]:
        answer = two_processes.request(
            "POST",
            path,
            body=urlencode({"client_id": "crayon-cli", **fields}),
            headers={"Content-Type": "application/x-www-form-urlencoded"},
        )
        return answer.status, orjson.loads(answer.data) if answer.data else {}

    return post


def approve(started: dict[str, Any], person: Any) -> None:
    login = CLILogin.objects.get(code=started["user_code"].replace("-", ""))
    cli_login.approve(login=login, user=person, now=timezone.now())


def test_of_sixteen_polls_at_once_one_gets_tokens(ask):
    person = make_person("alice")
    for _ in range(5):
        _, started = ask("/oauth/device/code")
        approve(started, person)
        poll = lambda code=started["device_code"]: ask("/oauth/token", grant_type=GRANT, device_code=code)  # noqa: E731
        answers = at_once(*[poll] * 16)
        assert Counter(status for status, _ in answers) == {200: 1, 400: 15}
        assert {body["error"] for status, body in answers if status == 400} == {"invalid_grant"}
    assert Login.objects.count() == 5


def test_an_approval_is_never_lost_among_polls(ask):
    person = make_person("alice")
    for _ in range(10):
        _, started = ask("/oauth/device/code")
        poll = lambda code=started["device_code"]: ask("/oauth/token", grant_type=GRANT, device_code=code)  # noqa: E731
        answers = at_once(*[poll] * 4, lambda one=started: approve(one, person), *[poll] * 4)
        got = [body for answer in answers if answer for status, body in [answer] if status == 200]
        assert len(got) <= 1
        if not got:
            assert poll()[0] == 200
    assert Login.objects.count() == 10


def begun() -> tuple[Login, str]:
    """A login with its first refresh token."""
    person = make_person(f"person-{Login.objects.count()}")
    now, token = timezone.now(), refresh.first()
    login = Login.objects.create(
        user=person,
        organization=users.ensure_personal_organization(user=person),
        client=OAuthClient.objects.get(client_id=clients.OWN_TOOL),
        scope="openid",
        created_at=now,
        ends_at=now + logins.LONGEST,
    )
    refresh.keep(token, login=login, now=now)
    return login, token


def test_twenty_refreshes_at_once_get_one_successor(ask):
    for _ in range(3):
        login, token = begun()
        answers = at_once(*[lambda one=token: ask("/oauth/token", grant_type="refresh_token", refresh_token=one)] * 20)
        assert Counter(status for status, _ in answers) == {200: 20}
        assert len({body["refresh_token"] for _, body in answers}) == 1
        assert len({body["access_token"] for _, body in answers}) == 20
        assert RefreshToken.objects.filter(login=login).count() == 2


def test_a_replay_after_the_grace_time_ends_the_login(ask):
    login, token = begun()
    status, after = ask("/oauth/token", grant_type="refresh_token", refresh_token=token)
    assert status == 200
    RefreshToken.objects.filter(rotated_at__isnull=False).update(rotated_at=timezone.now() - timedelta(seconds=31))
    for one in (token, after["refresh_token"]):
        assert ask("/oauth/token", grant_type="refresh_token", refresh_token=one)[1] == {"error": "invalid_grant"}
    login.refresh_from_db()
    assert login.revoked_for == "an old refresh token was used"


def test_refreshing_while_it_is_revoked_leaves_nothing_alive(ask):
    login, token = begun()
    at_once(
        *[lambda: ask("/oauth/token", grant_type="refresh_token", refresh_token=token)] * 8,
        *[lambda: ask("/oauth/revoke", token=token)] * 8,
    )
    login.refresh_from_db()
    assert login.revoked_at is not None
    for row in (token, refresh.successor(token)):
        assert ask("/oauth/token", grant_type="refresh_token", refresh_token=row)[0] == 400


def test_it_says_the_same_addresses_to_every_host(two_processes, ask):
    for path in ("/.well-known/openid-configuration", "/.well-known/oauth-protected-resource/api"):
        own = two_processes.request("GET", path).data
        assert two_processes.request("GET", path, headers={"Host": f"127.0.0.1:{two_processes.port}"}).data == own
