"""The pages on which somebody sees an invitation, and accepts or declines it. Looking at it changes nothing."""

import uuid

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts.current_user import person_of, work_in
from accounts.email_addresses import hinted
from accounts.services import invitations
from accounts.services.verified_email import verified_email
from core.actions import requires
from core.error_pages import error_response
from core.next_url import posted_from


@requires("invitations.view")
@never_cache
@require_safe
def invitation(request: HttpRequest) -> HttpResponse:
    """What a link invites to; whoever signs in with another address is told with which they can accept."""
    try:
        found = invitations.find_by_link(token=request.GET.get("link", ""), now=timezone.now())
    except invitations.NoSuchInvitation:
        gone = invitations.NoSuchInvitation(
            "It was accepted, declined or withdrawn, or has expired. Ask for another one."
        )
        return error_response(request, gone, title="This invitation is over")
    own = verified_email(person_of(request))
    context = {"invitation": found, "is_theirs": own == found.email, "hint": hinted(found.email), "email": own}
    return render(request, "accounts/invitation.html", context)


@requires("invitations.answer")
@posted_from("organizations")
def accept(request: HttpRequest, invitation_id: uuid.UUID) -> HttpResponse:
    """Become a member, and work in the organization from now on."""
    member = invitations.accept(invitation_id=invitation_id, person=person_of(request), now=timezone.now())
    work_in(request, member.organization)
    name, role = member.organization.name, invitations.in_words(member.role)
    messages.success(request, f"You are {role} of {name}, and work in it now.")
    return redirect("organization", member.organization.slug)


@requires("invitations.answer")
@posted_from("organizations")
def decline(request: HttpRequest, invitation_id: uuid.UUID) -> HttpResponse:
    """Refuse an invitation."""
    declined = invitations.decline(invitation_id=invitation_id, person=person_of(request), now=timezone.now())
    messages.success(
        request, f"You have declined {declined.made_by.get_short_name()}'s invitation to {declined.organization.name}."
    )
    return redirect("organizations")
