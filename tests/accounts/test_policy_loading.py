"""Policies hold together, or none is taken; and while the server runs, those of before stay."""

import logging

import pytest
from django.core.exceptions import ImproperlyConfigured

from accounts.checks import policies_hold_together
from accounts.policies import engine, loading
from accounts.policies.asking import Subject
from accounts.policies.loading import InvalidPolicies, NoDecision, NoPolicies, load, load_texts
from core import startup
from tests.accounts.policy_table import DANA, thing

BASE = loading.BASE.read_text(encoding="utf-8")
NO_DESTROYING = """
@id("no-destroying")
@says("Nothing is destroyed here.")
forbid (principal, action == Action::"deployments.destroy", resource);
"""
OURS_TO_SEE = '@id("all-see") permit (principal, action in Action::"see", resource is Deployment);'


@pytest.fixture(autouse=True)
def _looked_at_every_time(monkeypatch):
    monkeypatch.setattr(engine, "_LOOKED_AT_EVERY", 0.0)
    monkeypatch.setattr(engine, "_state", engine._State())


@pytest.fixture
def directory(tmp_path, settings):
    settings.POLICIES_DIR = str(tmp_path)
    return tmp_path


def ids(messages):
    return [message.id for message in messages]


def may(action: str) -> tuple[bool, tuple[str, ...]]:
    found = engine.decide_for(Subject(id=DANA), action, thing("k", action))
    return found.allowed, found.policies


def test_without_a_directory_ours_alone_decide(settings):
    assert settings.POLICIES_DIR == ""
    assert ids(policies_hold_together(None)) == []
    assert may("deployments.destroy") == (True, ("makers",))


def test_an_operators_policy_forbids_more(directory):
    (directory / "destroying.cedar").write_text(NO_DESTROYING)
    assert ids(policies_hold_together(None)) == []
    assert may("deployments.destroy") == (False, ("no-destroying",))
    assert may("deployments.push") == (True, ("makers",))


def test_an_operators_policy_permits_more(directory):
    (directory / "seeing.cedar").write_text(
        '@id("key-for-admins") permit (principal, action == Action::"workspaces.read-key", resource is Workspace)\n'
        "when { principal in resource.org.admins };"
    )
    assert ids(policies_hold_together(None)) == []


@pytest.mark.parametrize(
    ("text", "because"),
    [
        ("permit (principal, action, resource)", "can't be read"),
        ("permit (principal, action, resource);", "needs an id"),
        (f"{OURS_TO_SEE}\n{OURS_TO_SEE}", "another policy with the id “all-see”"),
        ('@id("makers") permit (principal, action, resource is Server);', "another policy with the id “makers”"),
        ('@id("t") permit (principal == ?principal, action, resource);', "Templates"),
        ('@id("a") forbid (principal, action == Action::"no.such", resource);', "a: "),
        ('@id("b") forbid (principal, action, resource) when { resource.nosuch == 1 };', "b: "),
        ('@id("c") forbid (principal, action, resource is Deployment) when { resource.maker == principal };', "c: "),
        ('@id("d") forbid (principal, action, resource is Nothing);', "d: "),
        ('@id("e") forbid (principal, action in Action::"operate", resource);', "an operator operates"),
        ('@id("f") permit (principal, action in Action::"see", resource);', "somebody else sees nothing"),
    ],
)
def test_what_does_not_hold_together_stops_the_start(directory, text, because):
    (directory / "own.cedar").write_text(text)
    with pytest.raises(InvalidPolicies, match=because):
        load(directory)
    [message] = policies_hold_together(None)
    assert (message.id, message.is_serious()) == ("crayon.E012", True)


def test_a_directory_that_is_not_there_stops_the_start(settings, tmp_path):
    settings.POLICIES_DIR = str(tmp_path / "nowhere")
    assert ids(policies_hold_together(None)) == ["crayon.E012"]


def test_a_directory_without_policies_stops_the_start(directory):
    (directory / "policies.txt").write_text(NO_DESTROYING)
    assert ids(policies_hold_together(None)) == ["crayon.E013"]


def test_a_file_that_can_not_be_read_stops_the_start(directory):
    (directory / "own.cedar").mkdir()
    assert ids(policies_hold_together(None)) == ["crayon.E012"]


