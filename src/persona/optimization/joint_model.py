"""What joint training learns: shifts, sizes, two colours, pose offsets and the frames' poses."""

from dataclasses import dataclass, replace
from typing import Final

import torch
from jaxtyping import Bool, Float, Int
from scipy.spatial import cKDTree
from torch import Tensor, nn

from persona.avatar.avatar import Avatar
from persona.avatar.correctives import Correctives
from persona.avatar.posing import CanonicalGaussians
from persona.body.regions import part_of_joint
from persona.body.skeleton import JOINT_NAMES
from persona.core.errors import OptimizationError
from persona.kernels import pose_gaussians, project_gaussians, rasterize
from persona.optimization.deformer import Deformer
from persona.optimization.joint_frames import HEAD_JOINTS, Frame, main_joints
from persona.optimization.joint_objective import PART_COUNT, SEAM_WEIGHT, JointState
from persona.optimization.offsets import one_frame
from persona.optimization.visibility import COLOR_FACING
from persona.records.body_params import BodyParams
from persona.records.gaussians import Gaussians
from persona.records.observation import Part
from persona.rendering import Rendered, render

HAND_SHARE: Final = 0.1
"""How much slower hands' poses follow than the body's [-]; METHOD.md D."""
FIRST_HAND: Final = 25
"""Joints from here on are fingers."""
NEIGHBORS: Final = 6
"""Gaussians that each is compared with."""
FACE_STIFFNESS: Final = 50.0
"""How much more firmly a face keeps its shape [-]; METHOD.md D."""
HAND_STIFFNESS: Final = 10.0
"""The same for hands."""
PAPER_GAP_M: Final = 0.0034
"""Distance of neighbours among the paper's 167,000 Gaussians, for which weights were chosen [m]."""
LEAST_SHOWN: Final = 0.03
"""Share of a Gaussian's own weight that must reach the photo for it to be part of the photo."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How far from the photo's avatar training may go."""

    max_shift: float = 0.03
    """Most a centre may leave its place at rest along an axis [m]."""
    max_growth: float = 0.5
    """Most a Gaussian may grow or shrink, as a natural logarithm."""


