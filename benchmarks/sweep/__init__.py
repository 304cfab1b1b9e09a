"""Many runs, in local processes or on a cluster."""