@pytest.mark.parametrize("trouble", ["empty", "not there", "invalid"])
def test_a_web_process_does_not_start_without_an_operators_policies(settings, tmp_path, trouble):
    """It runs no system checks: those of policies have to be among what `core.startup` asks."""
    directory = tmp_path / "policies"
    settings.POLICIES_DIR, settings.STATIC_API_KEYS = str(directory), {}
    if trouble != "not there":
        directory.mkdir()
    if trouble == "invalid":
        (directory / "own.cedar").write_text("nonsense")
    with pytest.raises(ImproperlyConfigured, match=r"crayon\.E01[23]"):
        startup.require()
    settings.POLICIES_DIR = ""
    startup.require()


def test_a_file_that_is_no_text_stops_the_start(directory):
    (directory / "own.cedar").write_bytes(b"\xff\xfe")
    assert ids(policies_hold_together(None)) == ["crayon.E012"]


def test_a_change_is_in_force_without_a_restart(directory):
    (directory / "own.cedar").write_text(OURS_TO_SEE.replace("is Deployment", "is Server"))
    assert may("deployments.destroy")[0]
    (directory / "own.cedar").write_text(NO_DESTROYING)
    assert not may("deployments.destroy")[0]
    (directory / "own.cedar").write_text(OURS_TO_SEE.replace("is Deployment", "is Server"))
    assert may("deployments.destroy")[0]


@pytest.mark.parametrize("left", ["nothing", "a copy that is none"])
def test_an_emptied_directory_leaves_those_of_before(directory, caplog, left):
    own = directory / "own.cedar"
    own.write_text(NO_DESTROYING)
    assert not may("deployments.destroy")[0]
    with caplog.at_level(logging.ERROR, logger="accounts.policies.engine"):
        if left == "nothing":
            own.unlink()
        else:
            own.rename(directory / "own.cedar.bak")
        assert not may("deployments.destroy")[0]
    assert "those of before stay in force" in caplog.text
    own.write_text(OURS_TO_SEE.replace("is Deployment", "is Server"))
    assert may("deployments.destroy")[0]


def test_a_process_that_finds_an_empty_directory_allows_nothing(directory):
    with pytest.raises(NoPolicies):
        load(directory)
    with pytest.raises(engine.Undecided):
        may("deployments.push")


def test_a_change_that_does_not_hold_together_leaves_those_of_before(directory, caplog):
    (directory / "own.cedar").write_text(NO_DESTROYING)
    assert not may("deployments.destroy")[0]
    before = engine.current()
    (directory / "own.cedar").write_text('@id("own") permit (principal, action, resource) when { nonsense };')
    with caplog.at_level(logging.ERROR, logger="accounts.policies.engine"):
        assert not may("deployments.destroy")[0]
        assert not may("deployments.destroy")[0]
    assert engine.current() is before
    assert [record.message for record in caplog.records] == [
        f"the policies in {directory} don't hold together; those of before stay in force"
    ]


def test_a_directory_that_goes_away_leaves_those_of_before(directory, tmp_path, caplog):
    (directory / "own.cedar").write_text(NO_DESTROYING)
    assert not may("deployments.destroy")[0]
    with caplog.at_level(logging.CRITICAL, logger="accounts.policies.engine"):
        (directory / "own.cedar").unlink()
        directory.rmdir()
        assert not may("deployments.destroy")[0]


def test_between_two_looks_the_directory_is_left_alone(directory, monkeypatch):
    (directory / "own.cedar").write_text(NO_DESTROYING)
    before = engine.current()
    monkeypatch.setattr(engine, "_LOOKED_AT_EVERY", 3600.0)
    (directory / "own.cedar").write_text("nonsense")
    assert engine.current() is before


def test_a_policy_that_errs_decides_nothing():
    """Unvalidated it would be skipped, and allow what it was to forbid; the answer is a refusal to decide."""
    schema = loading.cedarpy.Schema.from_str(loading.schema_text())
    text = f'{BASE}\n@id("odd") forbid (principal, action, resource) when {{ resource.nosuch == 1 }};'
    odd = loading.Policies({}, text, schema)
    with pytest.raises(NoDecision):
        odd.evaluate(Subject(id=DANA), loading.actions.ACTIONS["deployments.push"], thing("k", "deployments.push"), "")


def test_a_case_that_can_not_be_decided_fails():
    broken = loading.cases.Case("odd", Subject(id=DANA), "deployments.push", thing("k", "orgs.view"), True)
    with pytest.raises(InvalidPolicies, match="can't be decided"):
        load_texts({"base": BASE}, [broken])
