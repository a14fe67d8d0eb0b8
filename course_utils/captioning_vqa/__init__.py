"""Chapter 07: pictures described, and questions about them answered."""
