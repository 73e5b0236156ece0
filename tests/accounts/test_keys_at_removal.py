"""A key that is made, or rotated, at the moment of its maker's removal or demotion waits for that, and is not made."""

from datetime import timedelta
from threading import Event, Thread

import pytest
from django.db import connection, transaction
from django.utils import timezone

from accounts.models import APIKey, Membership
from accounts.services import api_keys, members
from accounts.services.organizations import NoSuchOrganization
from tests.accounts.organization_builders import make_organization

pytestmark = pytest.mark.django_db(transaction=True)
WANTED = api_keys.WantedKey(name="CI")


def while_it_is_changed(change, then):
    """What `then` gives or raises, once `change` is committed; that it waits for it is seen in the database."""
    found, started = [], Event()

    def act():
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_backend_pid()")
                backend.append(cursor.fetchone()[0])
            started.set()
            found.append(then())
        except (NoSuchOrganization, api_keys.NoSuchKey) as error:
            found.append(type(error))
        finally:
            connection.close()

    backend = []
    thread = Thread(target=act)
    with transaction.atomic():
        change()
        thread.start()
        assert started.wait(20)
        while thread.is_alive() and not _waits(backend[0]):
            thread.join(0.01)
    thread.join(20)
    return found[0]


def _waits(backend):
    with connection.cursor() as cursor:
        cursor.execute("SELECT cardinality(pg_blocking_pids(%s)) > 0", [backend])
        return cursor.fetchone()[0]


def test_whoever_is_removed_makes_no_key_meanwhile(alice, bob):
    team = make_organization(alice, "team", member=bob)
    now = timezone.now()
    made = while_it_is_changed(
        lambda: members.remove(slug="team", user_id=bob.pk, person=alice, now=now),
        lambda: api_keys.issue(by=bob, organization_id=team.pk, wanted=WANTED, now=now),
    )
    assert made is NoSuchOrganization
    assert not APIKey.objects.filter(organization=team).exists()


def test_whoever_is_no_admin_any_more_rotates_no_workers_key_meanwhile(alice, bob):
    team = make_organization(alice, "team", admin=bob)
    now = timezone.now()
    key = api_keys.make_for_worker(by=alice, slug="team", wanted=WANTED, now=now).row
    made = while_it_is_changed(
        lambda: members.change_role(slug="team", user_id=bob.pk, role=Membership.Role.MEMBER, person=alice, now=now),
        lambda: api_keys.rotate(key_id=key.pk, by=bob, overlap=timedelta(0), now=now),
    )
    assert made is api_keys.NoSuchKey
    assert [row.pk for row in APIKey.objects.filter(organization=team)] == [key.pk]
