"""Pictures of classified places: their size, their sameness, and what is in them."""

import numpy as np
import pandas as pd
import pytest
from matplotlib import patches
from PIL import Image

from vidtag_ml.models.cityguessr import plots as cityguessr_plots
from vidtag_ml.plots import style

CANDIDATES = {
    "city": [("Kuala_Lumpur", 0.4), ("Singapore", 0.3)],
    "state": [("MY.14", 0.5)],
    "country": [("Malaysia", 0.6), ("Singapore", 0.3), *((f"country {k}", 0.01) for k in range(8))],
    "continent": [("Asia", 0.9), ("Oceania", 0.1)],
}
CHOSEN = {"city": "Kuala_Lumpur", "state": "MY.14", "country": "Malaysia", "continent": "Asia"}
UNKNOWN = dict.fromkeys(CHOSEN)
FIJI, SAMOA, PERU = (-17.8, 178.0), (-13.8, -172.1), (-12.0, -77.0)


def bins(accuracy):
    edges = np.linspace(0, 1, 16)
    confidence, count = (edges[:-1] + edges[1:]) / 2, [0, *range(1, 15)]
    right = np.clip(confidence + accuracy, 0, 1)
    columns = {"low": edges[:-1], "high": edges[1:], "num_clips": count}
    table = pd.DataFrame({**columns, "confidence": confidence, "accuracy": right})
    table.loc[0, ["confidence", "accuracy"]] = np.nan
    return table


def rgb(colour):
    return tuple(int(colour[k : k + 2], 16) for k in (1, 3, 5))


def size_and_colours(path):
    with Image.open(path) as image:
        return image.size, {colour for _, colour in image.convert("RGB").getcolors(1 << 24)}


@pytest.mark.parametrize("num_levels", [1, 2, 4])
def test_each_level_has_a_panel(tmp_path, num_levels):
    tables = {f"level {k}": bins(-0.1) for k in range(num_levels)}
    path = cityguessr_plots.reliability(tables, tmp_path / "made" / "reliability.png")
    (width, height), _ = size_and_colours(path)
    assert width == 1200
    assert 400 < height < 800


@pytest.mark.parametrize(
    ("accuracy", "shown", "hidden"),
    [
        (-0.2, cityguessr_plots.OVERCONFIDENT, cityguessr_plots.UNDERCONFIDENT),
        (0.2, cityguessr_plots.UNDERCONFIDENT, cityguessr_plots.OVERCONFIDENT),
    ],
)
def test_doubt_and_conceit_have_their_colours(tmp_path, accuracy, shown, hidden):
    path = cityguessr_plots.reliability({"city": bins(accuracy)}, tmp_path / "one.png")
    with Image.open(path) as image:
        below_legend = image.convert("RGB").crop((0, 60, *image.size))
    colours = {colour for _, colour in below_legend.getcolors(1 << 24)}
    assert rgb(shown) in colours
    assert rgb(hidden) not in colours


def test_nothing_to_believe_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="at least one level"):
        cityguessr_plots.reliability({}, tmp_path / "none.png")
    with pytest.raises(ValueError, match="city has no bin with a clip in it"):
        cityguessr_plots.reliability({"city": bins(0.0).assign(num_clips=0)}, tmp_path / "none.png")


def test_a_confusion_map_is_wide_and_colours_right_and_wrong(tmp_path):
    arguments = ["Fiji", "Samoa", "Peru"], ["Samoa", "Samoa", "Chile"], [FIJI, SAMOA, PERU]
    size, colours = size_and_colours(
        cityguessr_plots.confusion_map(*arguments, tmp_path / "map.png")
    )
    assert size == (1600, 666)
    assert {rgb(cityguessr_plots._WRONG_TO_RIGHT[k]) for k in (0, -1)} <= colours


def test_equal_answers_give_equal_bytes(tmp_path):
    one, other = (
        cityguessr_plots.place_card(CANDIDATES, CHOSEN, tmp_path / f"{k}.png", "clip") for k in "ab"
    )
    assert one.read_bytes() == other.read_bytes()


