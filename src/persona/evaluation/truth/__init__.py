"""Generated people whose every vertex is known: meshes in simulated cloth, drawn by a raster path.

Nothing here uses Gaussians, the tailor's garments or what an avatar learned; `docs/truth.md` says
what is shared with the product all the same.
"""
