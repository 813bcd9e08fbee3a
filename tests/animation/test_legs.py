import pytest
import torch

from persona.animation.legs import (
    STRAIGHTEST,
    Feet,
    LegPose,
    drop_to_reach,
    feet_of,
    reach,
    rotation_x,
    rotation_y,
    soften_drop,
)
from persona.animation.sketch import NOMINAL_RIG

RIG = NOMINAL_RIG.to(torch.float64)
EYE = torch.eye(3, dtype=torch.float64)


def random_pose(seed: int, count: int = 50) -> tuple[torch.Tensor, torch.Tensor, LegPose]:
    """Pelvis, its rotation and legs with bent knees."""
    g = torch.Generator().manual_seed(seed)

    def uniform(low: float, high: float, *shape: int) -> torch.Tensor:
        return low + (high - low) * torch.rand(*shape, generator=g, dtype=torch.float64)

    hips = rotation_y(uniform(-0.5, 0.5, count, 2)) @ rotation_x(uniform(-1.5, 0.4, count, 2))
    pose = LegPose(
        hips=hips,
        knees=rotation_x(uniform(0.1, 1.8, count, 2)),
        ankles=rotation_x(uniform(-0.4, 0.4, count, 2)),
        toes=rotation_x(uniform(-0.4, 0.1, count, 2)),
    )
    pelvis = uniform(-1.0, 1.0, count, 3)
    return pelvis, rotation_y(uniform(-3.0, 3.0, count)), pose


@pytest.mark.parametrize("seed", range(3))
def test_reaching_for_where_the_feet_are_changes_nothing(seed):
    pelvis, rotation, pose = random_pose(seed)
    solved = reach(RIG, pelvis, rotation, feet_of(RIG, pelvis, rotation, pose), start=pose)
    for name in ("hips", "knees", "ankles", "toes"):
        torch.testing.assert_close(getattr(solved, name), getattr(pose, name))


@pytest.mark.parametrize("seed", range(3))
def test_feet_arrive_from_another_pose(seed):
    pelvis, rotation, pose = random_pose(seed)
    target = feet_of(RIG, pelvis, rotation, pose)
    straight = LegPose(
        hips=EYE.expand(50, 2, 3, 3),
        **{name: EYE.expand(50, 2, 3, 3) for name in ("knees", "ankles", "toes")},
    )
    arrived = feet_of(RIG, pelvis, rotation, reach(RIG, pelvis, rotation, target, start=straight))
    torch.testing.assert_close(arrived.ankles, target.ankles)
    torch.testing.assert_close(arrived.rotations, target.rotations)


def test_pelvis_sinks_until_both_ankles_are_in_reach():
    longest = float(STRAIGHTEST * (RIG.thighs[0].norm() + RIG.shins[0].norm()))
    pelvis, rotation = torch.zeros(1, 3).double(), EYE[None]
    ankles = RIG.hips[None] + torch.tensor([0.3, -longest, 0.2]).double()
    drop = drop_to_reach(RIG, pelvis, rotation, ankles)
    hips = pelvis + RIG.hips - torch.tensor([0.0, float(drop), 0.0]).double()
    assert float((hips - ankles).norm(dim=-1).max()) == pytest.approx(longest)
    assert float(drop_to_reach(RIG, pelvis, rotation, ankles + torch.tensor([0, 0.2, 0]))) == 0.0


@pytest.mark.parametrize("loops", [True, False])
def test_softened_drop_is_never_too_little(loops):
    drop = torch.rand(60, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    soft = soften_drop(drop, 4, loops=loops)
    assert soft.shape == drop.shape
    assert bool((soft >= drop - 1e-12).all())


def test_beyond_reach_the_leg_points_at_the_target():
    pelvis, rotation = torch.zeros(1, 3).double(), EYE[None]
    eye = EYE.expand(1, 2, 3, 3)
    start = LegPose(hips=eye, knees=eye, ankles=eye, toes=eye)
    far = Feet(ankles=RIG.hips[None] * 1.0 + torch.tensor([0, -2.0, 0]), rotations=eye, toes=eye)
    ankle = feet_of(RIG, pelvis, rotation, reach(RIG, pelvis, rotation, far, start=start)).ankles
    assert torch.isfinite(ankle).all()
    torch.testing.assert_close(ankle[..., [0, 2]], far.ankles[..., [0, 2]])
