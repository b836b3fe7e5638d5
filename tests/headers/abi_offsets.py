#!/usr/bin/env python3
"""tools/abi-offsets on the SDK's headers, and on copies of them that were changed well and badly.

    tests/headers/abi_offsets.py        exit 77: no clang, so the 32-bit table was not checked
"""
import os
import shutil
import subprocess
import sys
import tempfile

SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
TOOL = os.path.join(SOURCE, "tools", "abi-offsets")
LEVEL = "    int32_t level; /* messages above"  # of struct tenon_log, which no header takes by value
WRITE = "uint64_t size); /* [any-thread] [no-block] */\n};"

# name, text of plugin.h, its replacement, statuses of --check and of writing, what the tool's messages must hold
CHANGES = [
    ("a member at the end of a struct", WRITE, WRITE.replace("};", "    uint32_t more;\n};"), 1, 0, "tenon_log, more, 24"),
    ("a member in front", LEVEL, "    uint64_t more;\n" + LEVEL, 1, 1, "tenon_log.level moved from 4 to 16"),
    ("a member gone", LEVEL, "    /* messages above", 1, 1, "tenon_log.level is gone"),
    ("a size_t", LEVEL, LEVEL.replace("int32_t", "size_t"), 1, 1, "`size_t` may not stand"),
    ("a bit field", LEVEL, LEVEL.replace("level;", "level : 3;"), 1, 1, "`:` may not stand"),
    ("an enum", LEVEL, LEVEL.replace("int32_t", "enum tenon_status"), 1, 1, "`enum` may not stand"),
]


def run(*arguments):
    done = subprocess.run([sys.executable, TOOL, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          universal_newlines=True)
    return done.returncode, done.stdout


def try_change(name, old, new, check_status, write_status, message):
    """Faults found with one change of plugin.h."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(os.path.join(SOURCE, "sdk", "include"), os.path.join(folder, "include"))
        shutil.copytree(os.path.join(SOURCE, "sdk", "abi"), os.path.join(folder, "abi"))
        path = os.path.join(folder, "include", "tenon", "plugin.h")
        with open(path, encoding="utf-8") as file:
            text = file.read()
        if text.count(old) != 1:
            return ["%s: plugin.h has no `%s`: change this test with it" % (name, old)]
        with open(path, "w", encoding="utf-8") as file:
            file.write(text.replace(old, new))
        where = ("--include", os.path.join(folder, "include"), "--tables", os.path.join(folder, "abi"))
        checked, said = run("--check", *where)
        written, said_then = run(*where)
    faults = []
    if (checked, written) != (check_status, write_status):
        faults.append("%s: --check gave %d, writing %d; not %d and %d" % (name, checked, written, check_status, write_status))
    if message not in said + said_then:
        faults.append("%s: `%s` is not in:\n%s%s" % (name, message, said, said_then))
    return faults


def main():
    status, said = run("--check")
    sys.stdout.write(said)
    if status == 0:
        faults = [fault for change in CHANGES for fault in try_change(*change)]
        print("%d changes tried, %d faults" % (len(CHANGES), len(faults)))
        for fault in faults:
            print(fault)
        status = 1 if faults else 0
    return status


if __name__ == "__main__":
    sys.exit(main())
