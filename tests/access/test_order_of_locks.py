"""Whoever holds several rows takes them in everybody's order, so that two never wait for each other."""

import threading
from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import QuerySet
from django.utils import timezone

from accounts.models import User
from clouddev.models import Member
from clouddev.services import retry, tokens
from tests.clouddev.builders import add_member, make_failed, make_machine
from tests.clouddev.worker_harness import is_somebody_blocked, wait_for

pytestmark = pytest.mark.django_db(transaction=True)


@contextmanager
def waiting_for(person: User, act: Callable[[], Any]):
    """`act` is under way in a thread, and has come to where it needs the person's row, which is held."""

    def go():
        try:
            act()
        finally:
            connection.close()

    thread = threading.Thread(target=go)
    with transaction.atomic():
        User.objects.select_for_update(no_key=True).get(pk=person.pk)
        thread.start()
        wait_for(lambda: is_somebody_blocked() or not thread.is_alive(), "it needs the person's row")
        yield
    thread.join()


def require_free(rows: QuerySet[Any]):
    with transaction.atomic():
        assert len(rows.select_for_update(nowait=True, no_key=True)) == 1


def test_of_the_two_people_of_another_try_nobody_is_held_while_the_first_is_waited_for(alice, bob, sandbox):
    first, owner = sorted([alice, bob], key=lambda person: person.pk)
    machine = make_failed(owner, database_schema="")
    add_member(machine, first, Member.Role.OWNER)
    with waiting_for(first, lambda: retry.try_again(machine=machine, actor=first, now=timezone.now())):
        require_free(User.objects.filter(pk=owner.pk))
    machine.refresh_from_db()
    assert machine.state == machine.State.CREATING


def test_no_membership_is_held_while_its_person_is_waited_for(alice, bob):
    machine = make_machine(alice, "studio")
    member = add_member(machine, bob)

    def ask():
        tokens.mcp_token(machine=machine, person=bob, actor=bob, now=timezone.now())

    with waiting_for(bob, ask):
        require_free(Member.objects.filter(pk=member.pk))
    assert machine.machine_tokens.count() == 1
