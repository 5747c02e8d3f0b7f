"""Many micrographs: the same pipeline file after file, in worker processes or on a cluster.

`sources` finds the files, `job` says what is done with each, `engine` does it, the `backends` run engines,
`run` coordinates them and keeps the records, and `tables` and `report` write the results.
"""
