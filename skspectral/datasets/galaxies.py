"""Images of galaxies, cut out of a photograph of the sky."""
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np
from scipy.ndimage import gaussian_filter, maximum_filter

from skspectral.datasets._arrays import check_count
from skspectral.datasets._places import HELD_OUT

# Standard deviation in pixels of the Gaussian that smooths the brightness. Galaxies are
# found at the maxima of the smoothed brightness.
_SMOOTH = 2.0


def load_galaxies(
    n_galaxies: int = 250, size: int = 24
) -> tuple[np.ndarray, np.ndarray]:
    """Load cutouts of galaxies and stars from the Hubble eXtreme Deep Field.

    The photograph is in the public domain and is installed with scikit-image. Each
    cutout has an object in its centre. The test images come from a vertical band in the
    middle of the photograph, and share no pixel with the training images. Because the
    sky has no preferred direction, the training images contain each object in eight
    orientations: rotated by multiples of 90 degrees, and mirrored.

    Parameters
    ----------
    n_galaxies : int, default=250
        Number of objects to find, starting with the brightest. The photograph has
        about 600. Objects whose cutout crosses the border of the band are left out.
    size : int, default=24
        Height and width of a cutout in pixels, an even number from 2 to 128.

    Returns
    -------
    train : ndarray of shape (n_train, size, size, 3), uint8
        Eight orientations per object outside the band, brightest object first.
    test : ndarray of shape (n_test, size, size, 3), uint8
        Objects within the band, in the orientation of the photograph.

    Raises
    ------
    ImportError
        If scikit-image is not installed.
    ValueError
        If ``n_galaxies`` is not a positive integer, or ``size`` is not an even number
        from 2 to 128.

    See Also
    --------
    load_photograph_patches : Load patches of photographs, without scikit-image.

    References
    ----------
    NASA, ESA, G. Illingworth, D. Magee, P. Oesch, R. Bouwens and the HUDF09 team
    (2012). Hubble eXtreme Deep Field.

    Examples
    --------
    >>> from skspectral.datasets import load_galaxies
    >>> train, test = load_galaxies(50, size=16)
    >>> train.shape[1:], test.shape[1:]
    ((16, 16, 3), (16, 16, 3))
    """
    n_galaxies = check_count("n_galaxies", n_galaxies, "galaxy")
    size = check_count("size", size, "pixels", least=2)
    if size % 2 or size > 128:
        raise ValueError(f"size={size} must be an even number of at most 128 pixels.")
    photograph = _photograph()
    half = size // 2
    rows, columns = _brightest(photograph, half)[:, :n_galaxies]
    width = photograph.shape[1]
    # The band contains the columns from start to end - 1.
    start = (width - width // HELD_OUT) // 2
    end = start + width // HELD_OUT
    outside = (columns + half <= start) | (columns - half >= end)
    within = (columns - half >= start) & (columns + half <= end)

    def cutouts(chosen: np.ndarray) -> list[np.ndarray]:
        return [
            photograph[row - half : row + half, column - half : column + half]
            for row, column in zip(rows[chosen], columns[chosen], strict=True)
        ]

    turned = [
        np.rot90(image, quarters)
        for cutout in cutouts(outside)
        for image in (cutout, cutout[:, ::-1])
        for quarters in range(4)
    ]
    shape = (-1, size, size, 3)
    return (
        np.array(turned, photograph.dtype).reshape(shape),
        np.array(cutouts(within), photograph.dtype).reshape(shape),
    )


def _photograph() -> np.ndarray:
    try:
        from skimage.data import hubble_deep_field
    except ImportError as error:
        raise ImportError(
            "The photograph of the sky comes with scikit-image: "
            "pip install 'skspectral[examples]'."
        ) from error
    photograph: np.ndarray = hubble_deep_field()  # type: ignore[no-untyped-call]
    return photograph


def _brightest(photograph: np.ndarray, half: int) -> np.ndarray:
    """Return the rows and columns of bright objects, shape (2, n), brightest first.

    Each object is brighter than all others within about ``half / 2`` pixels, and its
    cutout lies within the photograph.
    """
    brightness = gaussian_filter(photograph.mean(axis=2), _SMOOTH)
    height, width = brightness.shape
    places = np.argwhere(brightness == maximum_filter(brightness, size=half + 1)).T
    inside = (places >= half) & (places <= [[height - half], [width - half]])
    places = places[:, inside.all(axis=0)]
    return places[:, np.argsort(-brightness[tuple(places)], kind="stable")]
