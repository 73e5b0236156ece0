"""`make map` shows the layers and every module, each with what it is for."""

import re

import pytest

from dev import map as house

LINES = {package: list(house.tree(package)) for package in house.linter()["root_packages"]}


def test_it_shows_every_contract_and_every_layer():
    shown = "\n".join(house.layers())
    for contract in house.linter()["contracts"]:
        assert contract["name"] in shown
        for layer in contract.get("layers", []):
            assert all(name in shown for name in re.findall(r"[\w.]+", layer))


@pytest.mark.parametrize("package", LINES)
def test_every_folder_and_module_says_what_it_is_for(package):
    assert [line for line in LINES[package] if len(line.split(maxsplit=1)) == 1] == []


@pytest.mark.parametrize("package", LINES)
def test_no_module_is_left_out(package):
    left_out = {"migrations", "management", "formats", "__pycache__"}
    paths = [path.relative_to(house.ROOT) for path in (house.ROOT / package).rglob("*.py")]
    shown = [line.split()[0] for line in LINES[package]]
    modules = [path.name for path in paths if path.name != "__init__.py" and not left_out & set(path.parts)]
    assert sorted(name for name in shown if name.endswith(".py")) == sorted(modules)


def test_one_package_alone_can_be_asked_for(capsys):
    house.main(["fly"])
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].split(maxsplit=1) == ["fly/", house.purpose(house.ROOT / "fly")]
    assert not any(line.startswith("core/") for line in printed)
