"""A database that has been in use for years, made in a second: what is over is there by the thousand."""

from datetime import timedelta
from typing import Any

from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.db import connection, models
from django.utils import timezone

from accounts.models import AuthorizationCode, CLILogin, Login, RefreshToken, User
from accounts.models.tokens import AccessToken
from integrations.models import Connection
from tests.accounts.keys import personal
from tests.accounts.oauth.flows import make_client
from tests.accounts.organization_builders import invite, make_organization
from tests.clouddev.builders import make_machine, make_offer
from tests.clouddev.cron_jobs import make_job, make_run
from tests.conftest import token_of
from tests.deployments.builders import make_build, make_deployment
from tests.operators import make_departure

_OLD = "now() - n * interval '91 days' / rows"


def grow(person: User, rows: int) -> None:
    """Fill the tables that grow with so many rows each; all but one in a thousand is over, or at rest."""
    at = timezone.now() - timedelta(days=92)
    _grow_sessions(person, rows)
    token_of(person)
    late = "now() + CASE WHEN n % 1000 = 0 THEN interval '-40 days' ELSE interval '90 days' END"
    revoked = "CASE WHEN n % 1000 = 1 THEN now() - interval '40 days' WHEN n % 10 = 2 THEN now() END"
    _multiply(
        AccessToken.objects.get(), rows, digest="decode(md5(n::text), 'hex')", expires_at=late, revoked_at=revoked
    )
    _multiply(personal(person).row, rows, digest="decode(md5('key' || n), 'hex')", expires_at=late, revoked_at=revoked)
    login = CLILogin.objects.create(
        code="zz", secret_digest=b"", created_at=at, expires_at=at, state="collected", decided_at=at, decided_by=person
    )
    over = "now() - CASE WHEN n % 1000 = 0 THEN interval '2 days' ELSE interval '1 hour' END"
    _multiply(login, rows, code="to_hex(n)", expires_at=over)
    login_of_app = Login.objects.create(
        user=person, organization=person.personal_organization, created_at=at, ends_at=timezone.now()
    )
    _multiply(login_of_app, rows, ends_at=late, revoked_at=revoked)
    _grow_oauth(login_of_app, rows)
    over = "now() + CASE WHEN n % 1000 = 0 THEN interval '-31 days' ELSE interval '-3 days' END"
    made = invite(make_organization(person), "invited@example.com", by=person).invitation
    _multiply(made, rows, digest="decode(md5(n::text), 'hex')", email="n || '@example.com'", expires_at=over)
    over = "now() - CASE WHEN n % 1000 = 0 THEN interval '366 days' ELSE interval '1 day' END"
    _multiply(make_departure(person, outcome="back", closed_at=at), rows, key="-n", closed_at=over)

    app = make_deployment(person, "shop")
    _multiply(app.fly_app, 2 * rows, key="'app-' || n")
    _multiply(app, rows, fly_app_id="'app-' || n", app_name="'app-' || n")
    build = make_build(app, state="live", finished_at=at, released_at=at)
    _multiply(build, rows, created_at=_OLD, accepted_at=_OLD, finished_at=_OLD, archive="''",
              state="(ARRAY['live', 'live', 'failed', 'released'])[1 + n % 4]")  # fmt: skip
    machine = make_machine(person)
    numbered = "md5('machine-' || n)::uuid"
    _multiply(machine, rows, key=numbered, fly_app_id="'app-' || rows + n", app_name="'machine-' || n")
    over = "now() + CASE WHEN n % 1000 = 0 THEN interval '-1 hour' ELSE interval '9 days' END"
    _multiply(make_offer(machine, person), rows, machine_id=numbered, expires_at=over)
    job = make_job(machine, next_run_at=timezone.now() + timedelta(hours=1))
    _multiply(job, rows, workflow_name="'job-' || n")
    run = make_run(job, at, state="succeeded", finished_at=at)
    _multiply(run, rows, due_at=_OLD, finished_at=_OLD, next_step_at=_OLD)
    own = Connection.objects.create(
        integration_id="acme", connection_id="one", owner=person, organization=person.personal_organization,
        created_at=at,
    )  # fmt: skip
    _multiply(own, rows, connection_id="'connection-' || n")
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def _grow_oauth(login: Login, rows: int) -> None:
    """Codes and refresh tokens, of which one in a thousand has been over for long."""
    now = timezone.now()
    over = "now() + CASE WHEN n % 1000 = 0 THEN interval '-2 days' ELSE interval '9 days' END"
    digest = "decode(md5(n::text), 'hex')"
    code = AuthorizationCode.objects.create(
        digest=b"", client=make_client(), user=login.user, organization=login.organization, redirect_uri="",
        code_challenge="", access_epoch=0, expires_at=now,
    )  # fmt: skip
    _multiply(code, rows, digest=digest, expires_at=over)
    token = RefreshToken.objects.create(digest=b"", login=login, created_at=now, expires_at=now)
    _multiply(token, rows, digest=digest, expires_at=over)


def _grow_sessions(person: User, rows: int) -> None:
    """Browser sessions, of which one in a thousand has expired, and the rows that name them."""
    now = timezone.now()
    expires = "now() + CASE WHEN n % 1000 = 0 THEN -1 ELSE 1 END * interval '1 hour'"
    session = Session.objects.create(session_key="key", session_data="", expire_date=now + timedelta(hours=1))
    _multiply(session, rows, key="md5(n::text)", expire_date=expires)
    listed = UserSession.objects.create(user=person, ip="127.0.0.1", session_key="key", user_agent="")
    _multiply(listed, rows, key="-n", session_key="md5(n::text)")


def _multiply(row: models.Model, rows: int, *, key: str = "gen_random_uuid()", **expressions: Any) -> None:
    """Copies of the row that differ in these columns: expressions in SQL, of `n` and `rows`."""
    columns = {row._meta.pk.column: key, **expressions}
    changed = ", ".join(f"'{name}', {expression}" for name, expression in columns.items())
    table = row._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} SELECT copied.* FROM {table} old, generate_series(1, %s) n,"
            " LATERAL (SELECT %s AS rows) r,"
            f" jsonb_populate_record(old, jsonb_build_object({_escaped(changed)})) copied"
            f" WHERE old.{row._meta.pk.column} = %s",
            [rows, rows, row.pk],
        )


def _escaped(sql: str) -> str:
    return sql.replace("%", "%%")
