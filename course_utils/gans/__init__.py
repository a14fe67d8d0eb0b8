"""Chapter 02: generative adversarial networks."""
