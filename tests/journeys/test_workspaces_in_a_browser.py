"""A person and their workspaces: pages that follow what happens, with JavaScript and without."""

from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from accounts.models import AuditEvent, User
from clouddev.models import IdlePolicy, Machine, Offer
from clouddev.services import offers
from fly.models import Discrepancy
from tests.accounts.threads import at_once
from tests.clouddev.builders import add_member, make_machine, make_offer, make_webhook_token, put_at_fly
from tests.clouddev.cron_jobs import make_job, make_run
from tests.conftest import make_person
from tests.deployments.builders import make_discrepancy
from tests.operators import PASSWORD, make_operator

pytestmark = [pytest.mark.needs_browser, pytest.mark.timeout(180)]
State = Machine.State
HOUR = timedelta(hours=1)
FAILURE = "Fly has no room for the workspace in iad, ewr, yyz or ord right now. Try again in some minutes."


def in_database(action):
    """Do it in a thread of its own, since this one belongs to the browser's event loop."""
    return at_once(action)[0]


@pytest.fixture
def signed_in(server, person):
    """alice, who has come to the server's front page and signed in."""

    def arrive(**options):
        alice = person(**options)
        alice.page.goto(server.url)
        alice.sign_in_at_github("alice")
        alice.reads("Workspaces")
        return alice

    return arrive


def make(app_name="studio", **options):
    """alice's machine; gives its id."""
    return in_database(lambda: make_machine(User.objects.get(username="alice"), app_name, **options).pk)


def change(machine_id, **values):
    in_database(lambda: Machine.objects.filter(pk=machine_id).update(**values))


def fits(page):
    """Nothing goes beyond the screen, be it small or large, light or dark."""
    for scheme in ("dark", "light"):
        page.emulate_media(color_scheme=scheme)
        for width in (320, 375, 1100):
            page.set_viewport_size({"width": width, "height": 740})
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (page.url, scheme, width)


def test_a_stranger_reads_what_this_is_and_comes_to_their_workspaces(server, person):
    alice = person()
    alice.page.goto(server.url)
    alice.reads("From an idea to an app that runs")
    fits(alice.page)
    alice.shoot("workspaces-1-landing")
    alice.sign_in_at_github("alice")
    alice.reads("Workspaces")
    assert alice.page.url == f"{server.url}/workspaces/"
    fits(alice.page)
    alice.shoot("workspaces-2-empty")


@pytest.mark.slow(20)
def test_an_open_page_follows_a_machine_from_its_making_to_its_end(server, sandbox, signed_in):
    alice = signed_in()
    machine_id = make(state=State.CREATING, step="Setting up the network…")
    card = alice.page.locator(".workspace")
    expect(card.get_by_role("heading")).to_have_text("studio", timeout=20_000)
    expect(card.locator("[data-news=sentence]")).to_have_text("Setting up the network…")
    expect(card.get_by_role("button", name="Stop studio")).to_be_hidden()

    change(machine_id, step="Making the workspace in iad…")
    expect(card.locator("[data-news=sentence]")).to_have_text("Making the workspace in iad…")
    alice.shoot("workspaces-3-creating")

    in_database(lambda: put_at_fly(Machine.objects.get(pk=machine_id), sandbox))
    change(machine_id, state=State.READY, step="", ready_at=timezone.now(), last_active_at=timezone.now())
    expect(card.locator(".badge")).to_have_text("Running")
    expect(card.get_by_role("link", name="Open studio")).to_be_visible()

    card.get_by_role("button", name="Stop studio").click()
    expect(alice.page.get_by_text("studio is stopping.")).to_be_visible()
    expect(card.locator(".badge")).to_have_text("Stopped", timeout=20_000)
    expect(card.get_by_role("button", name="Start studio")).to_be_visible()

    change(machine_id, state=State.DESTROYING, step="Removing the workspace…")
    expect(card.locator(".badge")).to_have_text("Being destroyed", timeout=20_000)
    in_database(lambda: Machine.objects.filter(pk=machine_id).delete())
    expect(alice.page.get_by_text("You have no workspace yet")).to_be_visible(timeout=20_000)


def tells_of_two(answer):
    return answer.url.endswith("/workspaces/states") and len(answer.json()["workspaces"]) == 2


