"""`make bench`: requests/s, latency, CPU and memory of the hot routes, as ratios to two yardsticks.

    make bench                      everything, about twelve minutes
    make bench ARGS="--quick"       one short round of everything
    make bench ARGS="check --quick" only the routes whose name begins so

The servers take turns within every round, and every second round goes backwards, so that noise
meets them alike. The figures are medians over the rounds; compare ratios, not seconds.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from bench import servers, uploads
from bench.fixtures import APP, FEW, MACHINE, MACHINES, MANY, connection_id
from bench.load import Measurement, Route, measure
from dev.postgres import EmbeddedPostgres

CONCURRENCIES = (1, 16, 64)


@dataclass(frozen=True)
class Scenario:
    """A route on one group of servers."""

    name: str
    group: str
    route: Route
    # Whom it is measured on.
    kinds: tuple[str, ...] = ("ours", "bare", "express", "ideal")


SCENARIOS = (
    Scenario("check (pending)", "plain", Route("GET", "/api/auth/cli/check", with_login=True)),
    Scenario("session", "plain", Route("POST", "/api/auth/cli/session", many_addresses=True)),
    Scenario("integrations (cached)", "plain", Route("GET", "/api/integrations")),
    Scenario(
        "credentials, upstream 0 ms",
        "plain",
        Route("GET", f"/api/credentials/{FEW}?connection_id={connection_id(FEW, 0)}"),
    ),
    Scenario(
        "credentials, upstream 50 ms",
        "slow",
        Route("GET", f"/api/credentials/{FEW}?connection_id={connection_id(FEW, 0)}"),
    ),
    Scenario(
        "credentials (cached)",
        "cached",
        Route("GET", f"/api/credentials/{FEW}?connection_id={connection_id(FEW, 0)}"),
    ),
    Scenario("connections, 10 upstream", "plain", Route("GET", f"/api/integrations/{FEW}/connections")),
    Scenario("connections, 10 000 upstream", "plain", Route("GET", f"/api/integrations/{MANY}/connections")),
    Scenario("deploy status", "plain", Route("GET", f"/api/deploy/status?appName={APP}"), ("ours", "bare")),
    Scenario("deploy logs, of 5 MB", "plain", Route("GET", f"/api/deploy/logs?appName={APP}"), ("ours", "bare")),
    # What Fly says of all machines is kept for seconds, so that neither its 50 ms nor the number of machines counts.
    *(
        Scenario(f"machines, {count} of them", "slow", Route("GET", "/api/cloud-dev/list", machines=count), ("ours",))
        for count in MACHINES
    ),
    Scenario("machine status", "slow", Route("GET", f"/api/cloud-dev/status?appName={MACHINE}", machines=1), ("ours",)),
    Scenario("mcp-token", "plain", Route("GET", f"/api/cloud-dev/mcp-token?appName={MACHINE}", machines=1), ("ours",)),
)

Results = dict[tuple[str, int, str], Measurement]


@contextmanager
def everything_running(state: Path) -> Iterator[tuple[dict[str, list[servers.Server]], dict[str, str]]]:
    """The database with its fixtures, the upstreams and, by group, the servers to compare; and their environment."""
    with ExitStack() as stack:
        database = stack.enter_context(EmbeddedPostgres(state=state / "bench", fsync=False))
        _bind_to_other_core()
        environment = servers.gunicorn_environment(database.url, "http://127.0.0.1:9", 0, PUBLIC_URL="http://127.0.0.1")
        subprocess.run([sys.executable, "-m", "bench.prepare"], env=environment, cwd=servers.ROOT, check=True)
        upstreams = {delay: servers.UpstreamProcess(delay) for delay in (0.0, 0.05)}
        for upstream in upstreams.values():
            stack.callback(upstream.stop)
        node = servers.install_express(state)
        groups: dict[str, list[servers.Server]] = {}
        for group, delay, cache in (("plain", 0.0, 0), ("slow", 0.05, 0), ("cached", 0.0, 60)):
            url = upstreams[delay].url
            groups[group] = [servers.ours(database.url, url, cache), servers.bare(database.url, url)]
            if node:
                groups[group].append(servers.express(database.url, url, cache, node))
        log = state / "bench" / "logs"
        for server in (server for group in groups.values() for server in group):
            stack.callback(server.stop)
            server.start(log)
        # No server can be quicker than the upstream that it waits for: that one, asked directly, is the ideal.
        slow = upstreams[0.05]
        groups["slow"].append(servers.Server("ideal", [], {}, port=slow.port, process=slow.process))
        yield groups, environment


def _bind_to_other_core() -> None:
    """PostgreSQL's processes shall not take the measured core; they inherit it from their parent."""
    for process in psutil.Process().children(recursive=True):
        if hasattr(process, "cpu_affinity") and (os.cpu_count() or 1) > 1:
            # One that ended meanwhile needs no core.
            with suppress(psutil.NoSuchProcess):
                process.cpu_affinity([1])


