"""Many photos, or many avatars: independent jobs, kept as they end, on one machine or a cluster."""
