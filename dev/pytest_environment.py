"""A pytest plugin: the settings that tests run with, whatever the person's own environment says."""

import os

_TESTS = {
    "DEBUG": "false",
    "SECRET_KEY": "not-a-secret-only-for-tests-0123456789abcdefghijklmnopqrstuvwxyz",
    "ENCRYPTION_KEYS": "1:bm90LWEtc2VjcmV0LS1vbmx5LWZvci10ZXN0cy0zMmI=",
    "PUBLIC_URL": "http://testserver",
    "ALLOWED_HOSTS": "testserver,localhost,127.0.0.1",
    "GITHUB_CLIENT_ID": "sandbox-github-client",
    "GITHUB_CLIENT_SECRET": "sandbox-github-secret",
    "LOG_LEVEL": "WARNING",
    "LOG_FORMAT": "text",
}
_UNSET = (
    "REDIS_URL",
    "SIGNUP_POLICY",
    "TRUSTED_PROXY_COUNT",
    "CLIENT_ADDRESS_HEADER",
    "OUTGOING_PROXY_URL",
    "OUTGOING_CA_FILE",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "http_proxy",
    "https_proxy",
)

# At import, which comes before pytest-django reads the settings; parallel workers import it too.
os.environ.update(_TESTS)
for _name in _UNSET:
    os.environ.pop(_name, None)
