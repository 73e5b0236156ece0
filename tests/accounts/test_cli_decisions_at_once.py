"""POST /auth/cli, many times at once: one decision holds."""

import pytest

from accounts.models import AccessToken, AuditEvent
from tests.accounts.threads import at_once
from tests.conftest import APIClient

pytestmark = pytest.mark.django_db(transaction=True)
PATH = "/auth/cli"


def test_sixteen_approvals_at_once_make_one_decision_and_one_token(alice, browser_of, started, nobody_api):
    code, secret = started()
    browsers = [browser_of(alice) for _ in range(16)]
    pages = [browser.get(PATH, cli_code=code) for browser in browsers]
    answers = at_once(
        *[
            lambda browser=browser, page=page: browser.press(page, PATH, decision="approve").status_code
            for browser, page in zip(browsers, pages, strict=True)
        ]
    )
    assert sorted(answers) == [200] + [409] * 15
    assert AuditEvent.objects.filter(action="cli_login.approved").count() == 1
    nobody_api.get("/api/auth/cli/check", code=code, secret=secret)
    assert AccessToken.objects.count() == 1


@pytest.mark.parametrize("round_", range(4))
def test_of_an_approval_and_a_denial_at_once_one_holds(alice, bob, browser_of, started, round_):
    code, secret = started()
    alices, bobs = browser_of(alice), browser_of(bob)
    page_of_alice, page_of_bob = alices.get(PATH, cli_code=code), bobs.get(PATH, cli_code=code)
    first, second = at_once(
        lambda: alices.press(page_of_alice, PATH, decision="approve").status_code,
        lambda: bobs.press(page_of_bob, PATH, decision="deny").status_code,
    )
    assert sorted((first, second)) == [200, 409]
    status = APIClient().get("/api/auth/cli/check", code=code, secret=secret).json()["data"]["status"]
    assert status == ("approved" if first == 200 else "denied")
    assert AuditEvent.objects.filter(action__startswith="cli_login.").count() == 1
