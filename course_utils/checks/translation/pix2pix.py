"""Checks of notebook translation/pix2pix."""

__all__: list[str] = []
