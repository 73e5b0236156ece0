"""What the operators' front page says about people and access."""

from datetime import datetime, timedelta

from django.db.models import Count, Q
from django.template.defaultfilters import pluralize
from django.urls import reverse

from accounts.models import AccessToken, AuditEvent, CLILogin, User
from core.dashboard import CHART_DAYS, Bars, Chart, Figure, chart_days, counts_by_day, midnight, stacked_bars

State = CLILogin.State


def figures(*, now: datetime) -> list[Figure]:
    """People, who waits, tokens in use, and today's CLI logins: three queries."""
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
