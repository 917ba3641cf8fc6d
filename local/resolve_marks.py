"""The two marks by which `local.resolve` and its caller understand each other.

What: line prefixes. Why here: the caller must not import jgo (slow, and it looks around the machine) to know them.
It refuses to hold anything else.
"""

from __future__ import annotations

#: A line that announces a file: mark, name, size in bytes.
PROGRESS_MARK = "tocsin-file "
#: A line that names a result: mark, path relative to the target directory.
RESULT_MARK = "tocsin-path "
