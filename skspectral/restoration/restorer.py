"""The estimator `PatchRestorer`."""
# SPDX-License-Identifier: BSD-3-Clause

from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.callback import CallbackSupportMixin
from sklearn.utils.validation import check_is_fitted

from skspectral._advice import brief
from skspectral._device import resolve_device
from skspectral._progress import CallbackMonitor
from skspectral._random import random_stream, seed_unseeded
from skspectral._sklearn_compat import (
    Estimator,
    HasMethods,
    Interval,
    StrOptions,
    as_numpy,
    check_array,
    fit_context,
    validated,
)
from skspectral.priors import GaussianMixture
from skspectral.priors.protocol import as_prior
from skspectral.restoration.calibration import VarianceCorrection
from skspectral.restoration.gaussians import gaussians_of
from skspectral.restoration.image_model import ImageModel, Progress
from skspectral.restoration.images import ImageForm, check_image
from skspectral.restoration.noise import estimate_sigma
from skspectral.restoration.operators import (
    Binning,
    Blur,
    ImageOperator,
    Masking,
    MatrixOperator,
)
from skspectral.restoration.patch_mixture import PatchMixture
from skspectral.restoration.patch_model import PatchModel
from skspectral.restoration.training_patches import ImageSource
from skspectral.restoration.variance_stabilising import PoissonGaussian
from skspectral.restoration.window_denoiser import WindowPrior
from skspectral.restoration.window_model import WindowModel
from skspectral.spectral_dictionary import SpectralDictionaryLearning

# Number of Gaussians of the default model, and least number of patches for each.
_N_GAUSSIANS, _PATCHES_PER_GAUSSIAN = 200, 200
# Shrinkage and tolerance of its mixture.
_SHRINKAGE, _TOLERANCE = 0.2, 0.02
# Crops of training images on which predicted standard deviations are compared with
# errors: their number, their width in pixels, and standard deviations of the noise
# relative to that of the pixels within patches.
_N_CROPS, _CROP, _CROP_NOISE = 12, 128, (0.25, 0.7, 2.0)
# Number of draws from which standard deviations are computed.
_N_DRAWS = 8

Sigma = float | np.ndarray | PoissonGaussian | None


