"""What the server asks of flyctl arrives at Fly: one machine with the image, or none and a reason."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import urllib3

from fly.clients.flyctl import Order, StopReason
from tests.fly.clients.running import LIMITS, run
from tests.sandbox_process import SandboxProcess

_STUB = Path(__file__).resolve().parents[3] / "sandbox" / "bin" / "flyctl"
_ORG = {"Authorization": "Bearer sandbox-fly-org-token", "Content-Type": "application/json"}
Ask = Callable[[str, dict[str, object]], dict[str, object]]


@pytest.fixture
def ask(sandbox: SandboxProcess, settings) -> Ask:
    """Asks the sandbox's Fly as the operator's token may."""
    settings.FLYCTL = str(_STUB)
    settings.FLY_API_URL = sandbox.fly_url
    sandbox.fly_clock(factor=20)

    def post(path: str, body: dict[str, object]) -> dict[str, object]:
        answer = urllib3.request("POST", sandbox.fly_url + path, json=body, headers=_ORG)
        assert answer.status < 300, answer.data
        return dict(answer.json())

    return post


@pytest.fixture
def deployable(ask: Ask, order: Order) -> Order:
    """The order, with an app and a token for it at the sandbox's Fly."""
    ask("/v1/apps", {"name": "crayon-a", "org_slug": "sandbox"})
    token = ask("/v1/apps/crayon-a/deploy_token", {"expiry": "1h"})["token"]
    return replace(order, deploy_token=str(token))


def test_a_deployment_ends_with_one_machine_that_knows_its_secrets(
    sandbox: SandboxProcess, ask: Ask, deployable: Order
) -> None:
    version = ask("/v1/apps/crayon-a/secrets", {"values": {"A": "x"}})["version"]
    assert isinstance(version, int)
    outcome, lines = run(replace(deployable, secrets_version=version))
    assert (outcome.exit_code, outcome.failure, outcome.stopped) == (0, "", None)
    assert outcome.image == "registry.fly.io/crayon-a:build-1"
    (machine,) = sandbox.state()["fly"]["machines"].values()
    assert (machine["state"], machine["config"]["image"]) == ("started", outcome.image)
    assert machine["secrets"] == {"A": "x"}
    assert deployable.deploy_token not in "\n".join(lines)


def test_an_older_image_is_brought_back_without_building(sandbox: SandboxProcess, ask: Ask, deployable: Order) -> None:
    run(deployable)
    outcome, lines = run(replace(deployable, image="registry.fly.io/crayon-a:older"))
    assert outcome.image == "registry.fly.io/crayon-a:older"
    assert not any(line.startswith("#") for line in lines)
    (machine,) = sandbox.state()["fly"]["machines"].values()
    assert machine["config"]["image"] == outcome.image


def test_a_failing_build_says_where_and_changes_nothing(sandbox: SandboxProcess, ask: Ask, deployable: Order) -> None:
    (deployable.context / "Dockerfile").write_text("FROM node\nRUN npm ci\nRUN exit 9\n")
    outcome, _ = run(deployable)
    assert (outcome.exit_code, outcome.stopped, outcome.image) == (1, None, "")
    assert outcome.failure == "Step 3 of 3 failed: `exit 9` ended with exit code 9."
    assert sandbox.state()["fly"]["machines"] == {}


def test_a_cancelled_build_changes_nothing(sandbox: SandboxProcess, ask: Ask, deployable: Order) -> None:
    (deployable.context / "Dockerfile").write_text("FROM node\nRUN sleep 60\n")
    outcome, lines = run(deployable, stop_at="RUN sleep 60")
    assert (outcome.exit_code, outcome.stopped) == (127, StopReason.CANCELED)
    assert lines[-1].endswith("CANCELED")
    assert sandbox.state()["fly"]["machines"] == {}


def test_a_silent_build_is_ended(sandbox: SandboxProcess, ask: Ask, deployable: Order) -> None:
    (deployable.context / "Dockerfile").write_text("FROM node\nRUN silence 60\n")
    outcome, _ = run(deployable, limits=replace(LIMITS, silence=2))
    assert outcome.stopped is StopReason.SILENT


def test_a_token_that_fly_refuses_is_told(ask: Ask, deployable: Order) -> None:
    outcome, _ = run(replace(deployable, deploy_token="not-a-token-that-fly-knows"))
    assert outcome.exit_code == 1
    assert outcome.failure.startswith("Fly did not accept this server's token for the app.")
