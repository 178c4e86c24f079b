"""Every setting of Seamless; values that differ between installations come from the environment."""

import secrets
import sys
from pathlib import Path

from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from config.environment import (
    celery_broker,
    read_addresses,
    read_database,
    read_flag,
    read_float,
    read_int,
    read_list,
    read_text,
)
from config.logs import configure_structlog, logging_config
from config.unfold import UNFOLD  # noqa: F401  (Unfold reads the setting)

BASE_DIR = Path(__file__).resolve().parent.parent

# --- what runs where ---------------------------------------------------------------------------

SEAMLESS_VAR = Path(read_text("SEAMLESS_VAR", str(BASE_DIR / "var"))).absolute()
(SEAMLESS_VAR / "static").mkdir(parents=True, exist_ok=True)
SEAMLESS_BARS_DIR = Path(read_text("SEAMLESS_BARS_DIR", str(SEAMLESS_VAR / "bars")))
SEAMLESS_ARTIFACT_DIR = Path(read_text("SEAMLESS_ARTIFACT_DIR", str(SEAMLESS_VAR / "artifacts")))
# Directories below which a node's Parquet files may lie, besides ours.
SEAMLESS_PARQUET_ROOTS = read_list("SEAMLESS_PARQUET_ROOTS", [])
# Databases that hold bars, by the name that a node's store settings use.
SEAMLESS_STORE_DATABASES = read_addresses("SEAMLESS_STORE_DATABASES")
# What backfills may fetch from: hosts (`name` or `name:port`), folders, and secrets by name.
SEAMLESS_SOURCE_HOSTS = read_list("SEAMLESS_SOURCE_HOSTS", [])
SEAMLESS_SOURCE_FOLDERS = read_list("SEAMLESS_SOURCE_FOLDERS", [])
SEAMLESS_SOURCE_SECRETS = read_addresses("SEAMLESS_SOURCE_SECRETS")
# Redis servers with live streams, by the name that a node's live settings use.
SEAMLESS_LIVE_SERVERS = read_addresses("SEAMLESS_LIVE_SERVERS")
SEAMLESS_CHECKPOINT_DIR = Path(
    read_text("SEAMLESS_CHECKPOINT_DIR", str(SEAMLESS_VAR / "checkpoints"))
)
DEBUG = read_flag("SEAMLESS_DEBUG", False)
SECRET_KEY = read_text("SEAMLESS_SECRET_KEY", "")
SEAMLESS_SECRET_KEY_GIVEN = bool(SECRET_KEY)
if not SECRET_KEY:
    if read_flag("SEAMLESS_REQUIRE_SECRET_KEY", False):
        raise ImproperlyConfigured("SEAMLESS_SECRET_KEY is not set")
    SECRET_KEY = secrets.token_urlsafe(48)  # sessions end with the process
ALLOWED_HOSTS = read_list("SEAMLESS_ALLOWED_HOSTS", ["127.0.0.1", "localhost", "[::1]"])
CSRF_TRUSTED_ORIGINS = read_list("SEAMLESS_TRUSTED_ORIGINS", [])

DATABASES = {"default": read_database("DATABASE_URL", f"sqlite:///{SEAMLESS_VAR}/seamless.sqlite3")}
# Whom migrations give rights to (see registry.roles); migrations themselves run as the owner.
SEAMLESS_APPLICATION_ROLE = ""
if read_text("DATABASE_OWNER_URL", ""):
    SEAMLESS_APPLICATION_ROLE = DATABASES["default"].get("USER", "")
    if sys.argv[1:2] == ["migrate"]:
        DATABASES = {"default": read_database("DATABASE_OWNER_URL", "")}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
