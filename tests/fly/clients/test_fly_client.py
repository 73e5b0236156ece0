"""What the Fly client makes of answers, good and bad. What Fly itself promises is in tests/contract."""

import logging
import threading
import uuid
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import orjson
import pytest

from core.http_client import ServiceFailed, ServiceTimeout
from fly.clients.machines_api import (
    Fly,
    FlyBusy,
    FlyFailed,
    FlyNotConfigured,
    FlyRefusesToken,
    FlyRejected,
    InsufficientCapacity,
    LeaseHeld,
    NameTaken,
    NotOurs,
    Precondition,
    PreconditionFailed,
    QuotaExceeded,
    UnknownApp,
    UnknownMachine,
    UnknownVolume,
)
from fly.clients.machines_api.transport import authorization
from tests.stopwatch import Stopwatch

TOKEN = "sandbox-fly-org-token"
CONFIG = {"image": "registry.fly.io/crayon-a:1"}


@pytest.fixture
def fly(sandbox):
    return client_of(sandbox.fly_url)


def client_of(url, budget=5.0, token=TOKEN):
    return Fly(api_url=url, platform_url=url, token=token, org="sandbox", budget=budget)


def create_machine(fly):
    return fly.create_machine("crayon-a", name="one", region="iad", config=CONFIG)


@pytest.mark.parametrize(
    ("token", "header"),
    [
        ("opaque", "Bearer opaque"),
        ("fm2_abc,fm2_def", "FlyV1 fm2_abc,fm2_def"),
        ("fm1r_abc", "FlyV1 fm1r_abc"),
        ("FlyV1 fm2_abc", "FlyV1 fm2_abc"),
    ],
)
def test_each_kind_of_token_goes_by_its_own_scheme(token, header):
    assert authorization(token) == header


def test_a_process_has_one_client_for_its_settings(sandbox, settings):
    first = Fly.from_settings()

    assert Fly.from_settings() is first
    settings.FLY_API_TOKEN = "another"
    assert Fly.from_settings() is not first
    settings.FLY_API_TOKEN = ""
    with pytest.raises(FlyNotConfigured, match="FLY_API_TOKEN"):
        Fly.from_settings()


CAPACITY = "failed_precondition: insufficient resources to create new machine with existing volume 'vol_1'"


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (422, {"error": "Validation failed", "status": "name_taken"}, NameTaken),
        (422, {"error": "Validation failed: Name has already been taken"}, NameTaken),
        (409, {"error": "whatever", "status": "insufficient_capacity"}, InsufficientCapacity),
        (412, {"error": "whatever", "status": "volume_placement_capacity"}, InsufficientCapacity),
        (412, {"error": CAPACITY}, InsufficientCapacity),
        (400, {"error": "no capacity"}, InsufficientCapacity),
        (409, {"error": "aborted: could not reserve resource for machine: insufficient memory"}, InsufficientCapacity),
        (
            403,
            {"error": 'organization "x" is using 1 MB of memory in iad which is over the allowed quota'},
            QuotaExceeded,
        ),
        (403, {"error": "Authorize: not permitted"}, FlyRefusesToken),
        (401, {"error": "Authenticate: token validation error"}, FlyRefusesToken),
        (404, {"error": "app not found"}, UnknownApp),
        (409, {"status": "error", "message": "machine ID 1 lease currently held by x, expires at y"}, LeaseHeld),
        (400, {"error": "invalid_argument: name"}, FlyRejected),
        (422, {"error": "Validation failed: Region is invalid"}, FlyRejected),
        (429, {"error": "rate limit exceeded"}, FlyBusy),
        (500, {"error": "capacity"}, FlyFailed),
        (503, "<html>unavailable</html>", FlyFailed),
        (418, {}, FlyFailed),
    ],
)
def test_refusals_are_told_apart(fly, sandbox, status, body, error):
    sandbox.faults(target="fly", match="POST */machines", status=status, body=body)

    with pytest.raises(error) as raised:
        create_machine(fly)

    assert type(raised.value) is error


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("failed_precondition: unable to start machine from current state: 'created'", Precondition.STATE),
        ("failed_precondition: machine getting replaced, refusing to start", Precondition.REPLACING),
        ("failed_precondition: machine still active, refusing to start", Precondition.STILL_ACTIVE),
        ("failed_precondition: volume is currently bound to machine 1", Precondition.VOLUME_BOUND),
        ("failed_precondition: volume already claimed by machine 1", Precondition.VOLUME_BOUND),
        ("failed_precondition: secrets version 3 is not visible yet", Precondition.SECRETS_VERSION),
        ("failed_precondition: snapshot is already scheduled", Precondition.SNAPSHOT),
        ("failed_precondition: current_version does not match", Precondition.VERSION),
        ("failed_precondition: the moon is full", Precondition.OTHER),
    ],
)
def test_a_412_says_what_it_is_about(fly, sandbox, text, kind):
    sandbox.faults(target="fly", match="POST */start", status=412, body={"error": text})

    with pytest.raises(PreconditionFailed) as raised:
        fly.start_machine("crayon-a", "1")

    assert raised.value.kind == kind


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda fly: fly.get_app("a"), UnknownApp),
        (lambda fly: fly.logs("a"), UnknownApp),
        (lambda fly: fly.get_machine("a", "1"), UnknownMachine),
        (lambda fly: fly.delete_volume("a", "1"), UnknownVolume),
    ],
)
def test_a_404_names_what_is_not_there(fly, sandbox, call, error):
    with pytest.raises(error):
        call(fly)


