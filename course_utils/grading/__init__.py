"""Grading of untrusted notebooks: what students wrote runs in a sandbox, what judges it runs outside (see docs/teaching.md)."""
