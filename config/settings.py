"""All settings, with every limit, quota and time; loud on a bad value. docs/settings.md has the table."""

import os
import sys
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

from accounts import static_keys
from config import config_file, env, storage
from config.admin_theme import UNFOLD  # noqa: F401 - the admin's look, which unfold reads from here
from config.public_paths import PUBLIC_PATHS  # noqa: F401 - read by core.middleware and the tests
from core import crypto, logs
from core.streamed_bodies import SMALL_BODY

BASE_DIR = Path(__file__).resolve().parent.parent

# --- The configuration file: where it and the environment say something, the environment does --------------
_FILE = config_file.read(env.text("CONFIG_FILE", ""))
CONFIG_LINES = config_file.lines(env.text("CONFIG_FILE", ""))

# --- This server -----------------------------------------------------------------------------
DEBUG = env.flag("DEBUG", default=False)
SECRET_KEY = env.secret("SECRET_KEY")
ENCRYPTION_KEYS = env.secret("ENCRYPTION_KEYS")
crypto.parse_keys(ENCRYPTION_KEYS)
PUBLIC_URL = env.url("PUBLIC_URL")
_PUBLIC = urlsplit(PUBLIC_URL)
IS_SECURE = _PUBLIC.scheme == "https"
ALLOWED_HOSTS = env.words("ALLOWED_HOSTS", [env.host_of(PUBLIC_URL)])
TRUSTED_PROXY_COUNT = env.integer("TRUSTED_PROXY_COUNT", 0, at_most=10)
CLIENT_ADDRESS_HEADER = env.text("CLIENT_ADDRESS_HEADER", "")
WEB_THREADS = env.integer("WEB_THREADS", 20, at_least=1)
ACCESS_LOG = env.flag("ACCESS_LOG", default=True)
LOG_FORMAT = env.choice("LOG_FORMAT", "json", ["json", "text"])
LOGGING = logs.configuration(
    style=LOG_FORMAT,
    level=env.choice("LOG_LEVEL", "INFO", ["DEBUG", "INFO", "WARNING", "ERROR"]),
)

# --- Database and cache ----------------------------------------------------------------------
DATABASES = {
    "default": {
        **env.database("DATABASE_URL", in_file=_FILE.database.url),
        # One connection per thread, kept: opening one for each request costs twelve times a look-up.
        "CONN_MAX_AGE": None,
    }
}
DATABASES["default"].setdefault("OPTIONS", {})
DATABASES["default"]["OPTIONS"] |= {  # type: ignore[operator]
    "connect_timeout": 5,
    "application_name": "crayon-server",
    # A server that goes silent, without closing its connections, is given up within half a minute.
    "keepalives": 1,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASE_PREPARED_STATEMENTS = env.flag("DATABASE_PREPARED_STATEMENTS", default=True)
if DATABASE_PREPARED_STATEMENTS:
    # Django's None would forbid preparing altogether. Its own cursors never do; `core.database` does.
    DATABASES["default"]["OPTIONS"]["prepare_threshold"] = 1  # type: ignore[index]
REDIS_URL = env.secret("REDIS_URL", "")
if REDIS_URL:
    CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": REDIS_URL,
            "OPTIONS": {
                "socket_timeout": 0.5,
                "socket_connect_timeout": 0.5,
                # Django's own is pickle: who can write to Redis could run code here.
                "serializer": "core.cache.Serializer",
            },
            # Raised with the form of what is kept, so that nothing reads what an earlier version wrote.
            "VERSION": 2,
        }
    }
else:
    CACHES = {"default": {"BACKEND": "core.process_cache.ProcessCache"}}

