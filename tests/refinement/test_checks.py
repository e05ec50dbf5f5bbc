"""scikit-learn's own checks of the matchers, with labels as y."""

from sklearn.utils.estimator_checks import parametrize_with_checks

from skspectral.refinement import (
    CrossSpectrumMatcher,
    RadialSpectrumMatcher,
    SpectrumMatcher,
    SpectrumQuantileMatcher,
)


@parametrize_with_checks(
    [
        RadialSpectrumMatcher(),
        SpectrumMatcher(),
        SpectrumMatcher(statistic="power", shrinkage=0.5),
        SpectrumQuantileMatcher(),
        SpectrumQuantileMatcher(affine=True),
        CrossSpectrumMatcher(min_frequency=0),
    ]
)
def test_scikit_learn_check(estimator, check):
    check(estimator)
