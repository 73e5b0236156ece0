"""What alice and bob do with their workspaces, cron jobs, connections and apps; and charlie, who must see nothing."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.bad_days.storm.model import ABSENT, GOING, PAUSED, STARTED, STOPPED, Answer, Thing
from tests.bad_days.storm.people import Person
from tests.deployments.packing import entry, packed

WORKFLOW = {"nightly": {"seconds": 1}}


@dataclass
class Workspace:
    """One of a person's workspaces, with its lives at Fly and its cron jobs."""

    thing: Thing
    fly_name: str = ""
    fly_names: list[str] = field(default_factory=list)
    destroyed: set[str] = field(default_factory=set)
    jobs: dict[str, Thing] = field(default_factory=dict)
    # Whether a cron job may have woken it since.
    may_be_woken: bool = False
    paused_at: dict[str, float] = field(default_factory=dict)


@dataclass
class App:
    """One of a person's apps, with the builds that were promised."""

    thing: Thing
    builds: list[str] = field(default_factory=list)


class Owner(Person):
    """Somebody who makes things, and unmakes them."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.workspaces = [Workspace(Thing(f"{self.name}-{letter}")) for letter in "ab"]
        self.connections = [Thing(f"{self.name}-{letter}") for letter in "cde"]
        self.app = App(Thing(f"{self.name}-app"))
        self._count = 0

    def deeds(self) -> dict[Callable[[], None], int]:
        return {
            self.use_workspace: 40, self.use_cron: 20, self.use_connection: 26, self.use_app: 20,
            self.look_around: 4, self.log_out: 1, self.sign_out_everywhere: 1,
        }  # fmt: skip

    def _number(self) -> int:
        self._count += 1
        return self._count

    def _maybe_twice(self, method: str, path: str, body: Any = None, *, twice: float = 0.2) -> tuple[Answer, ...]:
        if self.random.random() < twice:
            return self.ask_twice(method, path, body)
        return (self.ask(method, path, body),)

    # Workspaces.

    def use_workspace(self) -> None:
        one = self.random.choice(self.workspaces)
        if one.thing.may == {ABSENT}:
            self._create(one)
            return
        deeds = {
            self._hurry: 5, self._start: 2, self._stop: 2, self._create: 1, self._destroy: 2, self._keep: 2,
            self._look: 4, self._ssh: 1,
        }  # fmt: skip
        (deed,) = self.random.choices(list(deeds), weights=list(deeds.values()))
        deed(one)

    def _create(self, one: Workspace) -> None:
        marker = self.journal.keep_secret(f"variable {self._number()} of {self.name}", f"fake-{self.random.random()}")
        variables = {"MARKER": marker}
        if self.random.random() < 0.5:
            variables["DATABASE_URL"] = f"postgres://u:{marker}@elsewhere.example/shop"
        answer = self.ask("POST", "/api/cloud-dev/create", {"appName": one.thing.name, "envVars": variables})
        if answer.is_promise and answer.data["data"]["flyAppName"] == one.fly_name and one.thing.is_there:
            return
        one.thing.hear(answer, then=STARTED)
        if answer.is_promise:
            one.fly_name = answer.data["data"]["flyAppName"]
            one.fly_names.append(one.fly_name)
            one.jobs, one.may_be_woken = {}, False
            key = answer.data["data"]["sshPrivateKey"].splitlines()[2]
            self.journal.keep_secret(f"key of {one.fly_name}", key)

    def _start(self, one: Workspace) -> None:
        self._change(one, "start", STARTED)

    def _stop(self, one: Workspace) -> None:
        self._change(one, "stop", STOPPED)

    def _hurry(self, one: Workspace) -> None:
        """Change one's mind while Fly is still at it."""
        for deed in self.random.sample([self._stop, self._start], 2):
            if self.token:
                deed(one)

    def finish(self) -> None:
        """Do once more, when nothing breaks any more, what is to be seen in the end."""
        if not self.log_in_again():
            return
        for thing in [*self.connections, *(one.thing for one in self.workspaces)]:
            thing.settle()
        for one in self.workspaces:
            if one.thing.may_be_there:
                deeds = [self._stop, self._start] if STARTED in one.thing.may else [self._start, self._stop]
                for deed in deeds:
                    deed(one)
            if one.thing.may == {STARTED}:
                self._make_job(one)
        for connection in self.connections:
            self._connect(connection)
        # What Nango tells of them has arrived when they go.
        self.world.sandbox.webhooks()
        for connection in self.connections:
            self._disconnect(connection, twice=1)
        self.workspaces.append(Workspace(Thing(f"{self.name}-z")))
        self._create(self.workspaces[-1])

    def _change(self, one: Workspace, verb: str, then: str) -> None:
        answers = self._maybe_twice("POST", f"/api/cloud-dev/{verb}", {"appName": one.thing.name})
        one.thing.hear(*answers, then=then)

    def _destroy(self, one: Workspace) -> None:
        answers = self._maybe_twice("POST", "/api/cloud-dev/destroy", {"appName": one.thing.name})
        one.thing.hear(*answers, then=ABSENT)
        for job in one.jobs.values():
            job.hear(*answers, then=ABSENT)
        if any(answer.is_promise for answer in answers):
            one.destroyed.add(one.fly_name)

    def _keep(self, one: Workspace) -> None:
        until = datetime.now(UTC) + timedelta(hours=self._number())
        body = {"appName": one.thing.name, "until": until.isoformat()}
        answers = self._maybe_twice("POST", "/api/cloud-dev/keep-alive", body)
        # It changes nothing but this.
        one.thing.least["machine.kept_alive"] += any(answer.is_promise for answer in answers)
        one.thing.most["machine.kept_alive"] += any(answer.is_promise or answer.is_open for answer in answers)

    def _look(self, one: Workspace) -> None:
        self.ask("GET", f"/api/cloud-dev/status?appName={one.thing.name}")
        answer = self.ask("GET", "/api/cloud-dev/list") if self.token else None
        if answer and answer.is_promise:
            names = [row["app_name"] for row in answer.data["data"]]
            if strange := [name for name in names if not name.startswith(f"{self.login}-")]:
                self.journal.complain(self.name, f"sees the workspaces {strange}")
            if one.thing.is_there and one.thing.name not in names:
                self.journal.complain(self.name, f"does not see the workspace {one.thing.name}")

    def _ssh(self, one: Workspace) -> None:
        self.ask("GET", f"/api/cloud-dev/ssh-key?appName={one.thing.name}")

    # Cron jobs.

    def use_cron(self) -> None:
        one = self.random.choice(self.workspaces)
        if not one.fly_name or not one.thing.may_be_there:
            return
        if not any(job.may_be_there for job in one.jobs.values()):
            self._make_job(one)
            return
        job_id = self.random.choice([job_id for job_id, job in one.jobs.items() if job.may_be_there])
        deeds = {self._pause: 3, self._delete_job: 2, self._runs: 2}
        (deed,) = self.random.choices(list(deeds), weights=list(deeds.values()))
        deed(one, job_id)

    def _make_job(self, one: Workspace) -> None:
        one.may_be_woken = True
        try:
            self.world.sandbox.fly_app(one.fly_name, workflows=WORKFLOW)
        except ValueError:
            return  # Fly does not have it yet, or any more
        body = {"flyAppName": one.fly_name, "workflowName": "nightly", "cronExpression": "* * * * *"}
        answer = self.ask("POST", "/api/cron/jobs", body | {"timezone": "UTC", "input": f"job {self._number()}"})
        if answer.is_promise:
            job = one.jobs[answer.data["data"]["id"]] = Thing(answer.data["data"]["id"])
            job.hear(answer, then=GOING, audited="cron_job.created")

    def _pause(self, one: Workspace, job_id: str) -> None:
        paused = one.jobs[job_id].may != {PAUSED}
        one.paused_at.pop(job_id, None)
        answers = self._maybe_twice("PATCH", f"/api/cron/jobs/{job_id}", {"paused": paused})
        one.jobs[job_id].hear(*answers, then=PAUSED if paused else GOING)
        if paused and any(answer.is_promise for answer in answers):
            one.paused_at[job_id] = max(answer.at for answer in answers if answer.is_promise)

    def _delete_job(self, one: Workspace, job_id: str) -> None:
        answers = self._maybe_twice("DELETE", f"/api/cron/jobs/{job_id}")
        one.jobs[job_id].hear(*answers, then=ABSENT, audited="cron_job.deleted")

    def _runs(self, one: Workspace, job_id: str) -> None:
        answer = self.ask("GET", f"/api/cron/jobs/{job_id}/runs")
        if answer.status == 404 and one.jobs[job_id].is_there and one.thing.is_there:
            self.journal.complain(self.name, f"does not see the cron job {job_id}")

    # Connections.

    def use_connection(self) -> None:
        one = self.random.choice(self.connections)
        if one.may == {ABSENT}:
            self._connect(one)
            return
        deeds = {self._connect: 2, self._disconnect: 3, self._fetch: 5, self._list: 1}
        (deed,) = self.random.choices(list(deeds), weights=list(deeds.values()))
        deed(one)

    def _connect(self, one: Thing) -> None:
        key = self.journal.keep_secret(f"credential {self._number()} of {self.name}", f"fake-{self.random.random()}")
        body = {"integration_id": "acme", "connection_id": one.name, "credentials": {"apiKey": key}}
        one.hear(self.ask("POST", "/api/connections/create", body), then=key, audited="made")

    def _disconnect(self, one: Thing, *, twice: float = 0.4) -> None:
        body = {"integration_id": "acme", "connection_id": one.name}
        answers = self._maybe_twice("POST", "/api/connections/delete", body, twice=twice)
        one.hear(*answers, then=ABSENT, audited="connection.deleted")

    def _fetch(self, one: Thing) -> None:
        answer = self.ask("GET", f"/api/credentials/acme?connection_id={one.name}")
        if answer.is_promise and answer.data["data"]["token"] not in one.may:
            self.journal.complain(self.name, f"{one.name}: was given a credential that it can't have")
        elif answer.status == 404 and one.is_there:
            self.journal.complain(self.name, f"{one.name}: a connection that was made is not found")

    def _list(self, _one: Thing) -> None:
        answer = self.ask("GET", "/api/integrations/acme/connections")
        found = [row["connection_id"] for row in answer.data["data"]] if answer.is_promise else []
        if strange := [name for name in found if not name.startswith(f"{self.login}-")]:
            self.journal.complain(self.name, f"sees the connections {strange}")

    # Apps.

    def use_app(self) -> None:
        if not self.app.thing.is_there:
            answer = self.ask("POST", "/api/deploy/prepare", {"appName": self.app.thing.name})
            self.app.thing.hear(answer, then=STARTED, audited="deployment.prepared")
            return
        deeds = {self._push: 4, self._cancel: 2, self._watch: 3}
        (deed,) = self.random.choices(list(deeds), weights=list(deeds.values()))
        deed()

    def _push(self) -> None:
        number = self._number()
        marker = self.journal.keep_secret(f"file {number} of {self.name}", f"fake-{self.random.random()}")
        dockerfile = f"FROM scratch\nEXPOSE 3000\nRUN sleep {self.random.randint(0, 3)}\n"
        files = entry("Dockerfile", dockerfile.encode()), entry("secret.txt", marker.encode())
        path = f"/api/deploy/push?appName={self.app.thing.name}&commitHash={self.name}-{number}"
        sent = packed(*files, dockerfile=False)
        answer = self.ask("POST", path, body=sent, headers={"Content-Type": "application/gzip"})
        if answer.is_promise:
            self.app.builds.append(answer.data["data"]["buildId"])

    def _cancel(self) -> None:
        self._maybe_twice("POST", "/api/deploy/cancel", {"appName": self.app.thing.name})

    def _watch(self) -> None:
        answer = self.ask("GET", f"/api/deploy/status?appName={self.app.thing.name}")
        if answer.is_promise and answer.data["data"]["status"] == "not_found":
            self.journal.complain(self.name, "the app that was prepared is not found")
        if self.token:
            self.ask("GET", f"/api/deploy/logs?appName={self.app.thing.name}")


