"""What must be true when all is calm again, looked at from outside: by the API, at Fly and Nango, and in the tables."""

import json
import time
from collections import Counter

from tests.resilience.storm.model import ABSENT, GOING, MEMBER, PAUSED, Journal, Thing, promised
from tests.resilience.storm.owners import Owner
from tests.resilience.storm.people import Person
from tests.resilience.storm.workspaces import Workspace
from tests.resilience.storm.world import World

_QUIET_WITHIN_SECONDS = 90
_UNREST = """
SELECT 'workspace ' || app_name || ' ' || state AS what FROM clouddev_machine
 WHERE state IN ('creating', 'undoing', 'destroying') OR (state = 'ready' AND wanted_at IS NOT NULL)
UNION ALL SELECT 'build ' || id || ' ' || state FROM deployments_build
 WHERE finished_at IS NULL AND accepted_at IS NOT NULL OR finished_at IS NOT NULL AND archive <> ''
UNION ALL SELECT 'connection ' || connection_id || ' ' || state FROM integrations_connection WHERE state <> 'active'
UNION ALL SELECT 'cron run ' || id || ' ' || state FROM clouddev_cronrun
 -- One that runs on a workspace which was stopped goes on when that is started.
 WHERE finished_at IS NULL AND state <> 'running'
"""
# Nothing more is due, and whatever requests had sent has arrived long ago.
_NOTHING_NEW = """
UPDATE fly_flyapp SET claimed_at = claimed_at - interval '5 minutes';
UPDATE clouddev_cronjob SET next_run_at = now() + interval '1 day';
UPDATE integrations_connection SET claimed_at = claimed_at - interval '5 minutes'
"""
_ONCE = {
    "machine.create_requested", "machine.created", "machine.destroyed", "machine.failed", "connection.deleted",
    "cron_job.created", "cron_job.deleted", "access_token.issued", "access_token.revoked", "build.pushed",
    "build.released", "build.failed", "build.canceled", "build.interrupted", "cli_login.approved",
    "deployment.prepared", "webhook_token.issued", "webhook_token.revoked",
}  # fmt: skip
# Either is how a connection may come about.
_MADE = {"connection.created": "made", "connection.replaced": "made"}
_WORDS = {"not_found": ABSENT, "running": "started", "stopped": "stopped"}


