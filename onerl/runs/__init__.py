"""What a run leaves in its folder."""

from onerl.runs.run import Run, outputs_folder

__all__ = ["Run", "outputs_folder"]
