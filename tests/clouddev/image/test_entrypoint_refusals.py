"""What a cloud dev machine does not boot with."""

import pytest

from tests.clouddev.image.booted_machine import KEY, BootedMachine

_REQUIRED = ["DEV_USER", "SSH_PUBLIC_KEY", "APP_NAME", "CRAYON_SERVER_URL", "DEV_UI_JWT_PUBLIC_KEY", "DATABASE_URL"]
_MALFORMED = {
    "DEV_USER": [
        "root",
        "user-",
        "user-0123456789abcde",
        "user-0123456789abcdef0",
        "user-0123456789ABCDEF",
        "user-0123456789abcdeg",
        "user-0123456789abcdef\nroot",
        "user-0123456789abcdef,root",
        "-user-0123456789abcdef",
        "../user-0123456789abcdef",
        "user-0123456789abcde*",
    ],
    "SSH_PUBLIC_KEY": [
        "hello",
        KEY.replace("ssh-ed25519", "ssh-rsa"),
        KEY.removesuffix("A shop"),
        f'command="id" {KEY}',
        f"{KEY}\n{KEY}",
        f"{KEY}\n",
        f"\n{KEY}",
        KEY.replace("AAAAC3", "AAAAC4"),
        "-----BEGIN OPENSSH PRIVATE KEY-----",
    ],
    "APP_NAME": ["Shop", "1shop", "shop_1", "a" * 64, "shop\n"],
    "CRAYON_SERVER_URL": ["crayon.example.com", "ftp://crayon.example.com", "https://", "https://a b"],
    "DEV_UI_JWT_PUBLIC_KEY": ["hello", "-----BEGIN PRIVATE KEY-----\\nAAAA\\n-----END PRIVATE KEY-----\\n"],
}


@pytest.mark.parametrize("name", _REQUIRED)
@pytest.mark.parametrize("value", [None, ""])
def test_it_names_a_variable_that_is_missing(machine: BootedMachine, name: str, value: str | None) -> None:
    status, log = machine.refusal(**{name: value})
    assert status == 78
    assert log.startswith(f"crayon: {name} is missing; it must be ")
    assert len(log.splitlines()) == 2
    assert list(machine.data.iterdir()) == [], "nothing was made"


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in _MALFORMED.items() for value in values])
def test_it_names_a_variable_that_is_malformed_and_keeps_its_value_to_itself(
    machine: BootedMachine, name: str, value: str
) -> None:
    status, log = machine.refusal(**{name: value})
    assert status == 78
    assert log.startswith(f"crayon: {name} is malformed; it must be ")
    assert len(log.splitlines()) == 2
    assert value not in log.partition("it must be")[0]
    assert list(machine.data.iterdir()) == [], "nothing was made"


def test_it_names_all_that_is_wrong_at_once(machine: BootedMachine) -> None:
    status, log = machine.refusal(**dict.fromkeys(_REQUIRED))
    assert status == 78
    assert [line.split()[1] for line in log.splitlines()[:-1]] == _REQUIRED


@pytest.mark.parametrize("line_end", ["\\n", "\n"])
def test_it_takes_a_public_key_with_either_kind_of_line_end(machine: BootedMachine, line_end: str) -> None:
    pem = line_end.join(["-----BEGIN PUBLIC KEY-----", "A" * 60, "-----END PUBLIC KEY-----", ""])
    machine.boot(DEV_UI_JWT_PUBLIC_KEY=pem)
