"""GET /api/deploy/logs: the end of the build's log, or what follows; and what the app says at Fly."""

import pytest

from core import cache
from deployments.models import Build, BuildLogChunk, Deployment
from tests.deployments.builders import append_log, make_build, make_deployment
from tests.fuzz.pumping import processor_time

pytestmark = pytest.mark.django_db
PATH = "/api/deploy/logs"
ABSENT = {"error": "You have no app of this name. Prepare it first."}
State = Build.State
MOST = 100_000


@pytest.fixture
def shop(alice):
    return make_deployment(alice, "shop", fly_name="crayon-00000000000000aa")


@pytest.fixture
def at_fly(sandbox, shop):
    """The app of the stand-in for Fly that stands for alice's."""
    sandbox.add_fly_app(shop.fly_app_id)
    return sandbox


def asked(api, **parameters):
    answer = api.get(PATH, **{"appName": "shop", **parameters})
    assert answer.status_code == 200
    return answer.json()["data"]


def lines(count, width=50):
    """A log of so many lines of `width` characters, each different."""
    return "".join(f"{number:0>{width - 1}}\n" for number in range(count))


def test_absent_and_another_persons_app_get_the_same_answer(charlie_api, shop):
    make_build(shop, log="secret of alice\n")
    answers = [charlie_api.get(PATH, appName=name) for name in ("shop", "nothing")]
    assert [(answer.status_code, answer.json()) for answer in answers] == [(404, ABSENT)] * 2


def test_an_app_that_is_being_destroyed_is_absent(alice_api, shop):
    Deployment.objects.update(state=Deployment.State.DESTROYING)
    answer = alice_api.get(PATH, appName="shop")
    assert (answer.status_code, answer.json()) == (404, ABSENT)


def test_without_a_build_there_are_no_logs(alice_api, shop):
    assert asked(alice_api) == {
        "buildLog": None, "serviceLogs": None, "buildId": None, "nextOffset": 0, "logLength": 0,
    }  # fmt: skip


def test_a_short_log_is_given_whole(alice_api, shop):
    build = make_build(shop, state=State.BUILDING, log="one\ntwo ≥ ☃\n")
    assert asked(alice_api) == {
        "buildLog": "one\ntwo ≥ ☃\n", "serviceLogs": None, "buildId": str(build.pk), "nextOffset": 12, "logLength": 12,
    }  # fmt: skip


def test_of_a_long_log_the_last_lines_are_given_and_the_first_says_where_the_rest_is(alice_api, shop, settings):
    log = lines(100_000)
    build = make_build(shop, state=State.FAILED, log=log)
    answer = asked(alice_api)
    heading, _, rest = answer["buildLog"].partition("\n")
    assert heading == (
        f"… {len(log) - len(rest):,} characters are left out here. "
        f"The whole log: {settings.PUBLIC_URL}/deployments/{shop.pk}/builds/{build.pk}"
    )
    assert log.endswith(rest)
    assert MOST - 50 <= len(rest) <= MOST
    assert len(rest.splitlines()[0]) == 49
    assert (answer["nextOffset"], answer["logLength"]) == (len(log), len(log))


def test_a_poll_of_a_log_of_megabytes_reads_no_more_than_it_answers(alice_api, shop):
    make_build(shop, state=State.BUILDING, log=lines(100_000))
    asked(alice_api)
    # What isn't needed could as well be gone.
    BuildLogChunk.objects.filter(start__lt=4_800_000 - 64_000).delete()
    assert len(asked(alice_api)["buildLog"]) > MOST - 50


def test_one_line_longer_than_all_that_is_given_is_cut(alice_api, shop):
    make_build(shop, state=State.BUILDING, log="x" * 250_000)
    assert asked(alice_api)["buildLog"].partition("\n")[2] == "x" * MOST


def test_following_by_offset_gives_every_character_once(alice_api, shop):
    log = "".join(f"line {number} ☃\n" for number in range(40_000))
    build = make_build(shop, state=State.BUILDING)
    append_log(build, log, chunk=9_973)
    read, offset = "", 0
    while offset < len(log):
        answer = asked(alice_api, offset=str(offset))
        assert 0 < len(answer["buildLog"]) <= MOST
        assert answer["nextOffset"] == offset + len(answer["buildLog"])
        read, offset = read + answer["buildLog"], answer["nextOffset"]
    assert read == log
    assert asked(alice_api, offset=str(offset))["buildLog"] == ""


def test_what_is_appended_between_two_polls_is_what_the_second_one_gives(alice_api, shop):
    build = make_build(shop, state=State.BUILDING, log="one\n")
    offset = asked(alice_api)["nextOffset"]
    append_log(build, "two\n")
    assert asked(alice_api, offset=str(offset))["buildLog"] == "two\n"


def test_an_offset_beyond_the_end_gives_nothing_and_the_place_to_go_on(alice_api, shop):
    make_build(shop, state=State.BUILDING, log="one\n")
    answer = asked(alice_api, offset="999999")
    assert (answer["buildLog"], answer["nextOffset"], answer["logLength"]) == ("", 4, 4)


