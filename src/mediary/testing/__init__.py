"""Contract tests for plugins: a plugin's own tests subclass the class of its kind and hand in what they made.

In the plugin's `conftest.py`, `pytest.register_assert_rewrite("mediary.testing")` makes failures tell their values.
"""
