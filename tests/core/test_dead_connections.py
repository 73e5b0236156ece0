"""Connections that threads keep, after PostgreSQL was restarted or died in the middle."""

from collections.abc import Callable
from threading import Barrier

import psycopg
import pytest
from django.contrib.sessions.backends.base import UpdateError
from django.db import OperationalError, connection
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.test import Client

from core.job_worker import JobThreads
from core.sessions import SessionStore
from tests.conftest import make_person

pytestmark = pytest.mark.django_db(transaction=True)
AWAY = "The database can&#x27;t be reached right now. Please try again in a moment."


def pid() -> int:
    connection.ensure_connection()
    return connection.connection.info.backend_pid


def end(*backends: object) -> None:
    """What a restart does to those who are connected."""
    with psycopg.connect(**connection.get_connection_params() | {"cursor_factory": psycopg.Cursor}) as other:
        for backend in backends:
            other.execute("SELECT pg_terminate_backend(%s, 5000)", [backend])


class Severing:
    """As the innermost middleware: PostgreSQL dies when the view has done its work."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        request.session["changed"] = True
        end(pid())
        return response


@pytest.fixture
def signed_in() -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(make_person("alice"), backend="django.contrib.auth.backends.ModelBackend")
    return client


def test_a_database_that_dies_before_the_session_is_written_is_told_as_such(signed_in, settings):
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, f"{__name__}.Severing"]
    answer = signed_in.get("/account/apps")
    assert (answer.status_code, AWAY in answer.content.decode()) == (503, True)


def test_a_session_that_was_deleted_meanwhile_says_that_its_person_was_signed_out(signed_in, settings):
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, f"{__name__}.Deleting"]
    answer = signed_in.get("/account/apps?page=2")
    assert answer.status_code == 400
    assert 'href="/auth/sign-in?next=%2Faccount%2Fapps%3Fpage%3D2">Sign in again</a>' in answer.content.decode()
    assert "You were signed out while this page was on its way. Sign in again." in answer.content.decode()


class Deleting(Severing):
    """The same, but somebody signs the person out."""

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        request.session["changed"] = True
        SessionStore(request.session.session_key).delete()
        return response


def test_the_store_tells_a_dead_database_from_a_deleted_session():
    session = SessionStore()
    session.create()
    session["changed"] = True
    end(pid())
    with pytest.raises(OperationalError):
        session.save()
    connection.close()
    SessionStore(session.session_key).delete()
    with pytest.raises(UpdateError):
        session.save()


def test_a_restart_costs_a_page_nothing(signed_in):
    assert signed_in.get("/account/apps").status_code == 200
    end(pid())
    assert signed_in.get("/account/apps").status_code == 200


def test_a_restart_costs_a_tool_nothing_that_asks_by_the_orm(alice_api):
    assert alice_api.get("/api/deploy/builds", appName="shop").status_code == 404
    end(pid())
    assert alice_api.get("/api/deploy/builds", appName="shop").status_code == 404


def test_a_restart_fails_no_job_of_any_thread():
    together = Barrier(3)

    def in_all(call: Callable[[], object]) -> list[object]:
        def job() -> object:
            together.wait(10)
            return call()

        return [future.result() for future in [threads.submit(job) for _ in range(3)]]

    with JobThreads(3) as threads:
        backends = in_all(pid)
        end(*backends)
        assert not set(in_all(pid)) & set(backends)
        in_all(lambda: connection.close())  # noqa: PLW0108 - the thread's own