# --- Applications ----------------------------------------------------------------------------
INSTALLED_APPS = [
    "core",
    "accounts",
    "fly",
    "integrations",
    "deployments",
    "clouddev",
    "unfold.apps.BasicAppConfig",
    "unfold.contrib.filters",
    "config.apps.OperatorAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "allauth",
    "allauth.account",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.github",
    "allauth.usersessions",
    "oauth2_provider",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "procrastinate.contrib.django",
]
MIDDLEWARE = [
    # Machines' requests go no further than this one; what follows is for pages.
    "core.middleware.RequestMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    # Every page asks for a signed-in person unless it says otherwise.
    "core.next_url.ReturningMiddleware",
    # And names what it does; who may is for the policies to say.
    "core.middleware.ActionMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "allauth.usersessions.middleware.UserSessionsMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
TEMPLATES = [
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
    }
]
LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True
FORMAT_MODULE_PATH = ["config.formats"]
STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "assets"]
# The image has its static files collected and compressed; a checkout serves them from where they lie.
_COLLECTED = not DEBUG and (STATIC_ROOT / "staticfiles.json").is_file()
STORAGES = {
    "default": storage.uploads(),
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if _COLLECTED or "collectstatic" in sys.argv
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}
WHITENOISE_USE_FINDERS = not _COLLECTED
WHITENOISE_AUTOREFRESH = DEBUG

# --- The browser -----------------------------------------------------------------------------
# Pages below what is for machines else.
PAGES_UNDER_API = frozenset(
    {"/api/docs", "/api/auth/github/callback", "/api/auth/callback/github", "/api/auth/token", "/oauth/authorize"}
)
SESSION_ENGINE = "core.sessions"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = IS_SECURE
SESSION_COOKIE_NAME = "__Host-session" if IS_SECURE else "session"
CSRF_COOKIE_NAME = "__Host-csrf" if IS_SECURE else "csrf"
CSRF_COOKIE_HTTPONLY = True
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL]
CSRF_FAILURE_VIEW = "core.error_pages.csrf_failure"
SECURE_SSL_REDIRECT = IS_SECURE
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if IS_SECURE else None
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if IS_SECURE else 0
# Other hosts of the domain are not ours to decide about; `http` leads people back to their own machine only
# (`accounts.models.oauth`).
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021", "oauth2_provider.W008"]
# Not "no-referrer": browsers then send `Origin: null` with our own forms, and CSRF protection refuses them.
SECURE_REFERRER_POLICY = "same-origin"
DATA_UPLOAD_MAX_MEMORY_SIZE = SMALL_BODY
# No page takes files, so none is ever written to the disk.
FILE_UPLOAD_HANDLERS = ["django.core.files.uploadhandler.MemoryFileUploadHandler"]
# Pages that redirect to another host; a sign-in doesn't end on them, but on a page that leads there.
PATHS_LEADING_AWAY = frozenset({"/auth/dev-ui", "/oauth/authorize"})
APPEND_SLASH = False
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "workspaces"
LOGOUT_REDIRECT_URL = "account_login"

# --- People ----------------------------------------------------------------------------------
AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
    # For the secrets of clients alone, which are random.
    "accounts.client_secrets.RandomSecretHasher",
]
SIGNUP_POLICY = env.choice("SIGNUP_POLICY", "open", ["open", "allowlist", "waitlist"])
SIGNUP_ALLOWED_LOGINS = [login.lower() for login in env.words("SIGNUP_ALLOWED_LOGINS")]
SIGNUP_ALLOWED_ORGANIZATIONS = [name.lower() for name in env.words("SIGNUP_ALLOWED_ORGANIZATIONS")]
SIGNUP_ALLOWED_EMAIL_DOMAINS = [name.lower() for name in env.words("SIGNUP_ALLOWED_EMAIL_DOMAINS")]
# The server's own token at GitHub, which sees who belongs to those organizations.
GITHUB_ORG_TOKEN = env.secret("GITHUB_ORG_TOKEN", "")
LEAVERS_KEEP_CONNECTIONS_HOURS = env.integer("LEAVERS_KEEP_CONNECTIONS_HOURS", 0, at_most=720)
ACCESS_TOKEN_DAYS = env.integer("ACCESS_TOKEN_DAYS", 90, at_least=1, at_most=3650)
REGISTRATION = env.flag("REGISTRATION", default=SIGNUP_POLICY == "open")
VALIDATE_KEY_PER_MINUTE = env.integer("VALIDATE_KEY_PER_MINUTE", 6000, at_least=1)
STATIC_API_KEYS = static_keys.read(env.text("STATIC_API_KEYS_FILE", ""))

