"""The pages of organizations: which ones somebody belongs to, who else does, and what they decide about."""

import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts.api import schemas
from accounts.current_user import organization_of, person_of, work_in
from accounts.models import Membership, User
from accounts.models.organizations import Role
from accounts.services import invitations, members, organizations
from accounts.services.organization_contents import what_is_in
from accounts.services.verified_email import verified_email
from core.actions import requires
from core.errors import ApplicationError, Forbidden, Malformed, NotFound
from core.next_url import posted_from
from core.schemas import validated

_MOST_SHOWN = 100
# Of a row's number, which has 64 bits.
_LONGEST_NUMBER = 19


@method_decorator(never_cache, name="dispatch")
class OrganizationsView(View):
    """GET and POST /organizations/: what the person belongs to, and making another one."""

    required_action = {"GET": "orgs.view", "POST": "orgs.create"}

    def get(self, request: HttpRequest) -> HttpResponse:
        """The person's organizations, by slug, and what they are invited to."""
        return self._page(request, {})

    def post(self, request: HttpRequest) -> HttpResponse:
        """Make an organization, and work in it from now on."""
        typed = {name: request.POST.get(name, "") for name in ("name", "slug")}
        person = person_of(request)
        try:
            asked = validated(schemas.NewOrganization, typed)
            made = organizations.create(name=asked.name, slug=asked.slug, person=person)
        except ApplicationError as error:
            return self._page(request, {"typed": typed, "complaint": error.sentence}, status=error.status)
        work_in(request, made)
        messages.success(request, f"{made.name} is there, and you are its owner. You work in it now.")
        return redirect("organization", made.slug)

    def _page(self, request: HttpRequest, more: dict[str, Any], *, status: int = 200) -> HttpResponse:
        person, after = person_of(request), request.GET.get("after", "")
        own = organizations.list_memberships(person=person, after=after, limit=_MOST_SHOWN + 1)
        context = {
            "memberships": own[:_MOST_SHOWN],
            "next_after": own[_MOST_SHOWN - 1].organization.slug if len(own) > _MOST_SHOWN else "",
            "active": organization_of(request),
            "received": invitations.received(person=person, now=timezone.now()),
            "email": verified_email(person),
            "may_create": settings.ORGANIZATIONS_PER_PERSON > 0,
            **more,
        }
        return render(request, "accounts/organizations.html", context, status=status)


@requires("orgs.view")
@never_cache
@require_safe
def organization(request: HttpRequest, slug: str) -> HttpResponse:
    """One of the organizations that the person belongs to, with its members."""
    return _page(request, organizations.membership_in(slug=slug, person=person_of(request)))


@requires("orgs.view")
@posted_from("organizations")
def switch(request: HttpRequest, slug: str) -> HttpResponse:
    """Work in this organization of the person's from now on, in this browser."""
    own = organizations.membership_in(slug=slug, person=person_of(request))
    if own.organization.suspended_at is not None:
        raise organizations.OrganizationSuspended
    work_in(request, own.organization)
    messages.success(request, f"You work in {own.organization.name} now.")
    return redirect("organizations")


@requires("orgs.update")
@posted_from("organization", "slug")
def rename(request: HttpRequest, slug: str) -> HttpResponse:
    """Give an organization of one's own another name."""

    def do(person: User, now: datetime) -> str:  # noqa: ARG001 - as `_change` calls it
        name = validated(schemas.RenamedOrganization, {"name": request.POST.get("name", "")}).name
        return f"It is called {organizations.rename(slug=slug, name=name, person=person).name} now."

    return _change(request, slug, do)


@requires("orgs.manage-members")
@posted_from("organization", "slug")
def change_role(request: HttpRequest, slug: str, user_id: uuid.UUID) -> HttpResponse:
    """Make a member an owner, an admin or a member."""
    role = _role(request)

    def do(person: User, now: datetime) -> str:
        changed = members.change_role(slug=slug, user_id=user_id, role=role, person=person, now=now)
        return f"{changed.user.get_short_name()} is {invitations.in_words(changed.role)} now."

    return _change(request, slug, do)


@requires("orgs.manage-members")
@posted_from("organization", "slug")
def remove(request: HttpRequest, slug: str, user_id: uuid.UUID) -> HttpResponse:
    """Take somebody's membership away."""

    def do(person: User, now: datetime) -> str:
        removed = members.remove(slug=slug, user_id=user_id, person=person, now=now)
        return f"{removed.user.get_short_name()} is no member any more, and their tokens for it are revoked."

    return _change(request, slug, do)


@requires("orgs.leave")
@posted_from("organization", "slug")
def leave(request: HttpRequest, slug: str) -> HttpResponse:
    """End one's own membership."""

    def do(person: User, now: datetime) -> str:
        return f"You have left {members.leave(slug=slug, person=person, now=now).organization.name}."

    return _change(request, slug, do)


