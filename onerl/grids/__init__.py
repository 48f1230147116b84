"""Many runs as one result.

The story, one file each. `declared` reads the grids of params/grids.yaml as recipes. `job` trains
and evaluates one of them, `pools` runs many jobs on this machine or on SLURM, and shows how far
they are. `finished` reads the run folders back, `recorded` the small results kept in git,
both as a `Grid` (`grid`), which has the tables. `dynamics`, `transfer` and `selection` measure
what the paper's figures show: training after saturation, other tasks, scores of examples.
"""

from onerl.grids.declared import definition, differences, names, recipes

__all__ = ["definition", "differences", "names", "recipes"]
