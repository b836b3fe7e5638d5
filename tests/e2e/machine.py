#!/usr/bin/env python3
"""machine.py TENON: what the command does where the machine is not as usual: no /proc, words in
environment variables that nobody knows, less memory than a model's weights, a model's file that is cut short while it is read.
What needs weights takes TENON_MODEL_SMOLLM2 (and _GEMMA3). Standard library only."""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

TENON = os.path.abspath(sys.argv[1])
MODEL = os.environ.get("TENON_MODEL_SMOLLM2")
MODELS = [m for m in (MODEL, os.environ.get("TENON_MODEL_GEMMA3")) if m]


class Machine(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.root = tempfile.mkdtemp(prefix="tenon-machine-")
        cls.addClassCleanup(shutil.rmtree, cls.root)
        cls.env = {k: v for k, v in os.environ.items() if not k.startswith("TENON_")}
        cls.env.update(XDG_CONFIG_HOME=cls.root + "/config", XDG_CACHE_HOME=cls.root + "/cache")

    def run_program(self, *args, cwd=None, env={}):
        return subprocess.run(args, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              timeout=300, cwd=cwd, env={**self.env, **env})

    def plugins(self):
        return json.loads(self.run_program(TENON, "plugins", "list", "--json").stdout)


class Environment(Machine):
    """A word that is not known is told once, with what it is taken for and the known ones; empty is as good as not set."""
    def said(self, variable, word, *args):
        done = self.run_program(TENON, *(args or ("devices",)), env={variable: word})
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stderr

    def test_unknown(self):
        for variable, taken, known in (("TENON_LOG", "warn", "error|warn|info|debug"), ("TENON_CPU_PACK", "auto", "auto|never|always"),
                                       ("TENON_CPU_LEVEL", "auto", "auto|scalar|"), ("TENON_CPU_CLAIMS", "all", "all|none"),
                                       ("TENON_CPU_ACTIVATIONS", "auto", "auto|8|16"), ("TENON_PLUGINS_TRACE", "no", "yes|on|")):
            if variable == "TENON_PLUGINS_TRACE" and self.plugins()[0]["static"]:
                continue  # nothing is searched for or loaded, so there is nothing to trace
            said = self.said(variable, "vebrose")
            for part in variable, "'vebrose'", "is not known", "it is taken for '%s'" % taken, "known: " + known:
                self.assertEqual(said.count(part), 1, (part, said))
            self.assertEqual(len(said.splitlines()), 1, said)

    def test_whatever_the_command(self):
        for args in ("--version",), ("plugins", "list"), ("devices", "--help"):
            self.assertEqual(self.said("TENON_LOG", "loud", *args).count("'loud'"), 1, args)

    def test_known(self):
        for variable, word in (("TENON_LOG", "info"), ("TENON_LOG", "error"), ("TENON_LOG", ""), ("TENON_PLUGINS_TRACE", "off"),
                               ("TENON_PLUGINS_TRACE", ""), ("TENON_CPU_PACK", "never")):
            self.assertEqual(self.said(variable, word), "", (variable, word))


class WithoutProc(Machine):
    """Nothing is at /proc and /sys but empty folders. Verdicts on plugins are not known yet: each is probed."""
    HIDE = ("unshare", "--mount", "--map-root-user", "sh", "-c",
            'mount -t tmpfs none /proc && mount -t tmpfs none /sys && exec "$@"', "sh")

    def setUp(self):
        try:
            done = self.run_program(*self.HIDE, TENON, "--version")
        except FileNotFoundError:
            self.skipTest("there is no unshare")
        if done.returncode != 0:  # no namespaces for this user, or a sanitizer that cannot do without /proc
            self.skipTest(done.stderr.strip()[-200:])
        shutil.rmtree(self.root + "/cache", ignore_errors=True)

    def run_tenon(self, *args, program=TENON, cwd=None):
        return self.run_program(*self.HIDE, program, *args, cwd=cwd)

    def test_devices(self):
        done = self.run_tenon("devices", "--json")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        cpu = [d for d in json.loads(done.stdout) if d["kind"] == "cpu"]
        self.assertEqual(len(cpu), 1)
        self.assertGreater(cpu[0]["memory_total"], 1 << 20)
        self.assertGreater(cpu[0]["memory_free"], 0)
        self.assertLess(cpu[0]["compute_units"], 1 << 20)

    def test_where_the_program_is(self):
        """Started by a relative path it does not know; the message says what to do, and that works."""
        folder, name = os.path.split(TENON)
        plugins = self.plugins()
        done = self.run_tenon("devices", program="./" + name, cwd=folder)
        if any(p["static"] for p in plugins):
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            return
        self.assertIn("mount /proc, start it by its absolute path, or set TENON_PLUGIN_PATH", done.stderr)
        path = os.path.dirname(os.path.dirname(plugins[0]["paths"][0]))
        done = self.run_program("env", "TENON_PLUGIN_PATH=" + path, *self.HIDE, "./" + name, "devices", cwd=folder)
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    @unittest.skipUnless(MODEL, "TENON_MODEL_SMOLLM2 names no model")
    def test_bench(self):
        """Weights are packed as ever, and memory that is not known is not 0."""
        args = "bench", MODEL, "--prompt", "4", "--gen", "2", "--repeat", "1"
        text, done = self.run_tenon(*args).stdout, self.run_tenon(*args, "--json")
        self.assertIn("not known without /proc", text)
        got, usual = json.loads(done.stdout), json.loads(self.run_program(TENON, *args, "--json").stdout)
        self.assertEqual((done.stderr, got["threads"], got["packed_bytes"]), ("", usual["threads"], usual["packed_bytes"]))


class MemoryLimit(Machine):
    """In a control group with a limit of its own, below the test's own one or one above it."""
    ENTER = "sh", "-c", 'echo $$ > "$0/cgroup.procs" && exec "$@"'

    @staticmethod
    def groups():
        """Folders that may take a group, with the file that limits memory in it and the one that limits swap."""
        for line in pathlib.Path("/proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            own = pathlib.PurePosixPath("/sys/fs/cgroup", "memory" if controllers else "", path.lstrip("/"))
            if "memory" in controllers.split(","):
                yield own, "memory.limit_in_bytes", "memory.memsw.limit_in_bytes"
            elif not controllers:
                for folder in own, *own.parents[:max(len(own.parts) - 4, 0)]:  # a group with processes has no limits below it
                    yield folder, "memory.max", "memory.swap.max"

    def setUp(self):
        why = []
        for folder, self.limit_file, self.swap_file in self.groups():
            self.group = "%s/tenon-test-%d" % (folder, os.getpid())
            try:
                os.mkdir(self.group)
            except OSError as e:
                why.append(str(e))
                continue
            self.addCleanup(os.rmdir, self.group)
            if os.path.exists(self.group + "/" + self.limit_file):
                return
            why.append("%s has no %s" % (self.group, self.limit_file))
        print("machine.py: NO CONTROL GROUP CAN BE MADE, so that no limit of memory is tested:", *why, sep="\n  ", file=sys.stderr)
        self.skipTest("no control group")

    def limit(self, size):
        swap = [(self.swap_file, 0)] if self.swap_file == "memory.swap.max" else [(self.swap_file, -1), (self.swap_file, size)]
        for name, value in swap[:-1] + [(self.limit_file, size)] + swap[-1:]:  # version 1: memory and swap are never less than memory
            if os.path.exists(self.group + "/" + name):
                pathlib.Path(self.group, name).write_text("%d" % value)

    def run_limited(self, *args, env={}):
        return self.run_program(*self.ENTER, self.group, TENON, *args, env=env)

    def test_devices(self):
        self.limit(64 << 20)
        done = self.run_limited("devices", "--json")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        cpu = [d for d in json.loads(done.stdout) if d["kind"] == "cpu"][0]
        self.assertEqual(cpu["memory_total"], 64 << 20)
        self.assertLess(cpu["memory_free"], 64 << 20)
        self.assertGreater(cpu["memory_free"], 32 << 20)

    @unittest.skipUnless(MODELS, "TENON_MODEL_SMOLLM2 and _GEMMA3 name no model")
    def test_less_than_weights(self):
        """Weights are used where the file is mapped: the same answer, not packed. Packed all the same, they do not fit."""
        for model in MODELS:
            answer = "run", model, "Why is the sky blue?", "--temperature", "0", "--max-tokens", "24"
            bench = "bench", model, "--prompt", "4", "--gen", "2", "--repeat", "1", "--json"
            usual = self.run_program(TENON, *answer), json.loads(self.run_program(TENON, *bench).stdout)
            self.assertGreater(usual[1]["packed_bytes"], os.path.getsize(model) // 2)
            self.limit(os.path.getsize(model) // 2)
            done = self.run_limited(*answer)
            self.assertEqual((done.returncode, done.stdout), (0, usual[0].stdout), done.stderr)
            done = self.run_limited(*bench)
            self.assertEqual((done.returncode, json.loads(done.stdout)["packed_bytes"]), (0, 0), done.stderr)
            self.assertEqual(self.run_limited(*bench, env={"TENON_CPU_PACK": "always"}).returncode, -signal.SIGKILL)
            self.limit(4 * os.path.getsize(model))
            done = self.run_limited(*bench)
            self.assertEqual(json.loads(done.stdout)["packed_bytes"], usual[1]["packed_bytes"])


@unittest.skipUnless(MODEL, "TENON_MODEL_SMOLLM2 names no model")
class CutShort(Machine):
    """Somebody cuts the file short while it is in use: one message and exit code 1, wherever that meets the program."""
    def start(self, *args, env={}):
        shutil.copyfile(MODEL, self.root + "/m.gguf")
        args = [TENON, args[0], self.root + "/m.gguf", *args[1:]]
        run = subprocess.Popen(args, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**self.env, **env})
        self.addCleanup(run.kill)
        return run

    def cut(self, run, size):
        os.truncate(self.root + "/m.gguf", size)
        said = run.communicate(timeout=300)[1].decode()
        self.assertEqual((run.returncode, len(said.splitlines())), (1, 1), said)
        self.assertIn("the file m.gguf was cut short while in use: restore it and load the model again", said)

    def test_answer(self):
        """In the middle of an answer; not packed, so that every step reads nearly all of the file."""
        args = "run", "Count to 10000.", "--temperature", "0", "--repeat-penalty", "1.5"
        for pack, size in (("never", 0), ("never", 1 << 20), ("auto", os.path.getsize(MODEL) - 1)):
            run = self.start(*args, env={"TENON_CPU_PACK": pack})
            self.assertTrue(run.stdout.read(1))
            self.cut(run, size)

    def test_bench(self):
        """At any time: while it loads, packs and runs."""
        for i, delay in enumerate((0, 0.003, 0.01, 0.03, 0.1, 0.3, 1)):
            run = self.start("bench", "--prompt", "64", "--gen", "64", "--repeat", "1000", env={"TENON_CPU_PACK": "never" if i % 2 else "auto"})
            while self.root + "/m.gguf" not in pathlib.Path("/proc/%d/maps" % run.pid).read_text():
                self.assertIsNone(run.poll())
            time.sleep(delay)
            self.cut(run, 8192)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
