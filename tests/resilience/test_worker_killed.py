"""A worker process that is killed: the next one goes on where it was."""

import os
import signal
import time

import pytest

from integrations.models import CredentialUse
from tests.conftest import token_of
from tests.resilience.conftest import Tool
from tests.resilience.web import WebBrowser, approve, check, start_login


def test_a_pending_login_and_a_signed_in_browser_outlive_a_killed_worker(server, sandbox):
    browser = WebBrowser(server)
    browser.sign_in("alice")
    code, secret = start_login(server)
    (before,) = server._worker_pids()

    os.kill(before, signal.SIGKILL)
    deadline = time.monotonic() + 15
    while before in server._worker_pids() or not server._worker_pids():
        assert time.monotonic() < deadline, "no new worker was started"
        time.sleep(0.05)
    server.wait_until_ready(seconds=15)

    assert check(server, code, secret).json() == {"data": {"status": "pending"}}
    approve(browser, code)
    token = check(server, code, secret).json()["data"]["token"]
    assert Tool(server, token).integrations().status == 200
    # An answer that the killed worker could not give any more can be asked for again.
    assert check(server, code, secret).json()["data"]["token"] == token


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGQUIT])
def test_a_worker_that_is_stopped_writes_the_use_log_first(how, server, sandbox, alice):
    (connection_id,) = sandbox.seed(integration="acme", tags={"end_user_id": str(alice.pk)})
    token = token_of(alice)
    answers = [
        server.request("GET", f"/api/credentials/acme?connection_id={connection_id}", token=token).status
        for _ in range(4)
    ]
    (before,) = server._worker_pids()
    os.kill(before, how)
    deadline = time.monotonic() + 15
    while before in server._worker_pids():
        assert time.monotonic() < deadline, "the worker did not stop"
        time.sleep(0.05)
    written = sum(CredentialUse.objects.filter(connection_id=connection_id).values_list("count", flat=True))
    server.wait_until_ready(seconds=15)
    assert (answers, written) == ([200] * 4, 4)
