"""Pictures of aerial tiles: their size, and what they show."""

import numpy as np
import pytest
from PIL import Image

from vidtag_ml import aerial_plots, gama_stages, layout, plots
from vidtag_ml.evaluate import Report

RED = np.full((8, 8, 3), (255, 0, 0), np.uint8)
BLUE = np.full((8, 8, 3), (0, 0, 255), np.uint8)


def test_a_grid_shows_its_pictures_in_their_places(tmp_path):
    path = aerial_plots.grid([[RED, BLUE], [BLUE, BLUE]], tmp_path / "grid.png", ("a", "b"))
    with Image.open(path) as picture:
        assert picture.size == (plots.WIDTH_PX, plots.WIDTH_PX + aerial_plots.TITLE_PX)
        quarter = plots.WIDTH_PX // 4
        corners = [picture.convert("RGB").getpixel((x, 332)) for x in (quarter, 3 * quarter)]
    assert corners == [(255, 0, 0), (0, 0, 255)]


@pytest.mark.parametrize("rows", [[], [[]]])
def test_a_grid_of_nothing_is_refused(tmp_path, rows):
    with pytest.raises(ValueError, match="at least one picture"):
        aerial_plots.grid(rows, tmp_path / "grid.png")


def test_answers_have_a_row_for_each_of_a_few_clips(made_gama, tmp_path):
    root, params = made_gama
    at = layout.of(root, params)
    report, world = Report.read(at.evaluation("gama")), gama_stages.world(at, params)
    path = aerial_plots.answers(report, world, params.gama, 2, tmp_path / "answers.png")
    with Image.open(path) as picture:
        side = round(plots.WIDTH_PX / len(aerial_plots.TITLES) * 2)
        assert picture.height == side + aerial_plots.TITLE_PX
