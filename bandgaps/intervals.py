"""From the trees of a forest: the median gap, intervals with their coverage, and the probability of a metal.

The leaf means of a forest's trees are a distribution of the gap (quantile regression forests: Meinshausen, J. Mach.
Learn. Res. 7, 983). Its quantiles are widened or narrowed until they hold the right share of rows that the trees were
not grown on (conformalised quantile regression: Romano et al., arXiv 1905.03222). The share of trees that say "metal"
is made a probability by logistic regression on the same rows (Platt, Advances in Large Margin Classifiers, 61).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

SHARES = (0.68, 0.95)
FLOOR = 0.1  # eV; added to sigma where it is the unit that intervals are widened by
ZERO = 1e-6  # eV; a leaf whose mean is not above it is one of metals
LARGEST = 1e3  # of the numbers that widen intervals or make votes a probability
LEAST_VOTES = 0.005  # share of trees; keeps the logarithm finite


@dataclass(frozen=True)
class Distribution:
    """The leaf means of a forest's trees for each formula.

    Attributes:
        values: in ascending order, eV, shape (rows, trees).
        std: the leaf-impurity sigma, eV, shape (rows,).
    """

    values: np.ndarray
    std: np.ndarray

    def of(self, rows: np.ndarray) -> Distribution:
        """The distribution of some rows, by a mask or numbers."""
        return Distribution(self.values[rows], self.std[rows])

    def quantile(self, level: float) -> np.ndarray:
        """The quantile at a level from 0 to 1, between trees on a straight line, eV, shape (rows,)."""
        place = level * (self.values.shape[1] - 1)
        lower, upper = int(np.floor(place)), int(np.ceil(place))
        return self.values[:, lower] + (place - lower) * (self.values[:, upper] - self.values[:, lower])

    @property
    def median(self) -> np.ndarray:
        """The median over trees, eV, shape (rows,)."""
        return self.quantile(0.5)

    @property
    def interquartile_mean(self) -> np.ndarray:
        """The mean over the middle half of the trees, as near as the median and smoother, eV, shape (rows,)."""
        trees = self.values.shape[1]
        return self.values[:, trees // 4 : trees - trees // 4].mean(axis=1, dtype=np.float64)

    @property
    def mean(self) -> np.ndarray:
        """The mean over trees, eV, shape (rows,)."""
        return self.values.mean(axis=1, dtype=np.float64)

    def without_metals(self) -> Distribution:
        """The same distribution without the trees that say "metal"; with all trees where all say so."""
        gapped = self.values > ZERO
        dropped = gapped.any(axis=1, keepdims=True) & ~gapped
        values = np.where(dropped, np.nan, self.values)
        count = np.isfinite(values).sum(axis=1)
        # Quantiles need as many values in each row, so those that are left are spread; the middle one is the median.
        places = np.linspace(0, 1, 2 * self.values.shape[1] + 1)
        order = np.sort(values, axis=1)  # NaN comes last
        spread = [np.interp(places * (n - 1), np.arange(n), row[:n]) for n, row in zip(count, order, strict=True)]
        return Distribution(np.array(spread, dtype=self.values.dtype).reshape(len(order), len(places)), self.std)

    @property
    def metal_votes(self) -> np.ndarray:
        """The share of trees whose leaf is one of metals, shape (rows,)."""
        return np.mean(self.values <= ZERO, axis=1)


@dataclass(frozen=True)
class Intervals:
    """How quantiles become intervals, and votes a probability.

    Attributes:
        widening: for each of `SHARES`, what is added to both sides of the quantiles, in units of sigma + 0.1 eV.
        votes: intercept and slope of the logit of the probability of a metal, over the logit of the votes.
        rows: how many non-metals the intervals were fitted to.
        bounded: whether a value below 0 is impossible, as for a gap.
    """

    widening: tuple[float, ...] = (0.0, 0.0)
    votes: tuple[float, float] = (0.0, 1.0)
    rows: int = 0
    bounded: bool = True
    shares: tuple[float, ...] = field(default=SHARES)

    def bounds(self, found: Distribution) -> list[tuple[np.ndarray, np.ndarray]]:
        """The lower and the upper end of the interval of each of the shares, eV, each of shape (rows,).

        The median lies in the first, and each lies in the next one.
        """
        ends = []
        inner = (found.median, found.median)
        for share, widening in zip(self.shares, self.widening, strict=True):
            low, high = _quantiles(found, share)
            by = widening * (found.std + FLOOR)
            inner = np.minimum(low - by, inner[0]), np.maximum(high + by, inner[1])
            ends.append((np.maximum(inner[0], 0) if self.bounded else inner[0], inner[1]))
        return ends

    def metal_probability(self, found: Distribution) -> np.ndarray:
        """How likely each formula is that of a metal, shape (rows,)."""
        intercept, slope = self.votes
        return 1 / (1 + np.exp(-(intercept + slope * _logit(found.metal_votes))))

    @classmethod
    def of(cls, card: dict[str, Any]) -> Intervals:
        """From a model's card, as `dataclasses.asdict` wrote it.

        Raises:
            ValueError: the card has none, or not those of `SHARES`.
        """
        try:
            stored = card["intervals"]
            lists = {name: tuple(float(number) for number in stored[name]) for name in ("widening", "votes", "shares")}
            result = cls(rows=int(stored["rows"]), bounded=bool(stored["bounded"]), **lists)  # type: ignore[arg-type]
        except (KeyError, TypeError, ValueError, OverflowError):
            raise ValueError("the card has no intervals") from None
        if not (np.abs([*result.widening, *result.votes]) <= LARGEST).all():
            raise ValueError(f"the card's intervals have numbers that are not finite or beyond {LARGEST:g}")
        if len(result.widening) != len(SHARES) or len(result.votes) != 2 or result.shares != SHARES:
            raise ValueError("the card's intervals are not those of 68 and 95 %")
        return result


def fit(found: Distribution, actual: np.ndarray, metal: np.ndarray, bounded: bool = True) -> Intervals:
    """Widen quantiles until they hold the right share of non-metals, and make votes a probability.

    Metals do not take part in the former: their gap is exactly 0, nearly always inside, and would hide that the others
    are not.

    Args:
        found: for rows that the trees were not grown on.
        actual: eV, shape (rows,).
        metal: which rows are metals, shape (rows,).
        bounded: as in `Intervals`.
    """
    gapped = ~metal
    widening = []
    for share in SHARES:
        low, high = _quantiles(found, share)
        score = np.maximum(low - actual, actual - high) / (found.std + FLOOR)
        widening.append(_conformal(score[gapped], share))
    return Intervals(tuple(widening), _platt(found.metal_votes, metal), int(gapped.sum()), bounded)


def _quantiles(found: Distribution, share: float) -> tuple[np.ndarray, np.ndarray]:
    return found.quantile((1 - share) / 2), found.quantile((1 + share) / 2)


def _conformal(scores: np.ndarray, share: float) -> float:
    """The conformal quantile: the score that one more row stays below with probability `share`; 0 without rows."""
    if not scores.size:
        return 0.0
    rank = min(int(np.ceil(share * (scores.size + 1))), scores.size)
    return float(np.sort(scores)[rank - 1])


def _logit(votes: np.ndarray) -> np.ndarray:
    votes = np.clip(votes, LEAST_VOTES, 1 - LEAST_VOTES)
    return np.log(votes / (1 - votes))


def _platt(votes: np.ndarray, metal: np.ndarray) -> tuple[float, float]:
    """Intercept and slope of a logistic regression; votes as they are where all rows are of one kind."""
    from sklearn.linear_model import LogisticRegression

    if metal.all() or not metal.any():
        return 0.0, 1.0
    fitted = LogisticRegression(C=1e3).fit(_logit(votes)[:, None], metal)
    return float(fitted.intercept_[0]), float(fitted.coef_[0, 0])
