# SPDX-License-Identifier: MIT
"""Runs many commands inside a host, several at a time; run by judge.py, never imported.

    runner.py JOBS RESULTS

JOBS is a JSON list of argument vectors; RESULTS becomes a list of [status, output, errors].  Bytes
travel as Latin-1, so that every one of them comes through.
"""
import json
import multiprocessing
import os
import subprocess
import sys

JOB_LIMIT_S = 20
TIMED_OUT = 124


def run(argv):
    try:
        done = subprocess.run([part.encode("latin-1") for part in argv],
                              stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE,
                              timeout=JOB_LIMIT_S,
                              check=False)
    except subprocess.TimeoutExpired as late:
        return [TIMED_OUT, "", f"{late}"]
    return [done.returncode, done.stdout.decode("latin-1"), done.stderr.decode("latin-1")]


def main():
    jobs_path, results_path, at_once = sys.argv[1:]
    with open(jobs_path, encoding="ascii") as file:
        jobs = json.load(file)
    with multiprocessing.Pool(int(at_once) or os.cpu_count()) as pool:
        results = pool.map(run, jobs, chunksize=1 if int(at_once) else 8)
    with open(results_path, "w", encoding="ascii") as file:
        json.dump(results, file)


main()
