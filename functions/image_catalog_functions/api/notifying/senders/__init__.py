"""How each kind of registry tells of pushes: one small adapter each.

`pushes`
    what every adapter reads a notification as
`distribution`, `quay`, `harbor` and `docker_hub`
    the adapters
`table`
    which of them reads what
"""