@pytest.mark.parametrize(
    ("ends", "lons"), [((FIJI, SAMOA), {178.0, -182.0}), ((PERU, SAMOA), {-77.0})]
)
def test_an_arrow_goes_the_short_way_and_enters_at_the_other_edge(ends, lons):
    axes = style.new_figure(500).add_subplot(xlim=(-180, 180), ylim=(-66, 84))
    cityguessr_plots._arrow(axes, np.array(ends), (10.0, 10.0), 2.0)
    arrows = [patch for patch in axes.patches if isinstance(patch, patches.FancyArrowPatch)]
    starts, stops = zip(*(arrow._posA_posB for arrow in arrows), strict=True)
    assert {round(lon, 6) for lon, _ in starts} == lons
    assert all(abs(one[0] - other[0]) < 180 for one, other in zip(starts, stops, strict=True))


def test_names_stand_on_no_other_name_and_no_disc():
    axes = style.new_figure(500).add_subplot(xlim=(-180, 180), ylim=(-66, 84))
    places = {f"country {k}": np.array([50.0 + k % 3, 10.0 + k]) for k in range(12)}
    cityguessr_plots._names(axes, places, dict.fromkeys(places, 20.0))
    at = np.array([text.get_position() for text in axes.texts])
    assert 2 <= len(at) < 12
    apart = np.abs(at[:, None] - at) * cityguessr_plots.POINTS_PER_DEGREE
    near = (apart[..., 0] < 40) & (apart[..., 1] < cityguessr_plots._NAME_PT)
    assert near.sum() == len(at)


def test_a_map_without_a_confusion_is_drawn(tmp_path):
    path = cityguessr_plots.confusion_map(["Fiji"], ["Fiji"], [FIJI], tmp_path / "right.png")
    assert path.exists()


@pytest.mark.parametrize("clips", [(["Fiji"], ["Fiji", "Peru"], [FIJI]), ([], [], [])])
def test_every_clip_needs_both_countries_and_a_position(tmp_path, clips):
    with pytest.raises(ValueError, match=r"\d true and \d predicted countries at \d positions"):
        cityguessr_plots.confusion_map(*clips, tmp_path / "none.png")


def test_a_card_shows_the_chosen_path_and_what_is_unknown(tmp_path):
    path = cityguessr_plots.place_card(CANDIDATES, CHOSEN, tmp_path / "card.png", "clip")
    (width, _), colours = size_and_colours(path)
    assert width == 1200
    assert rgb(cityguessr_plots.CHOSEN) in colours
    path = cityguessr_plots.place_card(CANDIDATES, UNKNOWN, tmp_path / "card.png", "clip")
    assert rgb(cityguessr_plots.CHOSEN) not in size_and_colours(path)[1]


def test_the_chosen_place_is_shown_even_if_it_is_far_from_the_best():
    rows = cityguessr_plots._rows("country", CANDIDATES["country"], "country 7")
    assert rows[0] == ("Malaysia", 0.6)
    assert (len(rows), rows[-1]) == (cityguessr_plots._NUM_ROWS, ("country 7", 0.01))


def test_an_unknown_level_says_so_above_its_candidates():
    (name, _), *others = cityguessr_plots._rows("city", CANDIDATES["city"], None)
    assert name is None
    assert others == CANDIDATES["city"]


def test_a_card_without_the_chosen_place_is_refused(tmp_path):
    chosen = {**CHOSEN, "city": "Oslo"}
    with pytest.raises(ValueError, match="city 'Oslo' was chosen but is none of its 2 candidates"):
        cityguessr_plots.place_card(CANDIDATES, chosen, tmp_path / "card.png", "clip")
    with pytest.raises(ValueError, match="a card shows city, state, country, continent"):
        cityguessr_plots.place_card({}, {}, tmp_path / "card.png", "clip")
