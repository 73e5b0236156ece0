"""GET ssh-key and mcp-token, POST webhook-token: what opens a machine, for its members."""

import logging
import subprocess
import uuid
from datetime import UTC, datetime, timedelta

import jwt
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import AuditEvent
from clouddev.machine_tokens import Signer
from clouddev.models import Machine, WebhookToken
from clouddev.names import linux_user_of
from clouddev.services import tokens
from tests.clouddev.api.expectations import BAD_NAMES, BAD_QUERIES, NO_MACHINE, STATES_OF_NO_USE, SUSPENDED, said
from tests.clouddev.builders import PAIR, make_machine

pytestmark = pytest.mark.django_db
SSH_KEY, MCP, WEBHOOK = (f"/api/cloud-dev/{name}" for name in ("ssh-key", "mcp-token", "webhook-token"))
DAY = 24 * 3600
every = pytest.mark.parametrize("path", [SSH_KEY, MCP, WEBHOOK])


def ask(api, path, name="studio", **more):
    return api.post(path, {"appName": name, **more}) if path == WEBHOOK else api.get(path, appName=name)


def read(token):
    """Header and claims, verified with the public key as a machine is given it."""
    key = Signer.from_settings().public_key_pem(escaped=True).replace("\\n", "\n")
    claims = jwt.decode(token, key, algorithms=["EdDSA"])
    return jwt.get_unverified_header(token), claims


@pytest.mark.parametrize("path", [SSH_KEY, MCP])
@pytest.mark.parametrize(("parameters", "sentence"), BAD_QUERIES)
def test_what_cannot_be_a_name_is_refused(alice_api, path, parameters, sentence):
    assert said(alice_api.get(path, **parameters)) == (400, {"error": sentence})


@pytest.mark.parametrize(("body", "sentence"), BAD_NAMES)
def test_what_cannot_be_a_name_gets_no_webhook_token(alice_api, body, sentence):
    assert said(alice_api.post(WEBHOOK, body)) == (400, {"error": sentence})


@every
def test_without_a_token_there_is_none(nobody_api, studio, path):
    assert ask(nobody_api, path).status_code == 401


@every
def test_a_suspended_member_gets_none(bob_api, bob, studio, path):
    bob.is_active = False
    bob.save()
    assert said(ask(bob_api, path)) == (403, SUSPENDED)


@every
def test_to_a_stranger_there_is_no_such_machine(charlie_api, studio, path):
    assert said(ask(charlie_api, path)) == said(ask(charlie_api, path, "nothing")) == (404, NO_MACHINE)
    assert not WebhookToken.objects.exists()


@every
@pytest.mark.parametrize(("state", "sentence"), STATES_OF_NO_USE)
def test_what_is_gone_is_not_opened(alice_api, alice, path, state, sentence):
    make_machine(alice, "studio", state=state)
    assert said(ask(alice_api, path)) == (409, {"error": sentence})


@every
def test_one_that_is_being_made_can_be_prepared_for(alice_api, alice, path):
    make_machine(alice, "studio", state=Machine.State.CREATING)
    assert ask(alice_api, path).status_code == 200


@every
def test_no_cache_keeps_it_and_no_log_or_record_shows_it(alice_api, studio, caplog, path):
    caplog.set_level(logging.DEBUG)
    answer = ask(alice_api, path)
    assert answer["Cache-Control"] == "no-store"
    secret = next(iter(answer.json()["data"].values()))
    assert secret not in caplog.text + str(list(AuditEvent.objects.values()))


@every
def test_being_asked_for_counts_as_use_once_a_minute(alice_api, alice, studio, path):
    other = make_machine(alice, "other")
    Machine.objects.update(last_active_at=None, warned_at=timezone.now())
    ask(alice_api, path)
    assert Machine.objects.filter(pk=other.pk, last_active_at=None, warned_at__isnull=False).exists()
    studio.refresh_from_db()
    noted = studio.last_active_at
    assert noted is not None
    assert studio.warned_at is None
    ask(alice_api, path)
    studio.refresh_from_db()
    assert studio.last_active_at == noted


@pytest.mark.parametrize("path", [MCP, WEBHOOK])
def test_without_a_key_to_sign_with_the_setting_is_named(alice_api, studio, settings, path):
    settings.DEV_UI_JWT_PRIVATE_KEY = ""
    answer = ask(alice_api, path)
    assert (answer.status_code, "DEV_UI_JWT_PRIVATE_KEY" in answer.json()["error"]) == (503, True)
    assert not WebhookToken.objects.exists()


def test_owner_and_member_get_in_by_ssh_as_the_user_whose_home_it_is(alice_api, bob_api, alice, studio, settings):
    settings.FLY_APP_URL = "https://{app}.fly.dev"
    told = {
        "privateKey": PAIR.private,
        "linuxUser": linux_user_of(alice.pk),
        "host": f"{studio.fly_app_id}.fly.dev",
        "port": 2222,
    }
    assert said(ask(alice_api, SSH_KEY)) == said(ask(bob_api, SSH_KEY)) == (200, {"data": told})


def test_ssh_reads_the_key(alice_api, studio, tmp_path):
    path = tmp_path / "key"
    path.write_text(ask(alice_api, SSH_KEY).json()["data"]["privateKey"])
    path.chmod(0o600)
    done = subprocess.run(["ssh-keygen", "-y", "-f", path], capture_output=True, text=True, check=True, timeout=10)
    assert done.stdout.split()[:2] == studio.ssh_public_key.split()[:2]


