"""What joint training learns: shifts, sizes, colours, opacities, pose offsets, frames' poses."""

from dataclasses import dataclass, replace
from typing import Final

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from persona.avatar.avatar import Avatar
from persona.avatar.correctives import Correctives
from persona.avatar.posing import CanonicalGaussians
from persona.avatar.slopes import Moved, slopes_of
from persona.core.errors import OptimizationError
from persona.kernels import pose_gaussians
from persona.optimization.deformer import Deformer
from persona.optimization.drift import hue_drift
from persona.optimization.joint_frames import Frame
from persona.optimization.joint_state import PART_COUNT, JointState, Roughness, Target, target_of
from persona.optimization.kinds import kinds_of
from persona.optimization.laplacian import Laplacian, nearest
from persona.optimization.offsets import one_frame
from persona.records.body_params import BodyParams
from persona.records.gaussians import Gaussians
from persona.records.nodes import Nodes
from persona.rendering import Rendered, render

HAND_SHARE: Final = 0.1
"""How much slower hands' poses follow than the body's [-]; METHOD.md D."""
FIRST_HAND: Final = 25
"""Joints from here on are fingers."""
REMEMBERED: Final = 512
"""Frames whose bent body is kept: 165 kB each, and two milliseconds a step."""


@dataclass(frozen=True, kw_only=True)
class Freedom:
    """How far from the photo's avatar training may go, and in what."""

    max_shift: float = 0.03
    """Most a centre may leave its place at rest along an axis [m]."""
    max_growth: float = 0.5
    """Most a Gaussian may grow or shrink, as a natural logarithm."""
    fades: bool = False
    """Whether hair and hems may become more or less opaque; the paper's Gaussians are all solid."""
    max_fade: float = 3.0
    """Most that their opacity may then change, as a logit."""
    generated_say: float = 0.1
    """How much frames have to say about place and size of what the photo shows, next to it [-]."""
    generated_recolor: bool = False
    """Whether frames also recolour what the photo shows, as the paper does."""


