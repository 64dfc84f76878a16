"""Denoising of views: segments in the layout of any backbone, drawn and scored."""
