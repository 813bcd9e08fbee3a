"""The sheet shows everything it promises, on white, with words."""

import numpy as np
import pytest
import torch

from persona.evaluation.contact_sheet import LABEL_HEIGHT, Tile, avatar_rows, sheet


@pytest.mark.slow
def test_rows_show_eight_sides_four_poses_heads_and_hands(plain_avatar):
    around, poses, near = avatar_rows(plain_avatar)
    assert [tile.label for tile in around] == [f"{45 * k}°" for k in range(8)]
    assert {tile.label.removesuffix(", back") for tile in poses} == {
        *("T-pose", "walk", "squat", "arms up")
    }
    assert sum("head" in tile.label for tile in near) == 5
    assert sum("hand" in tile.label for tile in near) == 4
    for tile in (*around, *poses, *near):
        assert float(tile.image.min()) < 0.9, f"{tile.label} is empty"


def test_a_figure_stands_over_400_pixels_tall(plain_avatar):
    from persona.evaluation.contact_sheet import turntable_tiles

    front = turntable_tiles(plain_avatar, 1)[0].image
    rows = torch.nonzero((front < 0.95).any(-1).any(1))[:, 0]
    # The T-pose of this person is as wide as tall, so that the width limits it.
    assert front.shape[0] >= 440
    assert int(rows[-1] - rows[0]) > 250


def test_pictures_of_any_size_fit_their_tiles():
    tiles = [
        Tile(label="a", image=torch.zeros(50, 20, 3)),
        Tile(label="b", image=torch.zeros(9, 90, 3)),
    ]
    page = np.asarray(sheet([tiles, tiles[:1]], title="both", width=40, height=60))
    assert page.shape == (2 * (60 + LABEL_HEIGHT) + LABEL_HEIGHT + 8, 80, 3)
    assert (page == 255).all(-1).mean() > 0.2
    assert (page == 0).all(-1).any()
