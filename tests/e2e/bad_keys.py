#!/usr/bin/env python3
"""bad_keys.py BAD_KEYS PLUGINS [MODEL...]: every tiny checkpoint of oracle/families, or MODELs, under metadata that lies about one key
at a time (tools/bad_keys_main.c): what is absurd must be refused by naming the key, and nothing crashes. Standard library only."""
import os
import subprocess
import sys

ORACLE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "oracle", "families")


def main(program, plugins, models):
    models = models or sorted(e.path for e in os.scandir(ORACLE) if e.is_dir())
    env = {key: value for key, value in os.environ.items() if not key.startswith("TENON_")}
    return subprocess.run([program, plugins, *models], env=env, timeout=550).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3:]))
