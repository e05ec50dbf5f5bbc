"""Codes with a penalty on their absolute values, for many rows at once."""
# SPDX-License-Identifier: BSD-3-Clause

from dataclasses import dataclass

import torch

from skspectral.coding.gram import Gram, SparseRows, largest, weighted_rows

# Largest number of atoms that join a row in one iteration, and the fraction of the
# largest product with the residual that the products of the others must reach.
_MAX_JOINING = 2
_JOINING_FRACTION = 0.7
# Relative tolerances of the optimality conditions, in the search and at the end.
_SEARCH_TOLERANCE = 1e-5
_TOLERANCE = 1e-9
# The tolerance grows tenfold every so many iterations, up to that of the search: equal
# atoms could replace each other without end.
_PATIENCE = 50
# Rounding errors of products, as multiples of the sum of the codes of a row.
_ROUNDING = {torch.float32: 3e-7, torch.float64: 1e-13}
# Number of places by which active sets grow.
_MORE_PLACES = 6
# Finished rows are removed when they are this fraction of the rows.
_REMOVED_FRACTION = 0.25
# An atom with less than this squared distance from the span of the active atoms is
# nearly dependent on them: the inverse is then computed anew, with the ridge.
_NEARLY_DEPENDENT = 1e-6
_RIDGE = 1e-10


