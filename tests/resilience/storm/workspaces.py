"""What somebody does with their workspaces: makes and unmakes them, and offers them to a friend."""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from tests.resilience.storm.model import (
    ABSENT,
    GOING,
    MEMBER,
    PAUSED,
    STARTED,
    STOPPED,
    Answer,
    Thing,
    at_once,
    promised,
)
from tests.resilience.storm.people import Person

WORKFLOW = {"nightly": {"seconds": 1}}
_API = "/api/cloud-dev"


@dataclass
class Workspace:
    """One of a person's workspaces. Its lives at Fly have names of their own; the last one is empty when unknown."""

    thing: Thing
    owner: Thing
    friend: Thing = field(default_factory=lambda: Thing("a friend"))
    fly_name: str = ""
    fly_names: list[str] = field(default_factory=list)
    destroyed: set[str] = field(default_factory=set)
    jobs: dict[str, Thing] = field(default_factory=dict)
    # Whether a cron job may have woken it since.
    may_be_woken: bool = False
    paused_at: dict[str, float] = field(default_factory=dict)
    tokens: dict[str, Thing] = field(default_factory=dict)
    # Of whom the tokens are.
    logins: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> dict[str, str]:
        return {"appName": self.thing.name}


class Workspaces:
    """All of one person's; `friend` is somebody else, with a tool and a browser of their own, for these alone."""

    def __init__(self, person: Person, friend: Person) -> None:
        self.person, self.friend = person, friend
        self.all: list[Workspace] = []
        self.add("a")
        self.add("b")

    def add(self, letter: str) -> Workspace:
        name = f"{self.person.name}-{letter}"
        self.all.append(Workspace(Thing(name, app=name), Thing("the owner", may=self.person.login)))
        return self.all[-1]

    def use(self) -> None:
        one = self.person.random.choice(self.all)
        actions: dict[Callable[[Workspace], None], int] = {
            self.hurry: 5, self.start: 2, self.stop: 2, self.create: 1, self._destroy: 2, self._keep: 2, self._look: 4,
            self._ssh: 1, self._try_again: 2, self.offer: 3, self._part: 1, self.hand_over: 2, self.use_token: 3,
        }  # fmt: skip
        action = self.create if one.thing.may == {ABSENT} else self.person.choose(actions)
        action(one)

    def create(self, one: Workspace) -> None:
        if one.owner.may != {self.person.login}:
            return  # Another one of this name could come about
        variables = {"MARKER": (marker := self.person.keep("variable"))}
        if self.person.random.random() < 0.5:
            variables["DATABASE_URL"] = f"postgres://u:{marker}@elsewhere.example/shop"
        answer = self.person.ask("POST", f"{_API}/create", one.name | {"envVars": variables})
        if answer.is_promise:
            self.person.keep("key", answer.data["sshPrivateKey"].splitlines()[2])
        self._begun(one, answer)

    def _begun(self, one: Workspace, answer: Answer) -> None:
        """It begins another life, or is the one that it was."""
        if answer.is_open:
            one.thing.hear(answer, then=STARTED)
            one.fly_name = ""
        if not answer.is_promise:
            return
        fly_name, is_known = answer.data["flyAppName"], bool(one.fly_name)
        if one.thing.may == {ABSENT}:
            one.may_be_woken = False
        if fly_name not in one.fly_names:
            one.fly_names.append(fly_name)
            one.thing.may |= {STARTED}
            if is_known:
                one.thing.hear(answer, then=STARTED)
        one.thing.found()
        one.fly_name = fly_name

    def start(self, one: Workspace) -> None:
        one.thing.hear(*self.person.ask_maybe_twice("POST", f"{_API}/start", one.name), then=STARTED)

    def stop(self, one: Workspace) -> None:
        one.thing.hear(*self.person.ask_maybe_twice("POST", f"{_API}/stop", one.name), then=STOPPED)

    def hurry(self, one: Workspace) -> None:
        """Change one's mind while Fly is still at it."""
        for action in self.person.random.sample([self.stop, self.start], 2):
            action(one)

    def _try_again(self, one: Workspace) -> None:
        answer = self.person.ask("POST", f"{_API}/try-again", one.name)
        if answer.is_open or (answer.is_promise and answer.data["begun"]):
            self._begun(one, answer)

    def _destroy(self, one: Workspace) -> None:
        answers = self.person.ask_maybe_twice("POST", f"{_API}/destroy", one.name)
        if promised(answers):
            one.destroyed.add(one.fly_name)
        for thing in (one.thing, one.friend, *one.jobs.values(), *one.tokens.values()):
            thing.hear(*answers, then=ABSENT)
        one.owner.hear(*answers, then=self.person.login)

    def _keep(self, one: Workspace) -> None:
        until = datetime.now(UTC) + timedelta(hours=self.person.number())
        body = one.name | {"until": until.isoformat()}
        one.thing.owe("machine.kept_alive", *self.person.ask_maybe_twice("POST", f"{_API}/keep-alive", body))

    def _look(self, one: Workspace) -> None:
        self.person.ask("GET", f"{_API}/status?appName={one.thing.name}")
        answer = self.person.ask("GET", f"{_API}/list")
        if answer.is_promise and one.thing.is_there and one.thing.name not in [row["app_name"] for row in answer.data]:
            self.person.complain(f"does not see the workspace {one.thing.name}")

    def _ssh(self, one: Workspace) -> None:
        self.person.ask("GET", f"{_API}/ssh-key?appName={one.thing.name}")

    # With a friend.

    def offer(self, one: Workspace) -> None:
        """Offer the friend to be a member; two answers to that come at the same time, of which one counts."""
        if self.friend.token is None and not self.friend.log_in():
            return
        body = one.name | {"login": self.friend.login}
        answer = self.person.ask("POST", f"{_API}/members", body)
        if answer.is_open or (answer.is_promise and "offerId" in answer.data):
            # One that waited already is the same one.
            one.thing.owe("machine.offered", answer, maybe=True)
        if not answer.is_promise or "offerId" not in answer.data:
            return
        told = {"accept": "machine.member_added", "decline": "machine.offer_declined"}
        ways = self.person.random.choices([*told, "withdraw"], weights=[3, 1, 1], k=2)
        answers = self._end(answer.data["offerId"], ways)
        for way in {*ways}:
            mine = [answer for answer, its_way in zip(answers, ways, strict=True) if its_way == way]
            # Who is a member by now is not made one again.
            one.thing.owe(told.get(way, "machine.offer_withdrawn"), *mine, maybe=one.friend.may_be_there)
            if way == "accept":
                one.friend.hear(*mine, then=MEMBER)

    def _end(self, offer_id: str, ways: list[str], *, by: Person | None = None) -> list[Answer]:
        """End an offer in several ways at once: one of them comes about."""
        taker = by or self.friend
        path = f"{_API}/offers/{offer_id}"
        whose = (self.person if way == "withdraw" else taker for way in ways)
        answers = at_once(*(partial(who.ask, "POST", f"{path}/{way}") for who, way in zip(whose, ways, strict=True)))
        if len(promised(answers)) > 1:
            self.person.complain(f"an offer was ended twice: {ways}")
        return answers

    def _part(self, one: Workspace) -> None:
        """End the friend's membership, and with it their tokens; or the offer of it."""
        body = one.name | {"login": self.friend.login}
        answers = self.person.ask_maybe_twice("DELETE", f"{_API}/members", body)
        for withdrawn, action in ((True, "machine.offer_withdrawn"), (False, "machine.member_removed")):
            its = [
                a for a in answers if a.is_open or (a.is_promise and ("withdrawn" in a.data["message"]) == withdrawn)
            ]
            one.thing.owe(action, *its)
        one.friend.hear(*answers, then=ABSENT)
        for jti, token in one.tokens.items():
            if one.logins[jti] == self.friend.login:
                token.hear(*answers, then=ABSENT)

    def hand_over(self, one: Workspace) -> None:
        """Give it to the friend, who gives it back; each time it is accepted twice at once."""
        if self.friend.token is None and not self.friend.log_in():
            return
        away, back = (self.person, self.friend), (self.friend, self.person)
        for giver, taker in [away, back] if one.owner.may == {self.person.login} else [back]:
            answer = giver.ask("POST", f"{_API}/transfer", one.name | {"login": taker.login})
            if not answer.is_promise or "offerId" not in answer.data:
                one.thing.owe("machine.offered", *[answer] * answer.is_open)
                return
            one.thing.owe("machine.offered", answer, maybe=True)
            answers = self._end(answer.data["offerId"], ["accept", "accept"], by=taker)
            one.owner.hear(*answers, then=taker.login)
            # Whoever gives it away stays a member.
            one.friend.hear(*answers, then=MEMBER)
            one.thing.owe("machine.transferred", *answers)
            if not promised(answers):
                return

    def use_token(self, one: Workspace) -> None:
        """Have a token for webhooks, or revoke one on the workspace's page, at times twice at once."""
        alive = [jti for jti, token in one.tokens.items() if token.may == {GOING}]
        if alive and self.person.random.random() < 0.5:
            jti = self.person.random.choice(alive)
            rows = self.person.world.select("SELECT machine_id FROM clouddev_webhooktoken WHERE jti = %s", jti)
            page = f"/workspaces/{rows[0]['machine_id']}/" if rows else "/workspaces/"
            answers = self.person.press(page, f"{page}tokens/{jti}/revoke", times=self.person.random.choice([1, 2]))
            one.tokens[jti].hear(*answers, then=ABSENT)
            return
        person = self.person.random.choice([self.person, self.friend] if one.friend.is_there else [self.person])
        answer = person.ask("POST", f"{_API}/webhook-token", one.name)
        if answer.is_promise:
            claims = answer.data["token"].split(".")[1]
            jti = json.loads(base64.urlsafe_b64decode(claims + "=="))["jti"]
            one.tokens[jti], one.logins[jti] = Thing(jti, may=GOING), person.login
            one.tokens[jti].owe("webhook_token.issued", answer)
            person.keep("webhook token", answer.data["token"])

    # Cron jobs.

    def use_cron(self) -> None:
        one = self.person.random.choice(self.all)
        if not one.fly_name or not one.thing.may_be_there:
            return
        job_ids = [job_id for job_id, job in one.jobs.items() if job.may_be_there]
        if not job_ids:
            self.make_job(one)
            return
        actions = {self._pause: 3, self._delete_job: 2, self._runs: 2}
        self.person.choose(actions)(one, self.person.random.choice(job_ids))

    def make_job(self, one: Workspace) -> None:
        one.may_be_woken = True
        try:
            self.person.world.sandbox.fly_app(one.fly_name, workflows=WORKFLOW)
        except ValueError:
            return  # Fly does not have it yet, or any more
        body: dict[str, Any] = {"flyAppName": one.fly_name, "workflowName": "nightly", "timezone": "UTC"}
        body |= {"cronExpression": "* * * * *", "input": f"job {self.person.number()}"}
        answer = self.person.ask("POST", "/api/cron/jobs", body)
        if answer.is_promise:
            job = one.jobs[answer.data["id"]] = Thing(answer.data["id"])
            job.hear(answer, then=GOING, audited="cron_job.created")

    def _pause(self, one: Workspace, job_id: str) -> None:
        paused = one.jobs[job_id].may != {PAUSED}
        one.paused_at.pop(job_id, None)
        answers = self.person.ask_maybe_twice("PATCH", f"/api/cron/jobs/{job_id}", {"paused": paused})
        one.jobs[job_id].hear(*answers, then=PAUSED if paused else GOING)
        if paused and promised(answers):
            one.paused_at[job_id] = max(answer.at for answer in promised(answers))

    def _delete_job(self, one: Workspace, job_id: str) -> None:
        answers = self.person.ask_maybe_twice("DELETE", f"/api/cron/jobs/{job_id}")
        one.jobs[job_id].hear(*answers, then=ABSENT, audited="cron_job.deleted")

    def _runs(self, one: Workspace, job_id: str) -> None:
        answer = self.person.ask("GET", f"/api/cron/jobs/{job_id}/runs")
        if answer.status == 404 and one.jobs[job_id].is_there and one.thing.is_there:
            self.person.complain(f"does not see the cron job {job_id}")
