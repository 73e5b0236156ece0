"""The pages of workspaces. They work without JavaScript; with it, they follow what happens."""

import uuid
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts.current_user import person_of
from accounts.models import User
from clouddev.models import Machine, Member, Offer
from clouddev.services import destruction, idle_policy, members, offers, power, queries, retry, tokens
from clouddev.services.access import NoSuchMachine, NoSuchWorkspace, machine_by_fly_name, machine_by_id
from clouddev.services.display import display_of
from clouddev.services.join import if_decided_by
from core.actions import requires
from core.database import undone
from core.error_pages import error_response
from core.errors import ApplicationError, Forbidden, Malformed
from core.next_url import posted_from
from fly.names import is_same_label

_KEPT_FOR = {1: "1 hour", 8: "8 hours", 24: "1 day", 72: "3 days", 168: "7 days"}


class NotYours(Forbidden):
    """403: there is no such machine, or the person is no member of it; the two look the same."""

    default = "You may not use this workspace, or it doesn't exist. Ask its owner to add you as a member."


@requires("workspaces.open")
@never_cache
@require_safe
def dev_ui(request: HttpRequest) -> HttpResponse:
    """GET /auth/dev-ui?app=…: send a member to their machine with a token that it lets them in by.

    Where to is the machine's own address, and nothing that the request says.
    """
    person = person_of(request)
    try:
        machine = machine_by_fly_name(person=person, fly_name=request.GET.get("app", ""), action="workspaces.open")
    except NoSuchMachine:
        return error_response(request, NotYours(), title="Not allowed")
    way_in = f"{machine.url}/dev/__auth/callback"
    if request.method == "HEAD":
        # A redirect is nothing but its headers: it leads to the same place, without a token that is kept nowhere.
        with undone():
            _token_for(person, machine)
    else:
        way_in += f"?{urlencode({'token': _token_for(person, machine)})}"
    response = HttpResponseRedirect(way_in)
    response["Referrer-Policy"] = "no-referrer"
    return response


def _token_for(person: User, machine: Machine) -> str:
    return tokens.browser_token(machine=machine, person=person, login=person.get_short_name(), now=timezone.now())


@requires("workspaces.view")
@never_cache
@require_safe
def workspaces(request: HttpRequest) -> HttpResponse:
    """The machines that the person may use."""
    person = person_of(request)
    listed = queries.list_with_people(person=person)
    notices = idle_policy.notices_for(item.machine for item in listed)
    cards = [{**_card(item), "notice": notices.get(item.machine.pk)} for item in listed]
    received, waiting = offers.both(person=person, now=timezone.now())
    context = {"cards": cards, "is_going": any(map(_is_going, cards)), "received": received, "waiting": waiting}
    return render(request, "clouddev/workspaces.html", context)


@requires("workspaces.view")
@never_cache
@require_safe
def states(request: HttpRequest) -> HttpResponse:
    """What the pages ask for while they are open: how each of the person's machines is."""
    listed = queries.list_machines(person=person_of(request))
    now = timezone.now()
    found = {str(item.machine.pk): asdict(display_of(item.machine, item.fly_state, now=now)) for item in listed}
    return JsonResponse({"workspaces": found})


@requires("workspaces.view")
@never_cache
@require_safe
def workspace(request: HttpRequest, machine_id: uuid.UUID) -> HttpResponse:
    """Show one of the workspaces that the person may use, with its members."""
    return _page(request, machine_by_id(person=person_of(request), machine_id=machine_id, action="workspaces.view"))


@requires("workspaces.start")
@posted_from("workspace", "machine_id")
def start(request: HttpRequest, machine_id: uuid.UUID) -> HttpResponse:
    """Start a machine."""
    return _change(request, machine_id, _start, action="workspaces.start")


@requires("workspaces.stop")
@posted_from("workspace", "machine_id")
def stop(request: HttpRequest, machine_id: uuid.UUID) -> HttpResponse:
    """Stop a machine."""
    return _change(request, machine_id, _stop, action="workspaces.stop")


@requires("workspaces.try-again")
@posted_from("workspace", "machine_id")
def try_again(request: HttpRequest, machine_id: uuid.UUID) -> HttpResponse:
    """Make a machine of one's own again that could not be made."""
    return _change(request, machine_id, _try_again, action="workspaces.try-again")


