"""Where the work of a job runs when one process is not enough: the same job code, cut, shared out, folded."""
