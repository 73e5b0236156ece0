"""Apps, builds, what is at Fly and jobs in the operators' pages."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import AuditEvent
from deployments.dashboard import builds_by_day
from deployments.models import Build, Deployment
from fly.models import Discrepancy
from tests.deployments.builders import IMAGE, make_build, make_deployment, make_discrepancy, make_worker
from tests.operators import browser_of, make_operator

pytestmark = pytest.mark.django_db
BUILDS = "/admin/deployments/build/"
APPS = "/admin/deployments/deployment/"
NOW = timezone.now()
HOUR = timedelta(hours=1)
State = Build.State


@pytest.fixture
def operator(db):
    return make_operator(superuser=False)


@pytest.fixture
def browser(operator):
    return browser_of(operator)


@pytest.fixture
def shop(alice):
    return make_deployment(alice, "shop")


def shown(browser, path=BUILDS, **parameters):
    return {row.pk for row in browser.get(path, parameters).context["cl"].result_list}


def press(browser, build, action):
    return browser.post(f"{BUILDS}{build.pk}/{action}/")


def buttons(browser, row, path=BUILDS):
    html = browser.get(f"{path}{row.pk}/change/").content.decode()
    return {action for action in ("cancel_one", "redeploy_one", "destroy_one") if f"/{action}/" in html}


def test_the_list_says_how_each_build_stands_and_how_long_it_took(browser, shop):
    live = make_build(shop, state=State.LIVE)
    silent = make_build(shop, state=State.RELEASED, finished_at=NOW)
    html = browser.get(BUILDS).content.decode()
    for build, words in ((live, ("Live", "1 min 12 s")), (silent, ("Not answering",))):
        row = html[html.index(f"{build.pk}/change/") :].partition("</tr>")[0]
        assert [word in row for word in words] == [True] * len(words)


def test_builds_are_filtered_by_what_an_operator_looks_for(browser, alice, bob, shop):
    made = {
        "waiting": make_build(shop),
        "running": make_build(shop, state=State.BUILDING),
        "silent": make_build(shop, state=State.RELEASED, finished_at=NOW),
        "failed": make_build(make_deployment(bob, "blog"), state=State.FAILED),
    }
    for group, build in made.items():
        assert shown(browser, group=group) == {build.pk}
    assert shown(browser, state__exact="failed") == {made["failed"].pk}
    assert shown(browser, pushed_by__id__exact=str(bob.pk)) == {made["failed"].pk}
    assert shown(browser, deployment__id__exact=str(shop.pk)) == {made[x].pk for x in ("waiting", "running", "silent")}


@pytest.mark.parametrize("words", ["shop", "0123ab", "alice@example.com", "crayon-00000000000000aa"])
def test_builds_are_found_by_app_commit_person_and_name_at_fly(browser, alice, bob, words):
    wanted = make_build(make_deployment(alice, "shop", fly_name="crayon-00000000000000aa"), commit="0123abc")
    make_build(make_deployment(bob, "blog"), commit="fedcba")
    assert shown(browser, q=words) == {wanted.pk}


def test_a_builds_page_shows_the_end_of_its_log_escaped_and_nothing_sealed(browser, shop):
    build = make_build(
        shop, log="<script>alert(1)</script>\n", sealed_environment=b"visibly-fake-sealed", archive="archives/x.tar.gz"
    )
    html = browser.get(f"{BUILDS}{build.pk}/change/").content.decode()
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert ("visibly-fake-sealed" in html, "archives/x.tar.gz" in html) == (False, False)


@pytest.mark.parametrize("column", ["archive", "sealed_environment"])
def test_what_is_not_shown_cannot_be_looked_for(browser, shop, column):
    assert browser.get(BUILDS, {f"{column}__startswith": "a"}).status_code == 400


def test_an_operator_cancels_a_build_and_the_trail_says_who(browser, operator, shop):
    build = make_build(shop)
    assert press(browser, build, "cancel_one").status_code == 302
    assert Build.objects.get().state == State.CANCELED
    assert AuditEvent.objects.get(action="build.canceled").actor_id == operator.pk


def test_selected_builds_are_canceled_and_those_that_are_over_stay(browser, alice, shop):
    waiting, over = make_build(shop), make_build(make_deployment(alice, "blog"), state=State.LIVE)
    form = {"action": "cancel_selected", "_selected_action": [str(waiting.pk), str(over.pk)]}
    text = browser.post(BUILDS, form, follow=True).content.decode()
    assert "This build is over already" in text
    assert set(Build.objects.values_list("pk", "state")) == {(waiting.pk, "canceled"), (over.pk, "live")}


def test_an_operator_deploys_an_image_again(browser, operator, shop):
    build = make_build(shop, state=State.LIVE, commit="0123abc")
    assert press(browser, build, "redeploy_one").status_code == 302
    again = Build.objects.get(from_image=IMAGE)
    assert (again.pushed_by_id, again.commit, again.state) == (operator.pk, "0123abc", State.QUEUED)


def test_only_what_makes_sense_is_offered(browser, alice, shop):
    running, live = make_build(shop, state=State.BUILDING), make_build(make_deployment(alice, "a"), state=State.LIVE)
    failed = make_build(make_deployment(alice, "b"), state=State.FAILED)
    assert [buttons(browser, build) for build in (running, live, failed)] == [{"cancel_one"}, {"redeploy_one"}, set()]
    assert buttons(browser, make_build(make_deployment(alice, "c"), state=State.RELEASED)) == set()


def test_an_operator_destroys_an_app(browser, operator, shop, sandbox):
    sandbox.add_fly_app(shop.fly_app_id)
    assert buttons(browser, shop, APPS) == {"destroy_one"}
    browser.post(f"{APPS}{shop.pk}/destroy_one/", {"name": "shop"})
    assert not Deployment.objects.filter(state=Deployment.State.READY).exists()
    assert AuditEvent.objects.get(action="deployment.destroyed").actor_id == operator.pk


def test_an_app_is_not_destroyed_before_its_name_was_typed(browser, shop):
    page = browser.get(f"{APPS}{shop.pk}/destroy_one/").content.decode()
    assert f"Destroy the app shop of alice ({shop.fly_app_id})?" in page
    for typed in ({}, {"name": ""}, {"name": "blog"}):
        answer = browser.post(f"{APPS}{shop.pk}/destroy_one/", typed)
        assert "That is not “shop”. Nothing was done." in answer.content.decode()
    assert Deployment.objects.get().state == Deployment.State.READY


def test_the_list_of_apps_says_how_the_latest_build_of_each_stands(browser, alice, shop):
    make_build(shop, state=State.LIVE, created_at=NOW - HOUR)
    make_build(shop, state=State.FAILED)
    rows = browser.get(APPS).context["cl"].result_list
    assert [row.latest_state for row in rows] == ["failed"]


@pytest.mark.parametrize(
    "path", [BUILDS, APPS, "/admin/fly/flyapp/", "/admin/fly/discrepancy/"]
)  # fmt: skip
def test_nothing_is_edited_added_or_deleted(browser, shop, path):
    make_build(shop)
    row = make_discrepancy() if "discrepancy" in path else None
    pk = row.pk if row else browser.get(path).context["cl"].result_list[0].pk
    posts = [f"{path}{pk}/change/", f"{path}{pk}/delete/", f"{path}add/"]
    assert [browser.post(post, {"post": "yes"}).status_code for post in posts] == [403] * 3
    assert (Build.objects.count(), Deployment.objects.count()) == (1, 1)
    assert Discrepancy.objects.count() == (1 if row else 0)


def test_the_front_page_says_whether_there_is_a_worker(browser, no_workers):
    def figure():
        return next(each for each in browser.get("/admin/").context["figures"] if each.title == "Workers")

    assert (figure().value, figure().note, figure().tone) == (0, "No build worker is running: start one.", "danger")
    for _ in range(4):
        make_worker(ago=timedelta(seconds=7))
    assert (figure().value, figure().tone) == (1, "")
    assert figure().note in {f"heard of {seconds} s ago" for seconds in (7, 8, 9)}


def test_the_front_page_counts_builds_and_leads_to_them(browser, shop):
    make_build(shop, state=State.BUILDING)
    make_build(shop)
    failed = make_build(shop, state=State.FAILED, finished_at=NOW)
    make_build(shop, state=State.FAILED, finished_at=NOW - 48 * HOUR)
    make_discrepancy()
    figures = {figure.title: figure for figure in browser.get("/admin/").context["figures"]}
    assert (figures["Running builds"].value, figures["Running builds"].note) == (1, "and 1 waiting")
    assert (figures["Failed builds today"].value, figures["Failed builds today"].tone) == (1, "danger")
    assert (figures["Discrepancies"].value, figures["Discrepancies"].tone) == (1, "warning")
    rows = browser.get(figures["Failed builds today"].path).context["cl"].result_list
    assert [row.pk for row in rows] == [failed.pk]


def test_the_chart_counts_each_builds_outcome_on_the_day_it_ended(browser, shop):
    today = NOW.replace(hour=12, minute=0)
    for days, state in ((0, State.LIVE), (0, State.FAILED), (1, State.INTERRUPTED), (1, State.CANCELED), (30, "live")):
        make_build(shop, state=state, finished_at=today - timedelta(days=days))
    sentence = builds_by_day(now=NOW).sentence
    assert sentence == "1 build released, 2 failed and 1 canceled in the last 14 days."
    assert sentence in browser.get("/admin/").content.decode()
