"""The files of builds in object stores; the only code that speaks to S3."""