class JointModel(nn.Module):
    """An avatar while it learns from photo and frames; begins as the photo made it."""

    def __init__(
        self,
        avatar: Avatar,
        owned: Bool[Tensor, " n"],
        network: Deformer | None,
        base: Correctives | None,
        *,
        frames: int,
        generated_recolor: bool,
        limits: Limits,
    ) -> None:
        super().__init__()
        n, device = avatar.count, avatar.canonical.means.device
        self.avatar, self.owned, self.limits = avatar, owned, limits
        self.base, self.generated_recolor = base, generated_recolor
        self.shift = nn.Parameter(torch.zeros(n, 3, device=device))
        self.growth = nn.Parameter(torch.zeros(n, 1, device=device))
        self.color = nn.Parameter(avatar.canonical.colors.clone())
        self.aux = nn.Parameter(avatar.canonical.colors.clone())
        self.turns = nn.Parameter(torch.zeros(frames, 55, 3, device=device))
        self.network = network
        slow = torch.ones(55, 1, device=device)
        slow[FIRST_HAND:] = HAND_SHARE
        self._turn_share = slow
        main = main_joints(avatar)
        names = [part_of_joint(name) for name in JOINT_NAMES]
        hand_joints = [joint for joint, name in enumerate(names) if name.endswith("hand")]
        in_hand = torch.isin(main, torch.tensor(hand_joints, device=device))
        in_face = torch.isin(main, torch.tensor(HEAD_JOINTS, device=device))
        in_face &= avatar.parts != int(Part.HAIR)
        labels = torch.nn.functional.one_hot(avatar.parts.long(), PART_COUNT + 1)[:, 1:]
        self._labels = torch.cat([labels, in_hand[:, None]], 1).float()
        stiffness = torch.where(in_hand, HAND_STIFFNESS, torch.ones(n, device=device))
        self._neighbors, gap = nearest(avatar.canonical.means)
        # A curve differs from its neighbours' mean by the square of their distance, and that
        # is squared: the same curve shall cost the same in a cloud of any size.
        fineness = min(1.0, (PAPER_GAP_M / gap) ** 4)
        self._stiffness = fineness * torch.where(in_face, FACE_STIFFNESS, stiffness)

    def look(
        self,
        frame: Frame,
        row: int,
        still: Float[Tensor, "1 f"] | None,
        known: Float[Tensor, ""] | None,
        *,
        threads: int,
    ) -> JointState:
        """Draw a frame and gather what its terms look at.

        Args:
            frame: The picture, its pose and camera.
            row: Which of the refined poses is its.
            still: What the network hears of the photo's pose at rest.
            known: Error of offsets that are known exactly [cm].
            threads: Threads of the native kernels.
        """
        camera, picture = frame.picture.camera, frame.picture
        params = self._params(frame, row)
        flesh, bones = self._bent(params)
        paint = self._paint(frame)
        offset = None if frame.is_photo or still is None else self._offset(frame, still)

        def drawn(moved: Tensor | None) -> tuple[Gaussians, Rendered]:
            cloud = self._pose(flesh, bones, moved, paint)
            return cloud, render(cloud, camera, extra_features=self._labels, threads=threads)

        cloud, plain = drawn(None)
        refined = drawn(offset)[1] if offset is not None else None
        # Its way back must end at the colours, which one pass with the others cannot do.
        flat = None
        if frame.seam is not None or (self.generated_recolor and not frame.is_photo):
            bare = replace(
                cloud, means=cloud.means.detach(), covariances=cloud.covariances.detach()
            )
            flat = render(bare, camera, extra_features=self.aux, maps=False, threads=threads)
        # Where the pose itself is in doubt, so are the hands of the body that has it.
        hands = None if self.turns.requires_grad else frame.hands
        mask = picture.mask
        weight = mask if frame.seam is None else mask * torch.where(frame.seam, SEAM_WEIGHT, 1.0)
        parts = None
        if picture.parts is not None:
            labels = torch.nn.functional.one_hot(picture.parts.long(), PART_COUNT + 1)
            parts = labels[..., 1:].float()
        first = self.avatar.canonical
        scales = first.log_scales.exp()
        return JointState(
            plain=plain,
            refined=refined,
            flat=flat,
            image=picture.image,
            mask=mask,
            weight=weight,
            box=frame.box,
            depth=picture.depth_m,
            normal=picture.normal,
            parts=parts,
            hands=None if hands is None else hands.float(),
            seam=frame.seam,
            shift=self.shift,
            growth=scales * self.growth.exp() - scales,
            recolor=torch.cat([self.color - first.colors, self.aux - first.colors], 1),
            offset=offset,
            known=known,
            neighbors=self._neighbors,
            stiffness=self._stiffness,
        )

    def hold(self, frame: Frame, step: int) -> None:
        """Take away gradients of what the frame does not show: Adam makes full steps of leaks.

        Raises:
            OptimizationError: A gradient is not finite; its parameter and frame are named.
        """
        for name, parameter in self.named_parameters():
            if parameter.grad is not None and not bool(parameter.grad.sum().isfinite()):
                raise OptimizationError(
                    f"the gradient of {name} was no number at step {step}, on {frame.name}",
                    why="the next step would spread it to every Gaussian",
                    fix="leave the frame out; another --seed may do",
                )
        if frame.is_photo:
            for parameter in (self.shift, self.growth, self.color):
                if parameter.grad is not None:
                    parameter.grad.mul_(self.owned[:, None])

    def stay_within(self) -> None:
        """Bring everything back within its bounds."""
        with torch.no_grad():
            self.shift.clamp_(-self.limits.max_shift, self.limits.max_shift)
            self.growth.clamp_(-self.limits.max_growth, self.limits.max_growth)
            self.color.clamp_(0, 1)
            self.aux.clamp_(0, 1)

    def canonical(self, *, undo_drift: bool) -> CanonicalGaussians:
        """Give the Gaussians as learned.

        What the photo does not show takes the frames' colours. A generator's hue drifts, and a
        back in another hue than the front would show: with ``undo_drift`` the mean difference of
        the two colours where both are known, part by part, is added.
        """
        with torch.no_grad():
            first, aux = self.avatar.canonical, self.aux.clone()
            if undo_drift:
                for part in self.avatar.parts.unique():
                    mine = self.avatar.parts == part
                    both = mine & self.owned
                    if bool(both.any()):
                        aux[mine] += (self.color - self.aux)[both].mean(0)
            colors = torch.where(self.owned[:, None], self.color, aux.clamp(0, 1))
            return replace(
                first,
                means=first.means + self.shift,
                log_scales=first.log_scales + self.growth,
                colors=colors,
            )

    def _paint(self, frame: Frame) -> Float[Tensor, "n 3"]:
        """Give the colour in which a frame is drawn.

        The photo's where the photo shows something, else the frames'. Generated frames are drawn in
        their own colour altogether: a hue that drifts would else push and pull at the geometry.
        """
        if frame.is_photo:
            return torch.where(self.owned[:, None], self.color, self.aux.detach())
        if not self.generated_recolor:
            return self.aux
        return torch.where(self.owned[:, None], self.color, self.aux)

    def _params(self, frame: Frame, row: int) -> BodyParams:
        """Give the frame's pose as it is believed by now."""
        if frame.is_photo or not self.turns.requires_grad:
            return frame.params
        turned = frame.params.full_pose + self.turns[row] * self._turn_share
        return frame.params.with_full_pose(turned)

    def _bent(self, params: BodyParams) -> tuple[Tensor, Tensor]:
        identity = self.avatar.identity
        bent = self.avatar.body.articulate(
            replace(params, betas=identity.betas), joint_offsets=identity.joint_offsets
        )
        return bent.flesh, bent.T_posed_rest

    def _offset(self, frame: Frame, still: Tensor) -> Float[Tensor, "n 3"]:
        """Let the network say where the pose, as it was given, puts every Gaussian [m]."""
        assert self.network is not None
        params = one_frame(frame.params)
        heard = torch.cat([self.network.features(params, frame.rates), still])
        every = torch.arange(self.network.nodes.count, device=heard.device)
        said = self.network(every, heard)
        offsets = said[0] - said[1]
        if self.base is not None:
            offsets = offsets + self.base.offsets(params.full_pose, frame.rates)[0]
        return self.network.nodes.carry(offsets)

    def _pose(
        self, flesh: Tensor, bones: Tensor, offset: Tensor | None, paint: Tensor
    ) -> Gaussians:
        rig = self.avatar.rig
        means = rig.means + self.shift if offset is None else rig.means + self.shift + offset
        rig = replace(rig, means=means, scales=rig.scales * self.growth.exp())
        means, covariances, normals = pose_gaussians(rig, flesh, bones)
        return Gaussians(
            means=means,
            covariances=covariances,
            opacities=self.avatar.canonical.opacities,
            colors=paint,
            normals=normals,
        )


