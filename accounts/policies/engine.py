"""Deciding: one question, one answer, and no way around it.

Allowed means that Cedar said Allow and no policy erred. Everything else is a refusal; whatever is raised while deciding
becomes `Undecided` (503), never a permission.
"""

import logging
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from accounts.policies.actions import ACTIONS, Group
from accounts.policies.asking import THE_SERVER, Acting, Resource, Subject, subject_of
from accounts.policies.loading import Decision, InvalidPolicies, Policies, load
from core.errors import Forbidden, Unavailable
from core.request_context import current_address, note_decision

logger = logging.getLogger(__name__)

# How often an operator's directory is looked at, in seconds.
_LOOKED_AT_EVERY = 5.0


class Denied(Forbidden):
    """403: the policies don't allow it; the sentence is the one of the policy that forbids it, where there is one."""


class Undecided(Unavailable):
    """503: the policies could not be asked, so it is not done."""

    default = "It can't be decided right now whether you may do this, so it was not done. Please try again in a moment."


@dataclass(slots=True)
class _State:
    """The policies of this process, and of which state of the operator's directory they are."""

    policies: Policies | None = None
    directory: str = ""
    seen: tuple[object, ...] = ()
    looked_at: float = 0.0


_state = _State()
_loading = threading.Lock()


def decide(by: Acting, action: str, resource: Resource = THE_SERVER) -> Decision:
    """Whether somebody who was let in may do this, and which policies say so. Raises Undecided.

    Without a resource it is asked at the door: whether they may come with this at all. The answer is remembered for
    the audit trail, where it is about the request under way.
    """
    return decide_for(subject_of(by), action, resource)


def decide_for(subject: Subject, action: str, resource: Resource = THE_SERVER) -> Decision:
    """Decide the same for whoever is described."""
    try:
        decision = current().decide(subject, ACTIONS[action], resource, current_address())
    except Exception as error:
        logger.exception("deciding about %s failed", action)
        raise Undecided from error
    note_decision(decision.policies)
    return decision


def require(by: Acting, action: str, resource: Resource = THE_SERVER) -> Decision:
    """Give the decision that allows it. Raises Denied or Undecided."""
    decision = decide(by, action, resource)
    if not decision.allowed:
        raise Denied(_sentence_for(action, decision))
    return decision


def _sentence_for(action: str, decision: Decision) -> str:
    """What to tell whoever was refused; no policy speaks to somebody whom none lets do it."""
    sentence, asked = sentence_of(decision), ACTIONS[action]
    if sentence == Denied.default and asked.group == Group.SUPERUSE:
        return f"Only a superuser may {asked.sentence}. Ask a superuser."
    return sentence


def sentence_of(decision: Decision) -> str:
    """What to tell whoever was refused."""
    known = current().policies
    said = (known[name].says for name in decision.policies if name in known)
    return next(filter(None, said), Denied.default)


def current() -> Policies:
    """The policies in force. Raises InvalidPolicies when there never were any that hold together.

    An operator's directory is looked at every few seconds. What doesn't hold together is not taken: the policies of
    before stay, and the log says why.
    """
    policies = _state.policies
    if policies is not None and _state.directory == settings.POLICIES_DIR and not _is_due():
        return policies
    if policies is not None and _loading.locked() and _state.directory == settings.POLICIES_DIR:
        return policies
    with _loading:
        return _newest()


def _is_due() -> bool:
    return bool(_state.directory) and time.monotonic() - _state.looked_at >= _LOOKED_AT_EVERY


def _newest() -> Policies:
    """The policies of the directory as it is, or those of before; one thread at a time."""
    directory, before = settings.POLICIES_DIR, _state.policies
    if before is not None and _state.directory != directory:
        before = None
    _state.looked_at = time.monotonic()
    seen = _signature(directory)
    if before is not None and _state.seen == seen:
        return before
    try:
        policies = load(Path(directory) if directory else None)
    except InvalidPolicies:
        if before is None:
            raise
        logger.exception("the policies in %s don't hold together; those of before stay in force", directory)
        policies = before
    else:
        if before is not None:
            logger.warning("the policies in %s have changed and are in force", directory)
    _state.policies, _state.directory, _state.seen = policies, directory, seen
    return policies


def _signature(directory: str) -> tuple[object, ...]:
    """What tells one state of the directory from another: names, sizes and times of its files."""
    if not directory:
        return ()
    found = []
    try:
        for path in sorted(Path(directory).iterdir()):
            status = path.stat()
            found.append((path.name, status.st_size, status.st_mtime_ns, status.st_ino))
    except OSError as error:
        return (str(error),)
    return tuple(found)
