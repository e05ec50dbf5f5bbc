import numpy as np
import pytest
from skimage.data import hubble_deep_field

from skspectral.datasets import load_galaxies


def columns_of(cutouts):
    """First column of each cutout in the photograph, found by its first row."""
    size = cutouts.shape[1]
    rows = np.lib.stride_tricks.sliding_window_view(hubble_deep_field(), size, axis=1)
    places = [(rows == cutout[0].T).all(axis=(-2, -1)) for cutout in cutouts]
    assert all(place.any() for place in places)
    return [np.flatnonzero(place.any(axis=0)) for place in places]


def test_training_and_test_share_no_pixel():
    train, test = load_galaxies(80, size=16)
    assert train.shape[1:] == test.shape[1:] == (16, 16, 3)
    assert len(train) % 8 == 0
    assert len(train) // 8 + len(test) <= 80
    # The band is the middle fifth of 1,000 columns.
    assert all(min(c) >= 400 and max(c) + 16 <= 600 for c in columns_of(test))
    outside = columns_of(train[::8][:10])
    assert all(max(c) + 16 <= 400 or min(c) >= 600 for c in outside)


def test_galaxies_come_in_eight_orientations():
    train, _ = load_galaxies(30, size=12)
    for eight in train.reshape(-1, 8, 12, 12, 3):
        first = eight[0]
        turns = [
            np.rot90(image, k) for image in (first, first[:, ::-1]) for k in range(4)
        ]
        np.testing.assert_array_equal(eight, turns)


def test_galaxies_stand_in_the_middle():
    _, test = load_galaxies(100, size=24)
    bright = test.mean(axis=3)
    middle = bright[:, 8:16, 8:16].mean(axis=(1, 2))
    border = np.delete(bright, np.s_[4:20], axis=1).mean(axis=(1, 2))
    assert (middle > border).all()
    again = load_galaxies(100, size=24)[1]
    np.testing.assert_array_equal(again, test)


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"size": 7}, "size=7 must be an even number"),
        ({"size": 130}, "size=130"),
        ({"n_galaxies": 0}, "n_galaxies=0"),
    ],
)
def test_bad_sizes(params, match):
    with pytest.raises(ValueError, match=match):
        load_galaxies(**params)
