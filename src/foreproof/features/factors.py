"""Vectors of accounts and products from who bought what: implicit ALS, and its backfill from co-purchase.

N is a sparse matrix of accounts x products, sorted, with weights above 0. Everything is seeded and made on one thread: equal
input gives equal bytes.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from foreproof.errors import MissingExtra

Vectors = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]
ROUNDS = 15
_DENSE = 256
"""Products up to which all eigenvectors are made at once: an iterative solver gains nothing there."""


@dataclass(frozen=True, slots=True)
class Als:
    """Settings of ALS: the length of the vectors, the penalty, the confidence of a unit of weight, and the seed of the start."""

    factors: int
    ridge: float
    alpha: float
    seed: int


def als_factors(row: Places, column: Places, weight: Vectors, *, settings: Als) -> tuple[Vectors, Vectors]:
    """Accounts x factors and products x factors: Hu, Koren & Volinsky, Collaborative filtering for implicit feedback (2008).

    row, column: n places of account and product, each pair once. weight: n, above 0. With preference p = 1 and confidence
    c = 1 + alpha weight where an account has a product, p = 0 and c = 1 elsewhere, it minimises
    sum c (p - x . y)^2 + ridge (sum |x|^2 + sum |y|^2) in 15 rounds of conjugate gradients (Takacs, Pilaszy & Tikk 2011).
    """
    sparse, model = _library("scipy.sparse"), _library("implicit.cpu.als")
    matrix = sparse.csr_matrix(((1.0 + settings.alpha * weight).astype(np.float32), (row, column)))
    with _library("threadpoolctl").threadpool_limits(1, "blas"):
        fitted = model.AlternatingLeastSquares(
            factors=settings.factors,
            regularization=settings.ridge,
            alpha=1.0,
            dtype=np.float32,
            iterations=ROUNDS,
            num_threads=1,
            random_state=settings.seed,
        )
        fitted.fit(matrix, show_progress=False)
    return fitted.user_factors.astype(np.float64), fitted.item_factors.astype(np.float64)


def copurchase_vectors(row: Places, column: Places, *, products: int, size: int, seed: int) -> Vectors:
    """Products x at most `size`: item2vec by a factorisation, Levy & Goldberg, Neural word embedding (2014).

    With n_ij the accounts that have both i and j (i != j), n_i = sum_j n_ij and n = sum n_i, M is
    max(0, log(n_ij n / (n_i n_j))), what skip-gram with one negative sample factorises; with M = Q L Q' and the `size` largest
    |l|, the vectors are Q sqrt(|L|), those of the truncated singular value decomposition. Zero for a product that was never
    bought with another.
    """
    sparse = _library("scipy.sparse")
    met = sparse.csr_matrix((np.ones(row.size, np.float32), (row, column)), shape=(int(row.max()) + 1, products))
    both = sparse.triu(met.T @ met, k=1, format="coo")  # symmetric: half of it says all
    i, j, many = both.row, both.col, both.data.astype(np.float64)
    each = np.bincount(i, weights=many, minlength=products) + np.bincount(j, weights=many, minlength=products)
    own = np.log(np.maximum(each, 1.0))
    found = np.log(many) - own[i] - own[j] + np.log(max(each.sum(), 1.0))
    kept = found > 1e-9  # rounding is no information
    half = sparse.csr_matrix((found[kept], (i[kept], j[kept])), shape=(products, products))
    return _rooted(half + half.T, size=size, seed=seed)


def _rooted(matrix: Any, *, size: int, seed: int) -> Vectors:
    """Q sqrt(|L|) of the eigenvalues that are largest by size."""
    with _library("threadpoolctl").threadpool_limits(1, "blas"):
        if matrix.shape[0] <= max(_DENSE, 2 * size):
            value, vector = np.linalg.eigh(matrix.toarray())
        else:
            start = np.random.default_rng(seed).normal(size=matrix.shape[0])
            solver, single = _library("scipy.sparse.linalg"), matrix.astype(np.float32)
            value, vector = solver.eigsh(single, k=size, which="LM", v0=start.astype(np.float32), tol=1e-3)
            value, vector = value.astype(np.float64), vector.astype(np.float64)
    largest = np.argsort(-np.abs(value), kind="stable")[:size]
    rooted: Vectors = vector[:, largest] * np.sqrt(np.abs(value[largest]))
    return rooted


def _library(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        package = name.partition(".")[0]
        if error.name is None or error.name.partition(".")[0] != package:
            raise
        raise MissingExtra(
            package, found="not installed", wanted="the extra `propensity`", fix="pip install 'foreproof[propensity]'"
        ) from None


__all__ = ["ROUNDS", "Als", "als_factors", "copurchase_vectors"]
