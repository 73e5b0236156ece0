"""How allauth's sign-in meets our people: the sign-up policy, who is let in, and what is said when not."""

import logging
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialLogin
from allauth.socialaccount.providers.base import AuthError, ProviderException
from django.conf import settings
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from accounts import audit
from accounts.models import User
from accounts.services import leavers, signup_policy, users
from accounts.services.signup_policy import Account, Fit, Policy
from core.error_pages import error_response
from core.errors import ApplicationError, Conflict, Forbidden, Malformed, Unavailable, UpstreamFailed, UpstreamTimeout
from core.http_client import ServiceTimeout
from core.next_url import sign_in_address
from core.request_context import client_address, own_path

logger = logging.getLogger(__name__)

# In the session: the state of the sign-in that came back last, and where it leads.
LAST_SIGN_IN = "last_sign_in"
_LONGEST_EMAIL = 254


class SignInFailed(UpstreamFailed):
    """502: GitHub did not tell who the person is."""

    default = "GitHub did not confirm who you are. Please try to sign in again in a moment."


class SignInTimeout(UpstreamTimeout):
    """504: GitHub took too long."""

    default = "GitHub did not answer in time. Please try to sign in again in a moment."


class SignInRefused(UpstreamFailed):
    """502: GitHub refuses this server, and will the next time, too."""

    default = (
        "GitHub refuses this server, and trying again won't change that. Tell an operator of this server: its log says "
        "what GitHub answered."
    )


class WrongGitHubSettings(Unavailable):
    """503: GitHub doesn't know this server's application, or knows it otherwise than the settings say."""

    default = (
        "GitHub doesn't accept this server's GITHUB_CLIENT_ID and GITHUB_CLIENT_SECRET, so nobody can sign in with it. "
        "Tell an operator of this server."
    )


class WrongCallback(Unavailable):
    """503: GitHub has another callback for this server's application."""

    default = (
        "GitHub has another callback for this server's application than PUBLIC_URL/api/auth/github/callback, so nobody "
        "can sign in with it. Tell an operator of this server."
    )


class LastingRefusal(ProviderException):  # type: ignore[misc]  # allauth is untyped
    """What GitHub refuses until somebody sets it right; `shown` says so to the person."""

    def __init__(self, message: str, shown: ApplicationError) -> None:
        super().__init__(message)
        self.shown = shown


class SignInLost(Malformed):
    """400: the answer from GitHub belongs to no sign-in of this browser."""

    default = "This sign-in took too long or began in another browser. Please start again."


class SignInCanceled(Malformed):
    """400: the person said no at GitHub."""

    default = "You canceled the sign-in at GitHub. Nothing was changed."


class OrganizationsHidden(Forbidden):
    """403: whether the person still belongs here can't be seen."""

    default = (
        "GitHub does not show all of your organizations. Sign in to your organization's single sign-on at GitHub, or "
        "allow this application there, and try again."
    )


class SignInTwice(Conflict):
    """409: two first sign-ins of one person at once."""

    default = "You are just signing in in another window. Please try again."


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth is untyped
    """Knows the client's address, and shows our own page to people who may not come in."""

    def get_client_ip(self, request: HttpRequest) -> str:
        """The address as far as trusted proxies tell it."""
        return client_address(request)

    def add_message(self, *_args: object, **_kwargs: object) -> None:
        """Say nothing: "Successfully signed in" above the approval page would read like an approval."""

    def login(self, request: HttpRequest, user: User) -> None:
        """Sign the browser in, and write it down."""
        super().login(request, user)
        audit.record("user.signed_in", actor=user, target=user)

    def respond_user_inactive(self, request: HttpRequest, user: User) -> HttpResponse:
        """Suspended, or waiting for approval."""
        return render(request, "accounts/shut_out.html", {"waiting": user.waitlisted_at is not None}, status=403)


