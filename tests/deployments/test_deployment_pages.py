"""/deployments/: the pages of deployed apps and their builds, without JavaScript."""

import uuid
from datetime import timedelta

import pytest
import time_machine
from django.core.cache import cache
from django.utils import timezone

from accounts.models import AuditEvent, Organization
from deployments.models import Build, Deployment
from tests.accounts.browsing import Browser, form_of, text_of
from tests.deployments.builders import IMAGE, append_log, make_build, make_deployment

pytestmark = pytest.mark.django_db
LIST = "/deployments/"
NOW = timezone.now()
HOUR = timedelta(hours=1)
State = Build.State


def browser_of(user):
    browser = Browser()
    browser.client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return browser


@pytest.fixture
def alices(alice):
    return browser_of(alice)


@pytest.fixture
def charlies(charlie):
    return browser_of(charlie)


@pytest.fixture
def shop(alice):
    return make_deployment(alice, "shop")


def page_of(thing):
    if isinstance(thing, Deployment):
        return f"{LIST}{thing.pk}/"
    return f"{LIST}{thing.deployment_id}/builds/{thing.pk}"


# --- the list ------------------------------------------------------------------------------------


def test_every_page_leads_to_the_list(alices):
    assert f'href="{LIST}"' in alices.get("/account/apps").content.decode()
    assert alices.get("/deployments")["Location"] == LIST


def test_who_has_no_app_reads_which_command_makes_one(alices):
    assert "Run crayon deploy in the folder" in text_of(alices.get(LIST))


def test_it_lists_my_apps_with_state_address_and_latest_build(alices, alice, shop):
    make_build(shop, state=State.LIVE, created_at=NOW - 2 * HOUR, commit="old0000")
    build = make_build(shop, state=State.FAILED, created_at=NOW - HOUR, commit="0123abc")
    make_deployment(alice, "blog")
    page = alices.get(LIST)
    text = text_of(page)
    assert "blog made now Nothing pushed yet" in text
    assert f"shop {shop.url} build {build.short_id} · commit 0123abc · an hour ago Failed" in text.replace("\xa0", " ")
    assert "old0000" not in text
    for link in (page_of(shop), page_of(build), shop.url):
        assert f'href="{link}"' in page.content.decode()


def test_the_apps_of_a_suspended_organization_are_not_there(alices, alice, shop):
    build = make_build(shop, state=State.BUILDING)
    Organization.objects.filter(pk=shop.organization_id).update(suspended_at=NOW)
    assert "shop" not in text_of(alices.get(LIST))
    assert {alices.get(page_of(thing)).status_code for thing in (shop, build)} == {404}
    form = form_of(alices.get(LIST), "/auth/sign-out")
    assert alices.client.post(f"{page_of(build)}/cancel", form).status_code == 404
    build.refresh_from_db()
    assert build.cancel_requested_at is None


def test_who_has_no_app_reads_of_a_way_without_the_command_line(alices):
    assert 'href="/api/docs"' in alices.get(LIST).content.decode()


@pytest.mark.parametrize("state", [State.QUEUED, State.BUILDING, State.FAILED, State.CANCELED])
def test_an_app_that_does_not_run_has_no_link_to_it(alices, shop, state):
    make_build(shop, state=state)
    link = f'href="{shop.url}"'
    assert link not in alices.get(LIST).content.decode()
    running = make_build(shop, state=State.LIVE, created_at=NOW - HOUR)
    assert link in alices.get(LIST).content.decode()
    assert link in alices.get(page_of(running)).content.decode()
    Deployment.objects.update(state=Deployment.State.DESTROYING)
    for page in (LIST, page_of(shop), page_of(running)):
        assert link not in alices.get(page).content.decode()


def test_it_lists_nothing_of_others(charlies, shop):
    make_build(shop, state=State.LIVE)
    assert "shop" not in text_of(charlies.get(LIST))


def test_an_app_on_its_way_out_says_so(alices, shop):
    Deployment.objects.update(state=Deployment.State.DESTROYING)
    assert "Being destroyed" in text_of(alices.get(LIST))


