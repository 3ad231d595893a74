"""Parts that are made ahead."""

import threading

import pytest

from vidtag_ml.features import decoding


def test_parts_come_in_order_and_the_next_is_made_while_one_is_used():
    made = [threading.Event() for _ in range(4)]

    def parts():
        for k, event in enumerate(made[:3]):
            event.set()
            yield k

    found = []
    for part in decoding.one_ahead(parts()):
        found.append(part)
        assert part == 2 or made[part + 1].wait(5)
    assert found == [0, 1, 2]


def test_what_fails_ahead_fails_where_it_is_needed():
    def parts():
        yield "first"
        raise ValueError("no second")

    ahead = decoding.one_ahead(parts())
    assert next(ahead) == "first"
    with pytest.raises(ValueError, match="no second"):
        next(ahead)
