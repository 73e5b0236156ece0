"""What alice and bob do with their connections and apps, beside their workspaces; and charlie, who must see nothing."""

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.deployments.archive_builder import entry, packed
from tests.resilience.storm.model import ABSENT, STARTED, Thing, promised
from tests.resilience.storm.people import Person
from tests.resilience.storm.workspaces import Workspaces


class Owner(Person):
    """Somebody who makes things, and unmakes them."""

    def __init__(self, *arguments: Any, friend: str) -> None:
        super().__init__(*arguments)
        _, journal, _, name, seed = arguments
        self.workspaces = Workspaces(self, Person(self.world, journal, friend, f"{friend} for {name}", seed))
        self.connections = [Thing(f"{name}-{letter}", connection_id=f"{name}-{letter}") for letter in "cde"]
        # Pages of this server that lead on to Nango's: the last one, and the times it was followed.
        self.link, self.followed = "", Thing("links")
        self.app, self.builds = Thing(f"{name}-app"), list[str]()

    def actions(self) -> dict[Callable[[], None], int]:
        return {
            self.workspaces.use: 48, self.workspaces.use_cron: 20, self.use_connection: 26, self.use_app: 20,
            self.connect_by_page: 4, self.look_around: 4, self.log_out: 1, self.sign_out_everywhere: 1,
        }  # fmt: skip

    def finish(self) -> None:
        """Do once more, when nothing breaks any more, what is to be seen in the end."""
        if not self.log_in(tries=5):
            return
        spaces = self.workspaces
        for one in spaces.all:
            for thing in (one.thing, one.owner, one.friend, *one.tokens.values()):
                thing.settle()
            if one.thing.may_be_there:
                actions = [spaces.stop, spaces.start] if STARTED in one.thing.may else [spaces.start, spaces.stop]
                for action in (spaces.hand_over, spaces.offer, spaces.use_token, *actions):
                    action(one)
            if one.thing.may == {STARTED} and one.fly_name:
                spaces.make_job(one)
        for connection in self.connections:
            connection.settle()
            self._connect(connection)
        self.connect_by_page(to_its_end=True)
        # What Nango tells of them has arrived when they go.
        self.world.sandbox.webhooks()
        for connection in self.connections:
            self._disconnect(connection, twice=1)
        spaces.create(spaces.add("z"))

    # Connections.

    def use_connection(self) -> None:
        one = self.random.choice(self.connections)
        actions = {self._connect: 2, self._disconnect: 3, self._fetch: 5, self._list: 1}
        action = self._connect if one.may == {ABSENT} else self.choose(actions)
        action(one)

    def _connect(self, one: Thing) -> None:
        key = self.keep("credential")
        body = {"integration_id": "acme", "connection_id": one.name, "credentials": {"apiKey": key}}
        one.hear(self.ask("POST", "/api/connections/create", body), then=key, audited="made")

    def _disconnect(self, one: Thing, *, twice: float = 0.4) -> None:
        body = {"integration_id": "acme", "connection_id": one.name}
        answers = self.ask_maybe_twice("POST", "/api/connections/delete", body, twice=twice)
        one.hear(*answers, then=ABSENT, audited="connection.deleted")

    def _fetch(self, one: Thing) -> None:
        answer = self.ask("GET", f"/api/credentials/acme?connection_id={one.name}")
        if answer.is_promise and answer.data["token"] not in one.may:
            self.complain(f"{one.name}: was given a credential that it can't have")
        elif answer.status == 404 and one.is_there:
            self.complain(f"{one.name}: a connection that was made is not found")

    def _list(self, _one: Thing) -> None:
        answer = self.ask("GET", "/api/integrations/acme/connections")
        found = [row["connection_id"] for row in answer.data] if answer.is_promise else []
        if strange := [name for name in found if not name.startswith(f"{self.login}-")]:
            self.complain(f"sees the connections {strange}")

    def connect_by_page(self, *, to_its_end: bool = False) -> None:
        """Press the button of the page that a tool's link leads to, twice at once: it leads to Nango's once."""
        answer = self.ask("POST", "/api/nango/connect-session", {"integration_id": "acme"})
        if not answer.is_promise:
            return
        self.keep("link", answer.data["token"])
        self.link = answer.data["connectLink"].removeprefix(self.world.server.url)
        answers = self.press(self.link, "/connect/", times=2)
        self.followed.owe("connect_link.followed", *answers)
        if len(promised(answers)) > 1:
            self.complain("a link to connect an account worked twice")
        if (followed := promised(answers)) and to_its_end:
            (session,) = parse_qs(urlsplit(followed[0].data).query)["session_token"]
            self.world.sandbox.press_connect(session=session, api_key=self.keep("credential"))

    # Apps.

    def use_app(self) -> None:
        if self.app.is_there:
            self.choose({self._push: 4, self._cancel: 2, self._watch: 3})()
            return
        answer = self.ask("POST", "/api/deploy/prepare", {"appName": self.app.name})
        self.app.hear(answer, then=STARTED)

    def _push(self) -> None:
        number = self.number()
        marker = self.keep("file")
        dockerfile = f"FROM scratch\nEXPOSE 3000\nRUN sleep {self.random.randint(0, 3)}\n"
        files = entry("Dockerfile", dockerfile.encode()), entry("secret.txt", marker.encode())
        path = f"/api/deploy/push?appName={self.app.name}&commitHash={self.name}-{number}"
        sent = packed(*files, dockerfile=False)
        answer = self.ask("POST", path, body=sent, headers={"Content-Type": "application/gzip"})
        if answer.is_promise:
            self.builds.append(answer.data["buildId"])

    def _cancel(self) -> None:
        self.ask_maybe_twice("POST", "/api/deploy/cancel", {"appName": self.app.name})

    def _watch(self) -> None:
        answer = self.ask("GET", f"/api/deploy/status?appName={self.app.name}")
        if answer.is_promise and answer.data["status"] == "not_found":
            self.complain("the app that was prepared is not found")
        self.ask("GET", f"/api/deploy/logs?appName={self.app.name}")


