"""Where this copy of mmreason lies."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ASSETS = ROOT / "assets"
# Pages with tables of results, as a command line has them
ANALYSIS_PAGE, CHECKPOINTS_PAGE = "mmreason/analysis/README.md", "checkpoints/README.md"
TRAINING_PAGE = "mmreason/training/README.md"
