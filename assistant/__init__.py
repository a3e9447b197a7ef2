"""A local, private, hands-free assistant that hears, sees and speaks."""

__version__ = "0.1.0"