def test_another_organizations_app_is_not_ours_and_not_ours_to_delete(fly, sandbox):
    sandbox.add_fly_app("elsewhere", org_slug="somebody-else")

    with pytest.raises(NotOurs):
        fly.get_app("elsewhere")
    with pytest.raises(FlyRefusesToken):
        fly.delete_app("elsewhere")


@pytest.mark.parametrize(
    ("header", "seconds"), [({"Retry-After": "7"}, 7), ({"Retry-After": "soon"}, 1), ({"Retry-After": "99999"}, 300)]
)
def test_how_long_to_wait_is_passed_on(fly, sandbox, header, seconds):
    sandbox.faults(target="fly", match="GET /v1/apps", status=429, headers=header, body={})

    with pytest.raises(FlyBusy) as raised:
        fly.list_apps()

    assert raised.value.retry_after == seconds


@pytest.mark.parametrize(
    ("match", "call", "body"),
    [
        ("GET /v1/apps$", lambda fly: fly.list_apps(), {}),
        ("GET /v1/apps$", lambda fly: fly.list_apps(), {"apps": [{"id": "x"}]}),
        ("GET /v1/apps$", lambda fly: fly.list_apps(), {"apps": {}}),
        ("GET /v1/apps$", lambda fly: fly.list_apps(), []),
        ("GET /v1/apps$", lambda fly: fly.list_apps(), "<html></html>"),
        ("GET /v1/apps/a$", lambda fly: fly.get_app("a"), {"name": 7}),
        ("GET */ip_assignments", lambda fly: fly.list_addresses("a"), {"ips": [{"shared": True}]}),
        ("POST */secrets", lambda fly: fly.set_secrets("a", {"A": "1"}), {"version": "3"}),
        ("POST */secrets", lambda fly: fly.set_secrets("a", {"A": "1"}), {"secrets": []}),
        ("POST */deploy_token", lambda fly: fly.deploy_token("a", expiry=timedelta(hours=1)), {"token": ""}),
        ("GET */machines", lambda fly: fly.list_machines("a"), None),
        ("GET */machines", lambda fly: fly.list_machines("a"), [{"id": "1"}]),
        ("GET /v1/orgs/sandbox/machines", lambda fly: list(fly.pages_of_machines()), {"machines": [{"id": "1"}]}),
        ("GET */volumes", lambda fly: fly.list_volumes("a"), [{"id": "1"}]),
        ("GET */logs", lambda fly: fly.logs("a"), {"data": [{"attributes": {"timestamp": "yesterday"}}]}),
    ],
)
def test_an_answer_that_lacks_something_is_a_failure(fly, sandbox, match, call, body):
    sandbox.faults(target="fly", match=match, status=200, body=body)

    with pytest.raises(FlyFailed):
        call(fly)


