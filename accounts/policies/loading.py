"""Reading policies: all of them hold together, or none is taken.

They are parsed, each has an id of its own, they are validated against the schema in Cedar's strict mode, and a table of
cases has to come out as it says (`cases.py`). Strictness matters: Cedar skips a `forbid` that trips over an attribute
that isn't there, and so would allow what it was to forbid.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cedarpy

from accounts.policies import actions, cases
from accounts.policies.actions import Action
from accounts.policies.asking import Resource, Subject, entities_of, request_of

_HERE = Path(__file__).parent
BASE = _HERE / "base.cedar"
# So many questions are answered from memory; each takes a kilobyte or two.
_MOST_KEPT = 4096


class InvalidPolicies(Exception):
    """Policies that can't be taken; the sentence says which, and why."""


class NoPolicies(InvalidPolicies):
    """POLICIES_DIR is set, and has none: what was to be forbidden would not be."""


class NoDecision(Exception):
    """Cedar could not evaluate a question, or one of the policies tripped over it."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What came out, and the ids of the policies that decided; none where no policy permits it."""

    allowed: bool
    policies: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """What is known of one policy: where it is from, and what it says to people."""

    id: str
    effect: str
    says: str
    source: str


class Policies:
    """A set of policies that was found to hold together. It never changes: a reload makes another one."""

    def __init__(self, policies: Mapping[str, Policy], text: str, schema: cedarpy.Schema) -> None:
        """`text` are all policies, parsed once; nothing is parsed again for a question."""
        self.policies = policies
        self._schema = schema
        self._set = cedarpy.PolicySet.from_str(text)
        # A question is a value, and so is the answer: who asks the same again gets it from memory.
        self.decide = lru_cache(maxsize=_MOST_KEPT)(self.evaluate)

    def evaluate(self, subject: Subject, action: Action, resource: Resource, address: str) -> Decision:
        """Ask Cedar. Raises NoDecision, also where a single policy erred: a `forbid` that errs forbids nothing."""
        # Parsed by themselves, and handed over as a handle, they take a quarter less time than as text.
        entities = cedarpy.Entities.from_json_str(entities_of(subject, resource), self._schema)
        result = cedarpy.is_authorized(
            request_of(subject, action, resource, address), self._set, entities, self._schema
        )
        diagnostics = result.diagnostics
        if result.decision is cedarpy.Decision.NoDecision or diagnostics.errors:
            raise NoDecision("; ".join(map(str, diagnostics.errors)) or "Cedar made no decision.")
        named = diagnostics.id_annotations_by_reason
        return Decision(result.allowed, tuple(sorted(named.get(reason, reason) for reason in diagnostics.reasons)))


def schema_text() -> str:
    """The whole schema in Cedar's language: entities, groups and actions."""
    return (_HERE / "schema.cedarschema").read_text(encoding="utf-8") + actions.declarations()


def load(directory: Path | None) -> Policies:
    """The policies of this server, with an operator's own from `directory/*.cedar`. Raises InvalidPolicies.

    A directory without any raises NoPolicies: it is one that isn't mounted, or whose files are being replaced.
    The operator's may forbid what ours permit and permit more, but not so that a case fails that is to hold always.
    """
    found = load_texts({BASE.name: _read(BASE)}, cases.CASES)
    if directory is None:
        return found
    own = {str(path): _read(path) for path in _files(directory)}
    if not own:
        raise NoPolicies("POLICIES_DIR has no policies.")
    return load_texts({BASE.name: _read(BASE), **own}, [case for case in cases.CASES if case.always])


def load_texts(texts: Mapping[str, str], table: list[cases.Case]) -> Policies:
    """The policies in these texts, by where they are from, if they hold together. Raises InvalidPolicies."""
    policies: dict[str, Policy] = {}
    for source, text in texts.items():
        for policy in _parsed(source, text):
            if policy.id in policies:
                raise InvalidPolicies(f"{source}: There is another policy with the id “{policy.id}”.")
            policies[policy.id] = policy
    whole = "\n".join(texts.values())
    try:
        schema = cedarpy.Schema.from_str(schema_text())
        result = cedarpy.validate_policies(whole, schema)
        found = Policies(policies, whole, schema)
    except ValueError as error:
        raise InvalidPolicies(f"The policies can't be read: {error}") from error
    if not result.validation_passed:
        named = result.id_annotations_by_policy_id
        raise InvalidPolicies(
            "; ".join(f"{named.get(error.policy_id, error.policy_id)}: {error.error}" for error in result.errors)
        )
    if failing := list(failures(found, table)):
        raise InvalidPolicies("; ".join(failing))
    return found


def failures(policies: Policies, table: list[cases.Case]) -> Iterator[str]:
    """The cases that do not come out as they say, in words."""
    for case in table:
        try:
            found = policies.evaluate(case.subject, actions.ACTIONS[case.action], case.resource, "")
        except NoDecision as error:
            yield f"The case “{case.name}” can't be decided: {error}"
            continue
        if found.allowed != case.allowed or (case.by and case.by not in found.policies):
            wanted = "allowed" if case.allowed else "refused"
            became = "allowed" if found.allowed else "refused"
            by = f" by {case.by}" if case.by else ""
            yield f"The case “{case.name}” has to be {wanted}{by}, and is {became} by {found.policies or 'no policy'}."


def _parsed(source: str, text: str) -> Iterator[Policy]:
    try:
        tree = cedarpy.policies_to_pst(text)
    except ValueError as error:
        raise InvalidPolicies(f"{source}: This can't be read: {error}") from error
    if tree.templates:
        raise InvalidPolicies(f"{source}: Templates, which have ?principal or ?resource, are not used here.")
    for policy in tree.static_policies.values():
        name = policy.annotations.get("id", "")
        if not name:
            raise InvalidPolicies(f'{source}: Each policy needs an id that is told when it decides: @id("…").')
        yield Policy(name, policy.effect, policy.annotations.get("says", ""), source)


def _files(directory: Path) -> list[Path]:
    try:
        return sorted(path for path in directory.iterdir() if path.suffix == ".cedar")
    except OSError as error:
        raise InvalidPolicies(f"POLICIES_DIR can't be read: {error}") from error


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidPolicies(f"{path} can't be read: {error}") from error
