"""``python -m image_catalog.cli.reference``: the pages of names, types and defaults that are made from the code.

`events`, `resources`, `settings` and `commands` say what is on each page,
`examples` has an event of every type, `picture` draws what the tour of the
code leads through, `writing` puts them into a folder.
The page about the API is the API's own: `image_catalog_functions.api.reference`.
"""