def test_many_apps_cost_no_more_queries_than_one(alices, alice, django_assert_max_num_queries):
    for number in range(20):
        make_build(make_deployment(alice, f"app-{number}"), state=State.LIVE)
    alices.get(LIST)
    with django_assert_max_num_queries(10):
        assert alices.get(LIST).content.count(b"badge good") == 20


# --- an app --------------------------------------------------------------------------------------


def test_an_app_shows_its_builds_newest_first(alices, bob, shop):
    replaced = make_build(shop, state=State.LIVE, created_at=NOW - 3 * HOUR)
    make_build(shop, state=State.FAILED, created_at=NOW - 2 * HOUR, error="Step 3 failed.")
    live = make_build(shop, state=State.LIVE, created_at=NOW - HOUR, pushed_by=bob)
    make_build(shop, state=State.BUILDING)
    text = text_of(alices.get(page_of(shop)))
    words = text[text.index("Builds") :]
    assert [words.index(word) for word in ("Building", "Live", "Step 3 failed.", "Failed", "Replaced")] == sorted(
        words.index(word) for word in ("Building", "Live", "Step 3 failed.", "Failed", "Replaced")
    )
    assert "by bob · took 1 min 12 s" in words
    assert f"Runs build {live.short_id}" in text
    assert replaced.short_id in words


def test_a_history_of_many_builds_has_pages(alices, shop):
    for number in range(60):
        make_build(shop, state=State.FAILED, created_at=NOW - number * HOUR, commit=f"commit-{number}")
    first = alices.get(page_of(shop))
    text = text_of(first)
    assert ("commit-49" in text, "commit-50" in text) == (True, False)
    link = next(part for part in first.content.decode().split('"') if "?before=" in part)
    text = text_of(alices.client.get(link))
    assert ("commit-49" in text, "commit-50" in text, "commit-59" in text) == (False, True, True)
    assert "Newest builds" in text


def test_an_app_without_builds_says_how_to_push(alices, shop):
    assert "Nothing was pushed yet. Run crayon deploy" in text_of(alices.get(page_of(shop)))


@pytest.mark.parametrize("before", ["x", "00000000-0000-4000-8000-00000000cccc"])
def test_a_place_in_the_history_that_is_none_is_refused(alices, shop, before):
    assert alices.get(page_of(shop), before=before).status_code == 400


@pytest.mark.parametrize("suffix", ["", "/news"])
def test_nobody_sees_anothers_app_or_build_and_the_answer_tells_nothing(alices, charlies, shop, alice, suffix):
    build = make_build(shop, log="secret of alice\n")
    other = make_deployment(alice, "blog")
    anothers = charlies.get(page_of(build) + suffix)
    absent = charlies.get(f"{page_of(shop)}builds/{uuid.uuid4()}{suffix}")
    elsewhere = alices.get(f"{page_of(other)}builds/{build.pk}{suffix}")
    assert [answer.status_code for answer in (anothers, absent, elsewhere)] == [404] * 3
    assert text_of(anothers) == text_of(absent)
    assert charlies.get(page_of(shop)).status_code == 404
    assert text_of(charlies.get(page_of(shop))) == text_of(charlies.get(f"{LIST}{uuid.uuid4()}/"))


def test_a_stranger_is_sent_to_sign_in(shop):
    answer = Browser().get(page_of(shop))
    assert (answer.status_code, answer["Location"]) == (302, f"/auth/sign-in?next={page_of(shop)}")


# --- what an app says ----------------------------------------------------------------------------


def test_what_an_app_says_is_shown_and_never_run(alices, shop, sandbox):
    sandbox.add_fly_app(shop.fly_app_id)
    sandbox.fly_lines(shop.fly_app_id, "<script>alert(1)</script>")
    make_build(shop, state=State.LIVE)
    html = alices.get(f"{page_of(shop)}logs").content.decode()
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert f'href="{page_of(shop)}logs"' in alices.get(page_of(shop)).content.decode()


