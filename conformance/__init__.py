"""loss-conformance: are a framework's cross-entropy losses right, in value and gradient?"""

from pathlib import Path

__version__ = "0.1.0"

# In a checkout adapters/ and cases/ sit beside this package; in a wheel, inside it.
_checkout = Path(__file__).parents[1]
if (_checkout / "pyproject.toml").is_file():
    __path__.append(str(_checkout))