class Invariants:
    """Looks, and complains to the journal."""

    def __init__(self, world: World, journal: Journal, owners: list[Owner], people: list[Person]) -> None:
        self.world, self.journal, self.owners, self.people = world, journal, owners, people

    def wait_for_quiet(self) -> None:
        """Wait until nothing is under way any more, within a bound."""
        self.world.change(_NOTHING_NEW)
        until, calm = time.monotonic() + _QUIET_WITHIN_SECONDS, 0
        while calm < 2:
            self.world.hurry()
            time.sleep(0.5)
            unrest = [row["what"] for row in self.world.select(_UNREST)]
            calm = 0 if unrest else calm + 1
            self.journal.note("rest", f"{unrest}")
            if time.monotonic() > until:
                self._complain(f"not at rest within {_QUIET_WITHIN_SECONDS} s: {unrest}")
                return

    def check(self) -> None:
        """All of them."""
        self.state = self.world.sandbox.state()
        audit = self.world.select("SELECT * FROM accounts_auditevent ORDER BY at")
        self.audit = [row | {"action": _MADE.get(row["action"], row["action"])} for row in audit]
        for owner in self.owners:
            if not owner.log_in(tries=5):
                continue
            for one in owner.workspaces.all:
                self._check_workspace(owner, one)
                self._check_friend(owner, one)
                self._check_jobs(owner, one)
                self._check_webhook_tokens(one)
                self._check_rows(one.thing, *one.jobs.values(), *one.tokens.values())
            self._check_connections(owner)
            self._check_app(owner)
        self._check_tokens()
        self._check_fly()
        self._check_databases()
        self._check_nango()
        self._check_once()
        self._check_secrets()
        self._check_cron()

    def _complain(self, what: str) -> None:
        self.journal.complain("in the end", what)

    def _check_rows(self, *things: Thing) -> None:
        for thing in things:
            for complaint in thing.miscounted(self.audit):
                self._complain(complaint)

    # What people were promised.

    def _check_workspace(self, owner: Owner, one: Workspace) -> None:
        told = owner.ask("GET", f"/api/cloud-dev/status?appName={one.thing.name}").data
        is_like = _WORDS.get(told["status"], told["status"])
        said = told["status"] == "error" and told.get("error")
        said = said or ("could not be" in told.get("message", "") and is_like in {"started", "stopped"})
        woken = one.may_be_woken and is_like == "started"
        if (is_like not in one.thing.may and not (said or woken)) or (said and not one.thing.may_be_there):
            self._complain(f"workspace {one.thing.name} is {told}, and not {one.thing.may}")
        for fly_name in one.fly_names:
            life = Thing(fly_name, fly_app=fly_name)
            life.least["machine.create_requested"], life.most["machine.create_requested"] = 1, 1
            life.least["machine.destroyed"], life.most["machine.destroyed"] = fly_name in one.destroyed, 1
            self._check_rows(life)

    def _check_friend(self, owner: Owner, one: Workspace) -> None:
        """Who is a member, and whose it is."""
        rows = self.world.select(
            "SELECT lower(u.github_login) AS login, lower(o.github_login) AS owner FROM clouddev_member b"
            " JOIN clouddev_machine m ON m.id = b.machine_id JOIN accounts_user u ON u.id = b.user_id"
            " JOIN accounts_user o ON o.id = m.owner_id WHERE m.app_name = %s",
            one.thing.name,
        )
        members, owners = {row["login"] for row in rows}, {row["owner"] for row in rows}
        friend = owner.workspaces.friend.login
        if rows and (MEMBER if friend in members else ABSENT) not in one.friend.may:
            self._complain(f"{one.thing.name} has the members {members}: {friend} is {one.friend.may}")
        if owners - one.owner.may or members - {owner.login, friend}:
            self._complain(f"{one.thing.name} has the members {members}, is {owners}', and not {one.owner.may}'")

    def _check_webhook_tokens(self, one: Workspace) -> None:
        answer = self.people[0].call("GET", f"/api/cloud-dev/revoked-tokens?app={one.fly_name or 'none'}")
        rows = {str(row["jti"]): row for row in self.world.select("SELECT * FROM clouddev_webhooktoken")}
        for jti, token in one.tokens.items():
            if (row := rows.get(jti)) is None:
                is_right = ABSENT in token.may
            elif row["revoked_at"]:
                is_right = ABSENT in token.may or bool(self.journal.ends.get(one.logins[jti]))
                is_right = is_right and (not one.fly_name or jti in answer.data["jtis"])
            else:
                is_right = GOING in token.may
            if not is_right:
                self._complain(f"the webhook token {jti} is {row}, and not {token.may}")

    def _check_jobs(self, owner: Owner, one: Workspace) -> None:
        for job_id, job in one.jobs.items():
            answer = owner.ask("GET", f"/api/cron/jobs/{job_id}/runs")
            if answer.status == 200 and not job.may_be_there:
                self._complain(f"the cron job {job_id}, which was deleted, is there")
            if answer.status == 404 and job.is_there and one.thing.is_there:
                self._complain(f"the cron job {job_id} is not there")

    def _check_connections(self, owner: Owner) -> None:
        self._check_rows(*owner.connections)
        for one in owner.connections:
            held = self.state["nango"]["connections"].get(one.name)
            found = held["credentials"].get("apiKey") if held else ABSENT
            if found not in one.may:
                self._complain(f"connection {one.name} is {'another' if held else 'absent'} at Nango: {one.may}")

    def _check_app(self, owner: Owner) -> None:
        rows = self.world.select(
            "SELECT b.*, d.fly_app_id FROM deployments_build b JOIN deployments_deployment d ON d.id = b.deployment_id"
            " WHERE d.app_name = %s ORDER BY b.released_at NULLS FIRST",
            owner.app.name,
        )
        builds = {str(row["id"]): row for row in rows}
        for build_id in owner.builds:
            pushed = [row for row in self.audit if (row["action"], row["target_id"]) == ("build.pushed", build_id)]
            if (build := builds.get(build_id)) is None:
                self._complain(f"build {build_id} of {owner.app.name} is lost")
            elif build["state"] not in {"live", "released"} and not build["error"]:
                self._complain(f"build {build_id} is {build['state']} without a sentence")
            elif len(pushed) != 1:
                self._complain(f"build {build_id} was written down {len(pushed)} times")
        if owner.app.is_there and rows and rows[-1]["released_at"]:
            self._check_version(rows[-1]["fly_app_id"], rows[-1]["commit"])

    def _check_version(self, fly_name: str, commit: str) -> None:
        """Fly runs what is recorded as released last."""
        configs = [one["config"] for one in self.state["fly"]["machines"].values() if one["app"] == fly_name]
        told = [config["metadata"].get("crayon_commit") or config["env"].get("CRAYON_COMMIT") for config in configs]
        if told != [commit]:
            self._complain(f"{fly_name} runs {told}, and {commit} was released last")

    def _check_tokens(self) -> None:
        for token in self.journal.tokens:
            answer = self.people[0].call("GET", "/api/cloud-dev/list", token=token.value)
            fate = self.journal.fate_of(token, answer)
            if answer.status != {"alive": 200, "dead": 401}.get(fate, answer.status):
                self._complain(f"the token of {token.host} is {fate}, and was answered with {answer.status}")

    # What nobody knows of, and what nobody may.

    def _check_fly(self) -> None:
        fly = self.state["fly"]
        apps = {name for name, app in fly["apps"].items() if app["ours"]}
        ready = self.world.select("SELECT * FROM clouddev_machine WHERE state = 'ready'")
        deployed = {row["fly_app_id"] for row in self.world.select("SELECT fly_app_id FROM deployments_deployment")}
        used = {row["fly_app_id"] for row in ready}
        if strange := apps - used - deployed:
            self._complain(f"apps at Fly that nothing uses: {strange}")
        if missing := used - apps:
            self._complain(f"workspaces without an app at Fly: {missing}")
        for row in ready:
            for kind, expected in (("machines", row["fly_machine_id"]), ("volumes", row["volume_id"])):
                found = [key for key, held in fly[kind].items() if held["app"] == row["fly_app_id"]]
                if found != [expected]:
                    self._complain(f"{row['app_name']} has the {kind} {found} at Fly, and {expected} is recorded")
        for name in deployed:
            machines = [key for key, held in fly["machines"].items() if held["app"] == name]
            if len(machines) > 1:
                self._complain(f"{name} has the machines {machines} at Fly")

    def _check_databases(self) -> None:
        rows = self.world.select("SELECT database_schema FROM clouddev_machine WHERE state = 'ready'")
        known = {row["database_schema"] for row in rows if row["database_schema"]}
        for query in ("SELECT datname AS name FROM pg_database", "SELECT rolname AS name FROM pg_roles"):
            found = {row["name"] for row in self.world.select(query) if row["name"].startswith("crayon_dev_")}
            if found != known:
                self._complain(f"databases: {found - known} are nobody's, {known - found} are missing")

    def _check_nango(self) -> None:
        rows = {row["connection_id"] for row in self.world.select("SELECT connection_id FROM integrations_connection")}
        if (held := set(self.state["nango"]["connections"])) != rows:
            self._complain(f"connections: {held - rows} at Nango alone, {rows - held} here alone")

    def _check_once(self) -> None:
        told = Counter((row["action"], row["target_id"] + str(row["details"].get("fly_app", ""))) for row in self.audit)
        for (action, target), count in told.items():
            if action in _ONCE and count > 1:
                self._complain(f"{count} rows {action} of {target}")
        for login in {owner.login for owner in self.owners}:
            links = [owner.followed for owner in self.owners if owner.login == login]
            least, most = (sum(getattr(one, end).total() for one in links) for end in ("least", "most"))
            self._check_count(login, "connect_link.followed", least, most)
            ends = self.journal.ends.get(login, [])
            self._check_count(login, "user.sessions_revoked", len(promised(ends)), len(ends))

    def _check_count(self, login: str, action: str, least: int, most: int) -> None:
        rows = [row for row in self.audit if (row["action"], row["actor_label"].lower()) == (action, login)]
        if not least <= len(rows) <= most:
            self._complain(f"{len(rows)} rows {action} by {login}, and not {least} to {most}")

    def _check_secrets(self) -> None:
        places = self.world.written() | {"the audit trail": json.dumps(self.audit, default=str)}
        asked = self.world.sandbox.requests()
        places["addresses"] = "\n".join(f"{entry['path']}?{entry['query']}" for entry in asked)
        for place, text in places.items():
            if found := [name for name, secret in self.journal.secrets.items() if secret in text]:
                self._complain(f"secrets in {place}: {found}")

    def _check_cron(self) -> None:
        if twice := self.world.ground.built_twice_at_once():
            self._complain(f"two flyctl at once for {twice}")
        rows = self.world.select(
            "SELECT r.*, j.input, m.fly_app_id FROM clouddev_cronrun r JOIN clouddev_cronjob j ON j.id = r.job_id"
            " JOIN clouddev_machine m ON m.id = j.machine_id"
        )
        runs = self.state["fly"]["runs"].values()
        known = {row["run_id"] for row in rows}
        for about in {(row["fly_app_id"], row["input"]) for row in rows}:
            mine = [row for row in rows if (row["fly_app_id"], row["input"]) == about]
            # Nobody heard of these, so that at most one was started for each.
            unheard = [row for row in mine if row["sent_at"] and not row["run_id"]]
            started = [r for r in runs if (r["claims"]["app"], r["input"]) == about and r["runId"] not in known]
            if len(started) > len(unheard):
                self._complain(f"{about} was started {len(started)} times too many for {len(unheard)} ticks")
        for one in (one for owner in self.owners for one in owner.workspaces.all):
            for job_id, paused_at in one.paused_at.items():
                late = [r for r in rows if str(r["job_id"]) == job_id and r["started_at"].timestamp() > paused_at]
                if late and one.jobs[job_id].may == {PAUSED}:
                    self._complain(f"the paused cron job {job_id} was started")