# Who tokens are for that name nobody else, and how new signing keys sign.
TOKEN_AUDIENCE = env.text("TOKEN_AUDIENCE", "crayon")
TOKEN_SIGNING_ALGORITHM = env.choice("TOKEN_SIGNING_ALGORITHM", "RS256", ["RS256", "EdDSA"])
# Services beside this server's own that tokens may be asked for (RFC 8707), and schemes of apps that people are sent
# back to (RFC 8252, section 7.1).
OAUTH_RESOURCES = env.words("OAUTH_RESOURCES")
OAUTH_APP_SCHEMES = [
    scheme.lower() for scheme in env.words("OAUTH_APP_SCHEMES", ["cursor", "vscode", "vscode-insiders"])
]
CLI_LOGIN_STARTS_PER_MINUTE = env.integer("CLI_LOGIN_STARTS_PER_MINUTE", 1200, at_least=1)
GITHUB_URL = env.url("GITHUB_URL", "https://github.com")
GITHUB_API_URL = env.url("GITHUB_API_URL", "https://api.github.com")
GITHUB_ORIGIN = "{0.scheme}://{0.netloc}".format(urlsplit(GITHUB_URL))
GITHUB_CLIENT_ID = env.text("GITHUB_CLIENT_ID", "")
GITHUB_CLIENT_SECRET = env.secret("GITHUB_CLIENT_SECRET", "")
if bool(GITHUB_CLIENT_ID) != bool(GITHUB_CLIENT_SECRET):
    raise ImproperlyConfigured("GITHUB_CLIENT_ID and GITHUB_CLIENT_SECRET must be set together.")
ORGANIZATIONS_PER_PERSON = env.integer("ORGANIZATIONS_PER_PERSON", 10)
ORGANIZATION_TIERS = env.words("ORGANIZATION_TIERS", ["FREE"])

ACCOUNT_ADAPTER = "accounts.allauth_adapters.AccountAdapter"
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "email"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = "username"
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_LOGOUT_ON_GET = False
ACCOUNT_DEFAULT_HTTP_PROTOCOL = _PUBLIC.scheme
SOCIALACCOUNT_ADAPTER = "accounts.allauth_adapters.SocialAccountAdapter"
SOCIALACCOUNT_LOGIN_ON_GET = False
SOCIALACCOUNT_QUERY_EMAIL = True
SOCIALACCOUNT_STORE_TOKENS = False
SOCIALACCOUNT_PROVIDERS = {
    "github": {
        "APP": {"client_id": GITHUB_CLIENT_ID, "secret": GITHUB_CLIENT_SECRET},
        "SCOPE": ["read:user", "user:email", *(["read:org"] if SIGNUP_ALLOWED_ORGANIZATIONS else [])],
        "OAUTH_PKCE_ENABLED": True,
    }
}
USERSESSIONS_TRACK_ACTIVITY = True

# --- Deciding --------------------------------------------------------------------------------
POLICY_DECIDER = "accounts.policies.require"
POLICIES_DIR = env.text("POLICIES_DIR", "")

# --- Others whose tokens and keys are trusted: CONFIG_FILE alone says so ------------------------------------
CONFIGURED_ORGANIZATIONS = _FILE.orgs
TRUSTED_TOKENS = _FILE.auth.better_auth_jwt
KEY_VALIDATION = _FILE.auth.better_auth
HTTP_ENDPOINTS = _FILE.auth.endpoints.http
GRPC_ENDPOINTS = _FILE.auth.endpoints.grpc
ORGS_AUTO_CREATE = env.flag("ORGS_AUTO_CREATE", default=_FILE.auth.org_resolver.auto_create)
ORG_RESOLVER_SECONDS = _FILE.auth.org_resolver.cache_ttl_secs

