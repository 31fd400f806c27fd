"""Every contract that crosses a process boundary: records, topics, lake, bundles, and the workload they follow from.

Imports nothing of the other folders, starts no process and reads no clock. Settings come from the environment
through ``schemas.settings`` alone.
"""
