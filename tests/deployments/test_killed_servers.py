"""A server that is stopped or killed while it prepares an app or takes in a push: what can't be ended is cleared up."""

import base64
import contextlib
import os
import signal
import socket
import threading
from contextlib import ExitStack
from datetime import timedelta

import orjson
import pytest
import urllib3
from django.utils import timezone

from deployments.models import Build, Deployment
from deployments.services import pushes
from fly.models import FlyApp
from fly.services import reconciliation
from tests.conftest import token_of
from tests.deployments.worker_harness import archive_of, wait_for, wait_until_held
from tests.fly.fly_assertions import apps_at_fly, kinds_at_fly
from tests.fuzz.wire import read_answer, request

pytestmark = pytest.mark.django_db(transaction=True)
MARKER = "this-is-the-build-of-shop"
PREPARE = ("/api/deploy/prepare", {"appName": "shop"})
ARCHIVE = base64.b64encode(archive_of(MARKER)).decode()
PUSH = ("/api/deploy/push", {"appName": "shop", "archive": ARCHIVE, "envVars": {"VITE_COLOR": "red"}})
LEFT_BEHIND = "The push was interrupted on our side before the build could begin. Push again."
QUESTIONS = ["POST /v1/apps$", "GET */ip_assignments", "POST */ip_assignments"]


@pytest.fixture
def server(work, running_push_server):
    running_push_server.wait_until_ready()
    return running_push_server


def kill_during(server, sandbox, call, question, token, *, master):
    """Make the call, and kill the server while Fly takes its time over the question; start it again."""
    path, body = call
    sandbox.faults(target="fly", match=question, delay=0.7)

    def ask():
        with contextlib.suppress(urllib3.exceptions.HTTPError):
            server.request("POST", path, token=token, json=body)

    asking = threading.Thread(target=ask)
    asking.start()
    wait_until_held(sandbox)
    if master:
        server.kill()
        server.start()
    else:
        for pid in server._worker_pids():
            os.kill(pid, signal.SIGKILL)
    asking.join()
    server.wait_until_ready()


def ask(server, call, token):
    path, body = call
    return server.request("POST", path, token=token, json=body)


@pytest.mark.parametrize("question", QUESTIONS)
def test_an_app_that_a_crashed_server_was_making_is_finished(work, alice, sandbox, server, question):
    """The whole server, as when its machine is lost; tests of `prepare` itself kill its worker."""
    token = token_of(alice)
    kill_during(server, sandbox, PREPARE, question, token, master=True)
    FlyApp.objects.update(claimed_at=timezone.now() - timedelta(minutes=1))

    assert ask(server, PREPARE, token).status == 200

    app = Deployment.objects.get()
    assert app.state == Deployment.State.READY
    assert apps_at_fly(sandbox) == {app.fly_app_id}
    assert kinds_at_fly(sandbox, app.fly_app_id) == ["shared_v4", "v6"]


@pytest.mark.parametrize("master", [False, True], ids=["its worker", "all of it"])
@pytest.mark.parametrize("question", ["POST */secrets", "POST /v1/apps$"])
def test_after_a_push_that_was_killed_with_its_server_the_next_is_built(work, alice, sandbox, server, question, master):
    token = token_of(alice)
    app = work.prepared(alice)
    if question.endswith("apps$"):
        sandbox.remove_fly_app(app.fly_app_id)
        Deployment.objects.update(state=Deployment.State.PREPARING)
        FlyApp.objects.update(state=FlyApp.State.INTENDED)
    kill_during(server, sandbox, PUSH, question, token, master=master)
    killed = Build.objects.get()
    assert (killed.state, killed.accepted_at) == (Build.State.QUEUED, None)

    FlyApp.objects.exclude(claimed_at=None).update(claimed_at=timezone.now() - timedelta(minutes=1))
    answer = ask(server, PUSH, token)
    assert answer.status == 200, answer.data
    build = Build.objects.get(pk=answer.json()["data"]["buildId"])
    work.nursery.start()
    work.wait_until_over(build)
    pushes.sweep_unaccepted(now=timezone.now() + timedelta(minutes=11))

    work.require_whole(build, MARKER)
    killed.refresh_from_db()
    assert (killed.state, killed.error, killed.archive) == (Build.State.INTERRUPTED, LEFT_BEHIND, "")


def test_what_a_killed_push_leaves_is_cleared_up_when_nobody_pushes_again(work, alice, sandbox, server):
    work.prepared(alice)
    kill_during(server, sandbox, PUSH, "POST */secrets", token_of(alice), master=False)
    assert work.ground.left_over()

    pushes.sweep_unaccepted(now=timezone.now() + timedelta(minutes=11))
    counts = reconciliation.reconcile(now=timezone.now() + timedelta(minutes=11))

    assert (counts.abandoned, counts.missing, counts.unfinished) == (0, 0, 0)
    work.require_nothing_left()
    assert len(apps_at_fly(sandbox)) == 1


def begin_to_push(server, token, stack):
    """A push whose body is wanted by a thread of the server, and has come but for its end, which is given, too."""
    body = orjson.dumps(PUSH[1])
    lines = (f"Authorization: Bearer {token}", "Content-Type: application/json", "Expect: 100-continue")
    line = stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=40))
    line.sendall(request("POST", PUSH[0], *lines, f"Content-Length: {len(body)}"))
    assert line.recv(1 << 16) == b"HTTP/1.1 100 Continue\r\n\r\n"
    line.sendall(body[:-10])
    return line, body[-10:]


@pytest.mark.slow(11)
def test_a_server_that_is_asked_to_stop_takes_in_what_still_comes_and_tells_who_stays_away(
    work, alice, sandbox, server
):
    work.prepared(alice)
    token = token_of(alice)
    with ExitStack() as stack:
        whole, end = begin_to_push(server, token, stack)
        broken, _ = begin_to_push(server, token, stack)
        before = len(server.log)
        server.terminate()
        wait_for(lambda: "Handling signal: term" in server.log[before:], "it hears of its end")
        # While Fly takes its time, the server must not stop either.
        sandbox.faults(target="fly", match="POST */secrets", delay=0.7)
        whole.sendall(end)
        answers = [read_answer(line) for line in (whole, broken)]
    server.wait_until_stopped()
    server.start()

    assert [answer.status for answer in answers] == [200, 400]
    assert answers[1].sentence == "The request did not arrive whole. Push again."
    build = Build.objects.get()
    assert orjson.loads(answers[0].body) == {"data": {"status": "deploying", "buildId": str(build.pk)}}
    work.nursery.start()
    work.wait_until_over(build)
    work.require_whole(build, MARKER)