# --- The authorization server ------------------------------------------------------------------
# The toolkit reads requests, clients and redirect addresses; every flow's decision is in accounts/oauth (ADR 0016).
OAUTH2_PROVIDER_APPLICATION_MODEL = "accounts.OAuthClient"
OAUTH2_PROVIDER_GRANT_MODEL = "accounts.AuthorizationCode"
OAUTH2_PROVIDER_REFRESH_TOKEN_MODEL = "accounts.RefreshToken"  # noqa: S105 - a table
OAUTH2_PROVIDER_DEVICE_GRANT_MODEL = "accounts.CLILogin"
# It asks for tables of these too. Access tokens and ID tokens are kept nowhere; what lasts is their login.
OAUTH2_PROVIDER_ACCESS_TOKEN_MODEL = OAUTH2_PROVIDER_ID_TOKEN_MODEL = "accounts.Login"  # noqa: S105 - the same
OAUTH2_PROVIDER = {
    "OAUTH2_VALIDATOR_CLASS": "accounts.oauth.validator.Validator",
    "OAUTH2_BACKEND_CLASS": "accounts.oauth.backend.Core",
    "ACCESS_TOKEN_GENERATOR": "accounts.oauth.generators.access_token",
    "REFRESH_TOKEN_GENERATOR": "accounts.oauth.generators.refresh_token",
    "SCOPES_BACKEND_CLASS": "accounts.oauth.scopes.Scopes",
    "OIDC_ENABLED": True,
    "OIDC_ISS_ENDPOINT": PUBLIC_URL,
    "ACCESS_TOKEN_EXPIRE_SECONDS": 300,
    "OAUTH_PRE_TOKEN_VALIDATION": [],
    "ALLOWED_REDIRECT_URI_SCHEMES": ["https", "http", *OAUTH_APP_SCHEMES],
    "ALLOW_LOCALHOST_LOOPBACK": True,
    "CLIENT_SECRET_HASHER": "sha256_random",
    "REFRESH_TOKEN_REUSE_PROTECTION": True,
    **{
        f"COMPLIANT_BCP_RFC9700_{name}": True
        for name in (
            "IMPLICIT_GRANT",
            "PASSWORD_GRANT",
            "PKCE_METHOD",
            "ACCESS_TOKEN_TRANSPORT",
            "AUTHZ_RESPONSE_ISS",
            "TOKEN_STORAGE",
            "REFRESH_TOKEN",
            "REDIRECT_URI_MATCHING",
            "PKCE_REQUIRED",
        )
    },
}

# --- Nango -----------------------------------------------------------------------------------
NANGO_SERVER_URL = env.url("NANGO_SERVER_URL", "https://api.nango.dev")
# Where people's browsers reach that Nango; its page for connecting asks the cloud unless the link says whom.
NANGO_CONNECT_API_URL = env.url("NANGO_CONNECT_API_URL", "")
NANGO_SECRET_KEY = env.secret("NANGO_SECRET_KEY", "")
NANGO_WEBHOOK_SIGNING_KEY = env.secret("NANGO_WEBHOOK_SIGNING_KEY", "")
NANGO_CALLS_PER_PERSON = env.integer("NANGO_CALLS_PER_PERSON", 0)
INTEGRATIONS_CACHE_SECONDS = env.integer("INTEGRATIONS_CACHE_SECONDS", 60, at_most=3600)
USE_LOG_DAYS = env.integer("USE_LOG_DAYS", 90)
# Where each process keeps its own, more are asked for anew; what ends them is read with every request all the same.
CREDENTIALS_CACHE_SECONDS = env.integer("CREDENTIALS_CACHE_SECONDS", 60 if REDIS_URL else 30, at_most=300)

# --- Fly -------------------------------------------------------------------------------------
FLY_API_TOKEN = env.secret("FLY_API_TOKEN", "")
FLY_ORG = env.text("FLY_ORG", "personal")
FLY_REGION = env.text("FLY_REGION", "iad")
FLY_API_URL = env.url("FLY_API_URL", "https://api.machines.dev")
FLY_PLATFORM_URL = env.url("FLY_PLATFORM_URL", "https://api.fly.io")
FLY_APP_URL = env.url("FLY_APP_URL", "https://{app}.fly.dev")
if "{app}" not in FLY_APP_URL:
    raise ImproperlyConfigured("FLY_APP_URL must have {app} where the name of the app belongs.")
IS_ON_FLY = bool(env.text("FLY_MACHINE_ID", ""))
FLYCTL = env.text("FLYCTL", "flyctl")
FLY_DEPLOY_DEPOT = env.choice("FLY_DEPLOY_DEPOT", "false", ["false", "true", "auto"])

