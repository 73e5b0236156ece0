"""What must be true when all is calm again, looked at from outside: by the API, at Fly and Nango, and in the tables."""

import json
import time
from collections import Counter
from collections.abc import Iterable
from typing import Any

from tests.bad_days.storm.model import ABSENT, PAUSED, Journal
from tests.bad_days.storm.operations import Owner, Workspace
from tests.bad_days.storm.people import Person
from tests.bad_days.storm.world import World

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
# A minute passes: what was sent for a connection has arrived by now, and what failed may be tried again.
_TIME_PASSES = (
    "UPDATE integrations_connection SET claimed_at = claimed_at - interval '5 minutes', try_again_at = NULL",
    "UPDATE clouddev_machine SET heartbeat_at = now() - interval '1 minute' WHERE heartbeat_at > now()",
    "UPDATE clouddev_cronrun SET next_step_at = next_step_at - interval '90 seconds' WHERE finished_at IS NULL",
)
_ONCE = {
    "machine.create_requested", "machine.created", "machine.destroyed", "machine.failed", "connection.deleted",
    "cron_job.created", "cron_job.deleted", "access_token.issued", "access_token.revoked", "build.pushed",
    "build.released", "build.failed", "build.canceled", "build.interrupted", "cli_login.approved",
    "deployment.prepared",
}  # fmt: skip


