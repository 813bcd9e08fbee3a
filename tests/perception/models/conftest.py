"""Label models of the published classes and layouts, tiny and random."""

import pytest
import torch


def tiny_sam2():
    """SAM 2 for pictures of 64 px; it believes that it sees what it follows."""
    import transformers
    from transformers.models.sam2_video import configuration_sam2_video as kinds

    torch.manual_seed(0)
    backbone = transformers.Sam2HieraDetConfig(
        image_size=[64, 64],
        hidden_size=8,
        blocks_per_stage=[1, 1, 2, 1],
        embed_dim_per_stage=[8, 16, 32, 64],
        num_attention_heads_per_stage=[1, 2, 4, 8],
        window_size_per_stage=[4, 2, 2, 2],
        global_attention_blocks=[3],
        window_positional_embedding_background_size=[4, 4],
    )
    vision = transformers.Sam2VisionConfig(
        backbone_config=backbone,
        backbone_channel_list=[64, 32, 16, 8],
        backbone_feature_sizes=[[16, 16], [8, 8], [4, 4]],
        fpn_hidden_size=128,
    )
    config = transformers.Sam2VideoConfig(
        vision_config=vision,
        prompt_encoder_config=kinds.Sam2VideoPromptEncoderConfig(hidden_size=128, image_size=64),
        mask_decoder_config=kinds.Sam2VideoMaskDecoderConfig(
            hidden_size=128, mlp_dim=16, num_attention_heads=2, iou_head_hidden_dim=16
        ),
        image_size=64,
        num_maskmem=3,
        max_object_pointers_in_encoder=4,
        memory_attention_hidden_size=128,
        memory_attention_num_layers=1,
        memory_attention_feed_forward_hidden_size=16,
        memory_attention_rope_feat_sizes=[4, 4],
        memory_encoder_hidden_size=128,
        memory_encoder_output_channels=64,
        mask_downsampler_embed_dim=128,
        memory_fuser_embed_dim=128,
        memory_fuser_intermediate_dim=16,
        memory_fuser_num_layers=1,
    )
    model = transformers.Sam2VideoModel(config).eval()
    torch.nn.init.constant_(model.mask_decoder.pred_obj_score_head.proj_out.bias, 5.0)
    # Random embeddings of memories and of time, which otherwise begin at nothing.
    for name in ("memory_temporal_positional_encoding", "no_memory_positional_encoding"):
        torch.nn.init.normal_(getattr(model, name))
    return model


def tiny_vitpose(*, joints=17, experts=6):
    """ViTPose++ with its experts."""
    import transformers

    torch.manual_seed(0)
    backbone = transformers.VitPoseBackboneConfig(
        image_size=(64, 48),
        patch_size=(16, 16),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_experts=experts,
        part_features=4,
        out_indices=[1],
    )
    config = transformers.VitPoseConfig(backbone_config=backbone, num_labels=joints)
    return transformers.VitPoseForPoseEstimation(config).eval()


def save_marigold(folder):
    """Save Marigold's pipeline for normals; it takes two steps on pictures of 32 px."""
    import diffusers
    import transformers

    torch.manual_seed(0)
    words = {"<|startoftext|>": 0, "<|endoftext|>": 1}
    text = transformers.CLIPTextConfig(
        vocab_size=2,
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        bos_token_id=0,
        eos_token_id=1,
    )
    pipeline = diffusers.MarigoldNormalsPipeline(
        unet=diffusers.UNet2DConditionModel(
            in_channels=8,
            out_channels=4,
            block_out_channels=(8, 16),
            layers_per_block=1,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
            cross_attention_dim=16,
            attention_head_dim=2,
            norm_num_groups=4,
        ),
        vae=diffusers.AutoencoderKL(
            block_out_channels=(4, 8),
            down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2,
            norm_num_groups=4,
        ),
        text_encoder=transformers.CLIPTextModel(text),
        tokenizer=transformers.CLIPTokenizer(words, merges=[], model_max_length=77),
        scheduler=diffusers.DDIMScheduler(prediction_type="v_prediction"),
        prediction_type="normals",
        use_full_z_range=True,
        default_denoising_steps=2,
        default_processing_resolution=32,
    )
    pipeline.set_progress_bar_config(disable=True)
    pipeline.save_pretrained(folder)
    return pipeline


def save_depth(folder, kind="metric"):
    """Save Depth Anything for pictures of 28 px, and its processor."""
    import transformers

    torch.manual_seed(0)
    stages = ["stage1", "stage2", "stage3", "stage4"]
    backbone = transformers.Dinov2Config(
        image_size=28,
        hidden_size=16,
        num_hidden_layers=4,
        num_attention_heads=2,
        out_features=stages,
        reshape_hidden_states=False,
    )
    config = transformers.DepthAnythingConfig(
        backbone_config=backbone,
        reassemble_hidden_size=16,
        neck_hidden_sizes=[4, 4, 8, 8],
        fusion_hidden_size=8,
        head_hidden_size=8,
        depth_estimation_type=kind,
        max_depth=20,
    )
    model = transformers.DepthAnythingForDepthEstimation(config).eval()
    for weight in model.parameters():
        if weight.dim() > 1:
            torch.nn.init.normal_(weight, std=0.1)
    model.save_pretrained(folder)
    processor = transformers.DPTImageProcessorPil(
        size={"height": 28, "width": 28}, keep_aspect_ratio=True, ensure_multiple_of=14
    )
    processor.save_pretrained(folder)
    return model


