"""``caib catalog download``: files of an image onto this machine's disk, whole and as they were meant, or not at all.

`wanted` says which files, `names` where they go, `streams` and `sources` where
their bytes come from, `part` what there is of one so far, `fetching` how the
rest comes, `unpacking` what is made of it, `running` several at once.
"""
