"""`make bench`: requests/s and latency of the hot routes, and their ratio to a bare WSGI application.

    make bench                                         everything, about ten minutes
    make bench ARGS="check --rounds 1 --seconds 1"     only the routes whose name begins so, in a hurry

The two take turns within every round, and every second round goes backwards, so that noise
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
from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import Any

import psutil

from bench.fixtures import APP, FEW, KEYS, MACHINE, MANY, TOKENS
from bench.servers import BARE, OURS, ROOT, Measurement, environment, measure, served, upstream
from dev.postgres import EmbeddedPostgres

_CONCURRENCIES = (1, 16, 64)
_CREDENTIALS = f"GET /api/credentials/{FEW}?connection_id={FEW}-0"
# Groups of servers: seconds until the upstream answers, and for which credentials are cached.
_GROUPS = {"plain": (0.0, 0), "slow": (0.05, 0), "cached": (0.0, 60)}
# By name: the group, the request, and of whom, by how many machines they have. The yardstick knows no machines, and no
# API keys.
_SCENARIOS = {
    "check (pending)": ("plain", "GET /api/auth/cli/check", 0),
    "session": ("plain", "POST /api/auth/cli/session", 0),
    "integrations (cached)": ("plain", "GET /api/integrations", 0),
    "integrations, by API key": ("plain", "GET /api/integrations", KEYS),
    "validate-key": ("plain", "POST /api/auth/validate-key", KEYS),
    "credentials, upstream 0 ms": ("plain", _CREDENTIALS, 0),
    "credentials, upstream 50 ms": ("slow", _CREDENTIALS, 0),
    "credentials (cached)": ("cached", _CREDENTIALS, 0),
    "connections, 10 upstream": ("plain", f"GET /api/integrations/{FEW}/connections", 0),
    "connections, 10 000 upstream": ("plain", f"GET /api/integrations/{MANY}/connections", 0),
    "deploy status": ("plain", f"GET /api/deploy/status?appName={APP}", 0),
    "deploy logs, of 5 MB": ("plain", f"GET /api/deploy/logs?appName={APP}", 0),
    # What Fly says of all machines is kept for seconds, so that neither its 50 ms nor the number of machines counts.
    **{f"machines, {number} of them": ("slow", "GET /api/cloud-dev/list", number) for number in TOKENS if number},
    "machine status": ("slow", f"GET /api/cloud-dev/status?appName={MACHINE}", 1),
    "mcp-token": ("plain", f"GET /api/cloud-dev/mcp-token?appName={MACHINE}", 1),
}


@contextmanager
def _everything_running(state: Path, groups: set[str]) -> Iterator[dict[tuple[str, str], str]]:
    """The database with its fixtures, the upstreams, and the servers to compare, by group and kind."""
    with ExitStack() as stack:
        postgres = EmbeddedPostgres(state=state, fsync=False)
        stack.callback(postgres.stop)
        database = postgres.start(afresh=True)
        for process in psutil.Process().children(recursive=True):
            if hasattr(process, "cpu_affinity") and (os.cpu_count() or 1) > 1:
                with suppress(psutil.NoSuchProcess):  # Its helpers come and go.
                    process.cpu_affinity([1])  # PostgreSQL shall not take the measured core; what it starts inherits.
        prepare = [sys.executable, "-m", "bench.prepare"]
        subprocess.run(prepare, env=environment(database, "http://127.0.0.1:9", 0), cwd=ROOT, check=True)
        upstreams = {delay: stack.enter_context(upstream(delay)) for delay in (0.0, 0.05)}
        found = {}
        for group in groups:
            delay, cache = _GROUPS[group]
            settings = environment(database, upstreams[delay], cache)
            for kind, application in (("ours", OURS), ("bare", BARE)):
                log = state / "logs" / f"{group}-{kind}.log"
                found[group, kind] = stack.enter_context(served(application, settings, log))
        yield found


def _run(servers: dict[tuple[str, str], str], names: list[str], rounds: int, seconds: int) -> list[dict[str, Any]]:
    """All measurements, medians over the rounds."""
    found: dict[tuple[str, int, str], list[Measurement]] = {}
    for number in range(rounds + 1):  # the first warms up
        for name, concurrency in product(names, _CONCURRENCIES if number else (16,)):
            group, request, machines = _SCENARIOS[name]
            kinds = ["ours"] if machines else ["ours", "bare"]
            for kind in kinds if number % 2 else reversed(kinds):
                one = measure(
                    servers[group, kind],
                    request,
                    concurrency=concurrency,
                    seconds=seconds,
                    machines=machines,
                )
                if number:
                    found.setdefault((name, concurrency, kind), []).append(one)
                elif one.failed:
                    raise SystemExit(f"{name}: {one.failed} answers of {kind} are errors")
        print(f"round {number} of {rounds} done", file=sys.stderr, flush=True)
    return [
        {"route": name, "c": concurrency, "server": kind, **_median(values)}
        for (name, concurrency, kind), values in found.items()
    ]


def _median(values: list[Measurement]) -> dict[str, float]:
    columns = {name: [asdict(value)[name] for value in values] for name in asdict(values[0])}
    return {name: statistics.median(column) for name, column in columns.items()} | {"failed": sum(columns["failed"])}


def _report(results: list[dict[str, Any]]) -> None:
    """Print the table, with the ratio of ours to the yardstick."""
    rates = {(one["route"], one["c"]): one["rate"] for one in results if one["server"] == "ours"}
    print(f"{'route':30}{'c':>4} {'server':8}{'req/s':>9}{'p50 ms':>9}{'p99 ms':>9}{'ratio':>8}")
    for one in sorted(
        results, key=lambda one: (list(_SCENARIOS).index(one["route"]), one["c"], one["server"] != "ours")
    ):
        ratio = f"{rates[one['route'], one['c']] / one['rate']:8.2f}" if one["server"] == "bare" else ""
        failed = f"  {one['failed']} FAILED" if one["failed"] else ""
        print("{route:30}{c:4} {server:8}{rate:9.0f}{p50:9.2f}{p99:9.2f}".format(**one) + ratio + failed)


def main() -> None:
    """Measure what the words of the command line ask for."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__.splitlines()[0])
    parser.add_argument("routes", nargs="*", help="only routes whose name begins so")
    parser.add_argument("--rounds", type=int, default=3, help="after the one that warms up")
    parser.add_argument("--seconds", type=int, default=2)
    options = parser.parse_args()
    if not shutil.which("wrk"):
        raise SystemExit("make bench needs wrk (Debian: apt-get install wrk; macOS: brew install wrk).")
    names = [name for name in _SCENARIOS if not options.routes or name.startswith(tuple(options.routes))]
    state = Path(os.environ.get("DEV_STATE") or ".dev").absolute() / "bench"
    with _everything_running(state, {_SCENARIOS[name][0] for name in names}) as servers:
        results = _run(servers, names, options.rounds, options.seconds)
    _report(results)
    kept = state / "results.json"
    kept.write_text(json.dumps(results, indent=1))
    print(f"\nKept in {kept}")


if __name__ == "__main__":
    main()