# --- Deployments -----------------------------------------------------------------------------
DEPLOYMENTS_PER_PERSON = env.integer("DEPLOYMENTS_PER_PERSON", 20, at_least=1)
ARCHIVE_MAX_MEGABYTES = env.integer("ARCHIVE_MAX_MEGABYTES", 100, at_least=1, at_most=2000)
ARCHIVE_MAX_EXPANDED_MEGABYTES = env.integer("ARCHIVE_MAX_EXPANDED_MEGABYTES", 1000, at_least=1, at_most=20_000)
ARCHIVE_MAX_FILES = env.integer("ARCHIVE_MAX_FILES", 50_000, at_least=1)
BUILD_ENVIRONMENT_PREFIXES = env.words("BUILD_ENVIRONMENT_PREFIXES", ["NEXT_PUBLIC_", "VITE_", "PUBLIC_"])
BUILD_MINUTES = env.integer("BUILD_MINUTES", 30, at_least=1, at_most=100)
BUILD_SILENCE_MINUTES = env.integer("BUILD_SILENCE_MINUTES", 5, at_least=1, at_most=100)
BUILDS_PER_ORGANIZATION = env.integer("BUILDS_PER_ORGANIZATION", 2, at_least=1)
BUILD_FOLDER = Path(env.text("BUILD_FOLDER", f"{tempfile.gettempdir()}/crayon-builds-{os.getuid()}"))
WORKER_CONCURRENCY = env.integer("WORKER_CONCURRENCY", 3, at_least=1, at_most=50)

# --- Workspaces -------------------------------------------------------------------------------
DEV_UI_JWT_PRIVATE_KEY = env.secret("DEV_UI_JWT_PRIVATE_KEY", "")
CLOUD_DEV_IMAGE = env.text("CLOUD_DEV_IMAGE", "registry.fly.io/crayon-cloud-dev-image:latest")
CLOUD_DEV_CPUS = env.integer("CLOUD_DEV_CPUS", 6, at_least=1, at_most=16)
CLOUD_DEV_MEMORY_MB = env.integer("CLOUD_DEV_MEMORY_MB", 3072, at_least=256, at_most=131_072)
CLOUD_DEV_VOLUME_GB = env.integer("CLOUD_DEV_VOLUME_GB", 10, at_least=1, at_most=500)
MACHINES_PER_PERSON = env.integer("MACHINES_PER_PERSON", 5, at_least=1)
MACHINES_PER_ORGANIZATION = env.integer("MACHINES_PER_ORGANIZATION", 20, at_least=1)
DATABASE_DATA_URL = env.secret("DATABASE_DATA_URL", "")
DATABASE_DATA_ISOLATION = env.choice("DATABASE_DATA_ISOLATION", "auto", ["auto", "database", "schema"])

# --- Mail -------------------------------------------------------------------------------------
EMAIL_URL = env.secret("EMAIL_URL", "")
EMAIL_HOST, EMAIL_PORT, EMAIL_HOST_USER, EMAIL_HOST_PASSWORD, EMAIL_USE_TLS, EMAIL_USE_SSL = env.mail_server(EMAIL_URL)
MAIL_IS_CONFIGURED = bool(EMAIL_HOST)
DEFAULT_FROM_EMAIL = env.text("EMAIL_FROM", None if MAIL_IS_CONFIGURED else "")
# Whoever invites somebody waits for it.
EMAIL_TIMEOUT = 10

# --- Calling out -----------------------------------------------------------------------------
OUTGOING_PROXY_URL = env.secret("OUTGOING_PROXY_URL", "")
OUTGOING_CA_FILE = env.text("OUTGOING_CA_FILE", "")

# --- The API ---------------------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["accounts.authentication.BearerAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "UNAUTHENTICATED_USER": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "crayon server",
    "DESCRIPTION": "Sign-in for people and their tools, connected accounts' credentials, apps and workspaces.",
    "VERSION": "0.1.0",
    "SERVERS": [{"url": PUBLIC_URL}],
    "SORT_OPERATIONS": False,
}
