"""The scale and affine distortion of an image, which all its grains share.

A vector of the image's transform is measured as exp(s) (1 + D) g with the symmetric D = [[e, f], [f, -e]]:
s is ln of the factor on the measured d, e stretches g along x (and shrinks it along y), f along the diagonal.
The likelihood of theta = (s, e, f) given a placement is a Gaussian, so all integrals over theta are analytic.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Standard deviation of the stretches e and f of parallel-beam and scanned images. Projector lenses distort
#: by up to 1 %, scans and drift by 1 to 14 % between two directions, which is twice the stretch.
LENS, SCAN = 0.005, 0.03
#: For images of unknown origin, a heavy-tailed mixture: probability and standard deviation of each component.
UNKNOWN = ((0.65, 0.007), (0.35, SCAN))
#: Standard deviation of a grain's scale and stretches from those of the image (strain, local distortion).
#: No record says on what it was set. Sweep: halved, belief 0.73 -> 0.74; doubled, belief 0.73 -> 0.72.
GRAIN_SCALE = 0.0015

#: Probability and standard deviation of each component of the prior of e and f.
Distortions = tuple[tuple[float, float], ...]


def expected_distortions(
    stated: float | None, metadata: Mapping[str, Any] | None = None, calibrated: bool = False
) -> Distortions:
    """Prior of the stretches of an image.

    Parameters
    ----------
    stated : float, optional
        Stretch stated by the user, per cent (`MatchParams.stretch`); it takes precedence.
    metadata : mapping, optional
        Metadata of the file (`Micrograph.metadata`), of which "illumination" and "camera" are used.
    calibrated : bool
        Both stretches were corrected on a reference. The remaining drift is as small as a lens distortion.

    >>> expected_distortions(0.2), expected_distortions(None, {"illumination": "TEM"})
    (((1.0, 0.002),), ((1.0, 0.005),))
    >>> expected_distortions(None, {"camera": "DigiScan"})
    ((1.0, 0.03),)
    """
    if stated is not None:
        return ((1.0, stated / 100),)
    if calibrated:
        return ((1.0, LENS),)
    mode, device = (str((metadata or {}).get(key, "")).casefold() for key in ("illumination", "camera"))
    if "stem" in mode or "digiscan" in device:
        return ((1.0, SCAN),)
    return ((1.0, LENS),) if "tem" in mode else UNKNOWN


@dataclass(frozen=True, slots=True)
class ScalePrior:
    """Prior of the factor on the measured d.

    Attributes
    ----------
    middle, error : float
        Mean and standard deviation of its logarithm.
    """

    middle: float
    error: float

    def grid(self) -> NDArray[np.float64]:
        """Values of ln scale that cover the prior, shape (81,)."""
        return self.middle + np.linspace(-3.7, 3.7, 81) * self.error


@dataclass(frozen=True, slots=True)
class GeometryPrior:
    """Prior of the geometry of an image.

    Attributes
    ----------
    scale : ScalePrior
    distortion : float
        Standard deviation of e and f.
    """

    scale: ScalePrior
    distortion: float

    @property
    def mean(self) -> NDArray[np.float64]:
        """Mean of theta, shape (3,)."""
        return np.array([self.scale.middle, 0.0, 0.0])

    @property
    def precision(self) -> NDArray[np.float64]:
        """Inverse covariance of theta, shape (3, 3)."""
        return np.diag([self.scale.error**-2, self.distortion**-2, self.distortion**-2])


@dataclass(frozen=True, slots=True)
class ImageGeometry:
    """Scale and stretch of an image as measured by all its grains.

    Attributes
    ----------
    mean : tuple of float
        s, e and f as defined in the docstring of the module.
    covariance : tuple of tuple of float
    grains : int
        Number of named grains with spots in two directions; with none, the geometry is unknown.
    """

    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    covariance: tuple[tuple[float, ...], ...] = ((0.0, 0.0, 0.0),) * 3
    grains: int = 0

    @property
    def scale(self) -> float:
        """Factor on the measured d."""
        return float(np.exp(self.mean[0]))

    @property
    def scale_sigma(self) -> float:
        """Standard uncertainty of ln scale."""
        return float(np.sqrt(self.covariance[0][0]))

    @property
    def stretch(self) -> float:
        """Relative elongation of the image along `direction`, and contraction across it."""
        return float(np.hypot(*self.mean[1:]))

    @property
    def stretch_sigma(self) -> float:
        """Standard uncertainty of the stretch."""
        return float(np.sqrt(0.5 * (self.covariance[1][1] + self.covariance[2][2])))

    @property
    def direction(self) -> float:
        """Direction in which the image is elongated: degrees counter-clockwise from +x as displayed."""
        return stretch_direction(self.mean[1], self.mean[2])

    def sheared(self, shear: float) -> ImageGeometry:
        """Geometry of the uncorrected image, if the given shear was removed before matching."""
        s, e, f = self.mean
        return replace(self, mean=(s, e, f + shear)) if shear and self.grains else self

    def sentence(self) -> str:
        """What the named crystals say of the image, for the user; empty where there is none."""
        return f"the image by its named crystals: {self}" if self.grains else ""

    def __str__(self) -> str:
        """As reported: "scale +1.30 +/- 0.20 %, stretched by 5.8 +/- 0.3 % along 37 degrees (2 grains)"."""
        if not self.grains:
            return "scale and stretch are not known from the image: no crystal in it is named"
        off, sigma = round(100 * (self.scale - 1), 2) + 0.0, 100 * self.scale_sigma  # never "-0.00"
        stretch = f"stretched by {100 * self.stretch:.1f} +/- {100 * self.stretch_sigma:.1f} %"
        along = f" along {self.direction:.0f} degrees" if self.stretch > 2 * self.stretch_sigma else ""
        number = f"{self.grains} grain{'s' if self.grains > 1 else ''}"
        return f"scale {off:+.2f} +/- {sigma:.2f} %, {stretch}{along} (by {number})"

    def correct(self, g: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """ln of the factors on the d of spots, and their standard uncertainties, each of shape (n,).

        Parameters
        ----------
        g : ndarray, shape (n, 2), 1/nm
            (y, x) as in `Spot.g`.
        """
        twice = 2 * np.arctan2(g[:, 0], g[:, 1])
        row = np.stack([np.ones(len(g)), np.cos(twice), np.sin(twice)], axis=1)
        variance = np.einsum("ni,ij,nj->n", row, np.array(self.covariance), row)
        return row @ np.array(self.mean), np.sqrt(np.maximum(variance, 0.0))


def stretch_direction(e: float, f: float) -> float:
    """Direction in which an image is elongated and |g| is shorter: degrees counter-clockwise as displayed.

    >>> stretch_direction(-0.01, 0.0), stretch_direction(0.01, 0.0)
    (0.0, 90.0)
    """
    along_g = 0.5 * np.degrees(np.arctan2(f, e))
    return float((90.0 - along_g) % 180.0)


@dataclass(frozen=True, slots=True, eq=False)
class Likelihoods:
    """ln L(theta) = constant + linear . theta - theta . quadratic . theta / 2, for each placement.

    Attributes
    ----------
    constant : ndarray, shape (n,)
    linear : ndarray, shape (n, 3)
    quadratic : ndarray, shape (n, 3, 3)
    """

    constant: NDArray[np.float64]
    linear: NDArray[np.float64]
    quadratic: NDArray[np.float64]

    @classmethod
    def around(
        cls,
        theta: NDArray[np.float64],
        level: NDArray[np.float64],
        gradient: NDArray[np.float64],
        information: NDArray[np.float64],
    ) -> Likelihoods:
        """Build them from ln L, its gradient and its negative second derivatives at theta."""
        pushed = np.einsum("nij,nj->ni", information, theta)
        constant = level - (gradient * theta).sum(axis=1) - 0.5 * (pushed * theta).sum(axis=1)
        return cls(constant, gradient + pushed, information)

    def of_image(self, spread: float = GRAIN_SCALE) -> Likelihoods:
        """Likelihoods of the theta of the image, from which that of each grain differs by `spread`."""
        kept = np.linalg.inv(self.quadratic + np.eye(3) / spread**2)
        shift = np.einsum("nij,nj->ni", kept, self.linear)
        wide = np.linalg.det(np.eye(3) + spread**2 * self.quadratic)
        return Likelihoods(
            self.constant + 0.5 * (shift * self.linear).sum(axis=1) - 0.5 * np.log(wide),
            self.linear - np.einsum("nij,nj->ni", self.quadratic, shift),
            self.quadratic - self.quadratic @ kept @ self.quadratic,
        )

    def rows(self, chosen: NDArray[Any]) -> Likelihoods:
        """Select some of the placements."""
        return Likelihoods(self.constant[chosen], self.linear[chosen], self.quadratic[chosen])

    def marginal(self, mean: NDArray[np.float64], precision: NDArray[np.float64]) -> NDArray[np.float64]:
        """ln of the integral over theta with Gaussian priors; shapes broadcast, (..., 3) and (..., 3, 3)."""
        pull = np.einsum("...ij,...j->...i", precision, mean)
        pivots, _, reduced = _eliminated(self.quadratic + precision, self.linear + pull)
        fit = sum(part**2 / pivot for part, pivot in zip(reduced, pivots, strict=True))
        level = self.constant + 0.5 * (fit - (pull * mean).sum(axis=-1))
        result: NDArray[np.float64] = level + 0.5 * np.log(
            _det(precision) / (pivots[0] * pivots[1] * pivots[2])
        )
        return result

    def product(
        self, mean: NDArray[np.float64], precision: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean and precision of theta with Gaussian priors, as in `marginal`."""
        total = self.quadratic + precision
        pull = np.einsum("...ij,...j->...i", precision, mean)
        (d, e, f), (p, q, r), (x, y, z) = _eliminated(total, self.linear + pull)
        last = z / f
        middle = y / e - r * last
        peak = np.stack([x / d - p * middle - q * last, middle, last], axis=-1)
        return peak, total

    def at(self, theta: NDArray[np.float64]) -> NDArray[np.float64]:
        """ln L at points theta (points, 3), shape (points, n)."""
        square = (theta[:, :, None] * theta[:, None, :]).reshape(len(theta), 9)
        features = np.concatenate([np.ones((len(theta), 1)), theta, square], axis=1)
        weights = np.concatenate(
            [self.constant[:, None], self.linear, -0.5 * self.quadratic.reshape(-1, 9)], axis=1
        )
        value: NDArray[np.float64] = (weights @ features.T).T
        return value