class SocialAccountAdapter(DefaultSocialAccountAdapter):  # type: ignore[misc]  # allauth is untyped
    """Applies the sign-up policy and keeps our own columns in step with GitHub."""

    def is_open_for_signup(self, request: HttpRequest, sociallogin: SocialLogin) -> bool:
        """Whether the policy lets this new person in (a waiting list lets everybody join it)."""
        policy = signup_policy.current()
        if policy.fit(_account(policy, sociallogin)) == Fit.FITS:
            return True
        raise ImmediateHttpResponse(render(request, "accounts/not_on_the_list.html", status=403))

    def is_auto_signup_allowed(self, request: HttpRequest, sociallogin: SocialLogin) -> bool:
        """Always, unless the e-mail address is somebody else's here: then nothing is made or kept."""
        email = _email(sociallogin)
        holders = User.objects.filter(email__iexact=email) if email else User.objects.none()
        # Since the look-up a moment ago the same person's first sign-in in another window may have come through.
        if holders.filter(github_id=int(sociallogin.account.uid)).exists():
            raise ImmediateHttpResponse(not_signed_in(request, SignInTwice()))
        if holders.exists():
            raise ImmediateHttpResponse(render(request, "accounts/address_taken.html", status=409))
        return True

    def populate_user(self, request: HttpRequest, sociallogin: SocialLogin, data: dict[str, Any]) -> User:  # noqa: ARG002
        """A new person's fields from GitHub's profile."""
        user: User = sociallogin.user
        user.username = str(data.get("username") or "")
        user.name = str(data.get("name") or "")[:255]
        user.email = _email(sociallogin)
        return user

    def save_user(self, request: HttpRequest, sociallogin: SocialLogin, form: object = None) -> User:
        """Make the person, their organization and the audit row together."""
        user: User = sociallogin.user
        user.github_id = int(sociallogin.account.uid)
        user.github_login = str(sociallogin.account.extra_data["login"])
        if settings.SIGNUP_POLICY == "waitlist":
            user.is_active, user.waitlisted_at = False, timezone.now()
        try:
            with transaction.atomic():
                super().save_user(request, sociallogin, form)
                users.ensure_personal_organization(user=user)
                _pin(sociallogin)
                audit.record("user.signed_up", actor=user, target=user)
        except IntegrityError as error:
            raise ImmediateHttpResponse(not_signed_in(request, SignInTwice())) from error
        return user

    def pre_social_login(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        """Follow a known person's changes at GitHub, and ask the sign-up policy about them again."""
        if not sociallogin.is_existing:
            return
        user: User = sociallogin.user
        login, email = str(sociallogin.account.extra_data["login"]), _email(sociallogin)
        # An address that GitHub no longer confirms is not kept; where its answer can't be read, nothing is known.
        is_read = sociallogin.account.extra_data.get("emails_are_read", False)
        users.follow_github(user=user, login=login, email=email if is_read else user.email)
        account = _account(signup_policy.current(), sociallogin)
        fit = leavers.at_sign_in(user=user, account=account, now=timezone.now())
        if fit == Fit.UNKNOWN:
            raise ImmediateHttpResponse(not_signed_in(request, OrganizationsHidden()))
        if fit == Fit.OUT:
            raise ImmediateHttpResponse(
                render(
                    request,
                    "accounts/not_on_the_list.html",
                    {"was_here": True, "has_ended": not user.is_active},
                    status=403,
                )
            )
        # Whoever is in again is so in an epoch of their own.
        user.refresh_from_db(fields=["is_active", "access_epoch", "cache_epoch"])

    def on_authentication_error(
        self,
        request: HttpRequest,
        provider: object,  # noqa: ARG002 - allauth's signature
        error: str | None = None,
        exception: Exception | None = None,
        extra_context: object = None,  # noqa: ARG002
    ) -> None:
        """Show our own page for each way in which a sign-in fails."""
        shown = _REFUSED_AT_ONCE.get(request.GET.get("error", "")) or _sign_in_error(error, exception)
        # An exception's words are ours, with GitHub's path, status and the name that it gives the error.
        logger.warning("sign-in failed: %s: %s", type(shown).__name__, exception or error)
        raise ImmediateHttpResponse(not_signed_in(request, shown, title="Sign-in failed"))


def way_back(request: HttpRequest) -> str:
    """Where the sign-in leads that this callback belongs to, if this browser began it; else "".

    A callback is a link, and may be somebody else's: nothing but its state is read from it.
    """
    state_id, target = request.session.get(LAST_SIGN_IN, ("", ""))
    return own_path(target) if state_id and state_id == request.GET.get("state") else ""


def refusal_of(request: HttpRequest) -> ApplicationError | None:
    """What GitHub sent the browser of a sign-in back with in place of a code, if it did."""
    name = request.GET.get("error")
    if name is None and "code" in request.GET:
        return None
    error = AuthError.CANCELLED if name == "access_denied" else AuthError.UNKNOWN
    return _REFUSED_AT_ONCE.get(name or "") or _sign_in_error(error, None)


def not_signed_in(request: HttpRequest, error: ApplicationError, *, title: str = "") -> HttpResponse:
    """The page for a sign-in that failed, with a way to begin again where that can help."""
    again = "" if isinstance(error, _LASTING) else sign_in_address(way_back(request))
    return error_response(request, error, title=title, sign_in=again)


_LASTING = (SignInRefused, WrongGitHubSettings, WrongCallback)

# What GitHub sends the browser back with, before anybody has approved anything.
_REFUSED_AT_ONCE = {"redirect_uri_mismatch": WrongCallback(), "application_suspended": SignInRefused()}


def _sign_in_error(error: str | None, exception: Exception | None) -> ApplicationError:
    if isinstance(exception, LastingRefusal):
        return exception.shown
    if exception is not None:
        return SignInTimeout() if isinstance(exception.__cause__, ServiceTimeout) else SignInFailed()
    return SignInCanceled() if error == AuthError.CANCELLED else SignInLost()


def _email(sociallogin: SocialLogin) -> str:
    addresses = [address.email for address in sociallogin.email_addresses if address.verified]
    return str(addresses[0])[:_LONGEST_EMAIL] if addresses else ""


def _account(policy: Policy, sociallogin: SocialLogin) -> Account:
    """What GitHub has just said of the person, for the sign-up policy."""
    profile = sociallogin.account.extra_data
    is_member = any(
        policy.is_listed_organization(login=each["login"], github_id=each["id"])
        for each in profile.get("organizations", [])
    )
    is_known = is_member or profile.get("organizations_are_all", False)
    return Account(
        github_id=int(sociallogin.account.uid),
        login=str(profile["login"]),
        email=_email(sociallogin),
        is_member=is_member if is_known else None,
    )


def _pin(sociallogin: SocialLogin) -> None:
    """Remember whose the listed names are by which a new person came in."""
    policy, profile = signup_policy.current(), sociallogin.account.extra_data
    signup_policy.pin(
        policy,
        logins=[(str(profile["login"]), int(sociallogin.account.uid))],
        organizations=[(each["login"], each["id"]) for each in profile.get("organizations", [])],
    )