class Onlooker(Person):
    """Somebody who has nothing, and asks for what others have."""

    def __init__(self, *arguments: Any, owners: list[Owner]) -> None:
        super().__init__(*arguments)
        self.owners = owners

    def actions(self) -> dict[Callable[[], None], int]:
        return {
            self.pry: 30, self.open_link: 3, self.list_all: 10, self.look_around: 4, self.log_out: 1,
            self.sign_out_everywhere: 1,
        }  # fmt: skip

    def pry(self) -> None:
        """Ask for what an owner has: it looks as if it were not there."""
        owner = self.random.choice(self.owners)
        one, connection = self.random.choice(owner.workspaces.all), self.random.choice(owner.connections)
        questions: list[tuple[str, str, Any]] = [
            ("GET", f"/api/credentials/acme?connection_id={connection.name}", None),
            ("POST", "/api/connections/delete", {"integration_id": "acme", "connection_id": connection.name}),
            *(("POST", f"/api/cloud-dev/{verb}", one.name) for verb in ("destroy", "webhook-token", "try-again")),
            ("POST", "/api/cloud-dev/transfer", one.name | {"login": self.login}),
            ("GET", f"/api/cloud-dev/ssh-key?appName={one.thing.name}", None),
            ("GET", f"/api/deploy/logs?appName={owner.app.name}", None),
            ("POST", "/api/deploy/cancel", {"appName": owner.app.name}),
            ("GET", f"/api/cron/jobs?flyAppName={one.fly_name or 'none'}", None),
            *(("DELETE", f"/api/cron/jobs/{job_id}", None) for job_id in list(one.jobs)),
        ]
        method, path, body = self.random.choice(questions)
        answer = self.ask(method, path, body)
        if not answer.is_open and answer.status not in {401, 404, 429}:
            self.complain(f"{method} {path} of {owner.name} is answered with {answer.status}")

    def open_link(self) -> None:
        """Open somebody else's link to connect an account."""
        if (link := self.random.choice(self.owners).link) and self.press(link, "/connect/"):
            self.complain(f"was let on to Nango by {link.partition('?')[0]}")

    def list_all(self) -> None:
        """All lists are empty."""
        lists = ["/api/cloud-dev/list", "/api/cloud-dev/offers", "/api/integrations/acme/connections"]
        answer = self.ask("GET", path := self.random.choice(lists))
        if answer.is_promise and answer.data:
            self.complain(f"{path} shows {answer.data}")
