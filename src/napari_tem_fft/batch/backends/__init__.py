"""Where the files of a run are analysed: in processes of this machine, or on a cluster."""
