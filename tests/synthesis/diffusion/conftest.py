import json

import pytest
import torch

from persona.synthesis.diffusion.components import Normalization
from persona.synthesis.diffusion.pose_net import PoseNet

diffusers = pytest.importorskip("diffusers", reason="needs the extra diffusion")
transformers = pytest.importorskip("transformers", reason="needs the extra diffusion")

SIDE = 64
"""Pictures of the tests [px]."""


def tiny_unet():
    return diffusers.UNetSpatioTemporalConditionModel(
        sample_size=8,
        down_block_types=("CrossAttnDownBlockSpatioTemporal", "DownBlockSpatioTemporal"),
        up_block_types=("UpBlockSpatioTemporal", "CrossAttnUpBlockSpatioTemporal"),
        block_out_channels=(32, 64),
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=24,
        layers_per_block=1,
        cross_attention_dim=16,
        num_attention_heads=(2, 4),
        num_frames=4,
    ).eval()


def tiny_vae():
    return diffusers.AutoencoderKLTemporalDecoder(
        block_out_channels=(32, 32, 32, 32),
        down_block_types=("DownEncoderBlock2D",) * 4,
        layers_per_block=1,
        latent_channels=4,
    ).eval()


def tiny_encoder():
    return transformers.CLIPVisionModelWithProjection(
        transformers.CLIPVisionConfig(
            hidden_size=16,
            intermediate_size=16,
            num_attention_heads=2,
            num_hidden_layers=1,
            patch_size=56,
            image_size=224,
            projection_dim=16,
        )
    ).eval()


def published_scheduler():
    """Settings of SVD-XT's scheduler_config.json."""
    return diffusers.EulerDiscreteScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        interpolation_type="linear",
        use_karras_sigmas=True,
        sigma_min=0.002,
        sigma_max=700.0,
        timestep_spacing="leading",
        timestep_type="continuous",
        steps_offset=1,
    )


def tiny_pose_net():
    net = PoseNet(32).eval()
    # Its last layer starts at zero, and the path of the pose would not be tested.
    torch.nn.init.normal_(net.final_proj.weight, std=0.1)
    torch.nn.init.normal_(net.final_proj.bias, std=0.1)
    return net


def random_parts():
    """Make all parts of MimicMotion, tiny."""
    torch.manual_seed(5)
    return {
        "unet": tiny_unet(),
        "vae": tiny_vae(),
        "image_encoder": tiny_encoder(),
        "scheduler": published_scheduler(),
        "feature_extractor": Normalization(
            image_mean=(0.48, 0.45, 0.4), image_std=(0.26, 0.26, 0.27)
        ),
        "pose_net": tiny_pose_net(),
    }


@pytest.fixture
def parts():
    return random_parts()


@pytest.fixture
def film():
    """A photo, and skeletons of it and nine frames."""
    generator = torch.Generator().manual_seed(0)
    photo = torch.randint(0, 256, (SIDE, SIDE, 3), generator=generator, dtype=torch.uint8)
    shape = (10, 3, SIDE, SIDE)
    return photo, torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)


@pytest.fixture
def published(parts, tmp_path):
    """Tiny random weights in the layout of SVD-XT 1.1 and MimicMotion_1-1.pth."""
    base, checkpoint = tmp_path / "svd", tmp_path / "mimicmotion"
    checkpoint.mkdir()
    parts["unet"].save_config(base / "unet")
    parts["vae"].save_pretrained(base / "vae", variant="fp16")
    parts["image_encoder"].save_pretrained(base / "image_encoder")
    parts["scheduler"].save_config(base / "scheduler")
    (base / "feature_extractor").mkdir()
    mean = {"image_mean": [0.48, 0.45, 0.4], "image_std": [0.26, 0.26, 0.27]}
    (base / "feature_extractor" / "preprocessor_config.json").write_text(json.dumps(mean))
    state = {f"unet.{name}": t for name, t in parts["unet"].state_dict().items()}
    state |= {f"pose_net.{name}": t for name, t in parts["pose_net"].state_dict().items()}
    torch.save(state, checkpoint / "MimicMotion_1-1.pth")
    return base, checkpoint
