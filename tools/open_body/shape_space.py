"""Sample adults, T-pose them and keep their ten principal directions as betas."""

from dataclasses import dataclass

import numpy as np

from open_body.anny_source import AnnySource, Floats
from open_body.repose import Reposer
from open_body.rig_map import joints_from_bones

BETA_COUNT = 10
PELVIS = np.array([0.0, -0.35, 0.012])
"""Rest position of the pelvis [m], as in SMPL-X files."""
ADULT_AGES = (0.58, 0.95)
"""Anny's age parameter from young to old adults."""
BATCH = 50


@dataclass(frozen=True)
class Samples:
    """T-posed people."""

    vertices: Floats
    """(N, V, 3) [m]."""
    joints: Floats
    """(N, 55, 3) [m]."""


@dataclass(frozen=True)
class ShapeSpace:
    """Mean person and principal directions, one standard deviation per unit."""

    mean: Floats
    """(V, 3)."""
    directions: Floats
    """(V, 3, 10)."""


def random_phenotypes(rng: np.random.Generator, count: int) -> dict[str, Floats]:
    """Draw adults: mostly clearly male or female, every build, mixed origins."""
    binary = (rng.random(count) < 0.5).astype(float)
    origins = rng.dirichlet([0.6] * 3, count)
    return {
        "gender": np.where(rng.random(count) < 0.8, binary, rng.random(count)),
        "age": rng.uniform(*ADULT_AGES, count),
        **{name: rng.beta(2, 2, count) for name in ("muscle", "weight", "proportions")},
        "height": np.clip(rng.normal(0.5, 0.13, count), 0.05, 0.95),
        **{name: rng.beta(2, 2, count) for name in ("cupsize", "firmness")},
        **{name: origins[:, i] for i, name in enumerate(("african", "asian", "caucasian"))},
    }


def sample_people(source: AnnySource, rng: np.random.Generator, count: int) -> Samples:
    """Draw ``count`` adults and T-pose them with the pelvis at `PELVIS`."""
    repose, to_joints = Reposer(source), joints_from_bones(source)
    vertices, joints = [], []
    for start in range(0, count, BATCH):
        phenotypes = random_phenotypes(rng, min(BATCH, count - start))
        coefficients = source.coefficients(phenotypes)
        used = coefficients.shape[1]
        for row in coefficients:
            shaped = source.template + np.tensordot(row, source.blendshapes[:used], 1)
            heads = source.heads + np.tensordot(row, source.heads_blendshapes[:used], 1)
            tails = source.tails + np.tensordot(row, source.tails_blendshapes[:used], 1)
            posed, bones = repose(shaped, heads, tails)
            at = to_joints @ bones
            vertices.append(posed + PELVIS - at[0])
            joints.append(at + PELVIS - at[0])
    return Samples(vertices=np.stack(vertices), joints=np.stack(joints))


def principal_directions(people: Samples) -> ShapeSpace:
    """Keep the ten directions that explain most of the people; each is taller when positive."""
    mean = people.vertices.mean(0)
    offsets = (people.vertices - mean).reshape(len(people.vertices), -1)
    variances, vectors = np.linalg.eigh(offsets @ offsets.T)
    best = np.argsort(variances)[::-1][:BETA_COUNT]
    basis = offsets.T @ vectors[:, best] / np.sqrt(len(offsets))
    directions = basis.reshape(*mean.shape, BETA_COUNT)
    growth = directions[mean[:, 1].argmax(), 1] - directions[mean[:, 1].argmin(), 1]
    return ShapeSpace(mean=mean, directions=directions * np.where(growth < 0, -1.0, 1.0))


def reconstruction_error(space: ShapeSpace, people: Samples) -> float:
    """Give the mean vertex error of people rebuilt from ten betas [m]."""
    basis = space.directions.reshape(-1, BETA_COUNT)
    offsets = (people.vertices - space.mean).reshape(len(people.vertices), -1).T
    betas = np.linalg.lstsq(basis, offsets, rcond=None)[0]
    error = (basis @ betas - offsets).T.reshape(people.vertices.shape)
    return float(np.linalg.norm(error, axis=-1).mean())