@requires("workspaces.keep-alive")
@posted_from("workspace", "machine_id")
def keep_alive(request: HttpRequest, machine_id: uuid.UUID) -> HttpResponse:
    """Keep a machine of one's own from being stopped for want of use, for so many `hours`; none lets go of it."""
    hours = request.POST.get("hours", "")
    if hours and hours not in map(str, _KEPT_FOR):
        raise Malformed("Choose how long it shall be kept alive.")
    now = timezone.now()
    until = now + timedelta(hours=int(hours)) if hours else None

    def keep(machine: Machine, person: User, now: datetime) -> str:
        idle_policy.keep_alive(machine=machine, until=until, actor=person, now=now)
        return f"{machine} is kept alive." if until else f"{machine} is no longer kept alive."

    return _change(request, machine_id, keep, action="workspaces.keep-alive")


@requires("workspaces.destroy")
@posted_from("workspace", "machine_id")
def destroy(request: HttpRequest, machine_id: uuid.UUID) -> HttpResponse:
    """Destroy a machine of one's own, whose name was typed."""
    person = person_of(request)
    machine = machine_by_id(person=person, machine_id=machine_id, action="workspaces.destroy")
    if not is_same_label(request.POST.get("name", ""), machine.app_name):
        return _page(request, machine, complaint="That is not the name of this workspace. Nothing was destroyed.")
    destruction.destroy(machine=machine, actor=person, claim=if_decided_by(person))
    messages.success(request, f"{machine} is being destroyed.")
    return redirect("workspaces")


@requires("workspaces.share")
@posted_from("workspace", "machine_id")
def add_member(request: HttpRequest, machine_id: uuid.UUID) -> HttpResponse:
    """Offer somebody to use a machine of one's own, or change what a member may."""
    login, role = _login(request), request.POST.get("role", Member.Role.MEMBER)

    def add(machine: Machine, person: User, now: datetime) -> str:
        added = members.add_member(machine=machine, login=login, role=role, actor=person, now=now)
        if isinstance(added, Offer):
            return offers.waits_for_consent(added)
        return f"{login} may use {machine} now, as {'an owner' if role == Member.Role.OWNER else 'a member'}."

    return _change(request, machine_id, add, action="workspaces.share")


@requires("workspaces.share")
@posted_from("workspace", "machine_id")
def remove_member(request: HttpRequest, machine_id: uuid.UUID) -> HttpResponse:
    """Take somebody's access to a machine of one's own away."""
    login = _login(request)

    def remove(machine: Machine, person: User, now: datetime) -> str:  # noqa: ARG001 - as `_change` calls it
        told = members.remove_member(machine=machine, login=login, actor=person)
        return f"{login} is no longer a member. {told}" if told == members.AFTER_REMOVAL else told

    return _change(request, machine_id, remove, action="workspaces.share")


@requires("workspaces.transfer")
@posted_from("workspace", "machine_id")
def transfer(request: HttpRequest, machine_id: uuid.UUID) -> HttpResponse:
    """Offer a machine of one's own to somebody else, for good."""
    login = _login(request)

    def hand_over(machine: Machine, person: User, now: datetime) -> str:
        offer = members.transfer(machine=machine, login=login, actor=person, now=now)
        return offers.waits_for_consent(offer) if offer else f"{machine} is {login}'s now."

    return _change(request, machine_id, hand_over, action="workspaces.transfer")


@requires("workspaces.revoke-token")
@posted_from("workspace", "machine_id")
def revoke_token(request: HttpRequest, machine_id: uuid.UUID, jti: uuid.UUID) -> HttpResponse:
    """Revoke a webhook token of a machine of one's own."""
    own = machine_by_id(person=person_of(request), machine_id=machine_id, action="workspaces.revoke-token")
    tokens.require_webhook_token(machine=own, jti=jti)

    def revoke(machine: Machine, person: User, now: datetime) -> str:  # noqa: ARG001 - as `_change` calls it
        tokens.revoke_webhook_token(jti=jti, actor=person, now=now)
        return f"The token is revoked. {tokens.AFTER_REVOCATION}"

    return _change(request, machine_id, revoke, action="workspaces.revoke-token")


