"""Where uploaded archives lie until their build is over: a folder, or an S3-compatible store."""

import tempfile
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from config import env

_MOST_IN_MEMORY_BYTES = 1 << 20


def uploads() -> dict[str, Any]:
    """Django's settings of the default storage. Web and worker processes must see the same one."""
    bucket = env.text("S3_BUCKET", "")
    key, secret = env.text("S3_ACCESS_KEY_ID", ""), env.secret("S3_SECRET_ACCESS_KEY", "")
    if bool(key) != bool(secret):
        raise ImproperlyConfigured("S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY must be set together.")
    if not bucket:
        folder = env.text("STORAGE_FOLDER", f"{tempfile.gettempdir()}/crayon-storage")
        options = {"location": folder, "file_permissions_mode": 0o600, "directory_permissions_mode": 0o700}
        return {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": options}
    options = {
        "bucket_name": bucket,
        "endpoint_url": env.url("S3_ENDPOINT_URL", "") or None,
        "region_name": env.text("S3_REGION", "") or None,
        "access_key": key or None,
        "secret_key": secret or None,
        "default_acl": None,
        "file_overwrite": True,
        # An archive that is fetched goes to a file beyond this, not into a worker's memory.
        "max_memory_size": _MOST_IN_MEMORY_BYTES,
        "querystring_auth": True,
    }
    return {"BACKEND": "storages.backends.s3.S3Storage", "OPTIONS": options}
