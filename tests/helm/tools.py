# SPDX-License-Identifier: MIT
"""The programs that judge the chart, and where they and their schemas are."""
import functools
import json
import os
import pathlib
import subprocess

TOP = pathlib.Path(__file__).resolve().parents[2]
CHART = pathlib.Path(os.environ.get("POSTERN_CHART", TOP / "helm/postern")).resolve()
HELMS = ("helm3", "helm4")
# Far more than any of them needs: none of them talks to anybody.
LIMIT_S = 120


@functools.cache
def folder():
    """Where the programs are; builds what is missing."""
    return _said(TOP / "scripts/lib/cluster-tools")


@functools.cache
def schemas():
    return pathlib.Path(_said(TOP / "scripts/lib/cluster-schemas"))


@functools.cache
def _schema_arguments():
    return _said(TOP / "scripts/lib/cluster-schemas", "--arguments").splitlines()


def _said(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


def run(name, *arguments, home, **options):
    """A program, with nothing of the machine's own Helm, nor of a cluster's."""
    clean = {key: value for key, value in os.environ.items()
             if not key.startswith(("HELM_", "KUBE"))}
    clean |= {"HOME": str(home), "HELM_DATA_HOME": f"{home}/data", "HELM_CONFIG_HOME": f"{home}/config",
              "HELM_CACHE_HOME": f"{home}/cache", "KUBECONFIG": "/dev/null"}
    return subprocess.run([f"{folder()}/{name}", *map(str, arguments)], env=clean, text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=LIMIT_S, check=False, **options)


def kubernetes_versions():
    """All that there are schemas for, oldest first: "1.29.0", ..."""
    names = [path.name[1:] for path in (schemas() / "kubernetes").iterdir()]
    return sorted(names, key=lambda name: [int(part) for part in name.split(".")])


def kubeconform(version, where, home):
    """What kubeconform thinks of the objects in a file or folder: a list of dicts."""
    done = run("kubeconform", "-strict", "-verbose", "-output", "json", "-n", "2",
               "-kubernetes-version", version, *_schema_arguments(), where, home=home)
    try:
        return json.loads(done.stdout)["resources"]
    except ValueError:
        raise AssertionError(f"kubeconform: {done.stdout}{done.stderr}") from None


def complaints(results):
    """Those that are not valid, as lines."""
    return [f"{pathlib.Path(r['filename']).name}: {r['kind']}/{r['name']}: {r['status']}: {r['msg']}"
            for r in results if r["status"] != "statusValid"]