def test_an_app_that_said_nothing_was_never_released_or_cannot_be_asked_says_which(alices, shop, sandbox, settings):
    path = f"{page_of(shop)}logs"
    assert "Nothing of this app was released yet" in text_of(alices.get(path))
    make_build(shop, state=State.LIVE)
    settings.FLY_API_TOKEN = ""
    assert "Fly can't be asked right now." in text_of(alices.get(path))
    cache.clear()
    settings.FLY_API_TOKEN = "sandbox-fly-org-token"
    sandbox.add_fly_app(shop.fly_app_id)
    assert "The app has said nothing lately." in text_of(alices.get(path))


# --- destroying ----------------------------------------------------------------------------------


def test_an_app_is_destroyed_once_its_name_was_typed(alices, shop, sandbox):
    sandbox.add_fly_app(shop.fly_app_id)
    page = alices.get(page_of(shop))
    answer = alices.press(page, f"{page_of(shop)}destroy", name="shop")
    assert (answer.status_code, answer["Location"]) == (302, LIST)
    assert not Deployment.objects.exclude(state=Deployment.State.DESTROYING).exists()
    assert AuditEvent.objects.filter(action="deployment.destroyed").exists()


@pytest.mark.parametrize("name", ["", "Shop", "blog"])
def test_nothing_is_destroyed_while_the_name_is_another(alices, shop, name):
    answer = alices.press(alices.get(page_of(shop)), f"{page_of(shop)}destroy", name=name)
    assert answer.status_code == 400
    assert "That is not the name of this app. Nothing was destroyed." in text_of(answer)
    assert Deployment.objects.get().state == Deployment.State.READY


def test_nobody_destroys_anothers_app(alices, charlies, shop):
    fields = form_of(alices.get(page_of(shop)), f"{page_of(shop)}destroy")
    charlies.get(LIST)
    form = form_of(charlies.get(LIST), "/auth/sign-out") | {"name": "shop"}
    assert fields.keys() == {"csrfmiddlewaretoken"}
    assert charlies.client.post(f"{page_of(shop)}destroy", form).status_code == 404
    assert Deployment.objects.get().state == Deployment.State.READY


def test_an_app_on_its_way_out_offers_nothing_more(alices, shop):
    make_build(shop, state=State.LIVE, created_at=NOW - HOUR)
    make_build(shop, state=State.LIVE)
    Deployment.objects.update(state=Deployment.State.DESTROYING)
    page = alices.get(page_of(shop))
    assert "This app is being destroyed." in text_of(page)
    assert b"/destroy" not in page.content
    assert b"/redeploy" not in page.content


# --- a build -------------------------------------------------------------------------------------


def test_a_running_build_shows_its_step_who_when_and_log_and_reloads_without_scripts(alices, shop):
    build = make_build(
        shop, state=State.BUILDING, step="Installing dependencies…", commit="0123abc", log="#5 npm ci\n", attempt=2
    )
    page = alices.get(page_of(build))
    text, html = text_of(page), page.content.decode()
    for words in (
        f"Build {build.short_id} Building Installing dependencies…",
        "Pushed by alice",
        "Commit 0123abc",
        "Taken by a worker (attempt 2)",
        "#5 npm ci",
        "Cancel this build",
    ):
        assert words in text
    assert '<noscript><meta http-equiv="refresh" content="10"></noscript>' in html
    assert "build-log.js" in html
    assert f'data-news="{page_of(build)}/news" data-offset="10"' in html


@pytest.mark.parametrize("state", [State.FAILED, State.INTERRUPTED])
def test_a_build_that_failed_says_why_and_to_push_again(alices, shop, state):
    build = make_build(shop, state=state, error="Step 3 of 7 failed.", log="no\n")
    page = alices.get(page_of(build))
    text = text_of(page)
    assert "Step 3 of 7 failed. Once that is put right, run crayon deploy to push again." in text
    assert ("Cancel this build" in text, "refresh" in page.content.decode()) == (False, False)
    assert "data-news" not in page.content.decode()


def test_a_release_that_does_not_answer_points_to_the_logs(alices, shop):
    build = make_build(shop, state=State.RELEASED, finished_at=NOW)
    text = text_of(alices.get(page_of(build)))
    assert "Not answering" in text
    assert "The app is released, but it doesn't answer yet. Look at its logs." in text


