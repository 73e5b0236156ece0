"""Pages asked for, and forms sent, by nobody in their right mind: a page with a sentence, never a crash."""

import pytest
from django.conf import settings
from django.test import Client

from tests.conftest import make_person

pytestmark = pytest.mark.django_db

NUL_COOKIE = '"' + "\\000" * 32 + '"'
COOKIES = (
    f"session={NUL_COOKIE}",
    f"csrf={NUL_COOKIE}",
    f"messages={NUL_COOKIE}",
    "session=" + "x" * 5_000,
    "=;;\xff",
    "session",
)
PAGES = (
    "/", "/auth/sign-in", "/auth/cli", "/auth/cli?cli_code=%00", "/auth/cli?cli_code=%ff", "/account/apps",
    "/auth/cli?cli_code=" + "x" * 100_000, "/auth/sign-in?next=/%00", "/auth/sign-in?next=/%0d%0aX-Injected:%201",
    "/auth/sign-in?next=%ff", "/auth/sign-in?next=//evil.example.com", "/auth/sign-in?next=javascript:alert(1)",
    "/account/browsers/" + "9" * 30 + "/end", "/account/apps/%00/revoke", "/%00", "/%ff", "/static/%00", "/static/%ff",
    "/static/../config/settings.py", "/static/%2e%2e/config/settings.py", "/static//etc/passwd", "/x" * 2_000,
    "/api/auth/github/callback?code=%00&state=%00", "/api/auth/github/callback?error=%00&error_description=<b>",
    "/admin/login/?next=%00", "/admin/%00/",
)  # fmt: skip
ADMIN_PAGES = (
    "accounts/user/?q=%00", "accounts/user/?q=" + "a+" * 2_000, "accounts/user/?username__exact=%00",
    "accounts/user/?id__exact=x", "accounts/user/?id__exact=%00", "accounts/user/?state=%00", "accounts/user/?o=%00",
    "accounts/user/?p=" + "9" * 40, "accounts/user/?_facets=%00", "accounts/user/?password__startswith=x",
    "accounts/user/?date_joined__gte=%00", "accounts/user/%00/change/", "accounts/user/x/change/",
    "accounts/user/x/history/", "accounts/user/x/password/", "accounts/user/x/suspend_one/",
    "accounts/auditevent/?actor_id__exact=%00", "accounts/auditevent/?actor_id__exact=x",
    "accounts/auditevent/?target_id__exact=%00", "accounts/auditevent/?action=%00",
    "accounts/auditevent/" + "9" * 30 + "/change/", "accounts/accesstoken/?user__id__exact=%00",
    "accounts/accesstoken/?digest__startswith=x", "integrations/connection/?integration_id=%00",
    "integrations/connection/?owner__id__exact=x", "search/?s=%00", "r/1/x/",
    "autocomplete/?app_label=integrations&model_name=connection&field_name=owner&term=%00",
    "autocomplete/?app_label=%00&model_name=%00&field_name=%00",
    "autocomplete/?app_label=accounts&model_name=user&field_name=password",
)  # fmt: skip


@pytest.fixture
def visitor():
    return Client(raise_request_exception=False)


@pytest.fixture
def alices(visitor):
    visitor.force_login(make_person("alice"), backend="django.contrib.auth.backends.ModelBackend")
    return visitor


def sound(answer):
    """A page or a redirect of ours, and nothing of what went wrong inside."""
    assert answer.status_code < 500, (answer.status_code, answer.content[:500])
    assert "X-Injected" not in answer.headers
    assert b"Traceback" not in answer.content
    if answer.status_code in {301, 302}:
        location = answer["Location"].removeprefix(settings.GITHUB_URL)
        assert location.startswith("/")
        assert not location.startswith("//")
    return answer


@pytest.mark.parametrize("cookie", COOKIES, ids=lambda cookie: cookie[:20])
@pytest.mark.parametrize("path", ["/", "/account/apps", "/auth/cli?cli_code=abcdef01", "/admin/"])
def test_an_odd_cookie_is_nobodys(visitor, cookie, path):
    assert sound(visitor.get(path, headers={"Cookie": cookie})).status_code == visitor.get(path).status_code


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path[:50])
def test_an_odd_address_gives_a_page(visitor, path):
    sound(visitor.get(path))


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path[:50])
def test_an_odd_address_gives_a_page_to_who_is_signed_in(alices, path):
    sound(alices.get(path))
    sound(alices.post(path))


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"cli_code=%ff&decision=%00", "application/x-www-form-urlencoded"),
        (b"cli_code=%00&decision=approve", "application/x-www-form-urlencoded"),
        (b"cli_code=x&decision=approve", "application/x-www-form-urlencoded; charset=utf-7"),
        (b"cli_code=x", "multipart/form-data"),
        (b"cli_code=x", "multipart/form-data; boundary=\xff"),
        (
            b'--x\r\nContent-Disposition: form-data; name="cli_code"\r\n\r\n\xff\x00\r\n--x--',
            "multipart/form-data; boundary=x",
        ),
        (b"&".join(b"x=1" for _ in range(2_000)), "application/x-www-form-urlencoded"),
        (b"x" * (2 << 20), "application/x-www-form-urlencoded"),
        (b"{}", "application/json"),
    ],
    ids=lambda part: repr(part)[:40],
)
@pytest.mark.parametrize(
    "path", ["/auth/cli", "/auth/github", "/auth/sign-out", "/admin/login/", "/account/revoke-all"]
)
def test_an_odd_form_gives_a_page(alices, visitor, path, body, content_type):
    for client in (alices, Client(raise_request_exception=False)):
        sound(client.generic("POST", path, body, content_type=content_type))


@pytest.mark.parametrize("path", ADMIN_PAGES, ids=lambda path: path[:60])
def test_an_odd_address_gives_operators_a_page(visitor, path):
    operator = make_person("alice", is_staff=True, is_superuser=True)
    visitor.force_login(operator, backend="django.contrib.auth.backends.ModelBackend")
    assert b"pbkdf2" not in sound(visitor.get(f"/admin/{path}")).content
    sound(visitor.post(f"/admin/{path}", {"action": "suspend_selected", "_selected_action": ["\x00", "x"]}))