SEAMLESS_AUDIT_ORIGIN = read_text("SEAMLESS_AUDIT_ORIGIN", "seamless.local/audit")
SEAMLESS_AUDIT_KEY = read_text("SEAMLESS_AUDIT_KEY", "")
SEAMLESS_AUDIT_NEXT_KEY = read_text("SEAMLESS_AUDIT_NEXT_KEY", "")
SEAMLESS_AUDIT_KEY_FILE = read_text("SEAMLESS_AUDIT_KEY_FILE", str(SEAMLESS_VAR / "audit-key.pem"))
SEAMLESS_AUDIT_KEY_GENERATE = not read_text("SEAMLESS_AUDIT_KEY_FILE", "")
SEAMLESS_AUDIT_KEEP_DAYS = read_int("SEAMLESS_AUDIT_KEEP_DAYS", 365)
SEAMLESS_EXPORT_DIR = Path(read_text("SEAMLESS_EXPORT_DIR", str(SEAMLESS_VAR / "exports")))
SEAMLESS_EXPORT_HOURS = read_float("SEAMLESS_EXPORT_HOURS", 24.0)
SEAMLESS_EXPORT_STREAM_RECORDS = read_int("SEAMLESS_EXPORT_STREAM_RECORDS", 50_000)
SEAMLESS_CHECKPOINT_GIT = read_text("SEAMLESS_CHECKPOINT_GIT", "")
SEAMLESS_CHECKPOINT_GIT_SECONDS = read_float("SEAMLESS_CHECKPOINT_GIT_SECONDS", 60.0)
SEAMLESS_CHECKPOINT_GIT_REMOTE = read_text("SEAMLESS_CHECKPOINT_GIT_REMOTE", "")
REDIS_URL = read_text("REDIS_URL", "redis://127.0.0.1:6379/0")

# --- the project -------------------------------------------------------------------------------

INSTALLED_APPS = [
    "unfold",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "csp",
    "rest_framework",
    "registry",
    "coordinator",
    "provider",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "config.http_metrics.HTTPMetricsMiddleware",
    "registry.request_context.RequestContextMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "csp.middleware.CSPMiddleware",
    "config.content_security.admin_csp",
]
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
APPEND_SLASH = False
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "config" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
LANGUAGE_CODE = "en-us"
USE_I18N = False
FORMAT_MODULE_PATH = ["config.formats"]
TIME_ZONE = "UTC"
USE_TZ = True
STATIC_URL = "static/"
STATIC_ROOT = SEAMLESS_VAR / "static"
WHITENOISE_USE_FINDERS = True

# --- who may come in ---------------------------------------------------------------------------

PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"  # Unfold's sign-in form carries no `next`
SEAMLESS_HTTPS = read_flag("SEAMLESS_HTTPS", False)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = SEAMLESS_HTTPS
SESSION_COOKIE_HTTPONLY = True
SECURE_HSTS_SECONDS = 31_536_000 if SEAMLESS_HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = SEAMLESS_HTTPS
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "object-src": [NONE],
        "base-uri": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    }
}
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "registry.authentication.BearerTokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["registry.permissions.Denied"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["registry.api.parsing.StrictJSONParser"],
    "EXCEPTION_HANDLER": "registry.problems.problem_response",
    "UNAUTHENTICATED_USER": None,
    "URL_FORMAT_OVERRIDE": None,
}
DATA_UPLOAD_MAX_MEMORY_SIZE = 1_048_576

# --- background work (why each value: docs/decisions/0004-celery-on-redis.md) --------------------

CELERY_BROKER_URL = celery_broker(REDIS_URL)
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 120,
    "unacked_restore_interval": 5,
    "unacked_restore_throttle": 1,
    "health_check_interval": 5,
    "socket_timeout": 10,
    "socket_connect_timeout": 5,
    "socket_keepalive": True,
    "global_keyprefix": "seamless:",
}
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_RETRY_ON_WORKER_LOST = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_ACKS_ON_FAILURE = True
CELERY_TASK_ACKS_ON_TIMEOUT = True
CELERY_TASK_SOFT_TIME_LIMIT = 47  # a shard has 45; its ticket may have run others for a second
CELERY_TASK_TIME_LIMIT = 60
CELERY_TASK_IGNORE_RESULT = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_DISABLE_PREFETCH = True
CELERY_WORKER_MAX_TASKS_PER_CHILD = 500
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = True
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = read_float("SEAMLESS_SOFT_SHUTDOWN_SECONDS", 20.0)
CELERY_WORKER_ENABLE_SOFT_SHUTDOWN_ON_IDLE = True
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_WORKER_ETA_TASK_LIMIT = 100
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TIMEZONE = "UTC"

