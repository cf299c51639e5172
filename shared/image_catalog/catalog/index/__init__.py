"""The index that the API answers from: pure data in memory, fed by a watch.

`index`
    what is kept and asked (`Index`)
`query` and `entry`
    what goes in and comes out
`values`
    what an entry is found by
`postings`, `grams`, `orders`, `ranks` and `groups`
    how it is found: by words, by parts of texts, in an order, as the newest of its kind
`reliability`
    for which share of time images, and the registries of them, were there
`selection`
    the same question, asked of one object
`tombs`
    what went lately
"""

from image_catalog.catalog.index.entry import Entry
from image_catalog.catalog.index.index import Index
from image_catalog.catalog.index.query import Listing, Position, Query, Sort
from image_catalog.catalog.index.reliability import RegistryReliability
from image_catalog.catalog.index.selection import Selection

__all__ = ["Entry", "Index", "Listing", "Position", "Query", "RegistryReliability", "Selection", "Sort"]
