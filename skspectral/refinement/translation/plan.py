"""What a training is told: sizes, weights of its terms, steps."""
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from numbers import Real
from typing import Any

from skspectral.refinement.translation.model import Network


@dataclass(frozen=True)
class Weights:
    """Of the terms of the translation's loss; 0 leaves a term and its networks out."""

    patches: float
    profile: float
    contrast: float
    contrast_of_real: float
    low_frequencies: float
    dissimilarity_of_real: float
    dissimilarity: float

    def __post_init__(self) -> None:
        if not any(astuple(self)):
            raise ValueError(
                "All weights lambda_... are 0, so that there is nothing to learn. Set "
                "one of them, such as lambda_profile=3."
            )


@dataclass(frozen=True)
class Plan:
    """How a translation is trained.

    Attributes
    ----------
    network : Network
    weights : Weights
    rings : bool
        Whether the linear discriminator sees means over square rings, not all bins.
    n_patches, projection_dim : int
    temperature : float
        Of `losses.patch_contrast`.
    low_radius : int
        Bins on either side of DC that are held.
    learning_rate : float
    betas : tuple of float
        Of Adam.
    decay_start : float
        Share of the steps after which the learning rate falls.
    n_epochs, n_steps : int
        Epochs, and steps of each.
    """

    network: Network
    weights: Weights
    rings: bool
    n_patches: int
    projection_dim: int
    temperature: float
    low_radius: int
    learning_rate: float
    betas: tuple[float, float]
    decay_start: float
    n_epochs: int
    n_steps: int

    @classmethod
    def of(
        cls, options: dict[str, Any], shape: tuple[int, ...], n_images: int
    ) -> "Plan":
        """The plan that parameters of a `SpectrumTranslator` ask for.

        Raises
        ------
        ValueError
            If all weights are 0, or ``betas`` are not Adam's.
        """
        radius = options["low_freq_radius"]
        if radius is None:
            radius = max(1, round(max(shape[:2]) / 32))
        n_steps = -(-n_images // options["batch_size"])
        return cls(
            Network(
                options["base_channels"],
                options["depth"],
                options["max_log_gain"],
                options["parameterization"] == "absolute",
            ),
            Weights(
                patches=options["lambda_gan"],
                profile=options["lambda_profile"],
                contrast=options["lambda_nce"],
                contrast_of_real=options["lambda_nce_identity"],
                low_frequencies=options["lambda_lowfreq"],
                dissimilarity_of_real=options["lambda_ssim_identity"],
                dissimilarity=options["lambda_ssim"],
            ),
            rings=options["profile"] == "rings",
            n_patches=options["n_patches"],
            projection_dim=options["projection_dim"],
            temperature=options["nce_temperature"],
            low_radius=radius,
            learning_rate=options["learning_rate"],
            betas=_checked_betas(options["betas"]),
            decay_start=options["decay_start"],
            n_epochs=options["max_epochs"],
            n_steps=min(n_steps, options["max_steps_per_epoch"] or n_steps),
        )

    def learning_rate_factor(self, step: int) -> float:
        """1 until a share of all steps, then linearly down to 0 after the last."""
        total = self.n_epochs * self.n_steps
        falling = max((1 - self.decay_start) * total, 1.0)
        return min(1.0, max(0.0, (total - step) / falling))


def _checked_betas(betas: Sequence[float]) -> tuple[float, float]:
    """Adam's, or ValueError."""
    values = tuple(betas)
    numbers = len(values) == 2 and all(isinstance(beta, Real) for beta in values)
    if not numbers or not all(0 <= beta < 1 for beta in values):
        raise ValueError(f"betas={betas!r} must be two numbers within [0, 1).")
    return float(values[0]), float(values[1])


def check_sides(shape: tuple[int, ...], depth: int) -> None:
    """Raise ValueError unless sides can be halved ``depth`` times, to 2 or more.

    A side of 1, of signals, is not halved: it is for a depth of 0 alone.
    """
    unit, sides = 2**depth, shape[:2]
    if depth == 0 or all(side % unit == 0 and side >= 2 * unit for side in sides):
        return
    nearest = tuple(max(2, round(side / unit)) * unit for side in sides)
    raise ValueError(
        f"Images of {sides[0]} x {sides[1]} pixels cannot be halved depth={depth} "
        f"times: sides must be multiples of {unit}, at least {2 * unit}. Pad or crop "
        f"to {nearest[0]} x {nearest[1]}, or lower depth."
    )
