"""A person watches a build: its page follows with JavaScript, and reloads itself without."""

from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from accounts.models import User
from deployments.models import Build, Deployment
from tests.accounts.threads import at_once
from tests.deployments.builders import append_log, make_build, make_deployment, make_discrepancy
from tests.operators import PASSWORD, make_operator

pytestmark = [pytest.mark.needs_browser, pytest.mark.timeout(180)]
State = Build.State
HOUR = timedelta(hours=1)
LOG = "".join(f"#{number} [{number}/40] RUN make target-{number} --with=some-options\n" for number in range(40))
FAILURE = "Step 3 of 7 failed: `npm run build` ended with exit code 1."


def in_database(action):
    """Do it in a thread of its own, since this one belongs to the browser's event loop."""
    return at_once(action)[0]


@pytest.fixture
def signed_in(server, person):
    """alice, signed in at a browser of hers."""

    def arrive(**options):
        alice = person(**options)
        alice.page.goto(f"{server.url}/deployments/")
        alice.sign_in_at_github("alice")
        alice.reads("Deployments")
        return alice

    return arrive


def shop_with(state, **fields):
    """alice's app "shop" with a build in that state; gives the path of the build's page."""

    def make():
        user = User.objects.get(username="alice")
        shop = Deployment.objects.filter(app_name="shop").first() or make_deployment(user, "shop")
        build = make_build(shop, state=state, **{"commit": "4f2a91c0d7e8b6a5", "log": LOG, **fields})
        return build.pk, f"/deployments/{shop.pk}/builds/{build.pk}"

    return in_database(make)


def change(build_id, text="", **values):
    def write():
        if text:
            append_log(Build.objects.get(pk=build_id), text)
        Build.objects.filter(pk=build_id).update(**values)

    in_database(write)


def fits(page):
    for width in (320, 375, 1100):
        page.set_viewport_size({"width": width, "height": 740})
        assert page.evaluate("document.documentElement.scrollWidth") <= width, width


def test_the_page_follows_a_build_to_its_end(server, signed_in):
    alice = signed_in()
    alice.shoot("deployments-1-empty")
    build_id, path = shop_with(State.BUILDING, step="Installing dependencies…")
    alice.page.goto(f"{server.url}{path}")
    expect(alice.page.locator("#step")).to_have_text("Installing dependencies…")
    alice.shoot("deployments-2-building")
    fits(alice.page)

    change(build_id, "<b>appended</b> ☃\n", step="Pushing the image…")
    expect(alice.page.locator("#log")).to_contain_text("<b>appended</b> ☃")
    expect(alice.page.locator("#step")).to_have_text("Pushing the image…")
    assert (
        alice.page.evaluate(
            "(log => log.scrollHeight - log.scrollTop - log.clientHeight)(document.getElementById('log'))"
        )
        < 40
    )

    now = timezone.now()
    change(build_id, "The app answers.\n", state=State.LIVE, released_at=now, finished_at=now)
    expect(alice.page.locator("#badge")).to_have_text("Live")
    expect(alice.page.get_by_role("button", name="Cancel this build")).to_have_count(0)
    assert alice.page.locator("#log").inner_text().count("appended") == 1
    alice.shoot("deployments-3-live")


@pytest.mark.slow(12)
def test_without_javascript_the_page_reloads_itself(server, signed_in):
    alice = signed_in(java_script_enabled=False)
    build_id, path = shop_with(State.BUILDING, step="One…")
    alice.page.goto(f"{server.url}{path}")
    change(build_id, "later\n", step="Two…")
    expect(alice.page.locator("#log")).to_contain_text("later", timeout=20_000)
    expect(alice.page.locator("#step")).to_have_text("Two…")


def test_a_build_is_canceled_with_the_keyboard_alone(server, signed_in):
    alice = signed_in()
    build_id, path = shop_with(State.QUEUED, log="")
    alice.page.goto(f"{server.url}{path}")
    alice.shoot("deployments-4-queued")
    for _ in range(20):
        alice.page.keyboard.press("Tab")
        if alice.page.evaluate("document.activeElement.textContent.trim()") == "Cancel this build":
            break
    alice.page.keyboard.press("Enter")
    expect(alice.page.locator("#badge")).to_have_text("Canceled")
    assert in_database(lambda: Build.objects.get(pk=build_id).state) == State.CANCELED
    alice.shoot("deployments-5-canceled")