@pytest.fixture
def weights(tmp_path):
    """Folders as `persona weights fetch` leaves them."""
    import transformers

    tiny_sam2().save_pretrained(tmp_path / "sam2")
    tiny_vitpose().save_pretrained(tmp_path / "vitpose")
    processor = transformers.VitPoseImageProcessorPil(size={"height": 64, "width": 48})
    processor.save_pretrained(tmp_path / "vitpose")
    return tmp_path


def save_sapiens2(folder, kind, outputs, **head):
    """Save a Sapiens2 model for pictures of 64 x 48 px, and its processor's settings."""
    import transformers

    torch.manual_seed(0)
    config = transformers.Sapiens2Config(
        image_size=[64, 48],
        patch_size=16,
        hidden_size=32,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_attention_heads=2,
        num_first_full_attention_layers=1,
        num_last_full_attention_layers=0,
        num_register_tokens=2,
        num_labels=outputs,
        head_config=head,
    )
    model = getattr(transformers, kind)(config).eval()
    model.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text('{"size": {"height": 64, "width": 48}}')
    return model


def save_sapiens2_pose(folder, outputs=308):
    head = {"upsample_out_channels": [16, 8], "conv_out_channels": [8]}
    return save_sapiens2(folder, "Sapiens2ForPoseEstimation", outputs, **head)


def save_sapiens2_parts(folder):
    head = {"upsample_out_channels": [16, 8, 8, 8], "conv_out_channels": [8]}
    return save_sapiens2(folder, "Sapiens2ForSemanticSegmentation", 29, **head)


SHUFFLED = {
    "use_pixel_shuffle": True,
    "upsample_out_channels": [16, 8, 8, 8],
    "upsample_kernel_size": 3,
    "conv_out_channels": [8],
    "conv_kernel_size": 3,
}


def save_sapiens2_normals(folder):
    return save_sapiens2(folder, "Sapiens2ForNormalEstimation", 3, **SHUFFLED)


def save_sapiens2_matting(folder):
    return save_sapiens2(folder, "Sapiens2ForImageMatting", 4, **SHUFFLED)


def save_depth_pro(folder):
    """Save Depth Pro for pictures of 64 px, with the network for its field of view."""
    import transformers

    torch.manual_seed(0)
    part = {
        "model_type": "dinov2",
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": 16,
        "patch_size": 4,
        "reshape_hidden_states": True,
        "out_features": ["stage2"],
    }
    config = transformers.DepthProConfig(
        fusion_hidden_size=8,
        patch_size=16,
        intermediate_hook_ids=[1, 0],
        intermediate_feature_dims=[8, 8],
        scaled_images_ratios=[0.25, 0.5, 1],
        scaled_images_feature_dims=[8, 8, 8],
        use_fov_model=True,
        image_model_config=part,
        patch_model_config=part,
        fov_model_config=part,
    )
    model = transformers.DepthProForDepthEstimation(config).eval()
    for name, weight in model.named_parameters():
        if weight.dim() > 1 and not name.startswith("fov"):
            torch.nn.init.normal_(weight, std=0.1)
    # Depth is cut off below none.
    torch.nn.init.uniform_(model.head.layers[-2].weight, 0.0, 0.1)
    torch.nn.init.constant_(model.head.layers[-2].bias, 1.0)
    model.save_pretrained(folder)
    return model


def save_vitmatte(folder):
    """Save ViTMatte of one block, and its processor."""
    import transformers

    torch.manual_seed(0)
    backbone = transformers.VitDetConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        image_size=64,
        num_channels=4,
        window_size=2,
        out_features=["stage1"],
    )
    config = transformers.VitMatteConfig(
        backbone_config=backbone,
        hidden_size=16,
        convstream_hidden_sizes=[4, 8, 8],
        fusion_hidden_sizes=[8, 8, 8, 4],
    )
    model = transformers.VitMatteForImageMatting(config).eval()
    model.save_pretrained(folder)
    transformers.VitMatteImageProcessorPil().save_pretrained(folder)
    return model


def save_swin2sr(folder, upscale=2):
    """Save Swin2SR of one block, and its processor."""
    import transformers

    torch.manual_seed(0)
    config = transformers.Swin2SRConfig(
        image_size=16,
        embed_dim=8,
        depths=[1],
        num_heads=[2],
        window_size=4,
        mlp_ratio=2.0,
        upscale=upscale,
    )
    model = transformers.Swin2SRForImageSuperResolution(config).eval()
    model.save_pretrained(folder)
    transformers.Swin2SRImageProcessorPil().save_pretrained(folder)
    return model
