"""A tool asks for a link, its person opens it and connects an account; somebody else can't."""

import json

import pytest
from playwright.sync_api import expect

pytestmark = [pytest.mark.needs_browser, pytest.mark.timeout(180)]


def test_a_person_connects_an_account_by_their_tools_link_and_nobody_else_does(server, sandbox, person, tool):
    alice = person()
    token = alice.log_in(tool())
    headers = {"Authorization": f"Bearer {token}"}
    asked = {"integration_id": "acme"}
    assert server.request("GET", "/api/integrations", headers=headers).status == 200
    link = server.request("POST", "/api/nango/connect-session", json=asked, headers=headers).json()["data"][
        "connectLink"
    ]

    bob = person()
    bob.page.goto(link)
    bob.sign_in_at_github("bob")
    bob.reads("This link does not work here")
    bob.shoot("connect-2-somebody-else")

    alice.page.goto(link)
    alice.reads("Connect Acme?")
    expect(alice.page.locator("main")).to_contain_text("crayon CLI on laptop")
    for width in (320, 375, 1100):
        alice.page.set_viewport_size({"width": width, "height": 740})
        assert alice.page.evaluate("document.documentElement.scrollWidth") <= width
    alice.shoot("connect-1-page")
    alice.page.get_by_role("button", name="Go on").click()
    alice.page.get_by_label("API key").fill("not-a-secret")
    alice.page.get_by_role("button", name="Connect").click()
    alice.reads("Connected")

    sandbox.webhooks()
    (made,) = json.loads(server.request("GET", "/api/integrations/acme/connections", headers=headers).data)["data"]
    (held,) = sandbox.state()["nango"]["connections"].values()
    assert made["connection_id"] == held["connection_id"]
    alice.page.goto(link)
    alice.reads("This link does not work here")
