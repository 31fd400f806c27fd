"""What the data of a workload are, before any model: counts, labels, features, and what looks like a leak.

`census` counts events, `snapshots` takes feature rows at cut-offs, `portraits` describes each feature, `suspects` and
`event_suspects` look for what knows the end, `profile` puts it together; `profile_page` and `lines` tell it.
"""
