"""The index that the API answers from: pure data in memory, fed by a watch.

`index`
    what is kept and asked (`Index`)
`query` and `entry`
    what goes in and comes out
`values`
    what an entry is found by
`postings`, `grams`, `orders`, `ranks` and `groups`
    how it is found: by words, by parts of texts, in an order, as the newest of its kind
`tombs`
    what went lately
"""

from image_catalog.catalog.index.entry import Entry
from image_catalog.catalog.index.index import Index
from image_catalog.catalog.index.query import Listing, Position, Query, Sort

__all__ = ["Entry", "Index", "Listing", "Position", "Query", "Sort"]