def test_an_empty_list_may_be_null_and_unknown_fields_are_ignored(fly, sandbox):
    sandbox.faults(target="fly", match="GET /v1/apps$", body={"total_apps": 0, "apps": None, "new": 1})
    sandbox.faults(target="fly", match="GET */ip_assignments", body={"ips": [{"ip": "fdaa::1", "new": []}]})

    assert fly.list_apps() == ()
    assert [address.kind for address in fly.list_addresses("a")] == ["private_v6"]


def test_a_machine_tells_its_image_and_its_group_and_keeps_its_environment_to_itself(fly, sandbox):
    body = {
        "id": "1",
        "state": "stopped",
        "image_ref": {"registry": "registry.fly.io", "repository": "a", "tag": "t", "digest": "sha256:0"},
        "config": {"env": {"KEY": "hidden-value"}, "metadata": {"fly_process_group": "app"}},
    }
    sandbox.faults(target="fly", match="GET */machines/1", body=body)

    machine = fly.get_machine("a", "1")

    assert (machine.image, machine.process_group) == ("registry.fly.io/a:t@sha256:0", "app")
    assert "hidden-value" not in repr(machine)


def test_machines_of_the_organization_come_page_by_page(fly, sandbox):
    one = {"app_name": "a", "id": "1", "state": "started", "updated_at": "2026-01-02T03:04:05Z"}
    pages = [
        {"machines": [one], "next_cursor": "more+/=", "error_regions": ["gru"]},
        {"machines": [{**one, "id": "2"}], "next_cursor": ""},
    ]
    for page in pages:
        sandbox.faults(target="fly", match="GET /v1/orgs/sandbox/machines", body=page)

    found = list(fly.pages_of_machines())

    assert [[machine.id for machine in page.machines] for page in found] == [["1"], ["2"]]
    assert found[0].error_regions == ("gru",)
    assert "cursor" not in str(sandbox.requests("fly")[0]["query"])


def test_a_cursor_that_leads_in_a_circle_ends(fly, sandbox):
    body = {"machines": [], "next_cursor": "again", "error_regions": None}
    sandbox.faults(target="fly", match="GET /v1/orgs/sandbox/machines", body=body, times=0)

    assert len(list(fly.pages_of_machines())) == 2


def test_log_lines_tell_of_whom_they_are_and_are_not_shown_by_accident(fly, sandbox):
    sandbox.add_fly_app("crayon-a")
    sandbox.fly_lines("crayon-a", "first", {"message": "second", "level": "error", "instance": "m1", "region": "ams"})

    entries = fly.logs("crayon-a")
    assert [(entry.message, entry.level) for entry in entries] == [("first", "info"), ("second", "error")]
    assert (entries[1].instance, entries[1].region) == ("m1", "ams")
    assert "second" not in repr(entries)


def test_what_may_not_be_repeated_is_sent_once(fly, sandbox):
    sandbox.faults(target="fly", drop="after", times=0)

    for call in (
        lambda: fly.assign_address("a", kind="v6"),
        lambda: create_machine(fly),
        lambda: fly.create_volume("a", name="data", region="iad", size_gb=1, compute={}),
        lambda: fly.deploy_token("a", expiry=timedelta(hours=1)),
    ):
        sandbox.clear_requests()
        with pytest.raises(ServiceFailed):
            call()
        assert len(sandbox.requests("fly")) == 1


