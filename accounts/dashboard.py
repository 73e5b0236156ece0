"""What the operators' front page says about people and access."""

from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Count, Exists, OuterRef, Q
from django.template.defaultfilters import pluralize
from django.urls import reverse

from accounts.models import AccessToken, AuditEvent, CLILogin, Departure, ProviderLook, User
from accounts.services.provider_looks import SIGN_UP_POLICY
from core.dashboard import CHART_DAYS, Bars, Chart, Figure, chart_days, counts_by_day, midnight, stacked_bars

State = CLILogin.State


def figures(*, now: datetime) -> list[Figure]:
    """People, who waits, who left, tokens in use, and today's CLI logins: four queries at most."""
    return [*_people(now), _tokens(now), _logins(now)]


def logins_by_day(*, now: datetime) -> Chart:
    """CLI logins approved and denied on each of the last 14 days (UTC), from the audit trail."""
    days = chart_days(now)
    decisions = AuditEvent.objects.filter(action__in=["cli_login.approved", "cli_login.denied"])
    counts = counts_by_day(decisions, at="at", kind="action", now=now)
    approved = [counts[day, "cli_login.approved"] for day in days]
    denied = [counts[day, "cli_login.denied"] for day in days]
    logins = f"CLI login{pluralize(sum(approved))}"
    sentence = f"{sum(approved)} {logins} approved and {sum(denied)} denied in the last {CHART_DAYS} days."
    bars = [
        Bars("Approved", approved, "var(--color-primary-500)"),
        Bars("Denied", denied, "var(--color-base-400)"),
    ]
    return stacked_bars(days=days, bars=bars, sentence=sentence)


def latest_events(*, limit: int = 8) -> list[AuditEvent]:
    """The newest rows of the audit trail."""
    return list(AuditEvent.objects.all()[:limit])


def _people(now: datetime) -> list[Figure]:
    counts = User.objects.aggregate(
        all=Count("pk"),
        new=Count("pk", filter=Q(date_joined__gte=now - timedelta(days=7))),
        waiting=Count("pk", filter=Q(is_active=False, waitlisted_at__isnull=False)),
        suspended=Count("pk", filter=Q(is_active=False, waitlisted_at=None)),
        out=Count("pk", filter=Q(is_active=False) & Q(Exists(Departure.objects.open().filter(user=OuterRef("pk"))))),
    )
    people = reverse("admin:accounts_user_changelist")
    return [
        Figure(
            title="New people",
            value=counts["new"],
            note=f"in 7 days, of {counts['all']}; {counts['suspended']} suspended",
            path=people,
            icon="group_add",
        ),
        Figure(
            title="Waiting for approval",
            value=counts["waiting"],
            note="on the waiting list",
            path=f"{people}?state=waiting",
            icon="hourglass_top",
            tone="warning" if counts["waiting"] else "",
        ),
        *_leavers(counts["out"]),
    ]


def _leavers(out: int) -> list[Figure]:
    """Who is out for not fitting the sign-up policy; in red while they go unnoticed. Nothing where there is neither."""
    is_a_list = settings.SIGNUP_POLICY == "allowlist"
    failing = [look for look in ProviderLook.objects.all() if look.failures] if is_a_list else []
    if not out and not failing:
        return []
    is_loud = any(look.is_blind or look.name == SIGN_UP_POLICY for look in failing)
    note = f"not looked for: {failing[0].name} fails" if failing else "out for not fitting the sign-up policy"
    return [
        Figure(
            title="Leavers",
            value=out,
            note=note,
            path=f"{reverse('admin:accounts_departure_changelist')}?outcome__exact=out",
            icon="door_open",
            tone="danger" if is_loud else "warning" if failing else "",
        )
    ]


def _tokens(now: datetime) -> Figure:
    counts = AccessToken.objects.working(now=now).aggregate(
        all=Count("pk"), used=Count("pk", filter=Q(last_used_at__gte=now - timedelta(days=1)))
    )
    return Figure(
        title="Active tokens",
        value=counts["used"],
        note=f"used in 24 hours, of {counts['all']} working",
        path=f"{reverse('admin:accounts_accesstoken_changelist')}?state=working",
        icon="key",
    )


def _logins(now: datetime) -> Figure:
    counts = CLILogin.objects.filter(created_at__gte=midnight(now)).aggregate(
        all=Count("pk"),
        approved=Count("pk", filter=Q(state__in=[State.APPROVED, State.COLLECTED])),
        denied=Count("pk", filter=Q(state=State.DENIED)),
        expired=Count("pk", filter=Q(state=State.PENDING, expires_at__lte=now)),
    )
    return Figure(
        title="CLI logins today",
        value=counts["all"],
        note=f"{counts['approved']} approved, {counts['denied']} denied, {counts['expired']} expired",
        path=reverse("admin:accounts_clilogin_changelist"),
        icon="terminal",
    )
