"""mmreason: reinforcement learning of interleaved visual-textual reasoning with masked discrete diffusion."""

__version__ = "0.1.0"
