from __future__ import annotations

from tests.bench.runtime_venv import container_environment


def test_a_function_is_measured_with_the_variables_of_its_container() -> None:
    variables = container_environment()
    assert variables["PYDANTIC_DISABLE_PLUGINS"] == "__all__"
    # The search path belongs to the machine; a value that a shell would have to fill in is not one yet.
    assert "PATH" not in variables
    assert not [value for value in variables.values() if "$" in value]
