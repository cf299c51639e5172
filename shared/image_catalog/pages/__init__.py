"""Pages that are generated from the code: what they are made of, and how that is written as Markdown."""