def run(groups: dict[str, list[servers.Server]], scenarios: list[Scenario], rounds: int, seconds: float) -> Results:
    """All measurements, medians over the rounds."""
    found: dict[tuple[str, int, str], list[Measurement]] = {}
    for scenario in scenarios:
        for server in _measured(groups, scenario):
            measure(server, scenario.route, concurrency=16, seconds=max(1, seconds))
    for number in range(rounds):
        for scenario in scenarios:
            for concurrency in CONCURRENCIES:
                order = _measured(groups, scenario)[:: 1 if number % 2 == 0 else -1]
                for server in order:
                    one = measure(server, scenario.route, concurrency=concurrency, seconds=seconds)
                    found.setdefault((scenario.name, concurrency, server.kind), []).append(one)
        print(f"round {number + 1} of {rounds} done", file=sys.stderr, flush=True)
    return {key: _median(values) for key, values in found.items()}


def _measured(groups: dict[str, list[servers.Server]], scenario: Scenario) -> list[servers.Server]:
    return [server for server in groups[scenario.group] if server.kind in scenario.kinds]


def _median(values: list[Measurement]) -> Measurement:
    columns = {name: statistics.median(asdict(value)[name] for value in values) for name in asdict(values[0])}
    return Measurement(**columns | {"failed": sum(value.failed for value in values)})


def report(results: Results) -> None:
    """The table, and the ratios of ours to each yardstick."""
    print(f"{'route':30}{'c':>4} {'server':8}{'req/s':>9}{'p50 ms':>9}{'p99 ms':>9}{'CPU ms':>8}{'MB':>7}{'ratio':>8}")
    for (name, concurrency, kind), one in results.items():
        if kind == "ours":
            print()
        mine = results[name, concurrency, "ours"]
        ratio = "" if kind == "ours" else f"{mine.rate / one.rate:8.2f}"
        failed = f"  {one.failed} FAILED" if one.failed else ""
        print(
            f"{name:30}{concurrency:4} {kind:8}{one.rate:9.0f}{one.p50:9.2f}{one.p99:9.2f}{one.cpu:8.3f}"
            f"{one.memory:7.0f}{ratio}{failed}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__.splitlines()[0])
    parser.add_argument("routes", nargs="*", help="only routes whose name begins so")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="one round of one second")
    options = parser.parse_args()
    if not shutil.which("wrk"):
        raise SystemExit("make bench needs wrk (Debian: apt-get install wrk; macOS: brew install wrk).")
    scenarios = [one for one in SCENARIOS if not options.routes or one.name.startswith(tuple(options.routes))]
    rounds, seconds = (1, 1) if options.quick else (options.rounds, options.seconds)
    state = Path(os.environ.get("DEV_STATE") or ".dev").absolute()
    with everything_running(state) as (groups, environment):
        results = run(groups, scenarios, rounds, seconds)
        report(results)
        if not options.routes or "pushes" in options.routes:
            print()
            uploads.report(next(server for server in groups["plain"] if server.kind == "ours"))
            subprocess.run([sys.executable, "-m", "bench.logbook"], env=environment, cwd=servers.ROOT, check=True)
    kept = state / "bench" / "results.json"
    kept.write_text(
        json.dumps(
            [{"route": key[0], "c": key[1], "server": key[2], **asdict(one)} for key, one in results.items()], indent=1
        )
    )
    print(f"\nKept in {kept}")


if __name__ == "__main__":
    main()