@requires("offers.answer")
@posted_from("workspaces")
def accept_offer(request: HttpRequest, offer_id: uuid.UUID) -> HttpResponse:
    """Take up what is offered to the person; where that can't be now, the offer goes on waiting."""
    try:
        offer = offers.accept(offer_id=offer_id, person=person_of(request), now=timezone.now())
    except offers.NoSuchOffer:
        raise
    except ApplicationError as error:
        messages.warning(request, error.sentence)
        return redirect("workspaces")
    is_theirs = offer.kind == Offer.Kind.TRANSFER
    messages.success(request, f"{offer.machine} is yours now." if is_theirs else f"You may use {offer.machine} now.")
    return redirect("workspace", offer.machine_id)


@requires("offers.answer")
@posted_from("workspaces")
def decline_offer(request: HttpRequest, offer_id: uuid.UUID) -> HttpResponse:
    """Refuse what is offered to the person."""
    offer = offers.decline(offer_id=offer_id, person=person_of(request), now=timezone.now())
    messages.success(request, f"You have declined {offer.made_by.get_short_name()}'s offer of {offer.machine}.")
    return redirect("workspaces")


@requires("workspaces.share")
@posted_from("workspaces")
def withdraw_offer(request: HttpRequest, offer_id: uuid.UUID) -> HttpResponse:
    """Take back an offer of a machine of one's own."""
    offer = offers.withdraw(offer_id=offer_id, actor=person_of(request), now=timezone.now())
    messages.success(request, f"{offer.machine} is no longer offered to {offer.recipient.get_short_name()}.")
    if request.POST.get("back") == "workspace":
        return redirect("workspace", offer.machine_id)
    return redirect("workspaces")


def _login(request: HttpRequest) -> str:
    """The GitHub login that was typed; people write it with an @, too."""
    return request.POST.get("login", "").strip().removeprefix("@")


def _start(machine: Machine, person: User, now: datetime) -> str:
    started = power.start(machine=machine, actor=person, now=now)
    return f"{machine} is starting." if started else f"{machine} runs already."


def _stop(machine: Machine, person: User, now: datetime) -> str:
    stopped = power.stop(machine=machine, actor=person, now=now)
    return f"{machine} is stopping." if stopped else f"{machine} is stopped already."


def _try_again(machine: Machine, person: User, now: datetime) -> str:
    if retry.try_again(machine=machine, actor=person, now=now):
        return f"{machine} is being made again."
    return f"{machine} is being made already." if machine.state == Machine.State.CREATING else f"{machine} is there."


def _change(
    request: HttpRequest,
    machine_id: uuid.UUID,
    do: Callable[[Machine, User, datetime], str],
    *,
    action: str,
) -> HttpResponse:
    """Do it to a machine that the person may do it to, say what came of it, and lead back."""
    person = person_of(request)
    machine = machine_by_id(person=person, machine_id=machine_id, action=action)
    try:
        messages.success(request, do(machine, person, timezone.now()))
    except ApplicationError as error:
        messages.warning(request, error.sentence)
    if request.POST.get("back") == "list" or not machine.members.filter(user=person).exists():
        return redirect("workspaces")
    return redirect("workspace", machine_id)


def _card(item: queries.Listed) -> dict[str, Any]:
    display = display_of(item.machine, item.fly_state, now=timezone.now())
    return {"machine": item.machine, "is_owner": item.role == Member.Role.OWNER, "display": display}


def _is_going(card: dict[str, Any]) -> bool:
    return card["display"].tone in {"going", "warn"}


def _page(request: HttpRequest, machine: Machine, *, complaint: str = "") -> HttpResponse:
    person = person_of(request)
    people = members.list_members(machine=machine)
    own = next((member for member in people if member.user_id == person.pk), None)
    if own is None:
        raise NoSuchWorkspace
    card = _card(queries.listed(own))
    now = timezone.now()
    context = {
        **card,
        "members": people,
        "waiting": offers.of_deciders(person=person, now=now, machine=machine) if card["is_owner"] else [],
        "own": own,
        "is_going": _is_going(card),
        "is_there": machine.state != Machine.State.DESTROYING,
        "is_kept": machine.keep_alive_until is not None and machine.keep_alive_until > now,
        "kept_for": _KEPT_FOR.items(),
        "notice": idle_policy.notices_for([machine]).get(machine.pk),
        "webhook_tokens": tokens.webhook_tokens(machine=machine, now=now) if card["is_owner"] else [],
        "after_removal": members.AFTER_REMOVAL,
        "after_revocation": tokens.AFTER_REVOCATION,
        "complaint": complaint,
    }
    return render(request, "clouddev/workspace.html", context, status=Malformed.status if complaint else 200)
