"""References of images, taken apart as the API shows them."""

import hashlib
from typing import Any


def image_ref(config: dict[str, Any]) -> dict[str, Any]:
    """Give `{registry, repository, tag, digest, labels}` of a configuration's image."""
    name, _, digest = str(config.get("image") or "").partition("@")
    registry, slash, rest = name.partition("/")
    if not slash or not ("." in registry or ":" in registry or registry == "localhost"):
        registry, rest = "docker-hub-mirror.fly.io", name if slash else f"library/{name}"
    repository, _, tag = rest.partition(":")
    made_up = "sha256:" + hashlib.sha256(name.encode()).hexdigest()
    return {
        "registry": registry,
        "repository": repository,
        "tag": tag or "latest",
        "digest": digest or made_up,
        "labels": {},
    }
