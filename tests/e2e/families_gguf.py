#!/usr/bin/env python3
"""families_gguf.py TENON BAD_KEYS PLUGINS [NAME...]: every tiny checkpoint of oracle/families as the GGUF file that oracle/write_gguf.py makes of
it: its logits must be within 1e-4 of transformers', as those of the directory are, and bad keys be refused as there. Needs numpy and
gguf; exit 77 without them."""
import os
import subprocess
import sys
import tempfile

import families

sys.path.insert(0, os.path.dirname(families.ORACLE))
try:
    import write_gguf
except ImportError as e:
    print("SKIPPED: %s: pip install -r tests/requirements.txt" % e)
    sys.exit(77)


def check(tenon, name, path):
    """Transformers' logits, and the directory's bits: (error, are they equal)."""
    write_gguf.write(name, path)
    prompts = families.prompts_of(name)
    rows = families.rows_of(tenon, name, prompts, path=path)
    return families.error(rows, families.expected(name)), rows == families.rows_of(tenon, name, prompts)


def main(tenon, bad_keys, plugins, names):
    failed, paths = 0, []
    names = [n for n in names or families.all_names() if n not in write_gguf.LEFT_OUT]
    with tempfile.TemporaryDirectory(prefix="tenon-gguf-") as folder:
        print("%-24s %-9s %s" % ("family as GGUF", "error", "bits of the directory"))
        for name in names:
            path = os.path.join(folder, name + ".gguf")
            try:
                worst, equal = check(tenon, name, path)
                good = worst <= families.BOUND
                print("%-24s %-9.2g %s%s" % (name, worst, "equal" if equal else "other sums", "" if good else "  FAILED"))
                paths.append(path)
            except (RuntimeError, OSError, ValueError) as e:
                good = False
                print("%-24s FAILED    %s" % (name, e))
            failed += not good
        print("%d of %d within %g" % (len(names) - failed, len(names), families.BOUND))
        for name, why in write_gguf.LEFT_OUT.items():
            print("%-24s left out: %s" % (name, why))
        sys.stdout.flush()
        env = {key: value for key, value in os.environ.items() if not key.startswith("TENON_")}
        failed += subprocess.run([bad_keys, plugins, *paths], env=env, timeout=550).returncode != 0
    return 1 if failed or not names else 0


if __name__ == "__main__":
    sys.exit(main(os.path.abspath(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4:]))