def lasso(
    correlations: torch.Tensor,
    gram: Gram,
    alpha: torch.Tensor,
    *,
    positive: bool = False,
    max_iter: int = 1000,
) -> tuple[SparseRows, int]:
    """Minimise 1/2 |x - w S|^2 + alpha |w|_1 over the codes w of each row x.

    This is an active-set method. The codes of the atoms in the active set of a row
    solve a linear system, as long as none changes its sign (Osborne, Presnell and
    Turlach 2000). If some would, all codes move towards the solution until the first is
    zero, and its atom leaves. Otherwise the atoms join whose products with the residual
    exceed alpha most. Every iteration lowers the objective, and the result satisfies
    the conditions of the minimum, which is unique if the active atoms are independent.

    Parameters
    ----------
    correlations : tensor of shape (n, K)
        Inner products of the rows and the atoms, at most 1 in absolute value.
    gram : Gram
        Inner products of the atoms.
    alpha : tensor of shape (n,), float64
        Positive weights of the penalty.
    positive : bool, default=False
        Whether the codes must not be negative.
    max_iter : int, default=1000
        Largest number of iterations.

    Returns
    -------
    codes : SparseRows
        Codes in the dtype of ``correlations``.
    n_unfinished : int
        Number of rows that did not reach the minimum.

    Notes
    -----
    An iteration costs O(K s) per row with s nonzeros, and O(s^3) for the linear system.

    References
    ----------
    M. R. Osborne, B. Presnell, B. A. Turlach (2000). A new approach to variable
    selection in least squares problems. IMA Journal of Numerical Analysis 20.

    H. Lee, A. Battle, R. Raina, A. Y. Ng (2007). Efficient sparse coding algorithms.
    Advances in Neural Information Processing Systems 19.
    """
    state = _ActiveSets.empty(correlations, gram, alpha)
    finished: list[tuple[torch.Tensor, SparseRows]] = []
    for iteration in range(max_iter):
        tolerance = min(_TOLERANCE * 10 ** (iteration // _PATIENCE), _SEARCH_TOLERANCE)
        residual = state.residual(gram)
        size, atoms = largest(
            residual if positive else residual.abs(), gram.n_atoms, _MAX_JOINING
        )
        signs = residual.gather(1, atoms).sign()
        limit = state.alpha * (1 + _SEARCH_TOLERANCE)
        limit += _ROUNDING[torch.float32] * (1 + state.values.abs().sum(1))
        violated = size > limit[:, None]
        done = state.stuck | ~violated[:, 0]
        if int(done.sum()) >= max(1.0, _REMOVED_FRACTION * len(done)):
            if correlations.dtype == torch.float64:
                index = done.nonzero()[:, 0]
                is_minimum, worst, product = state.confirmed(
                    index, gram, positive, tolerance
                )
                # The other rows continue with the atom that was found in float64.
                done[index] = is_minimum
                atoms[index, 0], signs[index, 0] = worst, product.sign().to(signs.dtype)
                violated[index, 0] = product != 0
            finished.append((state.rows[done], state.codes(done)))
            state = state.where(~done)
            if len(state.rows) == 0:
                break
            size, atoms, signs, violated = (
                part[~done] for part in (size, atoms, signs, violated)
            )
        joins = violated & (size >= _JOINING_FRACTION * size[:, :1])
        place = torch.arange(joins.shape[1], device=joins.device)
        joins &= place < state.most[:, None]
        state.join(joins, atoms, signs, gram)
        state.solve(gram)
    n_unfinished = len(state.rows)
    every = torch.ones(n_unfinished, dtype=torch.bool, device=correlations.device)
    finished.append((state.rows, state.codes(every)))
    width = max(codes.values.shape[1] for _, codes in finished)
    support = torch.zeros(
        len(correlations), width, dtype=torch.int64, device=correlations.device
    )
    values = correlations.new_zeros(len(correlations), width)
    for rows, codes in finished:
        support[rows, : codes.support.shape[1]] = codes.support
        values[rows, : codes.values.shape[1]] = codes.values.to(values.dtype)
    return SparseRows(support, values), n_unfinished


@dataclass
class _ActiveSets:
    """Active atoms of the rows that have not reached their minimum.

    A row has S places for atoms, of which some may be free. The sign of a free place is
    0, and so are its row and column of the inverse.
    """

    rows: torch.Tensor  # Indices of the rows, (n,).
    exact: torch.Tensor  # Products with the atoms, (n, K).
    wide: torch.Tensor  # The same for the search.
    alpha: torch.Tensor  # (n,)
    support: torch.Tensor  # Atoms, (n, S).
    values: torch.Tensor  # Codes, (n, S).
    signs: torch.Tensor  # Signs of the codes, (n, S).
    targets: torch.Tensor  # Products of the active atoms with the row, (n, S).
    inverse: torch.Tensor  # Inverses of the products of the active atoms, (n, S, S).
    most: torch.Tensor  # Number of atoms that may join at once, (n,).
    stuck: torch.Tensor  # Whether only rounding errors are left, (n,).

    @classmethod
    def empty(
        cls, correlations: torch.Tensor, gram: Gram, alpha: torch.Tensor
    ) -> "_ActiveSets":
        """Return active sets without atoms."""
        n, places = len(correlations), 2 * _MAX_JOINING
        device = correlations.device
        zeros = torch.zeros(n, places, dtype=torch.float64, device=device)
        return cls(
            rows=torch.arange(n, device=device),
            exact=correlations,
            wide=gram.padded(correlations),
            alpha=alpha,
            support=torch.zeros(n, places, dtype=torch.int64, device=device),
            values=zeros,
            signs=zeros.clone(),
            targets=zeros.clone(),
            inverse=zeros.new_zeros(n, places, places),
            most=torch.full((n,), _MAX_JOINING, device=device),
            stuck=torch.zeros(n, dtype=torch.bool, device=device),
        )

    @property
    def active(self) -> torch.Tensor:
        """Which places have an atom, (n, S)."""
        return self.signs != 0

    def where(self, kept: torch.Tensor) -> "_ActiveSets":
        """Return the active sets of some rows."""
        index = kept.nonzero()[:, 0]
        return _ActiveSets(*(part[index] for part in vars(self).values()))

    def codes(self, chosen: torch.Tensor) -> SparseRows:
        """Return the codes of some rows."""
        return SparseRows(self.support[chosen], self.values[chosen])

    def residual(self, gram: Gram) -> torch.Tensor:
        """Return the products of the residual with the atoms that are not active."""
        products = weighted_rows(self.support, self.values, gram.search)
        residual = torch.sub(self.wide, products, out=products)
        return _without(residual, self.support, self.active)

    def confirmed(
        self, index: torch.Tensor, gram: Gram, positive: bool, tolerance: float
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Compare rows that are done with the conditions of the minimum, in float64.

        Returns which of the rows ``index`` satisfy the conditions, and for all of them
        the inactive atom with the largest product with the residual, and this product
        if it violates the conditions, else 0. The codes are refined by one step of
        iterative refinement.
        """
        support, active = self.support[index], self.active[index]
        signs, alpha = self.signs[index], self.alpha[index]
        exact = self.exact[index] - weighted_rows(
            support, self.values[index], gram.exact
        )
        error = exact.gather(1, support) - alpha[:, None] * signs
        error = torch.where(active, error, 0.0)
        values = self.values[index]
        refined = values + torch.bmm(self.inverse[index], error[:, :, None])[:, :, 0]
        # Codes of nearly dependent atoms could change their signs.
        keeps_signs = ((refined * signs > 0) | ~active).all(1, keepdim=True)
        values = torch.where(keeps_signs, refined, values)
        self.values[index] = values
        size = 1 + values.abs().sum(1)
        inexact = error.abs().amax(1) > 1e-5 * alpha + 1e-8 * size
        if bool(inexact.any()):
            self._invert(index[inexact], gram)
        exact = _without(exact, support, active)
        worst = (exact if positive else exact.abs()).argmax(1)
        product = exact.gather(1, worst[:, None])[:, 0]
        limit = alpha * (1 + tolerance) + _ROUNDING[torch.float64] * size
        beyond = (product if positive else product.abs()) > limit
        is_minimum = self.stuck[index] | ~(beyond | inexact)
        return is_minimum, worst, torch.where(beyond, product, 0.0)

    def join(
        self, joins: torch.Tensor, atoms: torch.Tensor, signs: torch.Tensor, gram: Gram
    ) -> None:
        """Add the atoms to the active sets for which ``joins``, with codes of 0.

        All arguments have the shape (n, m).
        """
        self._make_room()
        n_new = joins.shape[1]
        free = self.active.to(torch.int8).argsort(dim=1, stable=True)[:, :n_new]
        products = gram.exact[atoms[:, :, None], self.support[:, None]]
        products *= self.active[:, None] & joins[:, :, None]
        # The inverse of a matrix that grows by some rows, from the Schur complement.
        inside = torch.bmm(products, self.inverse)
        schur = gram.exact[atoms[:, :, None], atoms[:, None]]
        schur *= joins[:, :, None] & joins[:, None]
        schur -= torch.bmm(inside, products.mT)
        eye = torch.eye(n_new, dtype=schur.dtype, device=schur.device)
        schur += torch.diag_embed((~joins).double()) + _RIDGE * eye
        factor, info = torch.linalg.cholesky_ex(schur)
        smallest = factor.diagonal(dim1=1, dim2=2).amin(1) ** 2
        weak = (info != 0) | (smallest < _NEARLY_DEPENDENT)
        factor = torch.where(weak[:, None, None], eye, factor)
        inside.scatter_(2, free[:, :, None], -joins[:, :, None].double())
        half = torch.linalg.solve_triangular(factor, inside, upper=False)
        self.inverse.baddbmm_(half.mT, half)
        row, number = joins.nonzero(as_tuple=True)
        place, new = free[row, number], atoms[row, number]
        self.support[row, place] = new
        self.values[row, place] = 0.0
        self.signs[row, place] = signs[row, number].double()
        self.targets[row, place] = self.exact[row, new].double()
        if bool(weak.any()):
            self._invert(weak.nonzero()[:, 0], gram)

    def _invert(self, index: torch.Tensor, gram: Gram) -> None:
        """Compute the inverses of some rows anew."""
        support, active = self.support[index], self.active[index]
        both = active[:, :, None] & active[:, None]
        matrix = torch.where(both, gram.exact[support[:, :, None], support[:, None]], 0)
        # The matrix of a free place is the identity.
        added = torch.where(active, _RIDGE, 1.0)
        factor = torch.linalg.cholesky(matrix + torch.diag_embed(added))
        self.inverse[index] = torch.where(both, torch.cholesky_inverse(factor), 0.0)

    def _make_room(self) -> None:
        """Add places, so that each row has enough free ones."""
        n, places = self.signs.shape
        missing = int(self.active.sum(1).max()) + _MAX_JOINING - places
        if missing <= 0:
            return
        added = max(missing, _MORE_PLACES)

        def extended(part: torch.Tensor) -> torch.Tensor:
            return torch.cat([part, part.new_zeros(n, added)], dim=1)

        self.support, self.values = extended(self.support), extended(self.values)
        self.signs, self.targets = extended(self.signs), extended(self.targets)
        self.inverse = torch.nn.functional.pad(self.inverse, (0, added, 0, added))

    def solve(self, gram: Gram) -> None:
        """Minimise the objective over the codes of the active atoms.

        Atoms whose codes become zero leave the active sets.
        """
        index = torch.arange(len(self.rows), device=self.rows.device)
        several = torch.full_like(self.most, _MAX_JOINING)
        while len(index) > 0:
            # Indexing copies, which takes time for all rows.
            inverse = self.inverse
            if len(index) < len(self.rows):
                inverse = inverse[index]
            values, signs = self.values[index], self.signs[index]
            active = signs != 0
            right = self.targets[index] - self.alpha[index, None] * signs
            right = torch.where(active, right, 0.0)
            target = torch.bmm(inverse, right[:, :, None])[:, :, 0]
            crossing = active & (target * signs <= 0)
            fraction = values / (values - target)
            fraction = torch.where(values != 0, fraction, 0.0)
            fraction = torch.where(crossing, fraction, 2.0)
            step = fraction.amin(1).clamp_max(1.0)[:, None]
            leaves = crossing & (fraction <= step)
            moved = values + step * (target - values)
            self.values[index] = torch.where(leaves | ~active, 0.0, moved)
            # An atom that leaves at once has joined together with another one that
            # explains the same. Then the next atom joins this row alone.
            at_once = index[(leaves & (values == 0)).any(1)]
            several[at_once] = 1
            # An atom that joins a minimum alone leaves at once only by rounding.
            self.stuck[at_once] |= self.most[at_once] == 1
            unsettled = crossing.any(1)
            index, leaves = index[unsettled], leaves[unsettled]
            rest = torch.arange(len(index), device=index.device)
            while len(rest) > 0:
                place = leaves[rest].to(torch.int8).argmax(1)
                self._leave(index[rest], place, gram)
                leaves[rest, place] = False
                rest = rest[leaves[rest].any(1)]
        self.most = several

    def _leave(self, index: torch.Tensor, place: torch.Tensor, gram: Gram) -> None:
        """Remove one atom from each of some rows."""
        inverse = self.inverse[index]
        number = torch.arange(len(index), device=index.device)
        row = inverse[number, place]
        pivot = row.gather(1, place[:, None])
        half = row / pivot.sqrt()
        inverse.baddbmm_(half[:, :, None], half[:, None], alpha=-1)
        inverse[number, place], inverse[number, :, place] = 0.0, 0.0
        self.inverse[index] = inverse
        self.signs[index, place], self.support[index, place] = 0.0, 0
        inexact = pivot[:, 0] > 1 / _NEARLY_DEPENDENT
        if bool(inexact.any()):
            self._invert(index[inexact], gram)


def _without(
    products: torch.Tensor, support: torch.Tensor, active: torch.Tensor
) -> torch.Tensor:
    """Set the products of active atoms to 0, in place."""
    # A free place has the atom 0, whose own product is not changed unless it is active.
    inside = products.gather(1, support).masked_fill_(active, 0.0)
    is_first = support == 0
    first_is_active = (is_first & active).any(1, keepdim=True)
    inside.masked_fill_(is_first & first_is_active, 0.0)
    return products.scatter_(1, support, inside)
