"""HEAD is answered wherever GET is, by the same view."""

import pytest
from django.test import Client

from tests.conftest import make_person

pytestmark = pytest.mark.django_db
PAGES = (
    "/workspaces/",
    "/workspaces",
    "/deployments/",
    "/deployments",
    "/account/apps",
    "/auth/sign-in",
    "/auth/cli",
    "/api/docs",
    "/_/health",
    "/api/integrations",
)


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("signed_in", [False, True])
def test_head_answers_like_get(path, signed_in):
    client = Client(raise_request_exception=False)
    if signed_in:
        client.force_login(make_person("alice"), backend="django.contrib.auth.backends.ModelBackend")
    asked, looked = client.get(path), client.head(path)
    assert (looked.status_code, looked.get("Location")) == (asked.status_code, asked.get("Location"))
    assert looked.content == b""
