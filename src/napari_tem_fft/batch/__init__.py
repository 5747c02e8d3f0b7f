"""Many micrographs: the same pipeline file after file, in worker processes or on a cluster.

`sources` finds the files, `job` says what is done with each, `engine` does it, `workers` and `cluster` run
engines, `run` keeps the books (`journal`), and `tables` and `report` tell what came out.
"""
