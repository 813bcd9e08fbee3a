"""Studio light on the sample person: soft boxes, soft shadows, glowing skin, shining hair."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.ndimage import gaussian_filter, minimum_filter

from persona.synthesis.sample.noise import smoothstep

SHADOW_CELL = 0.008
"""Cell of the depth maps that lights see the scene through [m]."""
SHADOW_BIAS = 0.020
"""A point this close behind the nearest one is still lit [m]."""
GRAZING = 0.05
"""What a lamp counts that a surface does not face, of one that it does."""
FLOOR_SHADOWS = {"key": 0.30, "fill": 0.06, "dome": 0.52}
"""How dark the shadow of each soft box is on the floor; a rim's falls towards the camera."""


@dataclass(frozen=True, kw_only=True)
class SoftBox:
    """A large lamp: many small ones around a direction."""

    name: str
    direction: tuple[float, float, float]
    """From the scene to the lamp, world frame."""
    spread: float
    """Standard deviation of the small lamps' directions [rad]."""
    color: tuple[float, float, float]
    """Linear irradiance of a surface that faces it."""
    rays: int
    """Small lamps."""


STUDIO = (
    SoftBox(
        name="key", direction=(-0.55, 0.60, 0.75), spread=0.22, color=(1.20, 1.16, 1.10), rays=20
    ),
    SoftBox(
        name="fill", direction=(0.85, 0.25, 0.70), spread=0.35, color=(0.36, 0.38, 0.41), rays=12
    ),
    SoftBox(
        name="rim", direction=(0.65, 0.55, -0.75), spread=0.25, color=(0.42, 0.43, 0.46), rays=10
    ),
    SoftBox(
        name="dome", direction=(0.0, 1.0, 0.15), spread=0.95, color=(0.40, 0.41, 0.43), rays=40
    ),
)
"""Key from the person's right and above, a weaker fill, a rim from behind, and the white room."""


def lamp_directions(box: SoftBox, rng: np.random.Generator) -> Float[ndarray, "r 3"]:
    """Scatter the small lamps of a soft box."""
    axis = np.asarray(box.direction) / np.linalg.norm(box.direction)
    ways = axis + rng.normal(size=(box.rays, 3)) * box.spread
    ways /= np.linalg.norm(ways, axis=1, keepdims=True)
    ways[:, 1] = np.maximum(ways[:, 1], 0.05)  # nothing shines through the floor
    return ways / np.linalg.norm(ways, axis=1, keepdims=True)


def visibility(
    points: Float[ndarray, "n 3"],
    blockers: Float[ndarray, "m 3"],
    directions: Float[ndarray, "r 3"],
    normals: Float[ndarray, "n 3"] | None = None,
) -> Float[ndarray, " n"]:
    """Say which share of the lamps each point sees past a cloud of blocking points.

    Each lamp looks at the scene through a coarse depth map; what lies deeper than its
    `SHADOW_BIAS` is in shadow. Many lamps turn the hard edges into penumbras. Where normals are
    given, a lamp counts as much as the surface faces it: grazing light sees every coarse cell as a
    step.
    """
    seen = np.zeros(len(points), np.float32)
    total = np.zeros(len(points), np.float32)
    points, blockers = points.astype(np.float32), blockers.astype(np.float32)
    for way in directions.astype(np.float32):
        right = np.cross([0.0, 1.0, 0.0] if abs(way[1]) < 0.95 else [1.0, 0.0, 0.0], way)
        right /= np.linalg.norm(right)
        frame = np.stack([right, np.cross(way, right)], 1).astype(np.float32)
        # A row for each axis: NumPy is slow along the short axis of tall arrays.
        across, up = frame.T @ blockers.T
        low = np.array([across.min(), up.min()]) - 3 * SHADOW_CELL
        high = np.array([across.max(), up.max()])
        size = np.ceil((high - low) / SHADOW_CELL).astype(int) + 4
        cell = ((across - low[0]) / SHADOW_CELL).astype(int) * size[1]
        cell += ((up - low[1]) / SHADOW_CELL).astype(int)
        nearest = np.full(size.prod(), -np.inf, np.float32)
        np.maximum.at(nearest, cell, (blockers @ way).astype(np.float32))
        # Close the pinholes between sparse points.
        nearest = -minimum_filter(-nearest.reshape(size), 3)
        right, above = (
            np.floor((row - start) / SHADOW_CELL).astype(int)
            for row, start in zip(frame.T @ points.T, low, strict=True)
        )
        inside = (right >= 0) & (right < size[0]) & (above >= 0) & (above < size[1])
        there = nearest[right.clip(0, size[0] - 1), above.clip(0, size[1] - 1)]
        blocked = there - points @ way > SHADOW_BIAS
        weight = 1.0 if normals is None else np.maximum(normals @ way, 0) + GRAZING
        seen += weight * ~(blocked & inside)
        total += weight
    return seen / total


@dataclass(frozen=True, kw_only=True)
class Surface:
    """What the camera sees, one row a pixel."""

    albedo: Float[ndarray, "p 3"]
    """sRGB in [0, 1]."""
    normals: Float[ndarray, "p 3"]
    """Unit, towards the camera's side."""
    tangents: Float[ndarray, "p 3"]
    """Along a hair; zero elsewhere."""
    view: Float[ndarray, "p 3"]
    """Unit, towards the camera."""
    lit: Float[ndarray, "p k"]
    """Share of each soft box that is visible."""
    translucency: Float[ndarray, " p"]
    """How much light bleeds around the terminator: 1 for skin."""
    gloss: Float[ndarray, " p"]
    """Strength of the highlight."""
    sharpness: Float[ndarray, " p"]
    """Exponent of the highlight."""


