"""The example of docs/objects.md, run as it stands there: another machine samples other keys, all else is the same."""

import json
import pathlib
import re
import subprocess
import time

from recording import HEAPLINE, ROOT, clean_environment

PAGE = (ROOT / "docs" / "objects.md").read_text()


def without_keys(text):
    return re.sub(r"'user-\d+'", "'user-N'", text)


def sessions(live):
    """Has it made its thousand sessions? Each has a name, from a line of its own."""
    return live.returncode == 0 and any(row["live_allocations"] >= 1000 for row in json.loads(live.stdout)["lines"])


def test_the_page(tmp_path):
    shown = re.search(r"```\n\$ (heapline run .*?) &\n\$ (heapline objects) 4711\n…\n(.*?)```", PAGE, re.S)
    (tmp_path / "shop.py").write_text(re.search(r"<!-- example: shop.py -->\n```python\n(.*?)```", PAGE, re.S)[1])
    environment = clean_environment(PATH=f"{HEAPLINE.parent}:/usr/bin:/bin")
    run = subprocess.Popen(shown[1].split(), cwd=tmp_path, env=environment, stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 60
        children = []
        while not children and time.monotonic() < end:
            children = pathlib.Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text().split()
        command = [HEAPLINE, "live", children[0], "--json", "--interval", "100", "--filter", "open_session"]
        while not sessions(subprocess.run(command, capture_output=True, env=environment, timeout=60)) and time.monotonic() < end:
            pass
        found = subprocess.run([*shown[2].split(), children[0]], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
        assert found.returncode == 0, found.stderr
    finally:
        subprocess.run(["kill", *children])
        run.wait(timeout=60)
    assert without_keys(shown[3]).strip() in without_keys(found.stdout)
