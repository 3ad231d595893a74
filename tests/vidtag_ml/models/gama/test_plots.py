"""Pictures of aerial tiles: their size, and what they show."""

import numpy as np
import pytest
from PIL import Image

from vidtag_ml.models.gama import plots as gama_plots
from vidtag_ml.models.gama import stages as gama_stages
from vidtag_ml.models.report import Report
from vidtag_ml.plots import style
from vidtag_ml.workflow import layout

RED = np.full((8, 8, 3), (255, 0, 0), np.uint8)
BLUE = np.full((8, 8, 3), (0, 0, 255), np.uint8)


def test_a_grid_shows_its_pictures_in_their_places(tmp_path):
    path = gama_plots.grid([[RED, BLUE], [BLUE, BLUE]], tmp_path / "grid.png", ("a", "b"))
    with Image.open(path) as picture:
        assert picture.size == (style.WIDTH_PX, style.WIDTH_PX + gama_plots.TITLE_PX)
        quarter = style.WIDTH_PX // 4
        corners = [picture.convert("RGB").getpixel((x, 332)) for x in (quarter, 3 * quarter)]
    assert corners == [(255, 0, 0), (0, 0, 255)]


@pytest.mark.parametrize("rows", [[], [[]]])
def test_a_grid_of_nothing_is_refused(tmp_path, rows):
    with pytest.raises(ValueError, match="at least one picture"):
        gama_plots.grid(rows, tmp_path / "grid.png")


def test_answers_have_a_row_for_each_of_a_few_clips(made_gama, tmp_path):
    root, params = made_gama
    at = layout.of(root, params)
    report, world = Report.read(at.evaluation("gama")), gama_stages.world(at, params)
    path = gama_plots.answers(report, world, params.gama, 2, tmp_path / "answers.png")
    with Image.open(path) as picture:
        side = round(style.WIDTH_PX / len(gama_plots.TITLES) * 2)
        assert picture.height == side + gama_plots.TITLE_PX