SEAMLESS_RECONCILE_SECONDS = read_float("SEAMLESS_RECONCILE_SECONDS", 5.0)
SEAMLESS_LIVE_FEED_SECONDS = read_float("SEAMLESS_LIVE_FEED_SECONDS", 5.0)
CELERY_BEAT_SCHEDULE = {
    "reconcile-backfills": {
        "task": "coordinator.tasks.reconcile",
        "schedule": SEAMLESS_RECONCILE_SECONDS,
        "options": {"expires": 5},
    },
    "tend-rollouts": {
        "task": "registry.tasks.tend_rollouts",
        "schedule": read_float("SEAMLESS_TEND_SECONDS", 30.0),
        "options": {"expires": 30},
    },
    "seal-audit-log": {
        "task": "registry.tasks.seal_audit_log",
        "schedule": read_float("SEAMLESS_SEAL_SECONDS", 1.0),
        "options": {"expires": 5},
    },
    "tend-replays": {
        "task": "registry.tasks.tend_replays",
        "schedule": 5.0,
        "options": {"expires": 5},
    },
    "tend-audit-exports": {
        "task": "registry.tasks.tend_audit_exports",
        "schedule": 5.0,
        "options": {"expires": 5},
    },
    "feed-live-nodes": {
        "task": "provider.tasks.feed_live_nodes",
        "schedule": SEAMLESS_LIVE_FEED_SECONDS,
        "options": {"expires": SEAMLESS_LIVE_FEED_SECONDS},
    },
    "prune-reports": {
        "task": "provider.tasks.prune_conformance_reports",
        "schedule": 3_600.0,
        "options": {"expires": 600},
    },
    "prune-evidence": {
        "task": "registry.tasks.prune_evidence",
        "schedule": 3600.0,
        "options": {"expires": 600},
    },
}
SEAMLESS_LEASE_TTL_SECONDS = read_float("SEAMLESS_LEASE_TTL_SECONDS", 30.0)
SEAMLESS_SHARD_BARS = read_int("SEAMLESS_SHARD_BARS", 900)
SEAMLESS_MAX_ATTEMPTS = read_int("SEAMLESS_MAX_ATTEMPTS", 6)
SEAMLESS_RETRY_BASE_SECONDS = read_float("SEAMLESS_RETRY_BASE_SECONDS", 0.5)
SEAMLESS_RETRY_JITTER = read_float("SEAMLESS_RETRY_JITTER", 0.25)
SEAMLESS_QUARANTINE_DAYS = read_int("SEAMLESS_QUARANTINE_DAYS", 90)
SEAMLESS_WEB_THREADS = read_int("SEAMLESS_WEB_THREADS", 8)  # of one web process
SEAMLESS_LONGEST_WAIT_SECONDS = read_float("SEAMLESS_LONGEST_WAIT_SECONDS", 300.0)
SEAMLESS_ASK_AGAIN_SECONDS = read_int("SEAMLESS_ASK_AGAIN_SECONDS", 3_600)
SEAMLESS_CANARY_THREADS = read_int("SEAMLESS_CANARY_THREADS", 2)
SEAMLESS_CANARY_PLACES = read_int("SEAMLESS_CANARY_PLACES", 64)
SEAMLESS_SNAPSHOT_SECONDS = read_float("SEAMLESS_SNAPSHOT_SECONDS", 1.0)
SEAMLESS_SNAPSHOT_MAX_AGE = read_float("SEAMLESS_SNAPSHOT_MAX_AGE", 60.0)
SEAMLESS_EVIDENCE_SECONDS = read_float("SEAMLESS_EVIDENCE_SECONDS", 0.5)
SEAMLESS_SAMPLE_SECONDS = read_float("SEAMLESS_SAMPLE_SECONDS", 300.0)
SEAMLESS_CACHE_BYTES = read_int("SEAMLESS_CACHE_BYTES", 64 << 20)
SEAMLESS_CACHE_SECONDS = read_float("SEAMLESS_CACHE_SECONDS", 60.0)
SEAMLESS_REPORT_DAYS = read_int("SEAMLESS_REPORT_DAYS", 90)
SEAMLESS_MAX_WINDOW_BARS = read_int("SEAMLESS_MAX_WINDOW_BARS", 50_000_000)
# Rows that are checked at once; a longer window is checked in batches and spooled to a file.
SEAMLESS_BATCH_ROWS = read_int("SEAMLESS_BATCH_ROWS", 1_000_000)
SEAMLESS_SPOOL_BYTES = read_int("SEAMLESS_SPOOL_BYTES", 4 << 30)
SEAMLESS_EXPORTS = read_int("SEAMLESS_EXPORTS", 2)

# --- logs --------------------------------------------------------------------------------------

LOGGING_CONFIG = "logging.config.dictConfig"
LOGGING = logging_config(read_text("SEAMLESS_LOG_LEVEL", "INFO"))
configure_structlog()