def test_apps_and_builds_fit_on_every_screen(server, sandbox, signed_in):
    alice = signed_in()
    now = timezone.now()
    shop_with(State.LIVE, created_at=now - 30 * HOUR, commit="0" * 40)
    shop_with(State.LIVE, created_at=now - 8 * HOUR)
    shop_with(State.CANCELED, created_at=now - 7 * HOUR, error="A newer build took this one's place.")
    _, failed = shop_with(State.FAILED, created_at=now - HOUR, error=FAILURE)

    def make_others():
        user = User.objects.get(username="alice")
        make_deployment(user, "n" * 63)
        for name, state in (("blog", State.LIVE), ("docs", State.BUILDING), ("news", State.INTERRUPTED)):
            make_build(make_deployment(user, name), state=state, commit="4f2a91c", error="")
        silent = make_build(
            make_deployment(user, "quiet"), state=State.RELEASED, created_at=now - HOUR, finished_at=now
        )
        return f"/deployments/{silent.deployment_id}/builds/{silent.pk}"

    silent = in_database(make_others)
    logs_of_app = silent.partition("builds")[0]
    name = in_database(lambda: Deployment.objects.get(app_name="quiet").fly_app_id)
    sandbox.add_fly_app(name)
    sandbox.fly_lines(name, "listening on 0.0.0.0:8080", *[f"GET /page/{number} 200" for number in range(40)])
    for name, path in {
        "6-list": "/deployments/",
        "7-app": failed.partition("builds")[0],
        "8-failed": failed,
        "9-silent": silent,
        "16-logs": f"{logs_of_app}logs",
    }.items():
        alice.page.goto(f"{server.url}{path}")
        fits(alice.page)
        alice.shoot(f"deployments-{name}")


@pytest.mark.slow(9)
def test_operators_see_builds_and_their_outcomes(server, person):
    def fill():
        user = make_operator(password=PASSWORD)
        shop, now = make_deployment(user, "shop"), timezone.now()
        for hours, state in enumerate([State.LIVE, State.FAILED, State.LIVE, State.CANCELED, State.LIVE] * 12):
            make_build(shop, state=state, created_at=now - (6 * hours + 1) * HOUR, commit="4f2a91c", log=LOG)
        make_build(make_deployment(user, "blog"), state=State.BUILDING, step="Installing dependencies…", log=LOG)
        make_discrepancy()
        return Build.objects.get(state=State.BUILDING).pk

    running = in_database(fill)
    operator = person()
    operator.page.goto(f"{server.url}/admin/")
    operator.page.get_by_label("Username").fill("operator")
    operator.page.get_by_label("Password").fill(PASSWORD)
    operator.page.get_by_label("Password").press("Enter")
    expect(operator.page.get_by_text("Builds by day")).to_be_visible()
    operator.shoot("deployments-10-admin-front-page")
    for name, path in {
        "11-admin-builds": "deployments/build/",
        "12-admin-build": f"deployments/build/{running}/change/",
        "13-admin-apps": "deployments/deployment/",
        "14-admin-discrepancies": "fly/discrepancy/",
        "15-admin-jobs": "procrastinate/procrastinatejob/",
    }.items():
        answer = operator.page.goto(f"{server.url}/admin/{path}")
        assert answer.status == 200
        operator.shoot(f"deployments-{name}")


def test_lists_follow_by_themselves_and_a_wrong_name_is_complained_of_where_one_looks(server, signed_in):
    alice = signed_in()
    build_id, path = shop_with(State.BUILDING)
    alice.page.goto(f"{server.url}/deployments/")
    expect(alice.page.locator(".badge")).to_have_text("Building")
    assert alice.page.locator(".address").count() == 0
    change(build_id, state=State.LIVE, finished_at=timezone.now(), released_at=timezone.now())
    expect(alice.page.locator(".badge")).to_have_text("Live", timeout=20_000)
    expect(alice.page.locator(".address")).to_be_visible()
    fits(alice.page)
    alice.shoot("deployments-list-live")
    alice.page.goto(f"{server.url}{path.partition('builds')[0]}")
    shop_with(State.BUILDING, log="")
    expect(alice.page.locator("#badge")).to_have_text("Building", timeout=20_000)
    expect(alice.page.locator("#state li")).to_have_count(2)
    alice.page.fill("#name", "shopp")
    alice.page.get_by_role("button", name="Destroy this app").click()
    complaint = alice.page.get_by_role("alert")
    expect(complaint).to_contain_text("That is not the name of this app. Nothing was destroyed.")
    expect(alice.page.locator("#name")).to_be_focused()
    expect(alice.page.locator("#complaint")).to_be_in_viewport()
    alice.shoot("deployments-wrong-name")
    fits(alice.page)