class PatchRestorer(CallbackSupportMixin, Estimator):
    """Denoise, fill, sharpen and enlarge whole images with a model of their patches.

    The model is a mixture of Gaussians of the codes of small patches, which is learned
    from clean images. Given a degraded image of any size, the most probable Gaussian of
    each of its overlapping patches is found, and the posterior means of the patches are
    averaged. A few rounds of this, with an image that becomes less noisy each time,
    give the restored image (half-quadratic splitting [1]_).

    With a `DiffusionPrior`, the patches are larger windows, whose posterior means are
    computed by the network.

    Parameters
    ----------
    estimator : SpectralDictionaryLearning or None, default=None
        Model of patches without their mean. It is cloned, and its ``signal_shape`` is
        set to the shape of the patches. Its prior must consist of Gaussians, or be one
        with ``posterior_mean``, such as `DiffusionPrior`. None means as many plane
        waves as a patch has numbers, with a `GaussianMixture` of 200 components, or
        fewer if there are few patches.
    patch_size : int, default=8
        Height and width of the patches in pixels. For `DiffusionPrior`, 32 or 64.
    stride : int or None, default=None
        Distance of neighbouring patches in pixels. With a larger one, results are
        faster and worse. None means 1 if the prior consists of Gaussians, and a third
        of ``patch_size`` otherwise.
    channel_axis : int or None, default=None
        Axis of the channels of the images. None means grey images without such an axis.
    n_patches : int, default=200000
        Number of patches from which the model is learned. Each image contributes the
        same number.
    by_variance : bool, default=False
        Whether patches with more contrast are learned from more often.
    n_scales : int, default=3
        Number of sizes at which an image is denoised: low frequencies are taken from
        images of half the size, whose patches are larger parts of the scene. Used only
        if the prior consists of Gaussians, as is ``n_candidates``.
    n_candidates : int, default=6
        Number of Gaussians per patch that are compared exactly. They are chosen by the
        first 24 principal components of the patch.
    device : str, torch.device or None, default=None
        Device on which to compute. None means the CPU.
    random_state : int, RandomState instance or None, default=None
        Seed of the choice of patches, and of the model if it has no seed.

    Attributes
    ----------
    estimator_ : SpectralDictionaryLearning
        The fitted model of patches without their mean.
    weights_ : ndarray of shape (n_gaussians,)
        Weights of the Gaussians. This and the next two attributes are set only if the
        prior consists of Gaussians.
    means_ : ndarray of shape (n_gaussians, patch_size ** 2 * `n_channels_`)
        Means of the Gaussians, as patches.
    covariances_ : ndarray of shape (n_gaussians, patch_size ** 2 * `n_channels_`, \
            patch_size ** 2 * `n_channels_`)
        Covariances of the Gaussians, as patches.
    n_channels_ : int
        Number of channels of the images.
    n_patches_ : int
        Number of patches that the model was learned from.
    pixel_variance_ : float
        Mean variance of a pixel within its patch.
    variance_correction_ : VarianceCorrection
        Function by which predicted variances of pixels are corrected. It was found from
        the errors on training images with known noise.

    See Also
    --------
    skspectral.restoration.SignalRestorer : The same for recordings.
    SpectralDictionaryLearning.denoise : Denoise single patches or signals.

    Notes
    -----
    Integer images are divided by the largest number of their type, so that white is 1;
    results have the type of the image. Floats are taken as they are: learn from images
    in the same units. ``sigma`` is in the units of the image that it belongs to.

    With N pixels, patches of D numbers and c candidates, a round costs about 2 N c D^2
    operations, and 4 N c bytes are kept. Patches are processed in groups, so that no
    more than a few copies of the image and some 100 MB are in memory. All patches of
    the image are used, and nothing depends on the groups: there are no seams.

    Patches are averaged with equal weights: weights by their posterior precision made
    the results worse.

    References
    ----------
    .. [1] D. Zoran, Y. Weiss (2011). From learning models of natural image patches to
       whole image restoration. IEEE International Conference on Computer Vision.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_sample_images
    >>> from skspectral.restoration import PatchRestorer
    >>> first, second = (image[::3, ::3, 1] for image in load_sample_images().images)
    >>> restorer = PatchRestorer(n_patches=4000, random_state=0).fit([first])
    >>> noise = np.random.default_rng(0).normal(scale=0.1, size=second.shape)
    >>> noisy = second / 255 + noise
    >>> clean = restorer.denoise(noisy, sigma=0.1)
    >>> bool(np.std(clean - second / 255) < 0.5 * 0.1)
    True
    """

    _parameter_constraints = {
        "estimator": [HasMethods(["fit", "set_params"]), None],
        "patch_size": [Interval(Integral, 2, None, closed="left")],
        "stride": [Interval(Integral, 1, None, closed="left"), None],
        "channel_axis": [Integral, None],
        "n_patches": [Interval(Integral, 2, None, closed="left")],
        "by_variance": ["boolean"],
        "n_scales": [Interval(Integral, 1, None, closed="left")],
        "n_candidates": [Interval(Integral, 1, None, closed="left")],
        "device": [str, torch.device, None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator: Any = None,
        *,
        patch_size: int = 8,
        stride: int | None = None,
        channel_axis: int | None = None,
        n_patches: int = 200_000,
        by_variance: bool = False,
        n_scales: int = 3,
        n_candidates: int = 6,
        device: str | torch.device | None = None,
        random_state: int | np.random.RandomState | None = None,
    ):
        self.estimator = estimator
        self.patch_size = patch_size
        self.stride = stride
        self.channel_axis = channel_axis
        self.n_patches = n_patches
        self.by_variance = by_variance
        self.n_scales = n_scales
        self.n_candidates = n_candidates
        self.device = device
        self.random_state = random_state

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any, y: Any = None) -> "PatchRestorer":
        """Learn the model from patches of clean images.

        Parameters
        ----------
        X : array-like, list of array-like, str, Path, or list of str or Path
            One image, several images of any sizes, a folder of pictures, or paths of
            pictures. Only one picture is in memory at a time. Pictures become grey if
            ``channel_axis`` is None, and have the channels red, green and blue
            otherwise.
        y : Ignored
            Not used, present for API consistency by convention.

        Returns
        -------
        self : PatchRestorer
            The fitted restorer.

        Raises
        ------
        ValueError
            If an image has a wrong number of axes or of channels, or values that are
            not finite; or if all patches are constant.
        TypeError
            If the prior of the estimator neither consists of Gaussians nor has
            ``posterior_mean``.
        """
        if self.stride is not None and self.stride > self.patch_size:
            raise ValueError(
                f"stride={self.stride} is larger than patch_size={self.patch_size}, so "
                f"that patches would leave pixels out. Pass stride <= "
                f"{self.patch_size}."
            )
        resolve_device(self.device)
        stream = random_stream(self.random_state)
        monitor = CallbackMonitor(self)
        rows, crops = self._training_rows(X, stream, monitor)
        size, n_channels = self.patch_size, crops[0].shape[2]
        if self.channel_axis is None:
            shape: tuple[int, ...] = (size, size)
        else:
            shape = (size, size, n_channels)
        if not rows.any():
            raise ValueError(
                "All patches of X are constant, so that there is nothing to learn. "
                "Pass images that vary."
            )
        estimator = self._new_estimator(len(rows), rows.shape[1])
        if "signal_shape" in estimator.get_params():
            estimator.set_params(signal_shape=shape)
        prior = as_prior(getattr(estimator, "prior", None))
        if not prior.capabilities.gaussians:
            prior.require("denoising", "PatchRestorer")
        seed_unseeded(estimator, stream)
        with monitor.fitting("model of patches", estimator):
            self.estimator_ = estimator.fit(rows)
        self.n_channels_, self.n_patches_ = n_channels, len(rows)
        self.pixel_variance_ = float(np.mean(rows**2, dtype=np.float64))
        for name in ("weights_", "means_", "covariances_"):
            self.__dict__.pop(name, None)
        if self.estimator_.prior_.capabilities.gaussians:
            found = gaussians_of(self.estimator_)
            self.weights_, self.means_, self.covariances_ = found
        model = self._model()
        noises = [part**2 * model.pixel_variance for part in _CROP_NOISE]
        self.variance_correction_ = VarianceCorrection.of_images(
            model, crops, noises, self.patch_size, stream
        )
        monitor.close()
        return self

    def _training_rows(
        self, X: Any, stream: np.random.Generator, monitor: CallbackMonitor
    ) -> tuple[np.ndarray, list[np.ndarray]]:
        """Return patches without their mean as rows, and larger crops for a test."""
        step = monitor.stage("patches", None)
        source = ImageSource(X, self.channel_axis)
        parts, crops = list[np.ndarray](), list[np.ndarray]()
        for patches in source.patches(
            self.n_patches, self.patch_size, self.by_variance, stream
        ):
            means = patches.mean(axis=(1, 2), keepdims=True)
            parts.append((patches - means).reshape(len(patches), -1))
            step()
        size = max(_CROP, 2 * self.patch_size)
        for crop in source.crops(_N_CROPS, size, self.patch_size, stream):
            crops.append(crop)
        rows = np.concatenate(parts)
        if len(rows) > self.n_patches:
            rows = rows[stream.permutation(len(rows))[: self.n_patches]]
        return rows, crops

    def _new_estimator(self, n_patches: int, n_features: int) -> Any:
        if self.estimator is not None:
            return clone(self.estimator)
        n_gaussians = min(_N_GAUSSIANS, max(1, n_patches // _PATCHES_PER_GAUSSIAN))
        # Images hardly change any more when a step of expectation maximisation raises
        # the objective by less than this tolerance.
        prior = GaussianMixture(
            n_gaussians, shrinkage=_SHRINKAGE, common_mean=True, tol=_TOLERANCE
        )
        return SpectralDictionaryLearning(
            n_features, modulation=None, prior=prior, device=self.device
        )

    @validated(
        sigma="no_validation",
        return_std=["boolean"],
        progress=[callable, None],
    )
    def denoise(
        self,
        image: ArrayLike,
        sigma: Sigma = None,
        *,
        return_std: bool = False,
        progress: Progress | None = None,
    ) -> Any:
        """Remove noise from an image.

        Parameters
        ----------
        image : array-like of shape (height, width), or with an axis of channels
            Noisy image. It is not modified.
        sigma : float, array-like, PoissonGaussian or None, default=None
            Standard deviation of the noise, in units of the image: one number, or an
            array that can be broadcast to the image. A `PoissonGaussian` is noise that
            grows with the signal. None means white noise of the same deviation in all
            channels, which is estimated by `estimate_sigma`.
        return_std : bool, default=False
            Whether to return the standard deviation of the error, too.
        progress : callable or None, default=None
            Function that is called with the numbers of steps done and of all steps.

        Returns
        -------
        clean : ndarray of the shape of the image
            The image without noise, in its dtype. Integers are rounded, and limited to
            the range of their type.
        std : ndarray of the shape of the image
            Standard deviation of the error of each pixel, in units of the image.
            Returned only if ``return_std`` is True.

        Raises
        ------
        ValueError
            If the image is smaller than a patch, has a wrong number of axes or
            channels, or values that are not finite, or if ``sigma`` is negative.
        """
        values, form = self._checked(image, "image")
        model = self._model()
        if isinstance(sigma, PoissonGaussian):
            counts = PoissonGaussian(sigma.gain / form.unit, sigma.sigma / form.unit)
            clean, variance = _denoised_counts(
                model, values, counts, self.variance_correction_, return_std, progress
            )
        else:
            if sigma is None:
                sigmas = estimate_sigma(values, channel_axis=2)
                sigma = form.unit * np.sqrt(np.mean(np.square(sigmas)))
            noise = _variance(sigma, values.shape, form)
            clean, variance = model.denoise(
                values, noise, progress, with_variance=return_std
            )
            if variance is not None:
                variance = self.variance_correction_(variance, noise)
            # Without noise, the image is known.
            clean = np.where(noise == 0, values, clean)
        result = form.to_user(clean)
        if variance is None:
            return result
        return result, form.to_user_units(np.sqrt(variance))

    @validated(
        mask="no_validation",
        sigma="no_validation",
        return_std=["boolean"],
        progress=[callable, None],
        random_state=["random_state"],
    )
    def inpaint(
        self,
        image: ArrayLike,
        mask: ArrayLike | None = None,
        sigma: float | ArrayLike = 0.0,
        *,
        return_std: bool = False,
        progress: Progress | None = None,
        random_state: Any = None,
    ) -> Any:
        """Fill missing pixels of an image.

        Parameters
        ----------
        image : array-like of shape (height, width), or with an axis of channels
            Image with missing pixels. It is not modified.
        mask : array-like of bool, default=None
            True for missing pixels, as in scikit-image, in an array that can be
            broadcast to the image; or an array (height, width) for all channels. Pixels
            that are NaN are missing, too.
        sigma : float or array-like, default=0.0
            Standard deviation of the noise of the known pixels, in units of the image.
            With 0, known pixels keep their values.
        return_std : bool, default=False
            Whether to return the standard deviation of the error, too. It is computed
            from eight draws of the image, so that this takes nine times as long.
        progress : callable or None, default=None
            Function that is called with the numbers of steps done and of all steps.
        random_state : int, RandomState instance or None, default=None
            Seed of the draws. Used only if ``return_std`` is True.

        Returns
        -------
        filled : ndarray of the shape of the image
            The image without missing pixels, in its dtype.
        std : ndarray of the shape of the image
            Standard deviation of the error of each pixel, in units of the image.
            Returned only if ``return_std`` is True.

        Raises
        ------
        ValueError
            If all pixels of a channel are missing, if the mask has a wrong shape, or
            for the reasons of `denoise`.
        """
        values, form = self._checked(image, "image", allow_nan=True)
        missing = np.isnan(values)
        if mask is not None:
            missing |= _broadcast(mask, "mask", values.shape, form).astype(bool)
        if missing.all(axis=(0, 1)).any():
            raise ValueError(
                "mask: all pixels of a channel are missing, so that nothing is known "
                "about it. Pass a mask that is True only for missing pixels."
            )
        noise = _variance(sigma, values.shape, form)
        estimate, std = self._restored(
            np.where(missing, 0.0, values),
            Masking(~missing),
            noise,
            (return_std, progress, random_state),
        )
        exact = ~missing & (noise == 0)
        estimate = np.where(exact, values, estimate)
        if std is not None:
            std = np.where(exact, 0.0, std)
        return _result(estimate, std, form)

    @validated(
        kernel="no_validation",
        sigma=[Interval(Real, 0, None, closed="left")],
        return_std=["boolean"],
        progress=[callable, None],
        random_state=["random_state"],
    )
    def deblur(
        self,
        image: ArrayLike,
        kernel: ArrayLike,
        sigma: float,
        *,
        return_std: bool = False,
        progress: Progress | None = None,
        random_state: Any = None,
    ) -> Any:
        """Sharpen an image that is the convolution of a sharp one with a kernel.

        Nothing is assumed about the scene outside the image: the pixels there from
        which the kernel takes light are estimated, too, and cut off.

        Parameters
        ----------
        image : array-like of shape (height, width), or with an axis of channels
            Blurred and noisy image. It is not modified.
        kernel : array-like of shape (h, w)
            Kernel of the convolution, the same for all channels. Its centre is the
            pixel ``(h // 2, w // 2)``. It usually has the sum 1.
        sigma : float
            Standard deviation of the noise, in units of the image.
        return_std : bool, default=False
            Whether to return the standard deviation of the error, too. It is computed
            from eight draws of the image, so that this takes nine times as long.
        progress : callable or None, default=None
            Function that is called with the numbers of steps done and of all steps.
        random_state : int, RandomState instance or None, default=None
            Seed of the draws. Used only if ``return_std`` is True.

        Returns
        -------
        sharp : ndarray of the shape of the image
            The sharp image, in the dtype of the image.
        std : ndarray of the shape of the image
            Standard deviation of the error of each pixel, in units of the image.
            Returned only if ``return_std`` is True.

        Raises
        ------
        ValueError
            If the kernel is larger than the image, has no entries other than 0, or
            values that are not finite, or for the reasons of `denoise`.
        """
        values, form = self._checked(image, "image")
        checked: np.ndarray = check_array(kernel, "kernel", dtype=np.float64)
        h, w = checked.shape
        if h > values.shape[0] or w > values.shape[1]:
            raise ValueError(
                f"kernel of shape {checked.shape} is larger than the image of "
                f"{values.shape[0]} x {values.shape[1]} pixels. Pass a smaller kernel, "
                "for example without its margins of zeros."
            )
        if not checked.any():
            raise ValueError(
                "kernel has only zeros, so that the image says nothing about the "
                "scene. Pass a kernel whose sum is 1."
            )
        estimate, std = self._restored(
            values,
            Blur(checked, _image_shape(values)),
            _variance(sigma, values.shape, form),
            (return_std, progress, random_state),
        )
        inside = (
            slice((h - 1) // 2, (h - 1) // 2 + values.shape[0]),
            slice((w - 1) // 2, (w - 1) // 2 + values.shape[1]),
        )
        return _result(estimate[inside], None if std is None else std[inside], form)

    @validated(
        factor=[Interval(Integral, 2, None, closed="left")],
        sigma=[Interval(Real, 0, None, closed="left")],
        return_std=["boolean"],
        progress=[callable, None],
        random_state=["random_state"],
    )
    def upsample(
        self,
        image: ArrayLike,
        factor: int,
        sigma: float = 0.0,
        *,
        return_std: bool = False,
        progress: Progress | None = None,
        random_state: Any = None,
    ) -> Any:
        """Enlarge an image whose pixels are means of blocks of smaller pixels.

        Parameters
        ----------
        image : array-like of shape (height, width), or with an axis of channels
            Small image. It is not modified.
        factor : int
            Factor by which height and width grow, at least 2.
        sigma : float, default=0.0
            Standard deviation of the noise, in units of the image. With 0, the means of
            the blocks of the result are the pixels of the image.
        return_std : bool, default=False
            Whether to return the standard deviation of the error, too. It is computed
            from eight draws of the image, so that this takes nine times as long.
        progress : callable or None, default=None
            Function that is called with the numbers of steps done and of all steps.
        random_state : int, RandomState instance or None, default=None
            Seed of the draws. Used only if ``return_std`` is True.

        Returns
        -------
        large : ndarray
            The large image, in the dtype of the image.
        std : ndarray of the shape of the large image
            Standard deviation of the error of each pixel, in units of the image.
            Returned only if ``return_std`` is True.

        Raises
        ------
        ValueError
            For the reasons of `denoise`.
        """
        values, form = self._checked(image, "image", factor=factor)
        height, width, channels = values.shape
        operator = Binning((factor * height, factor * width, channels), factor)
        found = self._restored(
            values,
            operator,
            _variance(sigma, values.shape, form),
            (return_std, progress, random_state),
        )
        return _result(*found, form)

    @validated(
        pattern=[StrOptions({"RGGB", "BGGR", "GRBG", "GBRG"})],
        sigma=[Interval(Real, 0, None, closed="left")],
        return_std=["boolean"],
        progress=[callable, None],
        random_state=["random_state"],
    )
    def demosaic(
        self,
        image: ArrayLike,
        pattern: str = "RGGB",
        sigma: float = 0.0,
        *,
        return_std: bool = False,
        progress: Progress | None = None,
        random_state: Any = None,
    ) -> Any:
        """Compute a colour image from the values of a colour filter array.

        Parameters
        ----------
        image : array-like of shape (height, width)
            Values behind the filters, one per pixel. It is not modified.
        pattern : {"RGGB", "BGGR", "GRBG", "GBRG"}, default="RGGB"
            Filters of each block of 2 x 2 pixels, row by row (Bayer).
        sigma : float, default=0.0
            Standard deviation of the noise, in units of the image. With 0, known values
            are kept.
        return_std : bool, default=False
            Whether to return the standard deviation of the error, too. It is computed
            from eight draws of the image, so that this takes nine times as long.
        progress : callable or None, default=None
            Function that is called with the numbers of steps done and of all steps.
        random_state : int, RandomState instance or None, default=None
            Seed of the draws. Used only if ``return_std`` is True.

        Returns
        -------
        colours : ndarray of shape (height, width, 3)
            Red, green and blue, in the dtype of the image. The axis of the channels is
            ``channel_axis``.
        std : ndarray of the shape of ``colours``
            Standard deviation of the error of each value, in units of the image.
            Returned only if ``return_std`` is True.

        Raises
        ------
        ValueError
            If the model was not fitted on images of three channels, or for the reasons
            of `denoise`.
        """
        check_is_fitted(self)
        if self.n_channels_ != 3:
            raise ValueError(
                f"demosaic needs a model of images with 3 channels, but this one was "
                f"fitted on images with {self.n_channels_}. Fit it on colour images."
            )
        values, form = check_image(image, "image", None, None)
        self._check_size(values.shape, "image", 1)
        known = np.zeros((*values.shape[:2], 3), dtype=bool)
        for place, colour in enumerate(pattern):
            known[place // 2 :: 2, place % 2 :: 2, "RGB".index(colour)] = True
        mosaic = np.where(known, values, 0.0)
        noise = _variance(sigma, mosaic.shape, form)
        estimate, std = self._restored(
            mosaic, Masking(known), noise, (return_std, progress, random_state)
        )
        exact = known & (noise == 0)
        estimate = np.where(exact, mosaic, estimate)
        if std is not None:
            std = np.where(exact, 0.0, std)
        return _result(estimate, std, ImageForm(self.channel_axis, form.dtype))

    @validated(
        observed="no_validation",
        operator="no_validation",
        image_shape=[tuple, list, None],
        sigma=[Interval(Real, 0, None, closed="left")],
        return_std=["boolean"],
        progress=[callable, None],
        random_state=["random_state"],
    )
    def restore(
        self,
        observed: ArrayLike,
        operator: Any,
        sigma: float,
        *,
        image_shape: Any = None,
        return_std: bool = False,
        progress: Progress | None = None,
        random_state: Any = None,
    ) -> Any:
        """Estimate an image from any linear measurement ``A x + noise`` of it.

        Parameters
        ----------
        observed : array-like
            Measurement, of the shape of the operator's results.
        operator : ImageOperator, or matrix or LinearOperator of shape (m, n)
            Operator A. A matrix, dense or sparse, and a
            ``scipy.sparse.linalg.LinearOperator`` act on flattened images of n numbers,
            and the measurement is flat, too. An operator needs its adjoint.
        sigma : float
            Standard deviation of the noise, in units of the measurement.
        image_shape : tuple of int or None, default=None
            Shape of the image. Needed only if the operator is not an `ImageOperator`.
        return_std : bool, default=False
            Whether to return the standard deviation of the error, too. It is computed
            from eight draws of the image, so that this takes nine times as long.
        progress : callable or None, default=None
            Function that is called with the numbers of steps done and of all steps.
        random_state : int, RandomState instance or None, default=None
            Seed of the draws. Used only if ``return_std`` is True.

        Returns
        -------
        image : ndarray of shape (height, width), or with an axis of channels
            The image, in the dtype of the measurement.
        std : ndarray of the shape of the image
            Standard deviation of the error of each pixel. Returned only if
            ``return_std`` is True.

        Raises
        ------
        ValueError
            If the shapes of operator, measurement and image do not agree, or the image
            is smaller than a patch.
        """
        values, checked, form = self._observation(observed, operator, image_shape)
        found = self._restored(
            values,
            checked,
            np.asarray((sigma / form.unit) ** 2),
            (return_std, progress, random_state),
        )
        return _result(*found, form)

    @validated(
        observed="no_validation",
        operator="no_validation",
        n_samples=[Interval(Integral, 1, None, closed="left")],
        image_shape=[tuple, list, None],
        sigma=[Interval(Real, 0, None, closed="left")],
        progress=[callable, None],
        random_state=["random_state"],
    )
    def sample_posterior(
        self,
        observed: ArrayLike,
        n_samples: int = 1,
        *,
        operator: Any = None,
        sigma: float = 0.0,
        image_shape: Any = None,
        progress: Progress | None = None,
        random_state: Any = None,
    ) -> np.ndarray:
        """Draw whole images that agree with a measurement.

        Parameters
        ----------
        observed : array-like
            Measurement, of the shape of the operator's results.
        n_samples : int, default=1
            Number of images.
        operator : ImageOperator, matrix, LinearOperator or None, default=None
            Operator of the measurement; see `restore`. None means that the measurement
            is an image in which NaN are missing pixels.
        sigma : float, default=0.0
            Standard deviation of the noise, in units of the measurement.
        image_shape : tuple of int or None, default=None
            Shape of the image; see `restore`.
        progress : callable or None, default=None
            Function that is called with the numbers of steps done and of all steps, for
            each image.
        random_state : int, RandomState instance or None, default=None
            Seed of the draws.

        Returns
        -------
        images : ndarray of shape (n_samples, height, width)
            Draws, with an axis of channels if ``channel_axis`` is not None, in the
            dtype of the measurement.

        Raises
        ------
        ValueError
            For the reasons of `restore`.
        """
        if operator is None:
            image, form = self._checked(observed, "observed", allow_nan=True)
            missing = np.isnan(image)
            values: np.ndarray = np.where(missing, 0.0, image)
            checked: ImageOperator = Masking(~missing)
        else:
            values, checked, form = self._observation(observed, operator, image_shape)
        model, stream = self._model(), random_stream(random_state)
        noise = np.asarray((sigma / form.unit) ** 2)
        draws = [
            form.to_user(model.restore(values, checked, noise, stream, progress))
            for _ in range(n_samples)
        ]
        return np.stack(draws)

    def _restored(
        self,
        observed: np.ndarray,
        operator: ImageOperator,
        noise: np.ndarray,
        options: tuple[bool, Progress | None, Any],
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Return the estimate of an image, and its standard deviation or None.

        ``options`` are ``return_std``, ``progress`` and ``random_state`` of the caller.
        """
        return_std, progress, random_state = options
        model = self._model()
        estimate = model.restore(observed, operator, noise, None, progress)
        if not return_std:
            return estimate, None
        stream = random_stream(random_state)
        squares = [
            (model.restore(observed, operator, noise, stream, progress) - estimate) ** 2
            for _ in range(_N_DRAWS)
        ]
        return estimate, np.sqrt(np.mean(squares, axis=0))

    def _observation(
        self, observed: Any, operator: Any, image_shape: Any
    ) -> tuple[np.ndarray, ImageOperator, ImageForm]:
        """Check a measurement and its operator."""
        check_is_fitted(self)
        array = check_array(
            observed, "observed", allow_nd=True, ensure_2d=False, dtype="numeric"
        )
        form = ImageForm(self.channel_axis, array.dtype)
        if not isinstance(operator, ImageOperator):
            operator = self._matrix_operator(operator, image_shape)
        if array.ndim == len(operator.observed_shape) - 1:
            array = array[..., None]
        if array.shape != operator.observed_shape:
            raise ValueError(
                f"observed has the shape {array.shape}, but the operator gives "
                f"measurements of shape {operator.observed_shape}."
            )
        if operator.image_shape[2] != self.n_channels_:
            raise ValueError(
                f"operator takes images with {operator.image_shape[2]} channels, but "
                f"the model was fitted on images with {self.n_channels_}."
            )
        self._check_size(operator.image_shape, "operator", 1)
        return array.astype(np.float64) / form.unit, operator, form

    def _matrix_operator(self, operator: Any, image_shape: Any) -> ImageOperator:
        if image_shape is None:
            raise ValueError(
                "image_shape=None, but a matrix or a LinearOperator does not say how "
                "images unfold. Pass image_shape=(height, width)."
            )
        n_axes = 2 if self.channel_axis is None else 3
        if len(image_shape) != n_axes:
            raise ValueError(
                f"image_shape={tuple(image_shape)} must have {n_axes} entries, because "
                f"channel_axis={self.channel_axis}."
            )
        return MatrixOperator(operator, tuple(image_shape), self.channel_axis)

    def _model(self) -> ImageModel:
        check_is_fitted(self)
        size = (self.patch_size, self.patch_size)
        if not self.estimator_.prior_.capabilities.gaussians:
            stride = self.stride or max(1, self.patch_size // 3)
            return WindowModel(
                WindowPrior.of(self.estimator_, self.n_channels_),
                self.pixel_variance_,
                size,
                (stride, stride),
                resolve_device(self.device),
            )
        mixture = PatchMixture.from_moments(
            self.weights_,
            self.means_,
            self.covariances_,
            self.n_channels_,
            resolve_device(self.device),
        )
        stride = self.stride or 1
        return PatchModel(
            mixture, size, (stride, stride), self.n_candidates, self.n_scales
        )

    def _checked(
        self, image: Any, name: str, allow_nan: bool = False, factor: int = 1
    ) -> tuple[np.ndarray, ImageForm]:
        check_is_fitted(self)
        values, form = check_image(
            image, name, self.channel_axis, self.n_channels_, allow_nan=allow_nan
        )
        self._check_size(values.shape, name, factor)
        return values, form

    def _check_size(self, shape: tuple[int, ...], name: str, factor: int) -> None:
        height, width = (factor * n for n in shape[:2])
        if min(height, width) < self.patch_size:
            raise ValueError(
                f"{name} has {height} x {width} pixels, but patch_size="
                f"{self.patch_size}. Pass a larger image, or fit a model with "
                f"patch_size <= {min(height, width)}."
            )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        # X is an image or a list of images, not a matrix of samples and features.
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = False
        return tags


def _image_shape(values: np.ndarray) -> tuple[int, int, int]:
    height, width, channels = values.shape
    return height, width, channels


def _denoised_counts(
    model: ImageModel,
    values: np.ndarray,
    noise: PoissonGaussian,
    correction: VarianceCorrection,
    return_std: bool,
    progress: Progress | None,
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the estimate of an image whose noise grows with the signal, and variances.

    The values are transformed so that their noise is white, and scaled to the extent
    that they had before, because the model knows images of this contrast.
    """
    stable = noise.stabilise(values)
    low, extent = float(stable.min()), float(np.ptp(stable))
    scale = float(np.ptp(values)) / extent if extent > 0 else 1.0
    clean, variance = model.denoise(
        (stable - low) * scale, scale**2, progress, with_variance=return_std
    )
    restored = noise.inverse(clean / scale + low)
    if variance is None:
        return restored, None
    variance = correction(variance, scale**2)
    # The derivative of the transform is the inverse of the deviation of the noise.
    return restored, variance / scale**2 * noise.variance(restored)


def _broadcast(
    values: Any, name: str, shape: tuple[int, ...], form: ImageForm
) -> np.ndarray:
    """Return values of the user's layout as an array (height, width, channels)."""
    array = as_numpy(values, name)
    if array.ndim == 2 and form.channel_axis is not None and array.shape == shape[:2]:
        array = np.expand_dims(array, form.channel_axis)
    try:
        wide = np.broadcast_to(array, form.user_shape(shape))
    except ValueError as error:
        raise ValueError(
            f"{name} of shape {array.shape} cannot be broadcast to an image of shape "
            f"{form.user_shape(shape)}. Pass one value per pixel."
        ) from error
    return form.channels_last(wide)


def _variance(sigma: Any, shape: tuple[int, ...], form: ImageForm) -> np.ndarray:
    """Return the variance of the noise in units of the model.

    The result has no axes, or is an array (height, width, channels).
    """
    array = np.asarray(as_numpy(sigma, "sigma"), np.float64)
    if not np.isfinite(array).all() or (array < 0).any():
        raise ValueError(
            f"sigma={brief(sigma)} must be a standard deviation, or one per pixel: "
            "numbers >= 0 that are finite."
        )
    if array.ndim:
        array = _broadcast(array, "sigma", shape, form)
    return (array / form.unit) ** 2


def _result(estimate: np.ndarray, std: np.ndarray | None, form: ImageForm) -> Any:
    """Return an image, and its standard deviation if there is one, to the user."""
    image = form.to_user(estimate)
    return image if std is None else (image, form.to_user_units(std))