@requires("orgs.transfer")
@posted_from("organization", "slug")
def transfer(request: HttpRequest, slug: str) -> HttpResponse:
    """Make another member the owner in one's own place."""
    try:
        user_id = uuid.UUID(request.POST.get("user_id", ""))
    except ValueError:
        raise Malformed("Choose who is to be its owner.") from None

    def do(person: User, now: datetime) -> str:
        owner = members.transfer(slug=slug, user_id=user_id, person=person, now=now)
        return f"{owner.user.get_short_name()} is an owner now, and you are an admin."

    return _change(request, slug, do)


@requires("orgs.delete")
@posted_from("organization", "slug")
def delete(request: HttpRequest, slug: str) -> HttpResponse:
    """Delete an empty organization of one's own, whose slug was typed."""
    person = person_of(request)
    own = organizations.membership_in(slug=slug, person=person)
    if request.POST.get("name", "").strip() != slug:
        return _page(request, own, complaint="That is not its slug. Nothing was deleted.")

    def do(person: User, now: datetime) -> str:  # noqa: ARG001 - as `_change` calls it
        organizations.delete(slug=slug, person=person)
        return f"{own.organization.name} is deleted."

    return _change(request, slug, do)


@requires("orgs.manage-members")
@posted_from("organization", "slug")
def invite(request: HttpRequest, slug: str) -> HttpResponse:
    """Invite somebody by their e-mail address; where no mail is sent, their link is on the page that follows."""
    person = person_of(request)
    own = organizations.membership_in(slug=slug, person=person)
    typed = {"email": request.POST.get("email", ""), "role": request.POST.get("role", "")}
    try:
        asked = validated(schemas.NewInvitation, typed)
        invited = invitations.invite(
            slug=slug, email=asked.email, role=Role(asked.role), person=person, now=timezone.now()
        )
    except (Forbidden, NotFound):
        raise
    except ApplicationError as error:
        messages.warning(request, error.sentence)
        return redirect("organization", slug)
    if invited.is_mailed:
        messages.success(request, f"A mail with the invitation is on its way to {asked.email}.")
        return redirect("organization", slug)
    return _page(request, own, invited=invited)


@requires("orgs.manage-members")
@posted_from("organization", "slug")
def withdraw(request: HttpRequest, slug: str, invitation_id: uuid.UUID) -> HttpResponse:
    """Take an invitation back."""

    def do(person: User, now: datetime) -> str:
        withdrawn = invitations.withdraw(slug=slug, invitation_id=invitation_id, person=person, now=now)
        return f"{withdrawn.email} is no longer invited."

    return _change(request, slug, do)


def _role(request: HttpRequest) -> Role:
    return Role(validated(schemas.ChangedRole, {"role": request.POST.get("role", "")}).role)


def _change(request: HttpRequest, slug: str, do: Callable[[User, datetime], str]) -> HttpResponse:
    """Do it, say what came of it, and lead back to the organization, or to all where it is no longer the person's."""
    person = person_of(request)
    try:
        messages.success(request, do(person, timezone.now()))
    except (Forbidden, NotFound):
        raise
    except ApplicationError as error:
        messages.warning(request, error.sentence)
    try:
        organizations.membership_in(slug=slug, person=person)
    except organizations.NoSuchOrganization:
        return redirect("organizations")
    return redirect("organization", slug)


def _page(request: HttpRequest, own: Membership, **more: Any) -> HttpResponse:
    """The organization as this member sees it."""
    shown, now = own.organization, timezone.now()
    after = request.GET.get("after", "")
    number = int(after) if after.isascii() and after.isdecimal() and len(after) < _LONGEST_NUMBER else 0
    people = members.list_members(organization=shown, after=number, limit=_MOST_SHOWN + 1)
    is_open = shown.suspended_at is None
    context = {
        "organization": shown,
        "own": own,
        "is_active": organization_of(request) == shown,
        "is_open": is_open,
        "members": [_row(own, member) for member in people[:_MOST_SHOWN]],
        "next_after": people[_MOST_SHOWN - 1].pk if len(people) > _MOST_SHOWN else "",
        "others": [member for member in people[:_MOST_SHOWN] if member.pk != own.pk and member.user.is_active],
        "roles": _roles(own),
        "waiting": invitations.of_organization(organization=shown, now=now) if own.is_admin else [],
        "held": what_is_in(shown) if own.is_owner and not shown.is_personal else [],
        "days": invitations.STAYS.days,
        **more,
    }
    return render(request, "accounts/organization.html", context, status=400 if "complaint" in more else 200)


def _row(own: Membership, member: Membership) -> dict[str, Any]:
    """A member, and whether whoever looks decides about them."""
    is_other = member.pk != own.pk
    return {"member": member, "is_mine": is_other and own.is_admin and (own.is_owner or not member.is_owner)}


def _roles(own: Membership) -> list[str]:
    """What the member may make somebody, least first."""
    return [str(role) for role in reversed(Role) if own.is_owner or role != Role.OWNER]
