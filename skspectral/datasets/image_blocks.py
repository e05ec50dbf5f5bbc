"""Patches of the pictures of a folder, picture by picture."""
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from joblib import Parallel, delayed

from skspectral._random import draw_seed, random_stream, seed_of_part
from skspectral.datasets._arrays import check_count
from skspectral.datasets._folders import Folder
from skspectral.datasets._pictures import read_picture
from skspectral.datasets.images import cut_patches


class ImageFolderBlocks:
    """Patches of all pictures below a folder, as blocks of rows for ``fit``.

    Each call yields one block per picture. Pictures are read when their block is asked
    for, so that a folder may be larger than memory. They are converted as by
    `load_image_folder`.

    Parameters
    ----------
    folder : str or Path
        Folder that is searched for pictures, with its subfolders, or a single picture.
    n_patches : int, default=100
        Number of patches per picture, at random positions.
    size : int, default=32
        Height and width of a patch in pixels. Pictures smaller than a patch are
        enlarged.
    random_state : int, RandomState instance or None, default=0
        Controls the random positions of the patches. Every call yields the same
        patches.
    n_jobs : int or None, default=None
        Number of pictures that are read at a time, by threads of joblib. None means 1
        unless in a ``joblib.parallel_config`` context.

    Raises
    ------
    TypeError
        If ``folder`` is neither a str nor a Path.
    FileNotFoundError
        If ``folder`` is not an existing folder.
    ValueError
        If the folder has no files, or ``n_patches`` or ``size`` is not a positive
        integer.

    Warns
    -----
    UserWarning
        If a call has skipped files, because they are not readable pictures.

    See Also
    --------
    load_image_folder : Load patches into memory, and hold some out for testing.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from PIL import Image
    >>> from skspectral import SpectralDictionaryLearning
    >>> from skspectral.datasets import ImageFolderBlocks
    >>> pixels = np.random.default_rng(0).integers(0, 255, (80, 90, 3), np.uint8)
    >>> est = SpectralDictionaryLearning(4, signal_shape=(8, 8, 3))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Image.fromarray(pixels).save(f"{folder}/noise.png")
    ...     _ = est.fit(ImageFolderBlocks(folder, n_patches=50, size=8))
    >>> est.n_samples_seen_
    50
    """

    def __init__(
        self,
        folder: str | Path,
        n_patches: int = 100,
        size: int = 32,
        *,
        random_state: Any = 0,
        n_jobs: int | None = None,
    ):
        self._n_patches = check_count("n_patches", n_patches, "patch")
        self._size = check_count("size", size, "pixel")
        self._folder, self._n_jobs = folder, n_jobs
        self._seed = draw_seed(random_stream(random_state))
        files = Folder(folder).files
        if not files:
            raise ValueError(
                f"folder={str(folder)!r} has no files. Pass a folder with pictures."
            )
        self._n_files = len(files)

    def __len__(self) -> int:
        """Return the number of blocks, one per file."""
        return self._n_files

    def __call__(self) -> Iterator[np.ndarray]:
        """Return a new iterator over the blocks.

        Returns
        -------
        blocks : iterator of ndarray of shape (n_patches, 3 * size ** 2), uint8
            Flattened patches. The block of a file that is not a readable picture has no
            rows.
        """
        files = Folder(self._folder)

        def patches(number: int, path: Path) -> np.ndarray:
            picture = files.read(path, lambda path: read_picture(path, self._size))
            if picture is None:
                return np.empty((0, 3 * self._size**2), np.uint8)
            # The positions do not depend on the other pictures.
            seed = seed_of_part(self._seed, number)
            cut = cut_patches([picture], self._n_patches, self._size, random_state=seed)
            return cut.reshape(self._n_patches, -1)

        parallel = Parallel(
            self._n_jobs, prefer="threads", return_as="generator", pre_dispatch="n_jobs"
        )
        with files:
            yield from parallel(
                delayed(patches)(number, path)
                for number, path in enumerate(files.files)
            )
