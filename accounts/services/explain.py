"""Saying who may do what, and why: for the command `explain` and for the operators' page.

The answer is the engine's own, put with the rows as they are; nothing is decided here.
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from django.db.models import Q

from accounts.models import AccessToken, Membership, Organization, User
from accounts.policies.actions import ACTIONS, Action
from accounts.policies.asking import THE_SERVER, Resource, Subject
from accounts.policies.engine import Denied, current, decide_for, sentence_of
from accounts.policies.loading import Decision
from accounts.principals import SCOPES, Proof
from core.errors import Malformed, NotFound

# Given what follows the kind and the colon, and who asks: the object, with what they are of it. None for none.
Finder = Callable[[str, User], Resource | None]
_finders: dict[str, Finder] = {}
SERVER_WORD: Final = "server"


class CannotExplain(Malformed):
    """400: the question names no action, no person or nothing that is there."""


class NotThere(NotFound):
    """404: there is no such person or object."""


def finder(kind: str) -> Callable[[Finder], Finder]:
    """Register how objects of this kind are found; apps above this one say so of theirs."""

    def register(find: Finder) -> Finder:
        _finders[kind] = find
        return find

    return register


def kinds() -> list[str]:
    """The kinds of objects that can be asked about, as they are written before the colon."""
    return [SERVER_WORD, *sorted(_finders)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Whether `person` may do `action` to `thing`, in words: "alice", "workspaces.stop", "workspace:alice/studio".

    Without an organization it is asked as in a browser, with one as by a credential for it; `scopes` narrows that.
    """

    person: str
    action: str
    thing: str = SERVER_WORD
    organization: str = ""
    proof: str = ""
    scopes: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One of the questions that were put, and its answer, in sentences."""

    title: str
    decision: Decision
    sentences: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """The whole answer: it is allowed if each step is."""

    subject: Subject
    action: Action
    resource: Resource
    steps: tuple[Step, ...]

    @property
    def allowed(self) -> bool:
        """Whether they may."""
        return all(step.decision.allowed for step in self.steps)


def explain(question: Question) -> Explanation:
    """Ask the policies. Raises CannotExplain, NotThere, and Undecided when they can't be asked."""
    action = ACTIONS.get(question.action)
    if action is None:
        raise CannotExplain(f"There is no action “{question.action}”. There are: {', '.join(ACTIONS)}.")
    if unknown := (question.scopes or frozenset()) - SCOPES.keys():
        raise CannotExplain(f"There is no scope “{min(unknown)}”. There are: {', '.join(SCOPES)}.")
    if question.proof and question.proof not in set(Proof):
        raise CannotExplain(f"There is no proof “{question.proof}”. There are: {', '.join(Proof)}.")
    person = _person(question.person)
    subject = _subject(person, question)
    resource = _thing(question.thing, person)
    if resource.type not in {action.on, THE_SERVER.type}:
        raise CannotExplain(f"{action.name} is done to a {action.on}, not to a {resource.type}.")
    steps = [_step("At the door", subject, action, THE_SERVER)] if action.name != "admin.have-power" else []
    if resource != THE_SERVER:
        steps.append(_step(f"About {question.thing}", subject, action, resource))
    return Explanation(subject, action, resource, tuple(steps))


def _step(title: str, subject: Subject, action: Action, resource: Resource) -> Step:
    decision = decide_for(subject, action.name, resource)
    known = current().policies
    said = tuple(known[name].says or name for name in decision.policies if name in known)
    if not decision.allowed and not decision.policies:
        said = ("No policy permits it.",)
    elif not decision.allowed and sentence_of(decision) == Denied.default:
        said = said or (Denied.default,)
    return Step(title, decision, said)


def _person(name: str) -> User:
    """The person of this username, GitHub login, e-mail address or id."""
    wanted = Q(username=name) | Q(github_login__iexact=name) | Q(email__iexact=name)
    if identifier := _uuid(name):
        wanted |= Q(pk=identifier)
    found = list(User.objects.filter(wanted).order_by("pk")[:2]) if name else []
    if not found:
        raise NotThere(f"There is nobody called “{name}”. Say a login, an e-mail address or an id.")
    if len(found) > 1:
        raise CannotExplain(f"More than one person is called “{name}”. Say an id.")
    return found[0]


def _subject(person: User, question: Question) -> Subject:
    subject = Subject(
        id=person.pk,
        is_active=person.is_active,
        is_operator=person.is_staff,
        is_superuser=person.is_superuser,
        proof=question.proof or (Proof.ACCESS_TOKEN if question.organization else Proof.SESSION),
        scopes=question.scopes,
    )
    if not question.organization:
        return subject
    organization = _organization(question.organization)
    membership = Membership.objects.filter(organization=organization, user=person).first()
    if membership is None:
        raise CannotExplain(f"{person} is no member of {organization}, so no credential of theirs is for it.")
    return replace(
        subject,
        organization_id=organization.pk,
        role=membership.role,
        is_organization_suspended=organization.suspended_at is not None,
    )


def _organization(slug: str) -> Organization:
    organization = Organization.objects.filter(slug=slug).first()
    if organization is None:
        raise NotThere(f"There is no organization “{slug}”.")
    return organization


def _thing(words: str, person: User) -> Resource:
    if words == SERVER_WORD:
        return THE_SERVER
    kind, _, name = words.partition(":")
    if kind not in _finders:
        raise CannotExplain(f"Say {SERVER_WORD}, or one of {', '.join(f'{name}:…' for name in sorted(_finders))}.")
    found = _finders[kind](name, person)
    if found is None:
        raise NotThere(f"There is no {words}.")
    return found


def _uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None


def pk_or_name(text: str, *, column: str, owner: str) -> Q:
    """What finds a row by its id, or by "owner's login/name"; for finders."""
    if identifier := _uuid(text):
        return Q(pk=identifier)
    login, _, name = text.rpartition("/")
    return Q(**{f"{column}__iexact": name, f"{owner}__username": login})


@finder("org")
def _org(name: str, person: User) -> Resource | None:
    organization = Organization.objects.filter(slug=name).first()
    if organization is None:
        return None
    membership = Membership.objects.filter(organization=organization, user=person).first()
    return Resource(
        type="Org",
        id=organization.pk,
        role=membership.role if membership else "",
        is_suspended=organization.suspended_at is not None,
    )


@finder("person")
def _user(name: str, _asker: User) -> Resource | None:
    person = _person(name)
    return Resource(type="User", id=person.pk, is_operator=person.is_staff or person.is_superuser)


@finder("login")
def _login(name: str, _asker: User) -> Resource | None:
    identifier = _uuid(name)
    maker = AccessToken.objects.filter(pk=identifier).values_list("user_id", flat=True).first() if identifier else None
    return Resource(type="Login", id=name, maker_id=maker) if maker else None
