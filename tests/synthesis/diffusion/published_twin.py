"""The published pipeline's arithmetic, written down plainly: the twin of `mimicmotion.latents`."""

import torch


@torch.no_grad()
def published_way(parts, photo, skeletons, *, window, overlap, steps, seed, guidance=2.0):
    """Batched guidance, all windows of a step, fusion of both halves, then guidance, then Euler."""
    from diffusers.pipelines.stable_video_diffusion import pipeline_stable_video_diffusion as svd

    unet, scheduler, count = parts["unet"], parts["scheduler"], len(skeletons)
    random = torch.Generator().manual_seed(seed)
    picture = photo.permute(2, 0, 1)[None].float() / 255
    small = (svd._resize_with_antialiasing(picture * 2 - 1, (224, 224)) + 1) / 2
    mean, std = (
        torch.tensor(v).view(1, 3, 1, 1)
        for v in (parts["feature_extractor"].image_mean, parts["feature_extractor"].image_std)
    )
    embedding = parts["image_encoder"]((small - mean) / std).image_embeds[:, None]
    embedding = torch.cat([torch.zeros_like(embedding), embedding])
    noise = torch.randn(picture.shape, generator=random)
    latent = parts["vae"].encode(2 * picture - 1 + 0.0 * noise).latent_dist.mode()
    latent = torch.cat([torch.zeros_like(latent), latent])[:, None].repeat(1, count, 1, 1, 1)
    pose = parts["pose_net"](skeletons.float() / 127.5 - 1)
    pose = torch.stack([torch.zeros_like(pose), pose])
    ids = torch.tensor([[6.0, 127.0, 0.0]]).repeat(2, 1)
    scheduler.set_timesteps(steps)
    x = torch.randn((1, window, *latent.shape[2:]), generator=random) * scheduler.init_noise_sigma
    x = x.repeat(1, count // window + 1, 1, 1, 1)[:, :count]
    starts = range(0, count - window + 1, window - overlap)
    index = [[0, *range(i + 1, min(i + window, count))] for i in starts]
    if index[-1][-1] < count - 1:
        index.append([0, *range(count - window + 1, count)])
    weight = (torch.arange(window) + 0.5) * 2 / window
    weight = torch.minimum(weight, 2 - weight)
    for time in scheduler.timesteps:
        asked = scheduler.scale_model_input(torch.cat([x, x]), time)
        asked = torch.cat([asked, latent], 2)
        total, share = torch.zeros_like(latent), torch.zeros(count)
        for frames in index:
            added = pose[:, frames].flatten(0, 1)
            hook = unet.conv_in.register_forward_hook(lambda _m, _i, out, added=added: out + added)
            told = {"encoder_hidden_states": embedding, "added_time_ids": ids}
            found = unet(asked[:, frames], time, **told).sample
            hook.remove()
            total[:, frames] += found * weight[:, None, None, None]
            share[frames] += weight
        total /= share[:, None, None, None]
        guided = total[:1] + guidance * (total[1:] - total[:1])
        x = scheduler.step(guided, time, x).prev_sample
    return x[0]