_Three = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]


def _eliminated(matrices: NDArray[np.float64], right: NDArray[np.float64]) -> tuple[_Three, _Three, _Three]:
    """LDL' decomposition of symmetric matrices (..., 3, 3), applied to right sides (..., 3).

    Returns the pivots D, the entries (1, 0), (2, 0) and (2, 1) of L, and the right sides times the inverse
    of L. It is faster than the routines for matrices of any size.
    """
    a, b, c = matrices[..., 0, 0], matrices[..., 1, 0], matrices[..., 2, 0]
    p, q = b / a, c / a
    d = matrices[..., 1, 1] - p * b
    e = matrices[..., 2, 1] - p * c
    r = e / d
    f = matrices[..., 2, 2] - q * c - r * e
    x = right[..., 0]
    y = right[..., 1] - p * x
    z = right[..., 2] - q * x - r * y
    return (a, d, f), (p, q, r), (x, y, z)


def _det(matrices: NDArray[np.float64]) -> NDArray[np.float64]:
    """Determinants of matrices (..., 3, 3); faster than the routine for any size."""
    (a, b, c), (d, e, f), (g, h, i) = (
        (matrices[..., row, 0], matrices[..., row, 1], matrices[..., row, 2]) for row in range(3)
    )
    value: NDArray[np.float64] = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)
    return value
