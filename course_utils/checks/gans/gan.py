"""Checks of notebook gans/gan."""

__all__: list[str] = []
