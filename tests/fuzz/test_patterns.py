"""No text makes a pattern slow: every pattern is found, and attacked by what it consists of."""

import re

import pytest

from tests.fuzz.patterns import all_patterns
from tests.fuzz.pumping import slow_text

# By the clock on the wall a busy machine may take long; what is bounded is processor time.
pytestmark = pytest.mark.timeout(600)
QUADRATIC = [
    r"(?<=://)[^\s/@\"']+:[^\s/@\"']+(?=@)",
    r"\s+$",
    r"\s*\(Request ID: [^)]*\)",
    r"smoke checks .* failed",
    r"process \"(.*)\" did not complete",
    r"[ \0]*([0-7]*)[ \0]*\Z",
    r"(?:--[a-z]+=\S+ +)+",
    r"a*a*b",
    r"(?:a|b)*?(?:b|c)*\Z",
    r"(a+)+\Z",
    r"(?:a|a)*\Z",
    r"(\w+\s?)*\Z",
    r"^(([a-z])+.)+[A-Z]([a-z])+$",
    r"\d+(?:\.\d+)?ms",
    r".*?line (\d+)",
    rb"x*y",
]
LINEAR = [
    r"(?<=://)[^\s/@\"':]*+:[^\s/\"']*@",
    r"\A\s*+\S",
    r"[a-z][a-z0-9-]{0,62}\Z",
    r"\A[a-z0-9]+(-[a-z0-9]+)*\Z",
    r"x.{0,200}y",
    r"[0-9a-f]{8}",
    r"(?<!\d)\d+(?!\d)",
]


@pytest.mark.parametrize("pattern", QUADRATIC)
def test_a_slow_pattern_is_noticed(pattern):
    assert slow_text(re.compile(pattern)) is not None


@pytest.mark.parametrize("pattern", LINEAR)
def test_a_quick_pattern_is_let_through(pattern):
    assert slow_text(re.compile(pattern)) is None


@pytest.mark.slow(15)
def test_every_pattern_takes_time_in_proportion_to_its_text():
    slow = {each.where: (each.pattern.pattern, slow_text(each.pattern, each.methods)) for each in all_patterns()}
    assert {where: found for where, found in slow.items() if found[1]} == {}
