"""The one settings file: everything that differs between machines comes from the environment.

Nothing set: a local service on embedded PostgreSQL, with its data in DATA_DIR. PUBLIC_URL with
https: a production behind a proxy that speaks TLS, with every protection on. Readers: env.py.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import dj_database_url
from django.core.exceptions import ImproperlyConfigured

from billing.config import env, faces, logs, queue
from billing.config.launcher import files

BASE_DIR = Path(__file__).parents[2]
DATA_DIR = files.data_directory()
DEBUG = env.flag("DEBUG")

# --- Addresses and protections --------------------------------------------------------------
PORT = env.integer("PORT", 8000, least=1, most=65535)
PUBLIC_URL = env.url("PUBLIC_URL", f"http://127.0.0.1:{PORT}")
IS_PUBLIC = PUBLIC_URL.startswith("https://")
_public_host = urlsplit(PUBLIC_URL).hostname or ""

SECRET_KEY = env.text("SECRET_KEY")
if not SECRET_KEY:
    if IS_PUBLIC:
        raise ImproperlyConfigured("SECRET_KEY must be set where PUBLIC_URL is https")
    SECRET_KEY = files.secret(DATA_DIR, "secret_key")
SECRET_KEY_FALLBACKS = env.words("SECRET_KEY_FALLBACKS")

# The loopback always: the health check asks from there.
ALLOWED_HOSTS = [*env.words("ALLOWED_HOSTS", [_public_host]), "localhost", "127.0.0.1", "[::1]"]
CSRF_TRUSTED_ORIGINS = env.words("CSRF_TRUSTED_ORIGINS", [PUBLIC_URL])
# On a laptop the service speaks plain http on the loopback: a cookie for https alone would lock
# everybody out, and a redirect would lead nowhere. This program never speaks TLS itself, so an
# https PUBLIC_URL means that a proxy does, and says so in X-Forwarded-Proto.
SECURE_SSL_REDIRECT = IS_PUBLIC
SECURE_REDIRECT_EXEMPT = [r"^healthz$"]  # Asked from inside, without the proxy.
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if IS_PUBLIC else None
SECURE_HSTS_SECONDS = 31_536_000 if IS_PUBLIC else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = IS_PUBLIC
SECURE_HSTS_PRELOAD = IS_PUBLIC
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = IS_PUBLIC
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 12 * 3600  # A working day: these are finance's sessions.
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
# How many proxies of ours add to X-Forwarded-For: whose address a login came from.
TRUSTED_PROXIES = env.integer("TRUSTED_PROXIES", int(IS_PUBLIC), most=10)
# The largest usage batch that the API takes, unpacked, and room for its envelope.
DATA_UPLOAD_MAX_MEMORY_SIZE = 17 * 2**20

# --- What it is made of ---------------------------------------------------------------------
INSTALLED_APPS = [
    "unfold",  # Before the admin, whose templates it replaces.
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "billing",
    "metering",
    "commits",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "billing.config.content_security.ContentSecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "billing.config.urls"
WSGI_APPLICATION = "billing.config.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# --- Data -----------------------------------------------------------------------------------
POSTGRES_SCHEMES = ("postgres", "postgresql")
DATABASE_URL = env.url("DATABASE_URL", schemes=POSTGRES_SCHEMES)
if not DATABASE_URL:
    # manage.py and the launcher set DATABASE_URL when they have started the embedded server, so
    # this is for tools that only read the settings (mypy, `check`): a server that is not there.
    DATABASE_URL = "postgresql://postgres@localhost:1/ledger"
DATABASES = {"default": dj_database_url.parse(DATABASE_URL)}
_pool = env.integer("DATABASE_POOL", 0, most=200)
_options: dict[str, Any] = DATABASES["default"].setdefault("OPTIONS", {})
# A statement is prepared where it asks for it, never for having been run often: a plan that is kept
# has to be right for one row and for thousands.
_options["prepare_threshold"] = 2**31
if _pool:
    # A pool lends connections per request; it excludes persistent ones.
    _options["pool"] = {"min_size": 1, "max_size": _pool, "timeout": 10}
else:
    DATABASES["default"]["CONN_MAX_AGE"] = env.integer("CONN_MAX_AGE", 60)
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True

USE_TZ = True
TIME_ZONE = "UTC"
USE_I18N = False
LANGUAGE_CODE = "en-us"

# --- The queue: an accelerator, never the truth (billing/config/celery.py) -------------------
BROKER_SCHEMES = ("pgmq", "amqp", "amqps", "redis", "rediss", "memory")
CELERY_BROKER_URL = env.url("CELERY_BROKER_URL", "pgmq://localhost", schemes=BROKER_SCHEMES)
USES_PGMQ = CELERY_BROKER_URL.startswith("pgmq:")
CELERY_TASK_SOFT_TIME_LIMIT = env.integer("TASK_SECONDS", 240, least=1)
CELERY_TASK_TIME_LIMIT = CELERY_TASK_SOFT_TIME_LIMIT + 30
# How long a broker that has such a thing hides a task from others once a worker has fetched it.
# Shorter than the task would run it twice at once; longer delays the retry after a crash.
BROKER_VISIBILITY_SECONDS = env.integer("BROKER_VISIBILITY_SECONDS", 600, least=1)
_transport_options: dict[str, dict[str, Any]] = {
    "pgmq": {
        "conn_string": queue.broker_conninfo(DATABASE_URL),
        "init_extension": False,  # It is plain SQL here, installed by billing/config/queue.py.
        "visibility_timeout": BROKER_VISIBILITY_SECONDS,
        "wait_time_seconds": 0,  # A long poll of one queue would hold up the others.
        "polling_interval": 0.02,
        "pool_size": 4,
    },
    "amqp": {"confirm_publish": True},
    "redis": {"visibility_timeout": BROKER_VISIBILITY_SECONDS},
}
CELERY_BROKER_TRANSPORT_OPTIONS = _transport_options.get(
    CELERY_BROKER_URL.partition(":")[0].removesuffix("s"), {}
)
# pgmq fetches in bulk, and one message at a time makes it twenty times slower.
CELERY_WORKER_PREFETCH_MULTIPLIER = 8 if USES_PGMQ else 1
CELERY_TASK_DEFAULT_QUEUE = "ledger"
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TIMEZONE = "UTC"
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_WORKER_ENABLE_REMOTE_CONTROL = False  # Its queue names are too long for pgmq.
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_CONCURRENCY = env.integer("WORKER_CONCURRENCY", 2, least=1)
# Real seconds between runs. Each task finds its work in the database and does nothing where there
# is none, so a lost message costs one interval, never a posting.
_EVERY = {
    "commits.draw_down": 5,
    "commits.run_due_jobs": 5,
    "billing.push_due_invoices": 15,
    "billing.apply_stripe_events": 15,
    "billing.reconcile_invoices": 3600,
}
CELERY_BEAT_SCHEDULE: dict[str, Any] = {
    name: {"task": name, "schedule": seconds, "options": {"expires": seconds}}
    for name, seconds in _EVERY.items()
}

# --- Stripe, and the sandbox ----------------------------------------------------------------
STRIPE_API_KEY = env.text("STRIPE_API_KEY")
STRIPE_API_BASE = env.url("STRIPE_API_BASE")  # Empty: Stripe itself. Else the simulator.
STRIPE_WEBHOOK_SECRETS = env.words("STRIPE_WEBHOOK_SECRET")  # Two are live while one is rotated.
# Stripe marks a smaller US dollar invoice paid without collecting it: such amounts are carried.
STRIPE_MINIMUM_CENTS = env.integer("STRIPE_MINIMUM_CENTS", 50, least=0)
SANDBOX = env.flag("SANDBOX")
if SANDBOX and STRIPE_API_KEY.startswith(("sk_live_", "rk_live_")):
    raise ImproperlyConfigured(
        "SANDBOX=1 lets anyone set the clock: it is refused together with a live Stripe key"
    )

# --- People ---------------------------------------------------------------------------------
LOGIN_URL = "/login/"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "/login/"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]

UNFOLD = faces.UNFOLD  # How finance's admin looks.

# --- The API --------------------------------------------------------------------------------
REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["billing.api.parsing.StrictJSONParser"],
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "UNAUTHENTICATED_USER": None,
    "COERCE_DECIMAL_TO_STRING": True,
}
SPECTACULAR_SETTINGS: dict[str, Any] = {
    "TITLE": "Commit billing ledger",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    # Several things have a `state`; each set of them has its own name in the document.
    "ENUM_NAME_OVERRIDES": {
        "CommitStateEnum": ["draft", "active", "ended"],
        "QuarterStateEnum": ["open", "planned", "approved", "posted", "invoiced"],
        "RequestStateEnum": ["requested", "approved", "rejected"],
        "CreditNoteKindEnum": "billing.models.CreditNoteKind",
        "BackfillKindEnum": ["add", "replace"],
    },
}

# --- Static files ---------------------------------------------------------------------------
STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [path for path in [BASE_DIR / "static"] if path.is_dir()]
# A production collects, hashes and compresses them once, in its image; locally they are served
# from where they lie, so that nothing has to be collected first.
WHITENOISE_USE_FINDERS = not IS_PUBLIC
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if IS_PUBLIC
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}
warnings.filterwarnings("ignore", message="No directory at")

# --- Logs -----------------------------------------------------------------------------------
LOG_LEVEL = env.choice("LOG_LEVEL", "INFO", among=("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"))
LOGGING = logs.configuration(LOG_LEVEL)
logs.configure_structlog()
