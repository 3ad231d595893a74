"""A shelf is a sequence that lies on disk."""

from vidtag_ml.ingest.own.disk_list import Shelf


def test_values_come_back_in_order_and_by_place():
    shelf = Shelf()
    for value in ("b", {"a": float("inf")}, None):
        shelf.append(value)
    assert (len(shelf), list(shelf), shelf[-1]) == (3, ["b", {"a": float("inf")}, None], None)
    assert shelf[:2] == list(shelf)[:2]


def test_values_are_found_and_sorted_by_key_and_the_first_of_equals_wins():
    shelf = Shelf()
    for value, key in ((1, "ü"), (2, "z"), (3, "ü"), (4, "\udcfc"), (5, None)):
        shelf.append(value, key)
    assert (shelf.find("ü"), shelf.find("absent")) == (1, None)
    assert list(shelf.by_key()) == [2, 1, 3, 4]
