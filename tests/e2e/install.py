#!/usr/bin/env python3
"""install.py BUILD_DIR CMAKE CC [SANITIZERS]: what `cmake --install` puts down is enough: for the command, for a plugin, for an
embedding program, for the reference. All of it is built with the installed headers and pkg-config alone, outside of the tree.
Standard library only. Exit 77: pkg-config is missing."""
import glob
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD, CMAKE, CC = os.path.abspath(sys.argv[1]), sys.argv[2], sys.argv[3]
SANITIZE = ["-fsanitize=" + sys.argv[4]] if len(sys.argv) > 4 and sys.argv[4] else []
MANIFEST = "format = 1\nlibrary = acme.so\nprovides = test:good\n"


def command(args, env=None):
    done = subprocess.run(args, capture_output=True, text=True, timeout=300, env=env)
    if done.returncode != 0:
        raise AssertionError("%s exited %d:\n%s%s" % (" ".join(args), done.returncode, done.stdout, done.stderr))
    return done.stdout


class Installed(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.root = tempfile.mkdtemp(prefix="tenon-install-")
        cls.addClassCleanup(shutil.rmtree, cls.root)
        cls.prefix = os.path.join(cls.root, "prefix")
        command([CMAKE, "--install", BUILD, "--prefix", cls.prefix])
        cls.packages = os.path.dirname(glob.glob(cls.prefix + "/**/tenon-plugin.pc", recursive=True)[0])
        cls.env = {k: v for k, v in os.environ.items() if not k.startswith("TENON_")}
        cls.env.update(PKG_CONFIG_PATH=cls.packages, XDG_CACHE_HOME=cls.root + "/cache", XDG_CONFIG_HOME=cls.root + "/config",
                       LD_LIBRARY_PATH=os.path.dirname(cls.packages))

    def pkg(self, *args):
        # The prefix was given to the install step, not to the configuration: the files must find themselves.
        out = command(["pkg-config", *args], self.env)
        self.assertNotIn(BUILD, out)
        self.assertTrue(all(self.prefix in os.path.normpath(word) for word in re.findall(r"(?<=-[IL])\S+|^/\S+", out)), out)
        return out.split()

    def compile(self, source, target, *flags):
        target = os.path.join(self.root, target)
        command([CC, "-std=gnu11", "-Wall", "-Wextra", "-Werror", *SANITIZE, source, "-o", target, *flags], self.env)
        return target

    def plugin(self, folder, target):
        """The test plugin in a plugin directory of its own, or an installed one."""
        os.makedirs(os.path.join(folder, "plugins.d"), exist_ok=True)
        self.compile(os.path.join(TESTS, "plugins_bad", "plugin.c"), target, "-DTEST_GOOD", "-shared", "-fPIC", "-fvisibility=hidden",
                     "-Wl,-z,now", *([] if SANITIZE else ["-Wl,-z,defs"]), *self.pkg("--cflags", "tenon-plugin"))

    def tenon(self, *args, **env):
        return command([self.prefix + "/bin/tenon", *args], {**self.env, **env})

    def states(self, *args, **env):
        return {p["file"]: p for p in json.loads(self.tenon("plugins", *args, "--json", **env))}

    def test_command(self):
        plugins = self.states("list")
        self.assertEqual(set(plugins), set(os.listdir(BUILD + "/lib/tenon/plugins.d")))
        self.assertGreaterEqual(len(plugins), 5)
        for file, p in plugins.items():
            self.assertEqual((p["state"], p["reason"]), ("available", ""), file)
            self.assertTrue(p["library"].startswith(self.prefix + "/"), p["library"])
        self.assertEqual(json.loads(self.tenon("devices", "--json"))[0]["name"], "cpu")

    def test_plugin_by_environment(self):
        folder = os.path.join(self.root, "acme")
        self.plugin(folder, "acme/acme.so")
        with open(folder + "/plugins.d/60-acme.plugin", "w") as f:
            f.write(MANIFEST)
        self.assertNotIn("60-acme.plugin", self.states("list"))
        checked = self.states("check", "acme", TENON_PLUGIN_PATH_ADD=folder)["60-acme.plugin"]
        self.assertEqual((checked["state"], checked["id"]), ("loaded", "org.tenon.test.good"))

    def test_plugin_beside_the_others(self):
        plugins, manifests = self.pkg("--variable=plugindir", "tenon-plugin") + self.pkg("--variable=manifestdir", "tenon-plugin")
        self.plugin(plugins, os.path.join(plugins, "acme.so"))
        manifest = os.path.join(manifests, "70-acme-installed.plugin")
        with open(manifest, "w") as f:
            f.write(MANIFEST)
        try:
            self.assertEqual(self.states("check", "acme-installed")["70-acme-installed.plugin"]["state"], "loaded")
        finally:
            os.unlink(manifest)

    def test_embedding_program(self):
        program = self.compile(os.path.join(TESTS, "tools", "embed_main.c"), "embed", *self.pkg("--cflags", "--libs", "tenon"))
        said = command([program, *self.pkg("--variable=plugindir", "tenon-plugin")], self.env)
        self.assertTrue(said.startswith(self.tenon("--version").strip() + ": /nonexistent/model.gguf: "), said)

    def test_reference(self):
        program = self.compile(os.path.join(TESTS, "tools", "reference_main.c"), "reference",
                               *self.pkg("--cflags", "--libs", "tenon-reference"))
        self.assertEqual(command([program], self.env), "32 5\n")


if __name__ == "__main__":
    if shutil.which("pkg-config") is None:
        print("SKIPPED: pkg-config is missing", file=sys.stderr)
        sys.exit(77)
    unittest.main(argv=sys.argv[:1])