def test_what_is_being_typed_is_not_lost_when_something_else_changes(server, signed_in):
    alice = signed_in()
    make("studio", state=State.FAILED, error=FAILURE)
    alice.page.reload()
    alice.page.get_by_text("Destroy…").click()
    alice.page.get_by_label("Type studio to confirm").fill("stud")
    make("blog", state=State.CREATING)
    with alice.page.expect_response(tells_of_two):
        pass
    alice.page.wait_for_timeout(300)
    expect(alice.page.get_by_label("Type studio to confirm")).to_have_value("stud")


@pytest.mark.slow(14)
def test_without_javascript_the_page_reloads_itself_and_every_button_works(server, sandbox, signed_in):
    alice = signed_in(java_script_enabled=False)
    machine_id = make(state=State.CREATING, step="One…")
    alice.page.reload()
    change(machine_id, step="Two…")
    expect(alice.page.get_by_text("Two…")).to_be_visible(timeout=20_000)
    change(machine_id, state=State.FAILED, step="", error=FAILURE)
    alice.page.goto(f"{server.url}/workspaces/{machine_id}/")
    expect(alice.page.get_by_text(FAILURE)).to_be_visible()
    alice.page.get_by_label("Type studio to confirm").fill("studio")
    alice.page.get_by_role("button", name="Destroy", exact=True).click()
    expect(alice.page.get_by_text("studio is being destroyed.")).to_be_visible()


def test_open_leads_to_the_machine_without_another_sign_in(server, sandbox, signed_in):
    alice = signed_in()
    name = make_at_fly(sandbox)
    alice.page.reload()
    with alice.page.expect_request(lambda request: "/dev/__auth/callback?token=" in request.url) as asked:
        alice.page.get_by_role("link", name="Open studio").click()
    assert name in asked.value.url
    assert "referer" not in asked.value.all_headers()


def make_at_fly(sandbox):
    return in_database(lambda: make_machine(User.objects.get(username="alice"), "studio", sandbox=sandbox).fly_app_id)


def test_an_owner_shares_a_workspace(server, sandbox, signed_in):
    alice = signed_in()
    make_at_fly(sandbox)
    in_database(lambda: make_person("bob"))
    alice.page.reload()
    alice.page.get_by_role("link", name="Manage studio").click()
    alice.reads("studio")
    alice.page.get_by_label("Add by GitHub login").fill("bob")
    alice.page.get_by_role("button", name="Add").click()
    expect(alice.page.get_by_text("bob has to accept first")).to_be_visible()
    expect(alice.page.get_by_role("button", name="Withdraw the offer of studio to bob")).to_be_visible()
    in_database(accept_as_bob)
    alice.page.reload()
    alice.page.get_by_role("button", name="Remove bob").click()
    expect(alice.page.get_by_text("bob is no longer a member.")).to_be_visible()


def accept_as_bob():
    bob = User.objects.get(username="bob")
    offers.accept(offer_id=Offer.objects.get().pk, person=bob, now=timezone.now())


def test_somebody_decides_about_what_they_are_offered(server, sandbox, signed_in):
    alice = signed_in()

    def fill():
        user, bob = User.objects.get(username="alice"), make_person("bob")
        make_offer(make_machine(bob, "blog", sandbox=sandbox), user)
        make_offer(make_machine(bob, "shop", sandbox=sandbox), user, "transfer")

    in_database(fill)
    alice.page.reload()
    alice.page.get_by_role("button", name="Decline blog from bob").click()
    expect(alice.page.get_by_text("You have declined bob's offer of blog.")).to_be_visible()
    alice.page.get_by_role("button", name="Accept shop from bob").click()
    alice.reads("shop")
    expect(alice.page.get_by_text("shop is yours now.")).to_be_visible()