def photo_owns(avatar: Avatar, frame: Frame, *, threads: int) -> Bool[Tensor, " n"]:
    """Find the Gaussians that the photo's picture is made of: their colour is the photo's.

    Those that the photo stage saw well, and those that face the camera and whose weight in the
    drawn picture is more than a trace of their own.
    """
    camera = frame.picture.camera
    posed = avatar.pose(frame.params)
    means2d, conics, depths = project_gaussians(posed.means, posed.covariances, camera)
    ones = torch.ones(avatar.count, 1, device=means2d.device, requires_grad=True)
    with torch.enable_grad():
        drawn, _ = rasterize(
            means2d,
            conics,
            posed.opacities,
            ones,
            depths,
            width=camera.width,
            height=camera.height,
            threads=threads,
        )
        (shown,) = torch.autograd.grad(drawn.sum(), ones)
    # Alone, a Gaussian would weigh opacity times 2 pi over the root of its conic's determinant.
    det = conics[:, 0] * conics[:, 2] - conics[:, 1].square()
    alone = posed.opacities * 2 * torch.pi / det.clamp(min=1e-12).sqrt()
    toward = torch.nn.functional.normalize(camera.position.to(posed.means) - posed.means, dim=1)
    facing = (toward * posed.normals).sum(1)
    made_of = (shown[:, 0] > LEAST_SHOWN * alone) & (det > 0) & (facing > COLOR_FACING)
    return avatar.seen | made_of


def nearest(means: Float[Tensor, "n 3"]) -> tuple[Int[Tensor, "n k"], float]:
    """List the nearest Gaussians of each, and their mean distance [m]."""
    points = means.cpu().numpy()
    kept = min(NEIGHBORS, len(points) - 1)
    distance, ids = cKDTree(points).query(points, kept + 1)
    return torch.from_numpy(ids[:, 1:]).to(means.device), float(distance[:, 1:].mean())
