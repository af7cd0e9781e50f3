"""Runs the programs in Python of docs/clients.md, with the gateway's address in place
of the one on the page.
"""

import contextlib
import io
import pathlib
import re
import unittest

from kai import OPEN, root

PAGE = pathlib.Path(__file__).parents[3] / "docs" / "clients.md"


class Programs(unittest.TestCase):
    def test_each(self):
        programs = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)
        self.assertGreater(len(programs), 2)
        for program in programs:
            with self.subTest(program):
                printed = io.StringIO()
                with contextlib.redirect_stdout(printed):
                    exec(compile(program.replace("http://localhost:9000", root(OPEN)), str(PAGE), "exec"), {})
                self.assertIn("Kai", printed.getvalue())


if __name__ == "__main__":
    unittest.main()
