"""The command line of the embedded model's training, in a process of its own."""

import subprocess
import sys


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


def test_help_is_given_without_importing_torch():
    code = (
        "import sys\nfrom holocine.puppet.__main__ import main\n"
        "try:\n    main(['train', '--help'])\nexcept SystemExit:\n    print('torch' in sys.modules)"
    )
    printed = run(code)
    assert "--batch-scale" in printed and printed.splitlines()[-1] == "False"
