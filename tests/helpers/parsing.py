"""What every ``parse`` owes to whatever a file may hold."""

from typing import Any

from hypothesis import strategies as st

from mmreason.errors import ProblemError
from mmreason.tasks.task import Spec, Task


def json_values(*words: str) -> st.SearchStrategy[Any]:
    """Whatever a JSON file may hold, ``words`` among its texts and keys."""
    plain = st.none() | st.booleans() | st.integers() | st.just(2**900) | st.floats() | st.text(max_size=9)
    keys = st.sampled_from(words) | st.text(max_size=4)
    return st.recursive(
        plain | st.sampled_from(words),
        lambda inner: st.lists(inner, max_size=9) | st.dictionaries(keys, inner),
        max_leaves=20,
    )


def parsed(task: Task, data: Any) -> Spec | None:
    """The spec in ``data``, or None where it is refused in one line; whatever else is raised fails the test."""
    try:
        return task.parse(data)
    except ProblemError as error:
        assert "\n" not in str(error)
        return None
