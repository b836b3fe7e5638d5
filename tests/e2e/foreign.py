"""foreign.py: what the tests of plugins from outside the tree share: a build installed, a plugin built against that and nothing
else, and the installed command run with it. Arguments of such a test: BUILD_DIR CMAKE CC [SANITIZERS]. Standard library only."""
import glob
import os
import random
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD, CMAKE, CC = os.path.abspath(sys.argv[1]), sys.argv[2], sys.argv[3]
SANITIZE = sys.argv[4] if len(sys.argv) > 4 else ""
GIVEN = os.environ.get("TENON_TEST_SEED", "20260101")
SEED = random.randrange(2**32) if GIVEN == "random" else int(GIVEN, 0)


class Foreign(unittest.TestCase):
    """A subclass says which folder of tests/foreign or `installed` examples, and what its plugin NAME.so provides."""
    folder = name = provides = None
    installed = False

    @classmethod
    def setUpClass(cls):
        print("seed", SEED)
        cls.root = tempfile.mkdtemp(prefix="tenon-foreign-")
        cls.addClassCleanup(shutil.rmtree, cls.root)
        cls.env = None
        cls.run_ok(CMAKE, "--install", BUILD, "--prefix", cls.root + "/prefix")
        packages = os.path.dirname(glob.glob(cls.root + "/prefix/**/tenon-plugin.pc", recursive=True)[0])
        cls.env = {k: v for k, v in os.environ.items() if not k.startswith("TENON_")}
        cls.env.update(PKG_CONFIG_PATH=packages, XDG_CACHE_HOME=cls.root + "/cache", XDG_CONFIG_HOME=cls.root + "/config",
                       LD_LIBRARY_PATH=os.path.dirname(packages), TENON_PLUGIN_PATH_ADD=cls.root + "/plugins")
        os.makedirs(cls.root + "/plugins/plugins.d")
        cls.rewrite(f"{cls.root}/plugins/plugins.d/60-{cls.name}.plugin",
                    f"format = 1\nlibrary = {cls.name}.so\nprovides = {cls.provides}\n")
        examples = cls.root + "/prefix/share/tenon/examples"
        shutil.copytree(os.path.join(examples if cls.installed else os.path.join(HERE, "foreign"), cls.folder), cls.root + "/source")
        cls.build_plugin()

    @classmethod
    def build_plugin(cls):
        flags = "-fsanitize=" + SANITIZE if SANITIZE else ""
        cls.run_ok(CMAKE, "-S", cls.root + "/source", "-B", cls.root + "/out", "-DCMAKE_C_COMPILER=" + CC, "-DCMAKE_C_FLAGS=" + flags)
        cls.run_ok(CMAKE, "--build", cls.root + "/out")
        shutil.copy(f"{cls.root}/out/{cls.name}.so", cls.root + "/plugins/")

    @classmethod
    def run_ok(cls, *args):
        done = subprocess.run(args, capture_output=True, text=True, env=cls.env)
        if done.returncode != 0:
            raise AssertionError(f"{' '.join(args)} exited {done.returncode}:\n{done.stdout}{done.stderr}")

    def tenon(self, *args, stdin="", **env):
        return subprocess.run([self.root + "/prefix/bin/tenon", *args], input=stdin, capture_output=True, text=True, env={**self.env, **env})

    @staticmethod
    def rewrite(path, text):
        with open(path, "w") as f:
            f.write(text)


def main():
    if shutil.which("pkg-config") is None:
        print("SKIPPED: pkg-config is missing", file=sys.stderr)
        sys.exit(77)
    unittest.main(argv=sys.argv[:1])
