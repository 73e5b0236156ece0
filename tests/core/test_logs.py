"""The logs: one JSON object a line, with the request's id, and no secret."""

import json
import logging
import re

import pytest
from django.test import RequestFactory

from accounts.services import cli_login
from core.logs import JSONFormatter, TextFormatter, configuration
from core.request_context import begin_request, end_request


def record(message, *args, error=None):
    exc_info = (type(error), error, error.__traceback__) if error else None
    return logging.LogRecord("crayon.test", logging.WARNING, "x.py", 1, message, args, exc_info)


def test_a_record_is_one_line_of_json():
    line = JSONFormatter().format(record("first\nsecond %s", "ü"))
    assert "\n" not in line
    read = json.loads(line)
    assert read["message"] == "first\nsecond ü"
    assert (read["level"], read["logger"]) == ("WARNING", "crayon.test")
    assert set(read) == {"time", "level", "logger", "request_id", "message"}


def test_an_exception_comes_with_its_traceback():
    try:
        int("no number")
    except ValueError as error:
        line = JSONFormatter().format(record("it failed", error=error))
    assert "ValueError: invalid literal" in json.loads(line)["exception"]
    assert "test_logs.py" in json.loads(line)["exception"]


def test_text_has_the_requests_id_too():
    request_id = begin_request(RequestFactory().get("/"))
    end_request()
    assert TextFormatter("%(request_id)s %(message)s").format(record("hello")) == f"{request_id} hello"


def test_the_access_log_names_the_caller(alice, alice_api, nobody_api, sandbox, settings, capsys):
    settings.LOG_FORMAT = "json"
    alice_api.get("/api/integrations")
    nobody_api.get("/api/integrations")
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines() if "crayon.access" in line]
    assert [(line["status"], line["caller"]) for line in lines] == [(200, str(alice.pk)), (401, "")]


def test_a_path_cannot_forge_a_line_of_the_text_access_log(nobody_api, settings, capsys):
    settings.LOG_FORMAT = "text"
    answer = nobody_api.get("/api/x%0AGET%20/admin/%20200%0D%1B[2J")
    assert re.fullmatch(
        rf"GET /api/x\\nGET /admin/ 200\\r\\x1b\[2J 404 [\d.]+ ms {answer['X-Request-ID']}\n", capsys.readouterr().err
    )


def test_sql_and_outgoing_addresses_are_never_logged_whatever_the_level():
    loggers = configuration(style="json", level="DEBUG")["loggers"]
    assert loggers["django.db.backends"]["level"] == "WARNING"
    assert loggers["urllib3"]["level"] == loggers["requests"]["level"] == "ERROR"


@pytest.mark.django_db
def test_what_holds_a_secret_shows_none_when_it_is_printed(approved_login):
    started, status = approved_login
    assert (repr(started), repr(status)) == ("<StartedLogin>", "<LoginStatus approved>")


@pytest.fixture
def approved_login(alice):
    from django.utils import timezone  # noqa: PLC0415 - the fixture alone needs it

    from accounts.models import CLILogin  # noqa: PLC0415

    now = timezone.now()
    started = cli_login.start(client=CLILogin(), now=now)
    cli_login.approve(login=CLILogin.objects.get(), user=alice, now=now)
    return started, cli_login.check(code=started.code, secret=started.secret, address="127.0.0.1", now=now)


def test_a_running_server_logs_each_request_once_and_no_secret(server):
    before = len(server.log)
    started = server.request("POST", "/api/auth/cli/session", headers={"X-Request-ID": "req-from-proxy"})
    data = started.json()["data"]
    server.request("GET", f"/api/auth/cli/check?code={data['code']}&secret={data['secret']}")
    server.request("GET", "/api/integrations", token="not-a-real-token")
    server.request("GET", f"/auth/cli?cli_code={data['code']}")
    log = server.log[before:]
    lines = [json.loads(line) for line in log.splitlines() if '"crayon.access"' in line]
    assert [(line["method"], line["path"], line["status"]) for line in lines if line["path"] != "/_/ready"] == [
        ("POST", "/api/auth/cli/session", 200),
        ("GET", "/api/auth/cli/check", 200),
        ("GET", "/api/integrations", 401),
        ("GET", "/auth/cli", 200),
    ]
    assert lines[0]["request_id"] == started.headers["X-Request-ID"] != "req-from-proxy"
    assert lines[0]["address"] == "127.0.0.1"
    for secret in (data["code"], data["secret"], "not-a-real-token"):
        assert secret not in log


def test_gunicorns_own_lines_are_json_too(server):
    started = [json.loads(line) for line in server.log.splitlines() if "Booting worker" in line]
    assert {line["logger"] for line in started} == {"gunicorn.error"}
