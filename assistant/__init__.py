"""A local, private, hands-free assistant that hears, sees and speaks."""

from pathlib import Path

__version__ = "0.1.0"


def packaged(name: str) -> Path:
    """Where a file that comes with the package lies: beside the code in a wheel, above it in a checkout."""
    here = Path(__file__).resolve().parent
    return here / name if (here / name).exists() else here.parent / name
