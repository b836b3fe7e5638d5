#!/usr/bin/env python3
"""Feeds the JSONTestSuite of $TENON_SHARED/data/json-parsing to `tenon template --input`: what must parse parses (or is
refused for not being an object), what must not is refused, nothing crashes. Exit 1 on any difference.

    template_json.py [--renderer "DIR/tenon template"]
"""
import argparse
import glob
import os
import shlex
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
NOT_OBJECT = b"not a JSON object"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--renderer", default=os.path.join(HERE, "../../build/tenon") + " template")
    renderer = shlex.split(parser.parse_args().renderer)
    shared = os.environ.get("TENON_SHARED", os.path.join(HERE, "../../../shared"))
    files = sorted(glob.glob(os.path.join(shared, "data/json-parsing/**/[yni]_*.json"), recursive=True))
    if not files:
        print(f"SKIPPED: no cases under {shared}/data/json-parsing: set TENON_SHARED", file=sys.stderr)
        return 77
    bad = 0
    with tempfile.TemporaryDirectory() as scratch:
        template = os.path.join(scratch, "t.jinja")
        with open(template, "w", encoding="utf-8") as f:
            f.write("x")
        for path in files:
            p = subprocess.run(renderer + [template, "--input", path], capture_output=True, check=False, timeout=60)
            clean = p.returncode == 0 or (p.returncode == 1 and p.stderr.startswith(b"tenon: "))
            parsed = p.returncode == 0 or NOT_OBJECT in p.stderr
            kind = os.path.basename(path)[0]
            if not clean or (kind != "i" and parsed != (kind == "y")):
                bad += 1
                print(f"DIFFERENT: {os.path.basename(path)}: {p.returncode} {p.stderr[:300]!r}", file=sys.stderr)
    print(f"{len(files) - bad} of {len(files)} JSON texts as they should be")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
