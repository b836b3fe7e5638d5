#!/usr/bin/env python3
"""chat.py TENON: `tenon run MODEL` on a terminal: what is typed, what Ctrl-C does when, what is said when the context is full.
Standard library only. Exit 77: TENON_MODEL_SMOLLM2 names no model."""
import os
import pty
import select
import sys
import tempfile
import time
import unittest

TENON, MODEL = os.path.abspath(sys.argv[1]), os.environ.get("TENON_MODEL_SMOLLM2")


class Terminal:
    """The command on a terminal of its own; everything it shows is kept."""
    def __init__(self, *args, lang="C"):
        self.shown = b""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ.update(LC_ALL=lang, TERM="xterm", XDG_CONFIG_HOME=tempfile.gettempdir() + "/none")
            os.execv(TENON, [TENON, "run", MODEL, "--temperature", "0", *args])

    def wait(self, text, seconds=240):
        """Until `text` is shown; what was shown up to its end is forgotten and returned."""
        end = time.monotonic() + seconds
        while text not in self.shown:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.fd], [], [], left)[0]:
                raise AssertionError("%r was not shown, but %r" % (text, self.shown))
            try:
                self.shown += os.read(self.fd, 65536)
            except OSError:
                raise AssertionError("ended before %r: %r" % (text, self.shown))
        before, _, self.shown = self.shown.partition(text)
        return before

    def type(self, text):
        os.write(self.fd, text)

    def leave(self):
        """The exit code, once it ends by itself."""
        while True:
            try:
                if not os.read(self.fd, 65536):
                    break
            except OSError:
                break
        status = os.waitpid(self.pid, 0)[1]
        os.close(self.fd)
        return os.waitstatus_to_exitcode(status)


class Chat(unittest.TestCase):
    def test_letters_of_all_languages(self):
        for lang in "C", "C.UTF-8":
            t = Terminal("--max-tokens", "2", lang=lang)
            t.wait(b"> ")
            t.type("h\u00e9 \u65e5\u672c".encode())
            t.wait("h\u00e9 \u65e5\u672c".encode(), 20)  # libedit shows what it took
            t.type(b"\x15/bye\n")
            self.assertEqual(t.leave(), 0)

    def test_interrupt(self):
        """It stops the answer; at the prompt it clears the line, however often it comes."""
        t = Terminal()
        t.wait(b"> ")
        t.type(b"Write a very long story about a dragon.\n")
        t.wait(b"Once")
        for _ in range(40):  # on to the prompt: in between they are nobody's
            t.type(b"\x03")
            time.sleep(0.003)
        t.wait(b"> ", 60)
        t.type(b"nonsense\x03")
        t.type(b"/stats\n")
        self.assertNotIn(b"/help", t.wait(b"output "))
        t.type(b"/bye\n")
        self.assertEqual(t.leave(), 0)

    def test_room(self):
        t = Terminal("--context", "48")
        t.wait(b"> ")
        t.type(b"Write a very long story about a dragon.\n")
        t.wait(b"context is full: /reset")
        t.type(b"And then?\n")
        t.wait(b"use a larger --context")
        t.wait(b"context is full: /reset")
        t.type(b"/reset\nWhat is 2+2?\n")
        t.wait(b" 4.")
        t.type(b"/bye\n")
        self.assertEqual(t.leave(), 0)

    def test_no_template(self):
        t = Terminal("--raw")
        t.wait(b"give a PROMPT instead")
        self.assertEqual(t.leave(), 1)


if __name__ == "__main__":
    if not MODEL:
        print("SKIPPED: set TENON_MODEL_SMOLLM2", file=sys.stderr)
        sys.exit(77)
    unittest.main(argv=sys.argv[:1])
