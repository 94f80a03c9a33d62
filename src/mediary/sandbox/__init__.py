"""Child processes in which bytes that nobody checked are decoded: no network, no writing, limits on all else."""
