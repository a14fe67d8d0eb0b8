"""Checks of notebook translation/cyclegan."""

__all__: list[str] = []