def test_what_can_be_repeated_survives_a_cut(fly, sandbox):
    sandbox.faults(target="fly", match="POST /v1/apps$", drop="after")
    fly.create_app(name="crayon-a", network="net", idempotency_key=uuid.uuid4())
    sandbox.faults(target="fly", match="POST */secrets", drop="after")
    fly.set_secrets("crayon-a", {"A": "1"})
    sandbox.faults(target="fly", match="DELETE /v1/apps", drop="before")
    fly.delete_app("crayon-a")

    assert sandbox.state()["fly"]["apps"] == {}


def test_a_silent_fly_is_left_after_the_budget(sandbox):
    sandbox.faults(target="fly", delay=3)

    with Stopwatch() as watch, pytest.raises(ServiceTimeout):
        client_of(sandbox.fly_url, budget=0.3).list_apps()

    assert watch.at_ease < 2


def test_waiting_for_a_machine_may_take_longer_than_the_budget(sandbox):
    sandbox.faults(target="fly", match="GET */wait", delay=0.6, body={"ok": True})

    assert client_of(sandbox.fly_url, budget=0.3).wait_for_machine("a", "1", state="started")


def test_no_secret_is_in_a_log_a_repr_or_an_error(fly, sandbox, caplog):
    caplog.set_level(logging.DEBUG)
    sandbox.add_fly_app("crayon-a")
    fly.set_secrets("crayon-a", {"PASSWORD": "hidden-value"})
    token = fly.deploy_token("crayon-a", expiry=timedelta(hours=1))
    sandbox.faults(target="fly", match="POST */secrets", status=400, body={"error": "hidden-value is no good"})
    with pytest.raises(FlyRejected) as refused:
        fly.set_secrets("crayon-a", {"PASSWORD": "hidden-value"})

    said = caplog.text + repr(fly) + repr(vars(fly)) + repr(refused.value)
    for secret in ("hidden-value", token, TOKEN):
        assert secret not in said


def test_changes_and_failures_are_logged_with_the_id_that_flys_support_asks_for(fly, sandbox, caplog):
    caplog.set_level(logging.INFO)
    sandbox.add_fly_app("crayon-a")
    fly.set_secrets("crayon-a", {})
    sandbox.faults(target="fly", match="GET /v1/apps$", status=500, headers={"fly-request-id": "01REQUEST-ams"})
    with pytest.raises(FlyFailed):
        fly.list_apps()

    assert "POST /v1/apps/crayon-a/secrets: 200 (0" in caplog.text
    assert "500  (01REQUEST-ams)" in caplog.text


class _Recorder(BaseHTTPRequestHandler):
    """Hands out a cookie for an app, and keeps those that come back."""

    cookies: list[tuple[str, str | None]]

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(201, {"id": "x"}, {"Set-Cookie": "fly_flaps_affinity=host-7; Path=/v1/apps/crayon-a; HttpOnly"})

    def do_GET(self) -> None:
        self.cookies.append((self.path, self.headers["Cookie"]))
        self._answer(200, {"ips": []}, {})

    def _answer(self, status, body, headers):
        sent = orjson.dumps(body)
        self.send_response(status)
        for name, value in {**headers, "Content-Type": "application/json", "Content-Length": str(len(sent))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(sent)

    def log_message(self, *_args) -> None:
        """Stay silent."""


def test_the_host_that_made_an_app_is_asked_about_it_and_no_other(settings):
    """Elsewhere it may not be seen for up to a minute."""
    _Recorder.cookies = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Recorder)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        fly = client_of(f"http://127.0.0.1:{server.server_port}")
        fly.create_app(name="crayon-a", network="net", idempotency_key=uuid.uuid4())
        fly.list_addresses("crayon-a")
        fly.list_addresses("crayon-b")
        fly._api._pool.close()
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

    assert _Recorder.cookies == [
        ("/v1/apps/crayon-a/ip_assignments", "fly_flaps_affinity=host-7"),
        ("/v1/apps/crayon-b/ip_assignments", None),
    ]
