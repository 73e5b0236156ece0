"""A person makes a key on a page, a program uses it, and the page says so; rotating and revoking end it."""

import pytest
from playwright.sync_api import expect

pytestmark = [pytest.mark.needs_browser, pytest.mark.timeout(180)]


def test_a_person_makes_a_key_and_a_program_uses_it(server, sandbox, person):
    alice = person()
    page = alice.page
    page.goto(f"{server.url}/auth/sign-in?next=/account/keys")
    alice.sign_in_at_github("alice")
    alice.reads("API keys")
    alice.shoot("keys-1-empty")

    page.get_by_text("Make a key…").click()
    page.get_by_label("Name").first.fill("CI of the shop")
    page.get_by_label("connections:use").uncheck()
    page.get_by_label("workspaces:read").check()
    alice.shoot("keys-2-form")
    page.get_by_role("button", name="Make the key").first.click()
    key = page.locator("#new-key").inner_text()
    expect(page.locator("main")).to_contain_text("It is shown this once")
    alice.shoot("keys-3-made")

    def status(plain: str, path: str = "/api/cloud-dev/list") -> int:
        return server.request("GET", path, headers={"Authorization": f"Bearer {plain}"}).status

    assert (status(key), status(key, "/api/deploy/builds?appName=x")) == (200, 403)
    page.goto(f"{server.url}/account/keys")
    expect(page.locator("main")).to_contain_text("from 127.0.0.1")
    assert key not in page.content()

    page.get_by_label("Rotate CI of the shop").click()
    page.get_by_role("button", name="Make its successor").click()
    fresh = page.locator("#new-key").inner_text()
    expect(page.locator("main")).to_contain_text("being replaced")
    assert (status(key), status(fresh)) == (200, 200)

    page.get_by_text("Make a worker's key…").click()
    page.get_by_label("Name").last.fill("worker-1")
    page.get_by_role("button", name="Make the key").last.click()
    told = server.request(
        "POST", "/api/auth/validate-key", json={"apiKey": page.locator("#new-key").inner_text()}
    ).json()
    assert (told["valid"], told["principalType"], told["orgSlug"]) == (True, "Worker", "alice")
    page.goto(f"{server.url}/account/keys")
    for width in (320, 375, 1100):
        page.set_viewport_size({"width": width, "height": 740})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    alice.shoot("keys-4-list")

    for _ in range(2):
        page.get_by_role("button", name="Revoke CI of the shop").first.click()
        expect(page.get_by_role("status")).to_contain_text("CI of the shop is revoked.")
    assert (status(key), status(fresh)) == (401, 401)