def test_what_is_handed_on_inside_does_not_show_its_secret(studio, alice):
    now = timezone.now()
    access = tokens.ssh_access(machine=studio, now=now)
    issued = tokens.issue_webhook_token(machine=studio, person=alice, actor=alice, expires_in="7d", now=now)
    # The key's ends of line are spelled in another way there.
    assert PAIR.private.splitlines()[2] not in repr(access)
    assert issued.token not in repr(issued)


def test_a_member_gets_a_token_for_a_day_in_the_name_of_their_user(bob_api, bob, studio):
    before = int(timezone.now().timestamp())
    answer = ask(bob_api, MCP)
    assert (answer.status_code, list(answer.json()), list(answer.json()["data"])) == (200, ["data"], ["token"])
    header, claims = read(answer.json()["data"]["token"])
    assert header == {"alg": "EdDSA", "typ": "JWT", "kid": Signer.from_settings().kid}
    issued = claims["iat"]
    assert before <= issued <= before + 5
    assert claims == {
        "sub": str(bob.pk),
        "app": studio.fly_app_id,
        "login": linux_user_of(bob.pk),
        "use": "mcp",
        "iat": issued,
        "exp": issued + DAY,
        "jti": claims["jti"],
    }


def test_each_token_has_a_number_of_its_own_and_only_webhook_tokens_are_kept(alice_api, studio):
    numbers = {uuid.UUID(read(ask(alice_api, path).json()["data"]["token"])[1]["jti"]) for path in (MCP, MCP, WEBHOOK)}
    assert len(numbers) == 3
    assert WebhookToken.objects.get().pk in numbers


def test_asking_for_a_token_is_mostly_reading(alice_api, studio):
    ask(alice_api, MCP)
    with CaptureQueriesContext(connection) as queries:
        ask(alice_api, MCP)
    assert len(queries) == 6


@pytest.mark.parametrize(("words", "days"), [(None, 30), ("7d", 7), ("30d", 30), ("90d", 90), ("365d", 365)])
def test_a_webhook_token_lasts_as_asked_and_is_on_the_list(bob_api, bob, studio, words, days):
    answer = ask(bob_api, WEBHOOK, **({"expiresIn": words} if words else {}))
    row = WebhookToken.objects.get()
    token = answer.json()["data"]["token"]
    assert said(answer) == (200, {"data": {"token": token, "expiresAt": row.expires_at.isoformat()}})
    assert (row.machine, row.made_by, row.revoked_at) == (studio, bob, None)
    _, claims = read(token)
    assert claims["exp"] - claims["iat"] == days * DAY
    assert datetime.fromtimestamp(claims["exp"], UTC) == row.expires_at
    assert {name: claims[name] for name in ("sub", "app", "login", "use", "jti")} == {
        "sub": str(bob.pk),
        "app": studio.fly_app_id,
        "login": linux_user_of(bob.pk),
        "use": "webhook",
        "jti": str(row.pk),
    }
    event = AuditEvent.objects.get(action="webhook_token.issued")
    assert (event.actor_id, event.details) == (bob.pk, {"app": "studio", "expires_in": words or "30d"})


@pytest.mark.parametrize("words", ["", "1d", "7", 7, None, ["7d"], "365D", "999999d"])
def test_another_lifetime_is_refused(alice_api, studio, words):
    status, body = said(ask(alice_api, WEBHOOK, expiresIn=words))
    assert (status, body["error"].split(":")[0]) == (400, "expiresIn")
    assert not WebhookToken.objects.exists()


def test_webhook_tokens_without_end_are_not_given(alice_api, alice, studio):
    for _ in range(30):
        tokens.WEBHOOK_TOKENS.spend(str(alice.pk))
    answer = ask(alice_api, WEBHOOK)
    assert answer.status_code == 429
    assert int(answer["Retry-After"]) >= 1


def test_a_webhook_token_is_revoked_once(alice, studio):
    now = timezone.now()
    tokens.issue_webhook_token(machine=studio, person=alice, actor=alice, expires_in="7d", now=now)
    row = WebhookToken.objects.get()
    tokens.revoke_webhook_token(jti=row.pk, actor=alice, now=now + timedelta(days=1))
    row.refresh_from_db()
    assert row.revoked_at == now + timedelta(days=1)
    with pytest.raises(tokens.AlreadyRevoked):
        tokens.revoke_webhook_token(jti=row.pk, actor=alice, now=now)
    assert AuditEvent.objects.filter(action="webhook_token.revoked").count() == 1


@pytest.mark.parametrize(
    ("path", "action"), [(SSH_KEY, "ssh_key.fetched"), (MCP, "mcp_token.issued")]
)  # fmt: skip
def test_whoever_fetches_what_opens_a_machine_is_written_down(bob_api, bob, studio, path, action):
    assert ask(bob_api, path).status_code == 200
    event = AuditEvent.objects.get(action=action)
    assert (event.actor_id, event.target_id, event.details) == (bob.pk, str(studio.pk), {"app": "studio"})
    assert event.organization_id == studio.organization_id


@pytest.mark.parametrize("path", [SSH_KEY, MCP])
def test_whoever_is_refused_leaves_no_row(charlie_api, studio, path):
    assert ask(charlie_api, path).status_code == 404
    assert not AuditEvent.objects.exists()


def test_asking_again_for_a_machine_that_is_there_is_fetching_its_key(alice_api, alice, studio):
    answer = alice_api.post("/api/cloud-dev/create", {"appName": "studio"})
    assert answer.json()["data"]["sshPrivateKey"]
    assert AuditEvent.objects.get().action == "ssh_key.fetched"
