"""scikit-learn's own checks, on the real classes.

Modulations are not checked: like kernels, they are parameter objects without ``fit``.
"""

from sklearn.neighbors import KernelDensity
from sklearn.utils.estimator_checks import parametrize_with_checks

from skspectral import (
    BasisModulation,
    MLPModulation,
    SpectralDictionaryLearning,
    SpectralDictionaryLearningCV,
    SpectralImputer,
)
from skspectral.control import SpectralEqualizer, SpectralFilter
from skspectral.convolutional import ConvolutionalSpectralDictionary
from skspectral.priors import (
    ClassConditionalPrior,
    DiffusionPrior,
    GaussianMixture,
    GaussianPrior,
    LocalContrastPrior,
    ScaledPrior,
    SpikeAndSlabPrior,
)


@parametrize_with_checks(
    [
        SpectralDictionaryLearning(),
        SpectralDictionaryLearning(n_components=2),
        SpectralDictionaryLearning(n_components=2, modulation=None, center=False),
        SpectralDictionaryLearning(n_components=2, shrinkage="auto"),
        SpectralDictionaryLearning(n_components=2, modulation=None, shrinkage=0.5),
        SpectralDictionaryLearning(n_components=2, modulation=None, windows=2),
        SpectralDictionaryLearning(n_components=2, modulation=None, whiten=True),
        SpectralDictionaryLearning(n_components=1, modulation=BasisModulation(order=1)),
        SpectralDictionaryLearning(
            n_components=2, transform_algorithm="omp", modulation=None
        ),
        SpectralDictionaryLearning(n_components=2, n_nonzero_coefs=1, modulation=None),
        SpectralDictionaryLearning(n_components=2, alpha=1e-2, split_sign=True),
        SpectralDictionaryLearning(
            n_components=2,
            modulation=MLPModulation(width=3, depth=1),
            # More steps of L-BFGS amplify rounding beyond the 1e-7 of the check that
            # weights are repetitions.
            tol=0.1,
        ),
        SpectralDictionaryLearningCV(
            SpectralDictionaryLearning(modulation=None), {"n_components": [1, 2]}, cv=2
        ),
        SpectralImputer(),
        SpectralImputer(
            SpectralDictionaryLearning(n_components=2, modulation=None),
            sample_posterior=True,
            random_state=0,
        ),
        ConvolutionalSpectralDictionary(reg=0.5, tol=0.1),
        SpectralEqualizer(gains=0.5),
        SpectralFilter(SpectralDictionaryLearning(n_components=2), high=1.5),
        GaussianPrior(),
        GaussianPrior(shrinkage=0.1),
        GaussianPrior(shrinkage="ledoit_wolf"),
        GaussianPrior("diag"),
        GaussianPrior("low_rank"),
        GaussianMixture(),
        GaussianMixture(2, covariance="low_rank", rank=1),
        GaussianMixture(2, covariance="diag", shrinkage=0.1),
        ClassConditionalPrior(),
        ClassConditionalPrior(GaussianMixture(2)),
        DiffusionPrior(max_images=256, width=4),
        LocalContrastPrior(),
        LocalContrastPrior(ClassConditionalPrior()),
        LocalContrastPrior(GaussianMixture(2), coarse=2, n_details=3),
        SpikeAndSlabPrior(),
        ScaledPrior(KernelDensity()),
        ScaledPrior(GaussianMixture(2)),
        ClassConditionalPrior(KernelDensity()),
    ],
)
def test_scikit_learn_check(estimator, check):
    check(estimator)


def test_parameters_of_the_modulation_are_reachable():
    est = SpectralDictionaryLearning(modulation=BasisModulation(order=1))
    est.set_params(modulation__order=3)
    assert est.modulation.order == 3
