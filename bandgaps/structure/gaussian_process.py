"""A Gaussian process with a kernel that is given, not fitted (Rasmussen & Williams, Gaussian Processes, ch. 2).

The same as scikit-learn's `GaussianProcessRegressor(optimizer=None)`, but distances come from one matrix product, which
makes it several times as fast.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_solve, cholesky, solve_triangular


@dataclass(frozen=True)
class Kernel:
    """A Matérn-3/2 kernel and a linear one, added.

    Attributes:
        matern: variance of the Matérn part, in the target's unit squared.
        length: its length scale, in units of the inputs.
        linear: variance of the linear part for each input, and of its intercept.
    """

    matern: float
    length: float
    linear: float

    def between(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Covariance of each row with each column, shape (rows, columns); inputs are along the last axis."""
        products = rows @ columns.T
        squares = (rows**2).sum(axis=1)[:, None] + (columns**2).sum(axis=1) - 2 * products
        scaled = np.sqrt(3 * np.maximum(squares, 0)) / self.length
        return self.matern * (1 + scaled) * np.exp(-scaled) + self.linear * (1 + products)

    def variance(self, rows: np.ndarray) -> np.ndarray:
        """Covariance of each row with itself, shape (rows,)."""
        return self.matern + self.linear * (1 + (rows**2).sum(axis=1))


@dataclass(frozen=True)
class Process:
    """A Gaussian process that has seen values.

    Attributes:
        kernel: covariance of the values without noise.
        inputs: where values are known, shape (known, inputs).
        factor: Cholesky factor of their covariance with noise, lower triangle, shape (known, known).
        weights: the inverse of this covariance times the values, shape (known,).
    """

    kernel: Kernel
    inputs: np.ndarray
    factor: np.ndarray
    weights: np.ndarray

    @classmethod
    def fitted(cls, kernel: Kernel, inputs: np.ndarray, values: np.ndarray, noise: np.ndarray | float) -> Process:
        """The process that has seen these values, of mean 0 beforehand.

        Args:
            kernel: covariance of the values without noise.
            inputs: shape (known, inputs).
            values: shape (known,).
            noise: variance of each value's noise, shape (known,) or one number.
        """
        covariance = kernel.between(inputs, inputs)
        covariance[np.diag_indices_from(covariance)] += noise
        factor = cholesky(covariance, lower=True, overwrite_a=True)
        return cls(kernel, inputs, factor, cho_solve((factor, True), values))

    def mean_and_std(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of the value without noise at each row, each of shape (rows,)."""
        return self.of_covariance(self.kernel.between(rows, self.inputs), self.kernel.variance(rows))

    def of_covariance(self, covariance: np.ndarray, variance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """As `mean_and_std`, from the covariance with the known values, (rows, known), and the variance, (rows,)."""
        explained = solve_triangular(self.factor, covariance.T, lower=True, check_finite=False)
        left = variance - (explained**2).sum(axis=0)
        return covariance @ self.weights, np.sqrt(np.maximum(left, 0))
