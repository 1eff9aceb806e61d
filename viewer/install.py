"""Installs the viewer's locked packages into a build folder, once for each lock file:  install.py SOURCE_FOLDER BUILD_FOLDER NPM"""

import hashlib
import os
import pathlib
import shutil
import subprocess
import sys

source, build, npm = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3]
stamp = build / "node_modules" / ".heapline-lock"
key = hashlib.sha256((source / "package-lock.json").read_bytes()).hexdigest()
if stamp.exists() and stamp.read_text() == key:
    sys.exit(0)
build.mkdir(parents=True, exist_ok=True)
for name in ("package.json", "package-lock.json"):
    shutil.copyfile(source / name, build / name)
environment = dict(os.environ, npm_config_update_notifier="false")
result = subprocess.run([npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], cwd=build, env=environment)
if result.returncode == 0:
    stamp.write_text(key)
sys.exit(result.returncode)