@pytest.mark.parametrize("offset", ["-1", "x", "1.5", "", "9999999999", "\u0661"])
def test_an_offset_that_is_no_number_of_characters_is_refused(alice_api, shop, offset):
    answer = alice_api.get(PATH, appName="shop", offset=offset)
    assert (answer.status_code, answer.json()) == (400, {"error": "offset: A whole number of characters is required."})


def test_it_is_the_log_of_the_latest_build(alice_api, shop):
    make_build(shop, state=State.FAILED, log="old\n")
    make_build(shop, state=State.BUILDING, log="new\n")
    assert asked(alice_api)["buildLog"] == "new\n"


def test_a_poll_costs_three_queries(alice_api, shop, django_assert_num_queries):
    make_build(shop, state=State.BUILDING, log=lines(10_000))
    asked(alice_api)
    with django_assert_num_queries(3):
        asked(alice_api)


# --- what the app says ---------------------------------------------------------------------------


def test_an_app_that_was_never_released_has_no_service_log_and_fly_is_not_asked(alice_api, shop, at_fly):
    make_build(shop, state=State.BUILDING)
    at_fly.fly_lines(shop.fly_app_id, "hello")
    assert asked(alice_api)["serviceLogs"] is None
    assert at_fly.requests("fly") == []


def test_a_released_app_shows_what_it_says(alice_api, shop, at_fly):
    make_build(shop, state=State.LIVE)
    known = {"message": "listening", "instance": "9080e6f3", "region": "iad", "level": "error"}
    at_fly.fly_lines(shop.fly_app_id, known, {"message": "answered", "instance": "", "region": "", "level": ""})
    first, second = (line.split(" ", 1) for line in asked(alice_api)["serviceLogs"].splitlines())
    assert (first[1], second[1]) == ("[9080e6f3] iad [error] listening", "[-] - [info] answered")
    assert first[0].startswith("20")


def test_an_app_that_was_released_before_shows_it_while_its_next_build_fails(alice_api, shop, at_fly):
    make_build(shop, state=State.LIVE)
    make_build(shop, state=State.FAILED, log="no\n")
    at_fly.fly_lines(shop.fly_app_id, "still here")
    answer = asked(alice_api)
    assert (answer["buildLog"], "still here" in answer["serviceLogs"]) == ("no\n", True)


def test_control_codes_are_stripped_and_long_lines_cut(alice_api, shop, at_fly):
    make_build(shop, state=State.LIVE)
    at_fly.fly_lines(shop.fly_app_id, "\x1b[31mred\x1b[0m\x07", "x" * 10_000, "one\ntwo\rthree")
    red, long, several = asked(alice_api)["serviceLogs"].splitlines()
    assert red.endswith("] red")
    assert len(long) < 2_200
    assert several.endswith("one two three")


def test_no_line_of_an_app_keeps_a_poll_busy(alice_api, shop, at_fly):
    make_build(shop, state=State.LIVE)
    at_fly.fly_lines(shop.fly_app_id, "://" + ":" * 64_000, "://a" + ":" * 64_000 + "@")
    with processor_time(1.0):
        first, second = asked(alice_api)["serviceLogs"].splitlines()
    assert (len(first) < 2_200, len(second) < 2_200) == (True, True)


def test_fly_is_asked_once_for_many_polls(alice_api, shop, at_fly):
    make_build(shop, state=State.LIVE)
    for _ in range(5):
        asked(alice_api)
    assert len([entry for entry in at_fly.requests("fly") if "/logs" in entry["path"]]) == 1


def test_while_fly_fails_the_build_log_is_answered_all_the_same(alice_api, shop, at_fly):
    make_build(shop, state=State.LIVE, log="built\n")
    at_fly.faults(target="fly", match="GET /api/v1/apps/*/logs", status=500)
    answer = asked(alice_api)
    assert (answer["buildLog"], answer["serviceLogs"]) == ("built\n", None)


def test_without_a_token_for_fly_the_build_log_is_answered_all_the_same(alice_api, shop, settings):
    settings.FLY_API_TOKEN = ""
    make_build(shop, state=State.LIVE, log="built\n")
    answer = asked(alice_api)
    assert (answer["buildLog"], answer["serviceLogs"]) == ("built\n", None)


def test_an_app_that_says_nothing_is_told_from_a_fly_that_says_nothing(alice_api, shop, at_fly):
    make_build(shop, state=State.LIVE)
    assert [asked(alice_api)["serviceLogs"] for _ in range(2)] == ["", ""]
    assert cache.read([f"service-logs:{shop.fly_app_id}"]) == {f"service-logs:{shop.fly_app_id}": "+"}


def test_without_a_token_it_answers_nothing(nobody_api, shop):
    assert nobody_api.get(PATH, appName="shop").status_code == 401
