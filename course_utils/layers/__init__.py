"""Blocks that models of several chapters share."""

from course_utils.layers.image_networks import (
    ResidualBlock,
    ResizeConvolution,
    Standardize,
    check_images,
    check_sides,
    doublings,
    halvings,
    image_decoder,
    image_encoder,
    norm,
)
from course_utils.layers.random import draw_integers, draw_normal, draw_uniform

__all__ = [
    "ResidualBlock",
    "ResizeConvolution",
    "Standardize",
    "check_images",
    "check_sides",
    "doublings",
    "draw_integers",
    "draw_normal",
    "draw_uniform",
    "halvings",
    "image_decoder",
    "image_encoder",
    "norm",
]
