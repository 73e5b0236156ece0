"""The epoch in which what is cached of a person is good."""

import pytest
from django.db.models import F
from django.utils import timezone

from accounts.bearer import caller_of
from accounts.models import User
from tests.conftest import token_of

pytestmark = pytest.mark.django_db


def test_a_caller_is_known_with_their_epoch(alice):
    token = token_of(alice)
    assert caller_of(token, now=timezone.now()).cache_epoch == 0
    User.objects.filter(pk=alice.pk).update(cache_epoch=F("cache_epoch") + 1)
    assert caller_of(token, now=timezone.now()).cache_epoch == 1


def test_saving_a_person_who_was_read_before_never_brings_an_epoch_back(alice):
    read_before = User.objects.get(pk=alice.pk)
    User.objects.filter(pk=alice.pk).update(cache_epoch=7)
    read_before.name = "Alice Two"
    read_before.save()
    read_before.save(update_fields=["name", "cache_epoch"])
    alice.refresh_from_db()
    assert (alice.name, alice.cache_epoch) == ("Alice Two", 7)
