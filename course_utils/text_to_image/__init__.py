"""Chapter 06: pictures drawn from a text, by a transformer over discrete tokens and by diffusion in latents."""
