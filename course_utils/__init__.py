"""Reference code of the course: generative models, vision and language.

Importing this package is cheap: torch is loaded by the first module that needs it.
"""

from course_utils.runtime import scale, scale_name

__all__ = ["scale", "scale_name"]
__version__ = "0.1.0"
