"""Which regions are tried when the wanted one has no room."""

from clouddev import regions


def test_the_wanted_region_comes_first_and_then_its_neighbours() -> None:
    assert regions.nearest("iad") == ("iad", "ewr", "yyz", "ord")
    assert regions.nearest("fra") == ("fra", "ams", "cdg", "lhr")
    assert regions.nearest("syd") == ("syd", "sin", "nrt", "bom")


def test_a_region_that_is_new_at_fly_is_tried_alone() -> None:
    assert regions.nearest("xyz") == ("xyz",)


def test_aliases_and_oddities_are_no_regions() -> None:
    assert regions.is_region("iad")
    assert not any(regions.is_region(word) for word in ("eu", "IAD", "", "iad,fra", "iad\n"))
