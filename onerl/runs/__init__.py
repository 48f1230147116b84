"""What a run leaves in its folder.

files.py        a file or folder is whole or invisible, and an error names it
sums.py         every file that a run keeps has its size and sha256; what is damaged is named
provenance.py   what a run was made from and with: inputs, versions, commit, hardware, starts
claim.py        whose folder it is: ours or a stranger's, another recipe's, another process's
run.py          `Run`: recipe, metrics, checkpoints, evaluations
"""

from onerl.runs.run import Run, outputs_folder

__all__ = ["Run", "outputs_folder"]
