"""GET /api/cloud-dev/revoked-tokens: which webhook tokens a machine shall no longer take."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import AuditEvent
from clouddev.services import members, tokens
from clouddev.services.tokens import LOOKS
from tests.clouddev.api.expectations import said
from tests.clouddev.builders import make_machine, make_webhook_token

pytestmark = pytest.mark.django_db
PATH = "/api/cloud-dev/revoked-tokens"
NONE = (200, {"data": {"jtis": []}})


def revoked(**fields):
    return {"revoked_at": timezone.now(), **fields}


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({}, "app: This field is required."),
        ({"app": ""}, "app: This field may not be blank."),
        ({"app": "a" * 64}, "app: Ensure this field has no more than 63 characters."),
    ],
)
def test_it_says_what_is_missing(nobody_api, asked, sentence):
    assert said(nobody_api.get(PATH, **asked)) == (400, {"error": sentence})


def test_a_machine_that_is_not_there_looks_like_one_without_revoked_tokens(nobody_api, studio):
    for name in ("crayon-dev-00000000", "shop", "../x", studio.fly_app_id):
        assert said(nobody_api.get(PATH, app=name)) == NONE


def test_a_machine_hears_which_of_its_tokens_were_revoked_before_their_time(nobody_api, alice, bob, studio):
    over = timezone.now() - timedelta(seconds=1)
    make_webhook_token(studio, alice)
    make_webhook_token(studio, alice, **revoked(expires_at=over))
    make_webhook_token(make_machine(bob, "other"), bob, **revoked())
    own = [make_webhook_token(studio, alice), make_webhook_token(studio, bob)]
    tokens.revoke_webhook_token(jti=own[0].pk, actor=alice, now=timezone.now())
    # Whoever is removed takes their tokens' right along.
    members.remove_member(machine=studio, login="bob", actor=alice)
    answer = nobody_api.get(PATH, app=studio.fly_app_id)
    assert said(answer) == (200, {"data": {"jtis": [str(token.pk) for token in own]}})
    assert answer["Cache-Control"] == "public, max-age=60"


def test_a_token_that_is_over_is_not_revoked_any_more(alice, studio):
    now = timezone.now()
    for over in (make_webhook_token(studio, alice, expires_at=now), make_webhook_token(studio, alice, **revoked())):
        revoked_at = over.revoked_at
        with pytest.raises(tokens.AlreadyRevoked):
            tokens.revoke_webhook_token(jti=over.pk, actor=alice, now=now)
        over.refresh_from_db()
        assert over.revoked_at == revoked_at
    assert not AuditEvent.objects.exists()


def test_an_error_is_not_kept(nobody_api):
    assert nobody_api.get(PATH)["Cache-Control"] == "no-store"


def test_one_address_can_not_ask_without_end(nobody_api, studio):
    for _ in range(120):
        LOOKS.spend("127.0.0.1")
    assert nobody_api.get(PATH, app=studio.fly_app_id).status_code == 429