BLEED = np.array([0.34, 0.16, 0.10])
"""How far light wraps around skin, red most."""
BOUNCE = 0.075
"""Light that reaches even what no lamp sees [linear]."""
CLOTH_WRAP = 0.06
"""The same for everything else: fuzz."""


def shade(surface: Surface, boxes: tuple[SoftBox, ...] = STUDIO) -> Float[ndarray, "p 3"]:
    """Light the visible surface.

    Args:
        surface: What the camera sees.
        boxes: The lamps that `Surface.lit` counts.

    Returns:
        Linear radiance; white paper facing the key is about 1.
    """
    albedo = to_linear(surface.albedo)
    total = np.zeros_like(albedo)
    total += BOUNCE * albedo  # what the pale room throws into every shadow
    threads = np.linalg.norm(surface.tangents, axis=1) > 0.5
    wrap = CLOTH_WRAP + surface.translucency[:, None] * BLEED
    for k, box in enumerate(boxes):
        way = np.asarray(box.direction) / np.linalg.norm(box.direction)
        seen = surface.lit[:, k : k + 1]
        cosine = (surface.normals @ way)[:, None]
        if box.name == "dome":
            received = 0.55 + 0.45 * cosine
        else:
            received = np.clip((cosine + wrap) / (1 + wrap), 0, 1) ** 1.15
        # Blood glows at the edge of a shadow.
        tint = np.where(surface.translucency[:, None] > 0, seen ** (1 - 0.35 * BLEED), seen)
        half = surface.view + way
        half /= np.maximum(np.linalg.norm(half, axis=1, keepdims=True), 1e-6)
        facing = np.clip(np.einsum("ij,ij->i", surface.normals, half), 0, 1)
        shine = (surface.gloss * facing**surface.sharpness)[:, None] * (cosine > 0)
        along = surface.tangents @ way
        hair_lit = 0.35 * np.sqrt(np.clip(1 - along**2, 0, 1))[:, None]
        hair_lit = hair_lit + 0.65 * np.clip(0.25 + 0.75 * cosine, 0, 1)
        slant = np.einsum("ij,ij->i", surface.tangents, half)
        hair_shine = (0.03 + 0.35 * albedo) * np.sqrt(np.clip(1 - slant**2, 0, 1))[:, None] ** 60
        received = np.where(threads[:, None], hair_lit, received)
        shine = np.where(threads[:, None], hair_shine * np.clip(cosine + 0.3, 0, 1), shine)
        total += np.asarray(box.color) * tint * (albedo * received + shine)
    return total


def to_linear(color: Float[ndarray, "*n"]) -> Float[ndarray, "*n"]:
    """Take sRGB to linear light."""
    return np.where(
        color <= 0.04045, color / 12.92, ((np.maximum(color, 0) + 0.055) / 1.055) ** 2.4
    )


def to_srgb(linear: Float[ndarray, "*n"]) -> Float[ndarray, "*n"]:
    """Take linear light to sRGB, highlights rolled off softly above 0.8."""
    x = np.maximum(linear, 0)
    rolled = np.where(x > 0.8, 0.8 + 0.2 * np.tanh((x - 0.8) / 0.2 * 0.8), x)
    return np.where(rolled <= 0.0031308, rolled * 12.92, 1.055 * rolled ** (1 / 2.4) - 0.055)


def backdrop(
    width: int,
    height: int,
    *,
    floor: Float[ndarray, "h w 3"],
    on_floor: ndarray,
    blockers: Float[ndarray, "m 3"],
    rng: np.random.Generator,
    boxes: tuple[SoftBox, ...] = STUDIO,
    tint: tuple[float, float, float] = (1.0, 0.995, 0.985),
) -> Float[ndarray, "h w 3"]:
    """Draw a pale paper roll that runs into the floor, with the person's shadow on it.

    Args:
        width: Columns [px].
        height: Rows [px].
        floor: Where each pixel's ray meets y = 0 [m].
        on_floor: Whether it does, close enough to matter.
        blockers: Points of the person.
        rng: For the lamps.
        boxes: The lamps.
        tint: Colour of the paper, linear, white about 1.
    """
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    glow = np.exp(-(((x / width - 0.46) / 0.75) ** 2) - ((y / height - 0.42) / 0.85) ** 2)
    paper = (0.62 + 0.14 * glow)[..., None] * np.array(tint)
    places = floor[on_floor]
    shadow = np.ones(len(places))
    # Far behind, the roll of paper has left the floor.
    end = float(places[:, 2].min())
    fade = smoothstep(end, 0.4 * end, places[:, 2])
    for box in boxes:
        if weight := FLOOR_SHADOWS.get(box.name):
            seen = visibility(places, blockers, lamp_directions(box, rng))
            shadow -= weight * fade * (1 - seen)
    dark = np.ones((height, width), np.float32)
    dark[on_floor] = shadow
    dark = gaussian_filter(dark, 2.5 * height / 1280)
    return paper * dark[..., None]


def grain(
    height: int, width: int, rng: np.random.Generator, *, strength: float = 0.004
) -> Float[ndarray, "h w 1"]:
    """Give the fine noise of a camera, so that flat areas do not look drawn."""
    noise = gaussian_filter(rng.normal(size=(height, width)), 0.6)
    return (strength * noise / noise.std())[..., None]


def fresnel(normals: Float[ndarray, "p 3"], view: Float[ndarray, "p 3"]) -> Float[ndarray, " p"]:
    """Give how much more a surface reflects where it turns away, in [0, 1]."""
    facing = np.clip(np.einsum("ij,ij->i", normals, view), 0, 1)
    return smoothstep(0.65, 0.0, facing) ** 2
