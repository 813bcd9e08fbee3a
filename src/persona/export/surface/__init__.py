"""An avatar's Gaussians as triangle meshes with colours, for engines without splats."""
