"""CloudEvents SQL: what the ``cesql`` filter of a Trigger and the filter of the API's event stream are written in.

https://github.com/cloudevents/spec/blob/main/cesql/spec.md. Imported only by
what filters: its parser would cost every function's cold start.
"""

from image_catalog.events.cesql._expression import Expression, Result, parse
from image_catalog.events.cesql._functions import ErrorKind, Value

__all__ = ["ErrorKind", "Expression", "Result", "Value", "parse"]
