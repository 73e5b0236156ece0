"""Run the sandbox: `python -m sandbox [--host 127.0.0.1] [--port 3001] [--webhook-url URL] …`; --help lists all."""

import argparse
import asyncio
import os
import signal
import sys
from pathlib import Path

from aiohttp import web

from sandbox.keeping import Keeper
from sandbox.server import make_application
from sandbox.settings import Settings
from sandbox.world import World

# A request that is being delayed on purpose must not hold up the end of the process.
_GRACE_SECONDS = 0.2


def main() -> None:
    """Read the arguments and serve until SIGINT or SIGTERM."""
    asyncio.run(_serve(_read_arguments()))


def _read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sandbox", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=int(os.environ.get("SANDBOX_PORT") or 3001))
    parser.add_argument("--webhook-url", default=os.environ.get("SANDBOX_WEBHOOK_URL", ""))
    parser.add_argument(
        "--webhook-scheme",
        choices=["http", "https"],
        help="what a proxy before the receiver of webhooks says they came by (X-Forwarded-Proto)",
    )
    parser.add_argument(
        "--rate-limit",
        type=int,
        default=int(os.environ.get("SANDBOX_RATE_LIMIT") or 200),
        help="requests per minute at Nango; 0 for no limit",
    )
    parser.add_argument(
        "--state",
        type=Path,
        default=Path(os.environ["SANDBOX_STATE"]) if os.environ.get("SANDBOX_STATE") else None,
        help="a file to keep in what the stand-ins know; without one it is forgotten when the process ends",
    )
    return parser.parse_args()


async def _serve(arguments: argparse.Namespace) -> None:
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, over.set)
    world = World(_settings(arguments))
    keeper = Keeper(arguments.state, world) if arguments.state else None
    trouble = keeper.load() if keeper else ""
    if keeper:
        # Also so that a place that can't be written to is told at once.
        keeper.save()
    runner = web.AppRunner(make_application(world, keeper), access_log=None, shutdown_timeout=_GRACE_SECONDS)
    await runner.setup()
    try:
        await web.TCPSite(runner, arguments.host, arguments.port, backlog=1024).start()
        host, port = runner.addresses[0][:2]
        sys.stdout.write(f"sandbox listening on http://{host}:{port}\n" + (f"{trouble}\n" if trouble else ""))
        sys.stdout.flush()
        await over.wait()
    finally:
        world.webhooks.stop()
        await runner.cleanup()


def _settings(arguments: argparse.Namespace) -> Settings:
    hosts = os.environ.get("SANDBOX_REDIRECT_HOSTS", "").split(",")
    return Settings(
        webhook_url=arguments.webhook_url,
        webhook_headers={"X-Forwarded-Proto": arguments.webhook_scheme} if arguments.webhook_scheme else {},
        rate_limit_per_minute=arguments.rate_limit or None,
        redirect_hosts=[host.strip() for host in hosts if host.strip()],
    )


if __name__ == "__main__":
    main()
