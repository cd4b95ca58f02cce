"""Manifest, split and recipe become a model: the stages, the loop, its checkpoints."""
