"""Gaussian processes against scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, DotProduct, Matern

from bandgaps.structure.gaussian_process import Kernel, Process

KERNEL = Kernel(matern=1.7, length=2.5, linear=0.3)
GENERATOR = np.random.default_rng(0)
KNOWN, ASKED = GENERATOR.normal(size=(40, 5)), GENERATOR.normal(size=(9, 5))
VALUES, NOISE = np.sin(KNOWN.sum(axis=1)), GENERATOR.uniform(0.01, 0.3, 40)


def test_the_process_is_that_of_scikit_learn() -> None:
    kernel = ConstantKernel(1.7, "fixed") * Matern(2.5, "fixed", nu=1.5)
    kernel += ConstantKernel(0.3, "fixed") * DotProduct(1, "fixed")
    peer = GaussianProcessRegressor(kernel, alpha=NOISE, optimizer=None).fit(KNOWN, VALUES)
    mean, std = peer.predict(ASKED, return_std=True)
    own_mean, own_std = Process.fitted(KERNEL, KNOWN, VALUES, NOISE).mean_and_std(ASKED)
    np.testing.assert_allclose(own_mean, mean, rtol=1e-8)
    np.testing.assert_allclose(own_std, std, rtol=1e-6)


def test_it_is_sure_where_it_knows_and_unsure_far_away() -> None:
    process = Process.fitted(KERNEL, KNOWN, VALUES, 1e-6)
    mean, std = process.mean_and_std(KNOWN)
    np.testing.assert_allclose(mean, VALUES, atol=1e-3)
    assert std.max() < 0.01
    far = 100 * np.eye(5)
    assert process.mean_and_std(far)[1].min() > 0.9 * np.sqrt(KERNEL.matern)
    assert KERNEL.variance(far) == pytest.approx(np.diag(KERNEL.between(far, far)))
