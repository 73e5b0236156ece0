"""gunicorn's settings in production and development.

Threads, because a request waits for PostgreSQL and for upstreams; a kept-alive connection, because
opening one costs more than most requests (docs/adr/0003-fast-by-construction.md has the figures).
"""

import gc
from pathlib import Path

from config import env
from config.gunicorn_worker import listen_addresses
from core import logs

_port_in_file = None
if _file := env.text("CONFIG_FILE", ""):
    # Here alone, since what reads it would cost every other server's first process 16 MB.
    from config import config_file

    _port_in_file = config_file.read(_file).server.http_port
bind = env.text("BIND", "") or listen_addresses.everywhere(
    env.integer("PORT", 3000, at_least=1, at_most=65535, in_file=_port_in_file)
)
workers = env.integer("WEB_CONCURRENCY", 2, at_least=1)
worker_class = "config.gunicorn_worker.worker.Worker"
threads = env.integer("WEB_THREADS", 20, at_least=1)
keepalive = 75
graceful_timeout = 20
limit_request_line = 8190
forwarded_allow_ips = "127.0.0.1,::1"
# Not even a proxy may move the server to another path: SCRIPT_NAME as a header would change routes.
forwarder_headers = ""
# When one more comes, whoever has waited longest in the most crowded network is let go.
worker_connections = 1000
# It would lie in the home folder, where two servers would share it.
control_socket_disable = True


def post_worker_init(_worker: object) -> None:
    """Keep the loaded program out of the garbage collector's rounds, and have fewer of them.

    A request leaves hardly any cycles; by default the collector wakes up in most requests.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 100)


errorlog = "-"
# gunicorn's own lines look like all others.
logconfig_dict = logs.configuration(style=env.choice("LOG_FORMAT", "json", ["json", "text"]), level="INFO")
logconfig_dict["loggers"]["gunicorn.error"] = {"level": "INFO", "handlers": ["stderr"], "propagate": False}
# Workers tell by a file's time that they live; in memory, a slow disk can't make them look dead.
_memory = Path("/dev/shm")  # noqa: S108 - gunicorn makes its file there safely
worker_tmp_dir = str(_memory) if _memory.is_dir() else None