class Onlooker(Person):
    """Somebody who has nothing, and asks for what others have."""

    def __init__(self, *arguments: Any, owners: list[Owner]) -> None:
        super().__init__(*arguments)
        self.owners = owners

    def deeds(self) -> dict[Callable[[], None], int]:
        return {self.pry: 30, self.list_all: 10, self.look_around: 4, self.log_out: 1, self.sign_out_everywhere: 1}

    def pry(self) -> None:
        """Ask for what an owner has: it looks as if it were not there."""
        owner = self.random.choice(self.owners)
        one, app, connection = self.random.choice(owner.workspaces), owner.app, self.random.choice(owner.connections)
        questions: list[tuple[str, str, Any]] = [
            ("GET", f"/api/credentials/acme?connection_id={connection.name}", None),
            ("POST", "/api/connections/delete", {"integration_id": "acme", "connection_id": connection.name}),
            ("POST", "/api/cloud-dev/destroy", {"appName": one.thing.name}),
            ("GET", f"/api/cloud-dev/ssh-key?appName={one.thing.name}", None),
            ("GET", f"/api/deploy/logs?appName={app.thing.name}", None),
            ("POST", "/api/deploy/cancel", {"appName": app.thing.name}),
            ("GET", f"/api/cron/jobs?flyAppName={one.fly_name or 'none'}", None),
            *(("DELETE", f"/api/cron/jobs/{job_id}", None) for job_id in one.jobs),
        ]
        method, path, body = self.random.choice(questions)
        answer = self.ask(method, path, body)
        if not answer.is_open and answer.status not in {401, 404, 429}:
            self.journal.complain(self.name, f"{method} {path} of {owner.name} is answered with {answer.status}")

    def list_all(self) -> None:
        """All lists are empty."""
        path = self.random.choice(["/api/cloud-dev/list", "/api/integrations/acme/connections"])
        answer = self.ask("GET", path)
        if answer.is_promise and answer.data["data"]:
            self.journal.complain(self.name, f"{path} shows {answer.data['data']}")