def test_workspaces_in_every_state_fit_on_every_screen(server, sandbox, signed_in):
    alice = signed_in()

    def fill():
        user, bob, now = User.objects.get(username="alice"), make_person("bob"), timezone.now()
        studio = make_machine(user, "studio", sandbox=sandbox, created_at=now - 50 * HOUR)
        Machine.objects.filter(pk=studio.pk).update(last_active_at=now - HOUR, keep_alive_until=now + 20 * HOUR)
        for number in range(8):
            add_member(studio, make_person(f"colleague-{number}"))
        add_member(studio, bob, role="owner")
        make_webhook_token(studio, bob)
        make_webhook_token(studio, user, revoked_at=now)
        make_machine(user, "blog", sandbox=sandbox, fly_state="stopped", region="ams", created_at=now - 90 * HOUR)
        make_machine(user, "failed", state=State.FAILED, error=FAILURE, created_at=now - 2 * HOUR)
        make_machine(user, "shop", state=State.CREATING, step="Making the workspace in ewr…")
        make_machine(user, "n" * 63, state=State.DESTROYING, step="Removing the workspace…")
        shared = make_machine(bob, "shared", sandbox=sandbox, created_at=now - 4 * HOUR)
        add_member(shared, user)
        make_offer(studio, make_person("dora"))
        make_offer(studio, bob, "transfer")
        make_offer(make_machine(bob, "w" * 63), user)
        make_offer(make_machine(bob, "notes"), user, "transfer")
        return studio.pk, shared.pk, Machine.objects.get(app_name="failed").pk

    studio, shared, failed = in_database(fill)
    for name, path in {
        "4-states": "",
        "5-members": f"{studio}/",
        "6-shared": f"{shared}/",
        "7-failed": f"{failed}/",
    }.items():
        alice.page.goto(f"{server.url}/workspaces/{path}")
        fits(alice.page)
        alice.shoot(f"workspaces-{name}")


@pytest.mark.slow(25)
def test_operators_see_all_machines(server, sandbox, person):
    def fill():
        user, bob, now = make_operator(password=PASSWORD), make_person("bob"), timezone.now()
        studio = make_machine(user, "studio", sandbox=sandbox, last_active_at=now - HOUR)
        add_member(studio, bob)
        make_webhook_token(studio, bob)
        make_machine(bob, "blog", sandbox=sandbox, fly_state="stopped", last_active_at=now - 400 * HOUR, region="ams")
        make_machine(bob, "shop", state=State.CREATING, step="Making the workspace in ewr…")
        make_machine(bob, "api", state=State.FAILED, error=FAILURE)
        gone = make_machine(bob, "gone", fly_name="crayon-dev-0000000f")
        make_discrepancy(gone.fly_app_id, Discrepancy.Kind.MISSING)
        make_discrepancy()
        for number, action in enumerate(["created", "created", "failed", "created", "destroyed"] * 6):
            AuditEvent.objects.create(at=now - 10 * number * HOUR, action=f"machine.{action}")
        make_run(make_job(studio, next_run_at=now + HOUR), now)
        IdlePolicy.objects.create(organization=bob.personal_organization, stop_after_minutes=60, warn_after_days=60)
        return studio.pk

    studio = in_database(fill)
    operator = person()
    operator.page.goto(f"{server.url}/admin/")
    operator.page.get_by_label("Username").fill("operator")
    operator.page.get_by_label("Password").fill(PASSWORD)
    operator.page.get_by_label("Password").press("Enter")
    expect(operator.page.get_by_text("Workspaces by day")).to_be_visible()
    operator.shoot("workspaces-10-admin-front-page")
    for name, path in {
        "11-admin-machines": "clouddev/machine/",
        "12-admin-machine": f"clouddev/machine/{studio}/change/",
        "13-admin-tokens": "clouddev/webhooktoken/",
        "14-admin-jobs": "clouddev/cronjob/",
        "15-admin-policies": "clouddev/idlepolicy/",
        "16-admin-policy": "clouddev/idlepolicy/add/",
        "17-admin-discrepancies": "fly/discrepancy/",
    }.items():
        answer = operator.page.goto(f"{server.url}/admin/{path}")
        assert answer.status == 200
        if "machine" in path:
            fits(operator.page)
        operator.shoot(f"workspaces-{name}")

    operator.page.set_viewport_size({"width": 1100, "height": 800})
    operator.page.goto(f"{server.url}/admin/clouddev/machine/{studio}/change/")
    operator.page.get_by_text("Transfer").first.click()
    operator.page.get_by_label("GitHub login of the new owner").fill("bob")
    operator.page.locator("#dialog button[type=submit]").click()
    expect(operator.page.get_by_text("studio is bob's now.")).to_be_visible()
