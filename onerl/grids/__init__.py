"""Many runs as one result."""

from onerl.grids.declared import definition, names, recipes

__all__ = ["definition", "names", "recipes"]
