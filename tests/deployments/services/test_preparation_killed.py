"""POST /api/deploy/prepare in a server that is killed meanwhile, at each of its questions to Fly."""

import contextlib
import os
import signal
import threading
from datetime import timedelta

import pytest
import urllib3
from django.utils import timezone

from deployments.models import Deployment
from fly.models import FlyApp
from fly.services import reconciliation
from tests.conftest import token_of
from tests.fly.fly_assertions import apps_at_fly, kinds_at_fly

PATH = "/api/deploy/prepare"
QUESTIONS = [
    ("POST /v1/apps$", "POST", "/v1/apps"),
    ("GET */ip_assignments", "GET", "/ip_assignments"),
    ("POST */ip_assignments", "POST", "/ip_assignments"),
]
pytestmark = pytest.mark.django_db(transaction=True)


def kill_at(server, sandbox, question, token):
    """Begin to prepare, and kill the process that is at it while Fly takes its time over the question."""
    fault, method, ending = question
    sandbox.faults(target="fly", match=fault, delay=1)
    sandbox.clear_requests()

    def ask():
        with contextlib.suppress(urllib3.exceptions.HTTPError):
            server.request("POST", PATH, token=token, json={"appName": "shop"}, timeout=10)

    asking = threading.Thread(target=ask)
    asking.start()
    wait_for(lambda: claimed() and asked_before(sandbox, method, ending))
    for pid in server._worker_pids():
        os.kill(pid, signal.SIGKILL)
    asking.join()
    # What was sent is still carried out: long before a claim is over, which the tests don't wait for.
    with contextlib.suppress(AssertionError):
        wait_for(lambda: is_answered(sandbox, method, ending), tries=150)
    server.wait_until_ready()


def claimed():
    return FlyApp.objects.exclude(claim=None).exists()


def asked_before(sandbox, method, ending):
    """Whether everything that comes before the question has been answered."""
    if (method, ending) == ("POST", "/v1/apps"):
        return True
    return is_answered(sandbox, *(("POST", "/v1/apps") if method == "GET" else ("GET", "/ip_assignments")))


def is_answered(sandbox, method, ending):
    return any(entry["method"] == method and entry["path"].endswith(ending) for entry in sandbox.requests("fly"))


def wait_for(condition, *, tries=500):
    pause = threading.Event()
    for _ in range(tries):
        if condition():
            return
        pause.wait(0.01)
    raise AssertionError("it did not come to that")


def whole(sandbox):
    deployment = Deployment.objects.get()
    return (
        deployment.state == Deployment.State.READY
        and apps_at_fly(sandbox) == {deployment.fly_app_id}
        and kinds_at_fly(sandbox, deployment.fly_app_id) == ["shared_v4", "v6"]
    )


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question[0])
def test_what_it_left_is_finished_by_the_next_call(alice, server, sandbox, question):
    token = token_of(alice)
    kill_at(server, sandbox, question, token)

    at_once = server.request("POST", PATH, token=token, json={"appName": "shop"})
    # What Fly may not have yet is not answered as if it were there.
    assert at_once.status == (503 if question[1:] == ("POST", "/v1/apps") else 200)
    # As after CLAIM_LASTS.
    FlyApp.objects.update(claimed_at=timezone.now() - timedelta(minutes=1))
    later = server.request("POST", PATH, token=token, json={"appName": "shop"})

    assert later.status == 200
    assert at_once.status == 503 or later.json() == at_once.json()
    assert whole(sandbox)


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question[0])
def test_what_it_left_is_finished_by_the_reconciler(alice, server, sandbox, question):
    kill_at(server, sandbox, question, token_of(alice))

    counts = reconciliation.reconcile(now=timezone.now() + timedelta(minutes=1))

    assert (counts.prepared, counts.unfinished) == (1, 0)
    assert whole(sandbox)
