"""The use log: which token was handed which credential."""

import time
from datetime import UTC, datetime, timedelta
from threading import Event

import pytest
from django.db import OperationalError, ProgrammingError, connection, transaction
from django.utils import timezone

from accounts.bearer import caller_of
from accounts.models import AccessToken
from integrations.models import CredentialUse
from integrations.services import use_log
from integrations.services.use_log import UseLog
from tests.accounts.threads import at_once
from tests.conftest import APIClient, token_of
from tests.operators import make_use

pytestmark = pytest.mark.django_db
NOON = datetime(2030, 5, 6, 12, 20, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def waiting(settings, monkeypatch):
    """A log that is on, whose thread is the test."""
    settings.USE_LOG_DAYS = 90
    log = UseLog()
    monkeypatch.setattr(log, "_start", lambda: None)
    monkeypatch.setattr(use_log, "log", log)
    return log


def fetch(api, connection_id, **options):
    return api.get("/api/credentials/acme", connection_id=connection_id, **options)


def rows(*names):
    return list(CredentialUse.objects.order_by("hour", "token_id").values_list(*names))


def test_a_hand_out_is_a_row_that_names_the_token_and_nothing_secret(alice, connect, waiting):
    token = token_of(alice)
    connection_id = connect(alice)
    before = timezone.now()
    assert fetch(APIClient(token), connection_id).status_code == 200
    assert waiting.flush() == 1
    row = CredentialUse.objects.values().get()
    del row["id"]
    first, last, hour = (row.pop(name) for name in ("first_at", "last_at", "hour"))
    assert row == {
        "token_id": AccessToken.objects.get().pk,
        "person_id": alice.pk,
        "person_label": "Alice",
        "organization_id": alice.personal_organization.pk,
        "integration_id": "acme",
        "connection_id": connection_id,
        "count": 1,
    }
    assert before <= first == last <= timezone.now()
    assert hour == first.replace(minute=0, second=0, microsecond=0)


def test_an_answer_waits_for_no_row(alice, alice_api, connect, waiting, django_assert_num_queries):
    connection_id = connect(alice)
    fetch(alice_api, connection_id)
    with django_assert_num_queries(2):
        fetch(alice_api, connection_id)
    assert not CredentialUse.objects.exists()


def test_what_is_kept_is_counted_too(alice, alice_api, connect, waiting, settings):
    settings.CREDENTIALS_CACHE_SECONDS = 60
    connection_id = connect(alice)
    for _ in range(3):
        fetch(alice_api, connection_id)
    waiting.flush()
    assert rows("count") == [(3,)]


def test_what_is_refused_is_not_counted(alice, charlie_api, connect, waiting):
    assert fetch(charlie_api, connect(alice)).status_code == 404
    assert waiting.flush() == 0


def test_head_hands_nothing_out(alice, alice_api, connect, waiting):
    looked = alice_api.head("/api/credentials/acme", connection_id=connect(alice))
    assert (looked.status_code, looked.content, waiting.flush()) == (200, b"", 0)


def test_each_token_connection_and_hour_is_a_row_of_its_own(alice, bob, waiting):
    callers = [caller_of(token_of(person), now=timezone.now()) for person in (alice, bob)]
    for caller, connection_id, now in (
        (callers[0], "a", NOON), (callers[0], "a", NOON + MINUTE), (callers[0], "b", NOON), (callers[1], "a", NOON),
        (callers[0], "a", NOON + HOUR),
    ):  # fmt: skip
        waiting.note(caller=caller, integration_id="acme", connection_id=connection_id, now=now)
    assert waiting.flush() == 4
    found = CredentialUse.objects.filter(token_id=callers[0].credential_id, connection_id="a").order_by("hour")
    assert list(found.values_list("hour", "count", "first_at", "last_at")) == [
        (NOON.replace(minute=0), 2, NOON, NOON + MINUTE),
        (NOON.replace(minute=0) + HOUR, 1, NOON + HOUR, NOON + HOUR),
    ]


def test_later_hand_outs_of_the_hour_are_added_to_its_row(alice, waiting):
    caller = caller_of(token_of(alice), now=timezone.now())
    for now in (NOON, NOON - MINUTE, NOON + MINUTE):
        waiting.note(caller=caller, integration_id="acme", connection_id="a", now=now)
        waiting.flush()
    assert rows("count", "first_at", "last_at") == [(3, NOON - MINUTE, NOON + MINUTE)]


def test_while_the_database_is_away_the_numbers_wait(alice, waiting, monkeypatch):
    caller = caller_of(token_of(alice), now=timezone.now())
    waiting.note(caller=caller, integration_id="acme", connection_id="a", now=NOON)

    def away(*_arguments):
        raise OperationalError

    with monkeypatch.context() as patch:
        patch.setattr(connection, "cursor", away)
        with pytest.raises(OperationalError):
            waiting.flush()
    waiting.note(caller=caller, integration_id="acme", connection_id="a", now=NOON)
    assert waiting.flush() == 1
    assert rows("count") == [(2,)]


def test_no_more_than_so_many_wait_and_the_rest_is_logged(alice, waiting, monkeypatch, caplog):
    monkeypatch.setattr(use_log, "MOST_WAITING", 1)
    caller = caller_of(token_of(alice), now=timezone.now())
    for connection_id in ("a", "b", "a"):
        waiting.note(caller=caller, integration_id="acme", connection_id=connection_id, now=NOON)
    assert f"token {caller.credential_id} unwritten" in caplog.text
    waiting.flush()
    assert rows("connection_id", "count") == [("a", 2)]


@pytest.mark.parametrize("bad", ["a\0b", "\ud800", "x" * 256], ids=["NUL", "half a character", "too long"])
@pytest.mark.parametrize("others", [0, 1, 6])
def test_a_row_that_the_database_refuses_is_set_aside_and_keeps_no_other_waiting(bad, others, alice, waiting, caplog):
    caller = caller_of(token_of(alice), now=timezone.now())
    for connection_id in (*(f"{number}-th" for number in range(others)), bad, bad):
        waiting.note(caller=caller, integration_id="acme", connection_id=connection_id, now=NOON)
    assert waiting.flush() == others
    assert waiting.flush() == 0
    assert CredentialUse.objects.count() == others
    assert waiting.set_aside == 2
    assert f"token {caller.credential_id} was handed {bad!r} of 'acme' 2 times" in caplog.text


def test_what_is_away_while_rows_are_set_aside_waits_on(alice, waiting, monkeypatch):
    caller = caller_of(token_of(alice), now=timezone.now())
    for connection_id in ("a", "b", "c\0"):
        waiting.note(caller=caller, integration_id="acme", connection_id=connection_id, now=NOON)
    written = waiting._write_down

    def goes_away(uses, left):
        if [use.connection_id for use in uses] == ["b", "c\0"]:
            raise OperationalError
        return written(uses, left)

    with monkeypatch.context() as patch:
        patch.setattr(waiting, "_write_down", goes_away)
        with pytest.raises(OperationalError):
            waiting.flush()
    assert waiting.flush() == 1
    assert rows("connection_id", "count") == [("a", 1), ("b", 1)]


def test_a_table_that_takes_nothing_at_all_sets_nothing_aside(alice, waiting, monkeypatch):
    caller = caller_of(token_of(alice), now=timezone.now())
    waiting.note(caller=caller, integration_id="acme", connection_id="a", now=NOON)
    with monkeypatch.context() as patch:
        patch.setattr(use_log, "_ADD", "INSERT INTO no_such_table VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)")
        with pytest.raises(ProgrammingError), transaction.atomic():
            waiting.flush()
    assert (waiting.flush(), waiting.set_aside) == (1, 0)


def test_a_process_that_ends_without_its_database_says_how_much_is_lost(alice, waiting, caplog):
    caller = caller_of(token_of(alice), now=timezone.now())
    for connection_id in ("a", "a", "b"):
        waiting.note(caller=caller, integration_id="acme", connection_id=connection_id, now=NOON)
    waiting.stop()
    assert "the use log ends with 3 hand-outs unwritten" in caplog.text


def test_without_days_nothing_is_kept(alice, alice_api, connect, waiting, settings):
    settings.USE_LOG_DAYS = 0
    assert fetch(alice_api, connect(alice)).status_code == 200
    assert waiting.flush() == 0


@pytest.mark.django_db(transaction=True)
def test_the_thread_writes_within_seconds_and_the_end_of_the_process_at_once(alice):
    log = UseLog()
    caller = caller_of(token_of(alice), now=timezone.now())
    try:
        log.note(caller=caller, integration_id="acme", connection_id="a", now=NOON)
        until = time.monotonic() + 20
        # A running server of another test may still be writing its own.
        own = CredentialUse.objects.filter(token_id=caller.credential_id)
        while not own.exists() and time.monotonic() < until:
            time.sleep(0.05)
        log.note(caller=caller, integration_id="acme", connection_id="a", now=NOON)
    finally:
        log.stop()
    assert list(own.values_list("count")) == [(2,)]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("problem", [OperationalError, ProgrammingError])
def test_what_could_not_be_written_is_written_though_nothing_else_comes(alice, monkeypatch, problem):
    log = UseLog()
    caller = caller_of(token_of(alice), now=timezone.now())
    written, is_written = log._write_down, Event()

    def fail_once(uses, left):
        monkeypatch.setattr(log, "_write_down", then_write)
        raise problem

    def then_write(uses, left):
        is_written.set()
        return written(uses, left)

    monkeypatch.setattr(use_log, "WRITES_EVERY_SECONDS", 0)
    monkeypatch.setattr(log, "_write_down", fail_once)
    log.note(caller=caller, integration_id="acme", connection_id="a", now=NOON)
    try:
        assert is_written.wait(timeout=10)
    finally:
        log.stop()


@pytest.mark.django_db(transaction=True)
def test_what_comes_while_the_last_numbers_are_written_is_written_too(alice, monkeypatch):
    log = UseLog()
    caller = caller_of(token_of(alice), now=timezone.now())
    written, is_writing, goes_on = log._write_down, Event(), Event()

    def write_slowly(uses, left):
        is_writing.set()
        goes_on.wait(timeout=20)
        return written(uses, left)

    monkeypatch.setattr(use_log, "WRITES_EVERY_SECONDS", 0)
    monkeypatch.setattr(log, "_write_down", write_slowly)
    log.note(caller=caller, integration_id="acme", connection_id="a", now=NOON)
    is_writing.wait(timeout=20)
    log.note(caller=caller, integration_id="acme", connection_id="b", now=NOON)
    log._stopped.set()
    goes_on.set()
    log.stop()
    own = CredentialUse.objects.filter(token_id=caller.credential_id)
    assert list(own.order_by("connection_id").values_list("connection_id", "count")) == [("a", 1), ("b", 1)]


@pytest.mark.django_db(transaction=True)
def test_several_processes_add_to_one_row(alice):
    caller = caller_of(token_of(alice), now=timezone.now())
    logs = [UseLog() for _ in range(4)]
    for log in logs:
        log._thread = object()
        for connection_id in ("a", "b", "c"):
            log.note(caller=caller, integration_id="acme", connection_id=connection_id, now=NOON)
    at_once(*[log.flush for log in logs])
    assert rows("count") == [(4,)] * 3


def test_what_is_older_than_it_is_kept_goes(alice, settings):
    settings.USE_LOG_DAYS = 30
    old, new = make_use(alice, hour=NOON - 31 * DAY), make_use(alice, hour=NOON - 29 * DAY)
    assert use_log.prune(now=NOON) == 1
    assert list(CredentialUse.objects.all()) == [new]
    assert old != new
