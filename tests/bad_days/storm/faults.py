"""What goes wrong meanwhile, as a seeded generator tells: processes die and freeze, others' services fail."""

import random
import time

from tests.bad_days.storm.model import Journal
from tests.bad_days.storm.world import World

# Beside everything of a service; the calls by which something is made or unmade.
_MATCHES = {
    "fly": ["*", "POST /v1/apps$", "DELETE *", "POST */machines", "POST */start", "POST */stop", "GET *", "POST *"],
    "nango": ["*", "GET /connections", "POST /connections", "DELETE /connections"],
    "github": ["*"],
}
_FAULTS: list[dict[str, object]] = [
    {"status": 500},
    {"status": 503},
    {"status": 429, "headers": {"Retry-After": "1"}},
    {"delay": 1.5},
    {"drop": "before"},
    {"drop": "after"},
    {"drop": "after"},
]
_HANDS_OF_THE_CLOCK = """
UPDATE clouddev_cronjob SET next_run_at = now() - interval '1 second' WHERE paused_at IS NULL AND next_run_at > now()
"""


class Storm:
    """Breaks things for so many seconds. Runs in the main thread, which the database ends with."""

    def __init__(self, world: World, journal: Journal, seed: str) -> None:
        self.world, self.journal = world, journal
        self.random = random.Random(f"{seed} faults")
        self._thaws: list[tuple[float, int]] = []

    def rage(self, seconds: float) -> None:
        """Break something, pause, and so on. The database crashes every third of a minute; nobody is killed at the end.

        A busy machine gets up to twice the time, until people were promised as much as they would have been.
        """
        until, crashes = time.monotonic() + seconds, time.monotonic() + self.random.uniform(10, 16)
        while (now := time.monotonic()) < until or self._wants_more(now, until + seconds, enough=int(seconds * 4)):
            killing_until = until - min(12, seconds / 3)
            self._thaw(now)
            if now > crashes and now < killing_until:
                crashes = now + 20
                self._note("PostgreSQL crashes")
                self._thaw(float("inf"))
                self.world.crash_database()
            else:
                self._break_something(killing=now < killing_until)
            time.sleep(self.random.uniform(0.3, 1.2))
        self._thaw(float("inf"))

    def _wants_more(self, now: float, latest: float, *, enough: int) -> bool:
        return now < latest and self.journal.statuses[200] < enough

    def calm(self) -> None:
        """End all faults. Whatever is still asked of the web processes ends with them."""
        self._thaw(float("inf"))
        self.world.sandbox.clear_faults()
        for pid in self.world.web_pids():
            self.world.kill_web(pid)
        self.world.sandbox.fly_clock(factor=10)
        # What is on its way at the sandbox has come through after that.
        time.sleep(2)
        self.world.server.wait_until_ready()

    def _break_something(self, *, killing: bool) -> None:
        deeds = [self._fail, self._fail, self._fail, self._fail, self._move_hands, self._change_pace, self._freeze]
        if killing:
            deeds += [self._kill_web, self._kill_worker]
        self.random.choice(deeds)()

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
        pids = [*self.world.web_pids(), *(worker.pid for worker in self.world.workers)]
        pid = self.random.choice([pid for pid in pids if pid not in {frozen for _, frozen in self._thaws}] or pids)
        self._note(f"{pid} is frozen")
        self.world.freeze(pid)
        self._thaws.append((time.monotonic() + self.random.uniform(1, 6), pid))

    def _thaw(self, now: float) -> None:
        for _, pid in [thaw for thaw in self._thaws if thaw[0] <= now]:
            self.world.thaw(pid)
        self._thaws = [thaw for thaw in self._thaws if thaw[0] > now]

    def _kill_web(self) -> None:
        if pids := self.world.web_pids():
            self._note("a web process is killed")
            self.world.kill_web(self.random.choice(pids))

    def _kill_worker(self) -> None:
        self._note("a worker is killed")
        self.world.replace_worker(self.random.randrange(len(self.world.workers)))

    def _note(self, what: str) -> None:
        self.journal.note("fault", what)
