"""How gunicorn serves the web part; read with `--config python:billing.config.gunicorn`.

Threads, because requests wait for PostgreSQL, and those that bring usage share its transactions
(metering/services/intake.py); a second process, because Python computes on one core. The names
below are gunicorn's.
"""

from __future__ import annotations

import gc
import os
from pathlib import Path

from billing.config import env, logs

wsgi_app = "billing.config.wsgi:application"
bind = env.text("BIND", f"127.0.0.1:{env.integer('PORT', 8000, least=1, most=65535)}")
worker_class = "gthread"
workers = env.integer("WEB_WORKERS", 2, least=1)
threads = env.integer("WEB_THREADS", 8, least=1)
timeout = 60
graceful_timeout = 20
keepalive = 30
# The heartbeat file on a disk that is busy would make gunicorn kill sound workers.
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108
forwarded_allow_ips = env.text("FORWARDED_ALLOW_IPS", "127.0.0.1")
logconfig_dict = logs.configuration(env.text("LOG_LEVEL", "INFO"))
proc_name = f"ledger-web-{os.getpid()}"
control_socket_disable = True


def post_worker_init(_worker: object) -> None:
    """What is loaded by now stays: the collector need not look through it again and again, nor
    after every 700 objects when one batch of usage makes ten thousand."""
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)
