"""Running a command of `python -m workers` in this process."""

from __future__ import annotations

import json


def run(tool, capsys, *arguments):
    """Run a tool; its exit code, its stdout as JSON values, its stderr."""
    code = tool.main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return code, [json.loads(line) for line in out.splitlines()], err
