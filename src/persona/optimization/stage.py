"""Initialise, complete, train, check, return: from one photo and its body to an avatar."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
import torch
from scipy.spatial import cKDTree

from persona.avatar.avatar import Avatar
from persona.avatar.integrity import check_avatar
from persona.body import SmplxBody
from persona.core.device import core_count
from persona.core.threads import one_thread
from persona.optimization.clothing import DressedBody, dress
from persona.optimization.cloud import PhotoCloud
from persona.optimization.completion import complete_colors, spread_parts
from persona.optimization.facing import COLOR_FACING
from persona.optimization.hands import hidden_hands, tuck_hands
from persona.optimization.head import UNDER_HAIR, find_ears, head_parts
from persona.optimization.limbs import Limb
from persona.optimization.population import populate
from persona.optimization.rest import to_rest
from persona.optimization.skirt import part_of_covered, shaded_under
from persona.optimization.surface import Surface
from persona.optimization.trainer import TrainConfig, train_on_photo
from persona.optimization.turned_face import distrust_far_half, mirrored_colors
from persona.optimization.underlay import underlay_colors
from persona.optimization.view import (
    WorkingView,
    background_glow,
    extend_edges,
    working_view,
)
from persona.optimization.visibility import Visibility, sample_image, see
from persona.records.body_fit import BodyFit
from persona.records.garment import Garment
from persona.records.observation import Observation, Part
from persona.records.outfit import Outfit
from persona.records.photo import Photo

EDGE_INSET_PX = 2
"""Pixels at the rim replaced while training: they mix person and background."""
COPY_INSET_PX = 3
"""The same where colours are copied to unseen places, which is less forgiving."""
PART_INSET_PX = 2
"""Pixels on both sides of a border between parts that mix them."""
STAIN = 0.22
"""Most that the colours of a hand differ from its usual one in any channel [sRGB]."""
COPY_BLUR_PX = 0.7
"""Blur of the picture from which colours are copied: one Gaussian's footprint [px]."""


@dataclass(frozen=True, kw_only=True)
class OptimizeConfig:
    """How fine and how long."""

    gaussians: int = 54_848
    """Gaussians of the finished avatar, hair included."""
    person_height: int = 512
    """Rows that the person fills while fitting [px]."""
    train: TrainConfig = field(default_factory=TrainConfig)
    """The fit to the photo."""


