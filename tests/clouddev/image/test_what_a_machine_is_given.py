"""The image boots with what provisioning sets at Fly, and with nothing else: neither changes without the other."""

import json

import pytest

from tests.clouddev.worker_harness import ENVIRONMENT, OWN_DATABASE

pytestmark = pytest.mark.django_db(transaction=True)
DUMP = 'env -0 > "$HOME/dumping" && mv "$HOME/dumping" "$HOME/environment"; exec sleep 600'


@pytest.mark.parametrize("wanted", [ENVIRONMENT, OWN_DATABASE], ids=["with our database", "with one of its own"])
def test_a_machine_boots_with_exactly_what_it_has_at_fly(workshop, machine, alice, sandbox, wanted):
    made = workshop.make(alice, environment={**wanted, "DEV_COMMAND": DUMP})
    (given,) = sandbox.state()["fly"]["secrets"].values()

    machine.start(given)
    machine.wait_for((machine.home / "environment").exists)

    entries = (machine.home / "environment").read_text().rstrip("\0").split("\0")
    there = dict(entry.split("=", 1) for entry in entries)
    assert {name: there.get(name) for name in given} == given
    assert ("DATABASE_SCHEMA" in given) == (wanted is ENVIRONMENT)
    people = machine.root / "etc/ssh/authorized_keys"
    assert {path.name: path.read_text() for path in people.iterdir()} == {made.dev_user: f"{made.ssh_public_key}\n"}
    assert f"AllowUsers={made.dev_user}" in (machine.root / "sshd.arguments").read_text().splitlines()
    assert json.loads((machine.project / "package.json").read_text())["scripts"]["dev"]
    assert "was left out" not in machine.log