class Invariants:
    """Looks, and complains to the journal."""

    def __init__(self, world: World, journal: Journal, owners: list[Owner], people: list[Person]) -> None:
        self.world, self.journal, self.owners, self.people = world, journal, owners, people

    def wait_for_quiet(self) -> None:
        """Wait until nothing is under way any more, within a bound."""
        for job in _TIME_PASSES:
            self.world.change(job)
        self.world.change("UPDATE clouddev_cronjob SET next_run_at = now() + interval '1 day'")
        until, calm = time.monotonic() + _QUIET_WITHIN_SECONDS, 0
        while calm < 2:
            unrest = [row["what"] for row in self.world.select(_UNREST)]
            calm = 0 if unrest else calm + 1
            self.journal.note("rest", f"{unrest}")
            if time.monotonic() > until:
                self._complain(f"not at rest within {_QUIET_WITHIN_SECONDS} s: {unrest}")
                return
            time.sleep(1)

    def check(self) -> None:
        """All of them."""
        self.state = self.world.sandbox.state()
        self.audit = self.world.select("SELECT * FROM accounts_auditevent ORDER BY at")
        for owner in self.owners:
            if not owner.log_in_again():
                continue
            for one in owner.workspaces:
                self._check_workspace(owner, one)
                self._check_jobs(owner, one)
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

    def _rows(self, action: str, **details: object) -> list[dict[str, Any]]:
        rows = (row for row in self.audit if row["action"] == action)
        return [row for row in rows if all(row["details"].get(name) == value for name, value in details.items())]

    def _count(self, least: int, most: int, action: str, **details: object) -> None:
        found = len(self._rows(action, **details))
        if not least <= found <= most:
            self._complain(f"{found} rows {action} of {details}, and not {least} to {most}")

    # What people were promised.

    def _check_workspace(self, owner: Owner, one: Workspace) -> None:
        answer = owner.ask("GET", f"/api/cloud-dev/status?appName={one.thing.name}")
        told = answer.data["data"]
        is_like = {"not_found": ABSENT, "running": "started", "stopped": "stopped"}.get(told["status"], told["status"])
        said = told["status"] == "error" and told.get("error")
        said = said or ("could not be" in told.get("message", "") and is_like in {"started", "stopped"})
        woken = one.may_be_woken and is_like == "started"
        if (is_like not in one.thing.may and not (said or woken)) or (said and one.thing.may == {ABSENT}):
            self._complain(f"workspace {one.thing.name} is {told}, and not {one.thing.may}")
        for fly_name in one.fly_names:
            self._count(1, 1, "machine.create_requested", fly_app=fly_name)
            self._count(fly_name in one.destroyed, 1, "machine.destroyed", fly_app=fly_name)
        action = "machine.kept_alive"
        self._count(one.thing.least[action], one.thing.most[action], action, app=one.thing.name)

    def _check_jobs(self, owner: Owner, one: Workspace) -> None:
        for job_id, job in one.jobs.items():
            answer = owner.ask("GET", f"/api/cron/jobs/{job_id}/runs")
            if answer.status == 200 and not job.may_be_there:
                self._complain(f"the cron job {job_id}, which was deleted, is there")
            if answer.status == 404 and job.is_there and one.thing.is_there:
                self._complain(f"the cron job {job_id} is not there")
            found = [row for row in self.audit if row["target_id"] == job_id]
            for action in ("cron_job.created", "cron_job.deleted"):
                count = len([row for row in found if row["action"] == action])
                if not job.least[action] <= count <= job.most[action]:
                    self._complain(f"{count} rows {action} of {job_id}")

    def _check_connections(self, owner: Owner) -> None:
        for one in owner.connections:
            held = self.state["nango"]["connections"].get(one.name)
            found = held["credentials"].get("apiKey") if held else ABSENT
            if found not in one.may:
                self._complain(
                    f"connection {one.name} is {'absent' if held is None else 'another'} at Nango: {one.may}"
                )
            made = self._rows("connection.created", connection_id=one.name)
            made += self._rows("connection.replaced", connection_id=one.name)
            if not one.least["made"] <= len(made) <= one.most["made"]:
                self._complain(f"{len(made)} rows of making the connection {one.name}: {one.least} to {one.most}")
            action = "connection.deleted"
            self._count(one.least[action], one.most[action], action, connection_id=one.name)

    def _check_app(self, owner: Owner) -> None:
        rows = self.world.select(
            "SELECT b.* FROM deployments_build b JOIN deployments_deployment d ON d.id = b.deployment_id"
            " WHERE d.app_name = %s ORDER BY b.released_at NULLS FIRST",
            owner.app.thing.name,
        )
        builds = {str(row["id"]): row for row in rows}
        for build_id in owner.app.builds:
            if (build := builds.get(build_id)) is None:
                self._complain(f"build {build_id} of {owner.app.thing.name} is lost")
            elif build["state"] not in {"live", "released"} and not build["error"]:
                self._complain(f"build {build_id} is {build['state']} without a sentence")
            elif (
                len([row for row in self.audit if (row["action"], row["target_id"]) == ("build.pushed", build_id)]) != 1
            ):
                self._complain(f"build {build_id} was not written down once")
        released = [row for row in rows if row["released_at"]]
        if owner.app.thing.is_there and released:
            self._check_version(owner, released[-1]["commit"])

    def _check_version(self, owner: Owner, commit: str) -> None:
        """Fly runs what is recorded as released last."""
        found = self.world.select(
            "SELECT fly_app_id FROM deployments_deployment WHERE app_name = %s", owner.app.thing.name
        )
        fly_name = found[0]["fly_app_id"]
        machines = [one for one in self.state["fly"]["machines"].values() if one["app"] == fly_name]
        told = [
            one["config"]["metadata"].get("crayon_commit") or one["config"]["env"].get("CRAYON_COMMIT")
            for one in machines
        ]
        if told != [commit]:
            self._complain(f"{fly_name} runs {told}, and {commit} was released last")

    def _check_tokens(self) -> None:
        for token in self.journal.tokens:
            answer = self.people[0].call("GET", "/api/cloud-dev/list", token=token.value)
            fate = self.journal.fate_of(token, began=answer.began, ended=answer.ended)
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
        for query in (
            "SELECT datname AS name FROM pg_database WHERE datname ~ '^crayon_dev_'",
            "SELECT rolname AS name FROM pg_roles WHERE rolname ~ '^crayon_dev_'",
        ):
            if (found := {row["name"] for row in self.world.select(query)}) != known:
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
            ends = self.journal.ends.get(login, [])
            promised, tried = [end for end in ends if end.is_promise], [end for end in ends if end.is_open]
            found = [row for row in self._rows("user.sessions_revoked") if row["actor_label"].lower() == login]
            if not len(promised) <= len(found) <= len(promised) + len(tried):
                self._complain(f"{login} signed out everywhere {len(promised)} times, with {len(found)} rows")

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
            started = [
                run for run in runs if (run["claims"]["app"], run["input"]) == about and run["runId"] not in known
            ]
            if len(started) > len(unheard):
                self._complain(f"{about} was started {len(started)} times too many for {len(unheard)} ticks")
        for one in (one for owner in self.owners for one in owner.workspaces):
            self._check_pauses(one, rows)

    def _check_pauses(self, one: Workspace, rows: Iterable[dict[str, Any]]) -> None:
        for job_id, paused_at in one.paused_at.items():
            if job_id in one.jobs and one.jobs[job_id].may == {PAUSED}:
                late = [
                    row for row in rows if str(row["job_id"]) == job_id and row["started_at"].timestamp() > paused_at
                ]
                if late:
                    self._complain(f"the paused cron job {job_id} was started")
