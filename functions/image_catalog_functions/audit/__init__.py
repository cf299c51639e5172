"""Audit: what no function could take does not vanish unseen.

Trigger: none; it is the dead-letter sink of the broker and of every Trigger.
Does: logs and counts the dead letter, and writes a Warning Event on the object that it is about.
Emits: nothing.
Fails: never because of the cluster; what cannot be shown on its object is in the log all the same.
"""