def test_what_an_app_logs_is_shown_and_never_run(alices, shop):
    build = make_build(shop, state=State.FAILED, log="<script>alert(1)</script>&amp;\n", error="<b>bold</b>")
    html = alices.get(page_of(build)).content.decode()
    assert "&lt;script&gt;alert(1)&lt;/script&gt;&amp;amp;" in html
    assert "<b>bold" not in html


def test_a_log_that_begins_with_an_empty_line_keeps_it(alices, shop):
    build = make_build(shop, state=State.FAILED, log="\nsecond\n")
    html = alices.get(page_of(build)).content.decode()
    # HTML drops the first line break after <pre>; the second one is the log's.
    assert ">\n\nsecond\n</pre>" in html


def test_of_a_long_log_the_end_is_shown_and_the_rest_is_a_click_away(alices, shop):
    build = make_build(shop, state=State.FAILED, log="".join(f"line {n:0>44}\n" for n in range(6_000)))
    page = alices.get(page_of(build))
    assert "line 00000000000000000000000000000000000000005999" in text_of(page)
    assert len(page.content) < 120_000
    seen, addresses = text_of(page), []
    while "Earlier" in text_of(page):
        addresses.append(next(part for part in page.content.decode().split('"') if part.startswith("?from=")))
        page = alices.client.get(page_of(build) + addresses[-1].partition("#")[0])
        seen += text_of(page)
    assert len(addresses) == 3
    # A line that lies on the border of two pages is cut, its two parts are on both.
    assert sum(f"line {n:0>44}" in seen for n in range(6_000)) >= 5_998
    assert ("Later" in text_of(page), "End" in text_of(page)) == (True, True)


@pytest.mark.parametrize("place", ["x", "-1", "9" * 12])
def test_a_place_in_the_log_that_is_none_is_refused(alices, shop, place):
    build = make_build(shop, state=State.FAILED, log="no\n")
    assert alices.get(page_of(build), **{"from": place}).status_code == 400
    assert alices.get(f"{page_of(build)}/news", offset=place).status_code == 400


def test_the_news_give_what_is_new_and_tell_when_it_is_over(alices, shop):
    build = make_build(shop, state=State.BUILDING, step="One…", log="first\n")
    first = alices.get(f"{page_of(build)}/news", offset="0").json()
    assert {milestone["title"] for milestone in first.pop("milestones")} == {"Pushed", "Taken by a worker"}
    assert first == {
        "word": "Building", "tone": "going", "message": "One…", "log": "first\n", "offset": 6, "over": False,
    }  # fmt: skip
    append_log(build, "second\n")
    Build.objects.update(state=State.FAILED, finished_at=NOW, error="No.")
    second = alices.get(f"{page_of(build)}/news", offset=str(first["offset"])).json()
    assert {milestone["title"] for milestone in second.pop("milestones")} == {"Pushed", "Taken by a worker", "Failed"}
    assert second == {
        "word": "Failed", "tone": "bad", "message": "", "log": "second\n", "offset": 13, "over": True,
    }  # fmt: skip


def test_the_news_tell_what_has_happened_as_the_page_does(alices, shop):
    build = make_build(shop, state=State.BUILDING, attempt=2, started_at=NOW)
    page = text_of(alices.get(page_of(build)))
    for milestone in alices.get(f"{page_of(build)}/news", offset="0").json()["milestones"]:
        note = f" ({milestone['note']})" if milestone["note"] else ""
        assert f"{milestone['title']}{note} {milestone['shown']} UTC" in page


def test_a_step_that_takes_long_says_for_how_long_on_the_page_and_in_its_news(alices, shop):
    build = make_build(shop, state=State.BUILDING, step="Installing dependencies…")
    Build.objects.update(heartbeat_at=build.started_at + timedelta(minutes=4, seconds=29))
    with time_machine.travel(build.started_at + timedelta(minutes=4, seconds=30), tick=False):
        assert "Installing dependencies… (4 min)" in text_of(alices.get(page_of(build)))
        news = alices.get(f"{page_of(build)}/news", offset="0").json()
    assert news["message"] == "Installing dependencies… (4 min)"