class JointModel(nn.Module):
    """An avatar while it learns from photo and frames; begins as the photo made it."""

    def __init__(
        self,
        avatar: Avatar,
        owned: Bool[Tensor, " n"],
        *,
        nodes: Nodes | None,
        network: Deformer | None,
        base: Correctives | None,
        frames: int,
        freedom: Freedom,
        as_seen: Float[Tensor, "n 3"] | None = None,
    ) -> None:
        super().__init__()
        n, device = avatar.count, avatar.canonical.means.device
        self.avatar, self.owned, self.freedom = avatar, owned, freedom
        self.base = base
        self._slopes = None if nodes is None else slopes_of(nodes)
        self.shift = nn.Parameter(torch.zeros(n, 3, device=device))
        self.growth = nn.Parameter(torch.zeros(n, 1, device=device))
        self.color = nn.Parameter(avatar.canonical.colors.clone())
        aux = avatar.canonical.colors if as_seen is None else as_seen
        self.aux = nn.Parameter(aux.clone())
        self.fade = nn.Parameter(torch.zeros(n, device=device), requires_grad=freedom.fades)
        self.turns = nn.Parameter(torch.zeros(frames, 55, 3, device=device))
        self.network = network
        slow = torch.ones(55, 1, device=device)
        slow[FIRST_HAND:] = HAND_SHARE
        self._turn_share = slow
        self._rig = avatar.rig
        self._photo_targets: dict[int, Target] = {}
        self._known_of: dict[int, tuple[Tensor, Tensor | None]] = {}
        self._remembered: dict[int, tuple[Tensor, Tensor]] = {}
        neighbors, gap = nearest(avatar.canonical.means)
        self._laplacian = Laplacian(neighbors)
        self._kinds = kinds_of(avatar, owned, neighbors, gap)
        own = self._kinds.labels[:, :PART_COUNT].contiguous()
        parts = own * owned[:, None]
        self._of_part = parts / parts.sum(0).clamp(min=1), own

    def look(
        self,
        frame: Frame,
        row: int,
        still: Float[Tensor, "1 f"] | None,
        known: Float[Tensor, ""] | None,
        *,
        refine: bool,
        threads: int,
    ) -> JointState:
        """Draw a frame and gather what its terms look at.

        Args:
            frame: The picture, its pose and camera.
            row: Which of the refined poses is its.
            still: What the network hears of the photo's pose at rest.
            known: Error of offsets that are known exactly [cm].
            refine: Whether to draw it with pose offsets, too.
            threads: Threads of the native kernels.
        """
        exact = self._exact(frame)
        offset = self._offset(frame, row, still) if refine and exact is None else None
        flesh, bones = self._bent_once(frame, row)
        paint = self._paint(frame)
        camera = frame.picture.camera

        def drawn(moved: Moved | None) -> tuple[Gaussians, Rendered]:
            cloud = self._pose(flesh, bones, moved, paint, threads)
            return cloud, render(cloud, camera, extra_features=self._kinds.labels, threads=threads)

        cloud, plain = drawn(exact)
        refined = drawn(offset)[1] if offset is not None else None
        # Its way back must end at the colours, which one pass with the others cannot do.
        flat = None
        if frame.seam is not None or (self.freedom.generated_recolor and not frame.is_photo):
            bare = replace(
                cloud, means=cloud.means.detach(), covariances=cloud.covariances.detach()
            )
            flat = render(
                bare, camera, extra_features=self._aux_at_rest(frame), maps=False, threads=threads
            )
        # Where the pose itself is in doubt, so are the hands of the body that has it.
        doubtful = self.turns.requires_grad and not frame.is_photo
        return JointState(
            plain=plain,
            refined=refined,
            flat=flat,
            target=self._target(frame, with_body=not doubtful),
            known=known,
            stiffness=self._kinds.stiffness,
            hidden_hand=self._kinds.hidden_hand,
            mouth=self._kinds.mouth,
            rough=self._roughness(None if offset is None else offset.offsets),
        )

    def look_at_patch(self, frame: Frame, row: int, *, threads: int) -> JointState:
        """Draw the face's patch; the photo's with frozen texture, too: shape must explain it."""
        flesh, bones = self._bent_once(frame, row)
        paint = self._paint(frame)
        cloud = self._pose(flesh, bones, None, paint, threads)
        camera = frame.picture.camera
        frozen = None
        if frame.is_photo:
            still = replace(cloud, colors=paint.detach())
            aux = self.aux.detach()
            frozen = render(still, camera, extra_features=aux, maps=False, threads=threads)
        bare = replace(cloud, means=cloud.means.detach(), covariances=cloud.covariances.detach())
        return JointState(
            plain=render(cloud, camera, extra_features=self._kinds.labels, threads=threads),
            refined=None,
            frozen=frozen,
            flat=render(
                bare, camera, extra_features=self._aux_at_rest(frame), maps=False, threads=threads
            )
            if frame.seam is not None
            else None,
            target=self._target(frame, with_body=True),
        )

    def hold(self, frame: Frame) -> None:
        """Take away gradients of what the frame does not show: Adam makes full steps of leaks."""
        if self.fade.grad is not None:
            self.fade.grad.mul_(self._kinds.may_fade)
        say = 0.0 if frame.is_photo else 1.0
        owned_say = 1.0 if frame.is_photo else self.freedom.generated_say
        share = torch.where(self.owned[:, None], owned_say, say)
        for parameter in (self.shift, self.growth):
            if parameter.grad is not None:
                parameter.grad.mul_(share)
        if frame.is_photo and self.color.grad is not None:
            self.color.grad.mul_(self.owned[:, None])

    def check_gradients(self, frame: Frame, step: int) -> None:
        """Refuse to go on with a gradient that is no number.

        Raises:
            OptimizationError: A gradient is not finite; its parameter and frame are named.
        """
        named = [(name, p.grad) for name, p in self.named_parameters() if p.grad is not None]
        # One reading for all of them: each would make a GPU wait.
        if bool(torch.nn.utils.get_total_norm([grad for _, grad in named]).isfinite()):
            return
        for name, grad in named:
            if not bool(grad.isfinite().all()):
                raise OptimizationError(
                    f"the gradient of {name} was no number at step {step}, on {frame.name}",
                    why="the next step would spread it to every Gaussian",
                    fix="leave the frame out; another --seed may do",
                )

    def stay_within(self) -> None:
        """Bring everything back within its bounds."""
        with torch.no_grad():
            self.shift.clamp_(-self.freedom.max_shift, self.freedom.max_shift)
            self.growth.clamp_(-self.freedom.max_growth, self.freedom.max_growth)
            self.fade.clamp_(-self.freedom.max_fade, self.freedom.max_fade)
            self.color.clamp_(0, 1)
            self.aux.clamp_(0, 1)

    def canonical(self, *, undo_drift: bool) -> CanonicalGaussians:
        """Give the Gaussians as learned.

        What the photo does not show takes the frames' colours. A generator's hue drifts, and a
        back in another hue than the front would show: with ``undo_drift`` the difference of the two
        colours where both are known, part by part, is taken back, as far as a colour has gone
        that way.
        """
        with torch.no_grad():
            first, aux = self.avatar.canonical, self.aux.clone()
            if undo_drift:
                drift = self._drift()
                gone = ((aux - first.colors) * drift).sum(1) / drift.square().sum(1).clamp(1e-9)
                aux -= gone.clamp(0, 1)[:, None] * drift
            colors = torch.where(self.owned[:, None], self.color, aux.clamp(0, 1))
            return replace(
                first,
                means=first.means + self.shift,
                log_scales=first.log_scales + self.growth,
                opacities=self._opacities(),
                colors=colors,
            )

    def _drift(self) -> Float[Tensor, "n 3"]:
        """Give how far the frames' colours are from what the photo would make of them."""
        of_part, own = self._of_part
        with torch.no_grad():
            return hue_drift(self.aux, self.color, of_part=of_part, own=own)

    def _aux_at_rest(self, frame: Frame) -> Float[Tensor, "n 3"]:
        """Give the frames' colour; beside the photo's own as it would be without their drift."""
        return self.aux - self._drift() if frame.is_photo else self.aux

    def _opacities(self) -> Float[Tensor, " n"]:
        first = self.avatar.canonical.opacities
        if not self.fade.requires_grad:
            return first
        # A logit of one has no end.
        return torch.sigmoid(first.clamp(1e-4, 1 - 1e-4).logit() + self.fade * self._kinds.may_fade)

    def _roughness(self, offset: Tensor | None) -> Roughness:
        """Give how far everything has moved, each less what its neighbours have, in one product."""
        first = self.avatar.canonical
        scales = self._rig.scales
        moved = [
            self.shift,
            scales * self.growth.exp() - scales,
            self.color - first.colors,
            self.aux - first.colors,
            self.aux,
        ]
        if offset is not None:
            moved.append(offset)
        rough = list(self._laplacian(torch.cat(moved, 1)).split(3, 1))
        return Roughness(
            shift=rough[0],
            growth=rough[1],
            recolor=torch.cat(rough[2:4], 1),
            aux=rough[4],
            offset=rough[5] if len(rough) > 5 else None,
            whole_recolor=torch.cat(moved[2:4], 1),
        )

    def _target(self, frame: Frame, *, with_body: bool) -> Target:
        """Unpack a picture; the photo's, which come every other step, are kept."""
        if not frame.is_photo:
            return target_of(frame, with_body=with_body)
        if id(frame) not in self._photo_targets:
            self._photo_targets[id(frame)] = target_of(frame, with_body=with_body)
        return self._photo_targets[id(frame)]

    def _paint(self, frame: Frame) -> Float[Tensor, "n 3"]:
        """Give the colour in which a frame is drawn.

        The photo's where the photo shows something, else the frames'. Generated frames are drawn in
        their own colour altogether: a hue that drifts would else push and pull at the geometry.
        """
        if frame.is_photo:
            return torch.where(self.owned[:, None], self.color, self.aux.detach())
        if not self.freedom.generated_recolor:
            return self.aux
        return torch.where(self.owned[:, None], self.color, self.aux)

    def _params(self, frame: Frame, row: int) -> BodyParams:
        """Give the frame's pose as it is believed by now."""
        turned = frame.params.full_pose + self.turns[row] * self._turn_share
        return frame.params.with_full_pose(turned)

    def _bent_once(self, frame: Frame, row: int) -> tuple[Tensor, Tensor]:
        """Bend the body, or remember how it was bent where the pose is believed as it is."""
        if self.turns.requires_grad and not frame.is_photo:
            return self._bent(self._params(frame, row))
        if row not in self._remembered:
            if len(self._remembered) >= REMEMBERED:
                self._remembered.clear()
            with torch.no_grad():
                self._remembered[row] = self._bent(frame.params)
        return self._remembered[row]

    def _bent(self, params: BodyParams) -> tuple[Tensor, Tensor]:
        identity = self.avatar.identity
        bent = self.avatar.body.articulate(
            replace(params, betas=identity.betas), joint_offsets=identity.joint_offsets
        )
        return bent.flesh, bent.T_posed_rest

    def _exact(self, frame: Frame) -> Moved | None:
        """Give where a frame's pose puts every Gaussian if that is known.

        Such a frame is drawn that way alone: moved cloth would teach cloth at rest what is wrong.
        """
        if frame.offsets is None or self._slopes is None:
            return None
        return self._slopes.carry(frame.offsets)

    def _offset(self, frame: Frame, row: int, still: Tensor | None) -> Moved | None:
        """Let the network say where the pose, as it was given, puts every Gaussian.

        None in the photo's own pose, where all offsets are zero.
        """
        if frame.is_photo or self.network is None or still is None or self._slopes is None:
            return None
        heard, base = self._heard(frame, row, still)
        every = torch.arange(self.network.nodes.count, device=heard.device)
        said = self.network(every, heard)
        offsets = said[0] - said[1]
        placed = offsets if base is None else offsets + base
        with torch.no_grad():
            # How Gaussians turn follows from where they go; it teaches nothing by itself.
            moved = self._slopes.carry(placed)
        return replace(moved, offsets=self.network.nodes.carry(placed))

    def _heard(self, frame: Frame, row: int, still: Tensor) -> tuple[Tensor, Tensor | None]:
        """Give what the network hears of a frame and of the photo, and what is added to it."""
        assert self.network is not None
        if row not in self._known_of:
            if len(self._known_of) >= REMEMBERED:
                self._known_of.clear()
            params = one_frame(frame.params)
            with torch.no_grad():
                heard = torch.cat([self.network.features(params, frame.rates), still])
                base = None
                if self.base is not None:
                    base = self.base.offsets(params.full_pose, frame.rates)[0]
            self._known_of[row] = heard, base
        return self._known_of[row]

    def _pose(
        self, flesh: Tensor, bones: Tensor, moved: Moved | None, paint: Tensor, threads: int
    ) -> Gaussians:
        means, covariances, normals = pose_gaussians(
            self._rig,
            flesh,
            bones,
            offsets=self.shift if moved is None else self.shift + moved.offsets,
            slopes=None if moved is None else moved.slopes,
            scales=self._rig.scales * self.growth.exp(),
            threads=threads,
        )
        return Gaussians(
            means=means,
            covariances=covariances,
            opacities=self._opacities(),
            colors=paint,
            normals=normals,
        )
