# SPDX-License-Identifier: MIT
"""The driver (driver.py) in a lab's host, and the machine's programs copied in there."""
import json
import os
import re
import shutil
import subprocess

DRIVER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "driver.py")
INSIDE = "/root/bench-driver.py"
LIMIT_S = 3600
# Where programs and the libraries they need are copied to.
FOLDER = "/opt/bench"


def install(mail):
    """To be called once in each host, before drive()."""
    with open(DRIVER, encoding="ascii") as program:
        mail.write(INSIDE, program.read())


def drive(mail, plan):
    """Run a plan in the mail host; the driver explains what it may hold."""
    done = mail.run(["python3", "-I", INSIDE], input=json.dumps(plan), timeout=LIMIT_S)
    return json.loads(done.stdout)


def copy_program(mail, name):
    """A program of this machine; what it is called by in the host, or None when it is not here.

    A program with libraries of its own brings them all, the C library and the loader too, so that
    it runs in either release.
    """
    path = shutil.which(name)
    if path is None:
        return None
    target = f"{FOLDER}/{name}"
    mail.copy_in(path, target)
    listed = subprocess.run(["ldd", path], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                            text=True, check=False).stdout
    libraries = re.findall(r"(/\S+)", re.sub(r"\S+ => ", "", listed))
    foreign = [library for library in libraries if not mail.exists(library)]
    if not foreign:
        return target
    for library in libraries:
        mail.copy_in(library, f"{FOLDER}/lib/{os.path.basename(library)}")
    loader = next(name for name in map(os.path.basename, libraries) if name.startswith("ld-"))
    mail.write(f"{target}.sh", f'#!/bin/sh\nexec {FOLDER}/lib/{loader} --library-path {FOLDER}/lib '
               f'{target} "$@"\n', mode=0o755)
    return f"{target}.sh"
