"""nbgrader's settings for these assignments; `make assignments` runs it with them."""

c = get_config()  # noqa: F821, nbgrader's
c.CourseDirectory.course_id = "ssl"
c.ClearSolutions.code_stub = {"go": '// YOUR CODE HERE\npanic("not written yet")'}
c.ClearSolutions.text_stub = "YOUR ANSWER HERE"
c.ExecutePreprocessor.timeout = 300  # seconds a cell may take; the slowest takes a few, and some minutes on a server that is full
