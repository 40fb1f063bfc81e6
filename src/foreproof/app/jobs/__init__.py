"""Jobs: what a worker does for the service, step by step, each step a process of its own that can be killed and made again.

`kinds` says which steps a job has; `dispatch` hands jobs and what schedules ask for to the queue; `slot` is one process of a
worker, `supervisor` keeps several alive; `child` runs a step, `step` and `work` are what it does.
"""
