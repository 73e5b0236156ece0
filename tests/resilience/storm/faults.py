"""What goes wrong meanwhile, as a seeded generator tells: processes die and freeze, others' services fail."""

import random
import time
from signal import SIGCONT, SIGKILL, SIGSTOP

from tests.resilience.storm.model import Journal
from tests.resilience.storm.people import Person
from tests.resilience.storm.world import World, send

# Beside everything of a service; the calls by which something is made or unmade.
_MATCHES = {
    "fly": ["*", "POST /v1/apps$", "DELETE *", "POST */machines", "POST */start", "POST */stop", "GET *", "POST *"],
    "nango": ["*", "GET /connections", "POST /connections", "DELETE /connections"],
    "github": ["*"],
}
_FAULTS: list[dict[str, object]] = [
    *({"status": 500}, {"status": 503}, {"status": 429, "headers": {"Retry-After": "1"}}),
    *({"delay": 1.5}, {"drop": "before"}, {"drop": "after"}, {"drop": "after"}),
]
_READY = "SELECT 1 FROM clouddev_machine WHERE state = 'ready'"
_SENDING = "SELECT 1 FROM clouddev_cronrun WHERE finished_at IS NULL AND sent_at IS NOT NULL AND run_id = ''"
_HANDS_OF_THE_CLOCK = """
UPDATE clouddev_cronjob SET next_run_at = now() - interval '1 second' WHERE paused_at IS NULL AND next_run_at > now()
"""


class Storm:
    """Breaks things for so many seconds. Runs in the main thread, which the database ends with."""

    def __init__(self, world: World, journal: Journal, seed: str) -> None:
        self.world, self.journal = world, journal
        self.random = random.Random(f"{seed} faults")
        self._thaws: list[tuple[float, int]] = []

    def wait_for_ground(self, people: list[Person]) -> None:
        """Let people have something to lose, soon."""
        self.world.sandbox.fly_clock(factor=10)
        until = time.monotonic() + 40
        while time.monotonic() < until and (
            not all(person.token for person in people) or len(self.world.select(_READY)) < len(people)
        ):
            time.sleep(0.2)

    def rage(self, seconds: float) -> None:
        """Break something, pause, and so on. The database crashes every third of a minute; nobody is killed at the end.

        A busy machine gets up to twice the time, until people were promised as much as they would have been.
        """
        until, crashes = time.monotonic() + seconds, time.monotonic() + self.random.uniform(7, 11)
        latest, killing_until = until + seconds, until - min(12, seconds / 3)
        while (now := time.monotonic()) < until or (now < latest and self.journal.statuses[200] < seconds * 15):
            self._thaw(now)
            if crashes < now < killing_until:
                crashes = now + 20
                self._note("PostgreSQL crashes")
                self._thaw(float("inf"))
                self.world.crash_database()
            else:
                self._break_something(killing=now < killing_until)
            time.sleep(self.random.uniform(0.2, 0.9))
        self._thaw(float("inf"))

    def calm(self) -> None:
        """End all faults. Whatever is still asked of the web processes ends with them, and what workers are at."""
        self.world.sandbox.clear_faults()
        for pid in self.world.web_pids():
            send(pid, SIGKILL)
        self.world.sandbox.fly_clock(factor=10)
        # What is on its way at the sandbox has come through after that.
        time.sleep(1)
        self.world.replace_workers()
        self.world.server.wait_until_ready()

    def _break_something(self, *, killing: bool) -> None:
        actions = [*[self._fail] * 4, self._move_hands, self._change_pace, self._freeze]
        if killing:
            actions += [self._kill_web, self._kill_worker, self.kill_senders, self.kill_senders, self.refuse]
        self.random.choice(actions)()

    def _fail(self) -> None:
        target = self.random.choice(["fly", "fly", "nango", "nango", "github"])
        fault = self.random.choice(_FAULTS) | {"target": target, "times": self.random.randint(1, 3)}
        fault["match"] = self.random.choice(_MATCHES[target])
        self._note(f"{fault}")
        self.world.sandbox.faults(**fault)

    def _move_hands(self) -> None:
        self._note("cron jobs are due")
        self.world.change(_HANDS_OF_THE_CLOCK)

    def _change_pace(self) -> None:
        factor = self.random.choice([1, 1, 3, 10])
        self._note(f"Fly is {factor} times as fast as Fly")
        self.world.sandbox.fly_clock(factor=factor)

    def _freeze(self) -> None:
        frozen = {pid for _, pid in self._thaws}
        pids = [*self.world.web_pids(), *(worker.pid for worker in self.world.workers)]
        pid = self.random.choice([pid for pid in pids if pid not in frozen] or pids)
        self._note(f"{pid} is frozen")
        send(pid, SIGSTOP)
        self._thaws.append((time.monotonic() + self.random.uniform(1, 6), pid))

    def _thaw(self, now: float) -> None:
        for _, pid in [thaw for thaw in self._thaws if thaw[0] <= now]:
            send(pid, SIGCONT)
        self._thaws = [thaw for thaw in self._thaws if thaw[0] > now]

    def _kill_web(self) -> None:
        if pids := self.world.web_pids():
            self._note("a web process is killed")
            send(self.random.choice(pids), SIGKILL)

    def _kill_worker(self) -> None:
        self._note("a worker is killed")
        self.world.workers.pop(self.random.randrange(len(self.world.workers))).kill()
        self.world.workers.append(self.world.nursery.start())

    def kill_senders(self, *, patience: float = 4) -> None:
        """Kill all workers while one has asked a workspace to start a workflow, and has not heard of it."""
        if not self.world.select("SELECT 1 FROM clouddev_cronjob WHERE paused_at IS NULL"):
            return
        self._move_hands()
        self.world.sandbox.faults(target="fly", match="POST */dev/api/workflows/*", delay=1.5, times=2)
        until = time.monotonic() + patience
        while time.monotonic() < until and not self.world.select(_SENDING):
            self.world.hurry()
            time.sleep(0.1)
        self._note("all workers are killed")
        # As long as they hang, the workspace does not notice, and starts it.
        for worker in self.world.workers:
            send(worker.pid, SIGSTOP)
        time.sleep(1.6)
        self.world.replace_workers()

    def refuse(self) -> None:
        """Have Fly refuse machines for good: what was made for them until then is unmade."""
        self._note("Fly refuses machines")
        self.world.sandbox.faults(target="fly", match="POST */machines", status=422, times=2)

    def _note(self, what: str) -> None:
        self.journal.note("fault", what)
