"""One run -> one run directory, whichever implementation.

To follow a run, read ``config`` (what it is), ``run`` (from one end to the other), ``gate`` (what
it has to pass), ``open_run`` (its directory while it is under way), ``supervisor`` (what happens at
each step) and ``reference``, ``sb3.learner`` or ``custom`` (what trains). The others serve these.
"""