def test_the_news_are_not_over_before_all_of_the_log_was_read(alices, shop):
    build = make_build(shop, state=State.FAILED, log="x" * 150_000)
    answers = [alices.get(f"{page_of(build)}/news", offset=str(offset)).json() for offset in (0, 100_000)]
    assert [(len(answer["log"]), answer["over"]) for answer in answers] == [(100_000, False), (50_000, True)]


# --- canceling and deploying again ---------------------------------------------------------------


def test_a_running_build_is_canceled(alices, alice, shop):
    build = make_build(shop, state=State.BUILDING)
    answer = alices.press(alices.get(page_of(build)), f"{page_of(build)}/cancel")
    assert (answer.status_code, answer["Location"]) == (302, page_of(build))
    assert Build.objects.get().cancel_requested_at is not None
    assert AuditEvent.objects.get(action="build.cancel_requested").actor_id == alice.pk
    text = text_of(alices.get(page_of(build)))
    assert "Canceling" in text
    assert "Cancel this build" not in text


def test_a_build_that_ended_meanwhile_is_not_canceled_and_the_page_says_so(alices, shop):
    build = make_build(shop, state=State.BUILDING)
    page = alices.get(page_of(build))
    Build.objects.update(state=State.LIVE, finished_at=NOW, released_at=NOW)
    alices.press(page, f"{page_of(build)}/cancel")
    assert "This build is over already" in text_of(alices.get(page_of(build)))


def test_a_version_that_is_released_meanwhile_is_not_canceled_and_has_no_button_any_more(alices, shop):
    build = make_build(shop, state=State.BUILDING)
    page = alices.get(page_of(build))
    assert "Cancel this build" in text_of(page)
    Build.objects.update(state=State.RELEASED, released_at=NOW)
    alices.press(page, f"{page_of(build)}/cancel")
    text = text_of(alices.get(page_of(build)))
    assert "This version is released already, so it can't be canceled." in text
    assert "Cancel this build" not in text


def test_an_older_image_is_deployed_again_from_the_list(alices, shop):
    old = make_build(shop, state=State.LIVE, created_at=NOW - 2 * HOUR, commit="0123abc")
    make_build(shop, state=State.LIVE, created_at=NOW - HOUR)
    answer = alices.press(alices.get(page_of(shop)), f"{page_of(old)}/redeploy")
    again = Build.objects.get(from_image=IMAGE)
    assert (answer.status_code, answer["Location"]) == (302, page_of(again))
    text = text_of(alices.get(page_of(again)))
    assert f"The image of build {old.short_id} is being deployed again." in text
    assert "Asked by alice" in text


def test_what_runs_and_what_made_no_image_is_not_offered_again(alices, shop):
    failed = make_build(shop, state=State.FAILED, created_at=NOW - HOUR)
    live = make_build(shop, state=State.LIVE)
    html = alices.get(page_of(shop)).content.decode()
    assert "/redeploy" not in html
    for build in (failed, live):
        assert "/redeploy" not in alices.get(page_of(build)).content.decode()


def test_while_a_build_runs_nothing_is_deployed_again_and_the_page_says_so(alices, shop):
    old = make_build(shop, state=State.LIVE, created_at=NOW - 2 * HOUR)
    make_build(shop, state=State.LIVE, created_at=NOW - HOUR)
    page = alices.get(page_of(shop))
    make_build(shop, state=State.BUILDING)
    alices.press(page, f"{page_of(old)}/redeploy")
    assert "A build of this app is running already." in text_of(alices.get(page_of(old)))
    assert not Build.objects.exclude(from_image="").exists()


def test_no_get_and_no_forged_form_changes_anything(alices, shop):
    build = make_build(shop)
    alices.get(LIST)
    for path in (f"{page_of(shop)}destroy", f"{page_of(build)}/cancel", f"{page_of(build)}/redeploy"):
        assert alices.get(path).status_code == 405
        assert alices.client.post(path, {"name": "shop"}).status_code == 403
    assert (Build.objects.get().state, Deployment.objects.get().state) == (State.QUEUED, "ready")
