"""Analysis of many micrographs, file after file, in worker processes or on a cluster.

`sources` finds the files, `job` describes the analysis of each, `engine` carries it out, the `backends` run
engines, `run` coordinates them and keeps the records, and `tables` and `report` write the results.
"""
