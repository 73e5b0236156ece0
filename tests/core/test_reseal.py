"""manage.py reseal."""

import base64
from io import StringIO

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db.models import BinaryField
from django.utils import timezone

from accounts.models import AccessToken, SigningKey
from clouddev.models import Machine
from core import key_rotation
from core.crypto import keyring
from core.fields import Sealed
from core.key_rotation import sealed_fields
from integrations.models import ConnectLink
from tests.clouddev.builders import PAIR, make_machine
from tests.conftest import token_of
from tests.deployments.builders import make_build, make_deployment

State = Machine.State
OLD, NEW = (f"{number}:{base64.b64encode(bytes([number]) * 32).decode()}" for number in (1, 2))


@pytest.fixture
def studio(db, alice, settings):
    """Made in the time of the old key; it is being made, and has an environment."""
    settings.ENCRYPTION_KEYS = OLD
    SigningKey.objects.all().delete()  # those of the tests' own key
    machine = make_machine(alice, state=State.CREATING)
    machine.sealed_environment = b'{"A": "b"}'
    machine.save()
    return machine


@pytest.fixture
def build(db, bob, settings):
    """Pushed in that time, too, with something for a browser's bundle."""
    settings.ENCRYPTION_KEYS = OLD
    return make_build(make_deployment(bob), sealed_environment=b"{}")


@pytest.fixture
def link(db, bob, settings):
    """Made in that time, too."""
    settings.ENCRYPTION_KEYS = OLD
    token_of(bob)
    now = timezone.now()
    return ConnectLink.objects.create(
        digest=b"d" * 32, sealed_link=b"https://connect.example.com", owner=bob, organization=bob.personal_organization,
        asked_with=AccessToken.objects.get(), integration_id="acme", created_at=now, expires_at=now,
    )  # fmt: skip


def reseal():
    out = StringIO()
    call_command("reseal", stdout=out)
    return out.getvalue().split("\n")[:3]


def test_afterwards_the_old_key_can_be_dropped(studio, alice, settings):
    make_machine(alice, "other")
    settings.ENCRYPTION_KEYS = f"{OLD},{NEW}"
    assert reseal() == ["resealed: 3", "current: 0", "unreadable: 0"]
    settings.ENCRYPTION_KEYS = NEW
    for machine in Machine.objects.all():
        assert machine.sealed_ssh_key.open() == PAIR.private.encode()
    assert Machine.objects.get(pk=studio.pk).sealed_environment.open() == b'{"A": "b"}'


def test_it_walks_whatever_is_sealed(studio, build, link, settings):
    settings.ENCRYPTION_KEYS = f"{OLD},{NEW}"
    assert reseal() == ["resealed: 4", "current: 0", "unreadable: 0"]
    settings.ENCRYPTION_KEYS = NEW
    for row, name in ((studio, "sealed_environment"), (build, "sealed_environment"), (link, "sealed_link")):
        plain = getattr(row, name).open
        settings.ENCRYPTION_KEYS = OLD
        before = plain()
        settings.ENCRYPTION_KEYS = NEW
        row.refresh_from_db()
        assert getattr(row, name).open() == before


def test_every_binary_column_is_a_digest_or_sealed_and_walked():
    """So one that comes is resealed without anybody's remembering it."""
    binary = {f"{field.model.__name__}.{field.name}": field for field in fields() if isinstance(field, BinaryField)}
    walked = {f"{field.model.__name__}.{field.name}" for field in sealed_fields()}
    elsewhere = {name for name, field in binary.items() if getattr(field, "has_key_elsewhere", False)}
    digests = {name for name in binary if name.endswith("digest")}
    assert set(binary) == walked | elsewhere | digests
    assert walked >= {"Machine.sealed_ssh_key", "Machine.sealed_environment", "Build.sealed_environment"}
    # What a CLI's own secret seals, for minutes.
    assert elsewhere == {"CLILogin.sealed_token"}


def fields():
    return [field for model in apps.get_models() for field in model._meta.local_concrete_fields]


def test_it_reads_piece_by_piece(alice, settings, monkeypatch, django_assert_num_queries):
    monkeypatch.setattr(key_rotation, "_AT_ONCE", 2)
    for name in ("one", "two", "three"):
        make_machine(alice, name)
    SigningKey.objects.all().delete()
    # Keys in two pieces and an empty one; environments, builds', links and signing keys, of which there are none.
    with django_assert_num_queries(7):
        assert reseal() == ["resealed: 0", "current: 3", "unreadable: 0"]


def test_a_second_time_nothing_changes(studio, settings):
    settings.ENCRYPTION_KEYS = f"{OLD},{NEW}"
    reseal()
    before = list(Machine.objects.values())
    assert reseal() == ["resealed: 0", "current: 2", "unreadable: 0"]
    assert list(Machine.objects.values()) == before


def test_what_no_key_opens_is_told_and_the_rest_is_done(studio, alice, settings):
    settings.ENCRYPTION_KEYS = NEW
    make_machine(alice, "other")
    lost = list(Machine.objects.filter(pk=studio.pk).values())
    out = StringIO()
    with pytest.raises(CommandError, match="must be made anew"):
        call_command("reseal", stdout=out)
    assert out.getvalue() == "resealed: 0\ncurrent: 1\nunreadable: 2\n"
    assert list(Machine.objects.filter(pk=studio.pk).values()) == lost


def test_what_is_written_meanwhile_stays(studio, settings, monkeypatch):
    settings.ENCRYPTION_KEYS = f"{OLD},{NEW}"
    opened = Sealed.open

    def slowly(sealed, ring=None):
        Machine.objects.filter(pk=studio.pk).update(sealed_environment=None)
        return opened(sealed, ring)

    monkeypatch.setattr(Sealed, "open", slowly)
    assert reseal() == ["resealed: 1", "current: 0", "unreadable: 0"]
    studio.refresh_from_db()
    assert studio.sealed_environment is None
    assert keyring().is_newest(bytes(studio.sealed_ssh_key))
