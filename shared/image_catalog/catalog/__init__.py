"""Policy: what the catalog decides, apart from whom it asks and how.

Modules are imported by name; each is one decision:

`wishes` and `publishing`
    what shall be published, and what that does to an entry
`checker` and `verdict`
    what the registry says, and what that means
`lifecycle`, `conditions`, `schedule` and `need`
    how a status moves, when it is due, and what an entry needs
`asked`
    when a build is offered again that nothing has come of
`metadata` and `labels`
    what holds true of an image, and what it is found by
`publication`, `changes`, `announcing` and `told`
    what has been written and told, so that a death in between loses nothing
"""
