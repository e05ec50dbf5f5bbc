import numpy as np
import pytest

from skspectral import BasisModulation


@pytest.mark.parametrize(
    ("shape", "n_terms"),
    [((20,), 9), ((8, 8), 5), ((8, 8, 3), 7), ((1,), 1), ((4,), 3), ((1, 5, 2), 4)],
)
def test_number_of_functions(shape, n_terms):
    basis, constant = BasisModulation().functions(shape)
    assert basis.shape == (n_terms, np.prod(shape))
    np.testing.assert_array_equal(constant @ basis, 1)


def test_order_zero_is_the_constants():
    assert len(BasisModulation(order=0).functions((20,))[0]) == 1
    assert len(BasisModulation(order=0).functions((4, 5, 3))[0]) == 3


def test_image_functions_vary_along_one_axis():
    basis, _ = BasisModulation(order=2).functions((6, 7, 2))
    first, second, *rows_then_columns = basis.reshape(-1, 6, 7, 2)
    assert first[..., 0].all()
    assert not first[..., 1].any()
    np.testing.assert_array_equal(second, 1 - first)
    for along_rows in rows_then_columns[:2]:
        assert np.ptp(along_rows, axis=(1, 2)).max() == 0
        assert np.ptp(along_rows) > 1
    for along_columns in rows_then_columns[2:]:
        assert np.ptp(along_columns, axis=(0, 2)).max() == 0


def test_functions_are_independent():
    for shape in ((20,), (8, 8), (8, 8, 3)):
        basis, _ = BasisModulation().functions(shape)
        assert np.linalg.matrix_rank(basis) == len(basis)


@pytest.mark.parametrize("order", [-1, 1.5, "2", True])
def test_bad_order(order):
    with pytest.raises(ValueError, match="order must be a non-negative integer"):
        BasisModulation(order=order).functions((8,))
