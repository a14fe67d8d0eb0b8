"""Checks of notebook gans/dcgan."""

__all__: list[str] = []
