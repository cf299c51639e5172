"""``GET /images/{name}/artifacts``: the files that belong to an image, and URLs that open them."""