@dataclass(frozen=True)
class OptimizeAvatar:
    """Photo, Observation, BodyFit -> Avatar."""

    body: SmplxBody
    config: OptimizeConfig = field(default_factory=OptimizeConfig)

    def __call__(
        self,
        photo: Photo,
        observation: Observation,
        fit: BodyFit,
        outfit: Outfit | None = None,
        *,
        seed: int = 0,
        tick: Callable[[int], None] = lambda _: None,
    ) -> Avatar:
        """Make the avatar of the person that ``fit`` places in ``photo``.

        Args:
            photo: Upright picture.
            observation: What was seen in it.
            fit: The naked body in it.
            outfit: What the person wears; skirts, dresses and coats are laid out on its tubes.
                None dresses everybody in trousers.
            seed: Same seed, same bits.
            tick: Called with the number of training steps done.

        Raises:
            OptimizationError: The result is not a sane avatar.
        """
        with one_thread():
            garments = () if outfit is None else outfit.garments
            return self._optimize(photo, observation, fit, garments, seed, tick)

    def _optimize(
        self,
        photo: Photo,
        observation: Observation,
        fit: BodyFit,
        garments: Sequence[Garment],
        seed: int,
        tick: Callable[[int], None],
    ) -> Avatar:
        view = working_view(photo, observation, fit, person_height=self.config.person_height)
        hidden = hidden_hands(self.body, fit, view)
        fit = tuck_hands(self.body, fit, view, hidden)
        dressed = dress(self.body, fit, view, hidden=hidden, garments=garments)
        cloud = populate(dressed, view, count=self.config.gaussians, seed=seed)
        visibility = see(cloud, view, dressed.front, hidden=hidden)
        ears = find_ears(dressed.naked_rest.numpy())
        visibility = distrust_far_half(
            visibility, cloud, dressed.far_side, ears, self._eyes(dressed)
        )
        colors, parts = self._paint(cloud, visibility, view, dressed, garments)
        trained = train_on_photo(
            cloud,
            colors,
            visibility,
            target=extend_edges(view, inset=EDGE_INSET_PX),
            mask=view.mask,
            camera=view.camera,
            config=self.config.train,
            threads=core_count(),
            tick=tick,
        )
        canonical = to_rest(trained.cloud, dressed, self.body)
        avatar = Avatar(
            identity=fit.identity,
            canonical=replace(canonical, colors=trained.colors, opacities=trained.opacities),
            binding=cloud.binding,
            seen=visibility.seen,
            parts=parts,
            photo_params=fit.params,
            photo_focal_px=fit.focal_px,
            photo_size=fit.image_size,
            numbers={
                "keypoint_error_px": fit.keypoint_error_px,
                "body_iou": fit.body_iou,
                "lean_m": fit.lean_m,
                "dressed_iou": dressed.iou,
                "seen_share": float(visibility.seen.float().mean()),
            },
            warnings=observation.warnings + fit.warnings,
        )
        check_avatar(avatar)
        return avatar

    def _eyes(self, dressed: DressedBody) -> np.ndarray:
        """Find the middles of both eyes at rest [m], (2, 3)."""
        rest = dressed.naked_rest
        eyes = [rest[self.body.regions.part(f"{side}_eye")].mean(0) for side in ("left", "right")]
        return torch.stack(eyes).double().numpy()

    def _paint(
        self,
        cloud: PhotoCloud,
        visibility: Visibility,
        view: WorkingView,
        dressed: DressedBody,
        garments: Sequence[Garment],
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Colour what is seen from the photo, and the rest from what is seen; colours and parts."""
        everything = _known(cloud, visibility, view)
        shows_skin = (visibility.exposed & (visibility.facing > COLOR_FACING)).numpy()
        shows_skin &= view.parts[_pixels(visibility, view)].numpy() == Part.SKIN
        inner = cloud.inner.numpy()
        surface = everything.rows(~inner)
        part = spread_parts(surface)
        surface = replace(surface, part=part)
        ears = find_ears(dressed.naked_rest.numpy())
        part = head_parts(
            surface,
            ears,
            under_hair=_under_hair(cloud)[~inner],
            shows_skin=shows_skin[~inner],
        )
        surface = replace(surface, part=part)
        under = cloud.under.numpy()[~inner]
        surface = replace(surface, part=part_of_covered(surface, part, under))
        colors = complete_colors(surface)
        part, colors = shaded_under(surface, surface.part, colors, under)
        all_parts, all_colors = np.full(len(inner), int(Part.SKIN)), np.zeros((len(inner), 3))
        all_parts[~inner], all_colors[~inner] = part, colors
        skin = everything.rows(inner)
        all_colors[inner] = underlay_colors(surface, colors, garments, skin.rest, skin.limb)
        return torch.from_numpy(all_colors).float(), torch.from_numpy(all_parts)


def _known(cloud: PhotoCloud, visibility: Visibility, view: WorkingView) -> Surface:
    """Gather what the photo says of every Gaussian, before anything is completed."""
    source = extend_edges(view, inset=COPY_INSET_PX)
    color = sample_image(_blurred(source), visibility.pixels)
    row, column = (index.numpy() for index in _pixels(visibility, view))
    inner = _part_interior(view.parts.numpy())[row, column]
    limb, hair = cloud.limb.numpy(), cloud.is_hair.numpy() > 0.5
    # A face that turns away ends at hair, and its last pixels show both.
    seen = visibility.seen.numpy() & (inner | (limb != Limb.HEAD))
    seen &= ~_stained_hands(color.numpy(), seen, limb)
    rest = cloud.rest_body.numpy().astype(np.float64)
    return Surface(
        rest=rest,
        limb=limb,
        hair_shell=hair,
        part=_hands_are_skin(view.parts.numpy()[row, column], limb),
        seen=seen,
        copyable=seen & inner & ~background_glow(view, to_copy=True)[row, column],
        color=color.numpy().astype(np.float64),
        mirrored=mirrored_colors(
            rest,
            visibility.pixels.numpy().astype(np.float64),
            source,
            wanted=np.where(visibility.mirrored.numpy())[0],
            known=np.where((limb == Limb.HEAD) & ~hair & seen)[0],
        ),
    )


def _pixels(visibility: Visibility, view: WorkingView) -> tuple[torch.Tensor, torch.Tensor]:
    """Give row and column of the pixel that shows each Gaussian, (n,) each."""
    height, width = view.parts.shape
    column = visibility.pixels[:, 0].long().clamp(0, width - 1)
    row = visibility.pixels[:, 1].long().clamp(0, height - 1)
    return row, column


def _part_interior(parts: np.ndarray) -> np.ndarray:
    """Find the pixels around which nothing but their own part is seen, bool (h, w)."""
    window = np.ones((2 * PART_INSET_PX + 1, 2 * PART_INSET_PX + 1), np.uint8)
    labels = parts.astype(np.uint8)
    return cv2.erode(labels, window) == cv2.dilate(labels, window)


def _under_hair(cloud: PhotoCloud) -> np.ndarray:
    """Find what the shell of hair lies close over in the photo's pose, bool (n,)."""
    hair = cloud.is_hair.numpy() > 0.5
    means = cloud.means.numpy()
    if not hair.any():
        return hair
    return ~hair & (cKDTree(means[hair]).query(means)[0] < UNDER_HAIR)


def _stained_hands(color: np.ndarray, seen: np.ndarray, limb: np.ndarray) -> np.ndarray:
    """Find what a fit a few pixels off has painted on hands: sleeves, pockets, background."""
    hand = np.isin(limb, (Limb.LEFT_HAND, Limb.RIGHT_HAND)) & seen
    if not hand.any():
        return hand
    usual = np.median(color[hand], 0)
    return hand & (np.abs(color - usual).max(1) > STAIN)


def _hands_are_skin(part: np.ndarray, limb: np.ndarray) -> np.ndarray:
    """Call every Gaussian of a hand skin: beside a hand the pixels show what is behind it."""
    return np.where(np.isin(limb, (Limb.LEFT_HAND, Limb.RIGHT_HAND)), int(Part.SKIN), part)


def _blurred(image: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(cv2.GaussianBlur(image.numpy(), (0, 0), COPY_BLUR_PX))
