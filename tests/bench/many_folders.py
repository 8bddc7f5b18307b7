# SPDX-License-Identifier: MIT
"""A certificate is renewed in one watched folder: alone, and among many others.

The folder is a mounted Secret that Dovecot's certificate is read from, the last one of the file.
Seen is the new certificate by a client on the wire; both mail hosts take turns.
"""
import contextlib
import os
import random
import ssl
import time

import configmap
import reloaders
from lab import CLIENT, kubelet, mail_config, mailhost, postern, proxy_client, started
from tables import SPREAD_HEAD, spread, table

SECRET = os.path.dirname(mail_config.CERTIFICATE)
CERTIFICATE, KEY = map(os.path.basename, (mail_config.CERTIFICATE, mail_config.KEY))
PORT = mailhost.DOVECOT_TWINS["imaps"]


class Watching:
    """`postern run` and so many watched folders."""

    def __init__(self, lab, folders):
        self.lab = lab
        self.folders = folders
        self.secrets = [self.make_secret() for _ in range(2)]
        self.secret = configmap.TimedVolume(postern.mount_volume(lab.mail, SECRET))
        self.secret.write(self.secrets[0])
        names = [f"/srv/secrets/{number}" for number in range(folders - 1)]
        for name in names:
            kubelet.Volume(lab.mail.path(name)).write({"tls.crt": b"1", "tls.key": b"1"})
        watches = "".join(f'watch "{name}" {{ reload = {{ "dovecot" }} }}\n'
                          for name in [*names, SECRET])
        lab.mail.configure_postern(postern.conf("resync = 0\n" + watches, [CLIENT[0]]))
        self.postern = postern.Postern(lab.mail).start()
        self.postern.wait_current()
        self.reloads = postern.reloads(self.postern.look_at_all())["dovecot"]

    def make_secret(self):
        self.lab.mail.shell(f"""
            openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 \\
                -subj /CN={mail_config.HOST_NAME} -keyout /tmp/key -out /tmp/cert 2>/dev/null""")
        return {CERTIFICATE: self.lab.mail.read("/tmp/cert").encode(),
                KEY: self.lab.mail.read("/tmp/key").encode()}

    def is_served(self, secret):
        wanted = ssl.PEM_cert_to_DER_cert(secret[CERTIFICATE].decode())
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        header = proxy_client.v2("198.51.100.200", destination_port=PORT)
        with contextlib.suppress(OSError):
            with self.lab.client.connect(self.lab.mail.address(), PORT, CLIENT[0], header,
                                         configmap.ATTEMPT_LIMIT_S) as sock, \
                    context.wrap_socket(sock) as tls:
                return tls.getpeercert(binary_form=True) == wanted
        return False

    def renew(self, turn):
        """(seconds until a client is served the other certificate, what postern says)."""
        secret = self.secrets[(turn + 1) % 2]
        self.secret.write(secret)
        seen = configmap.when(lambda: self.is_served(secret)) - self.secret.swapped
        status = self.postern.wait_for(
            lambda s: postern.is_current(s) and postern.reloads(s)["dovecot"] > self.reloads,
            "the reload")
        self.reloads = postern.reloads(status)["dovecot"]
        return seen - reloaders.SETTLE_S, status["last_apply_seconds"]


def bench_many_folders(release, folders, rounds):
    with contextlib.ExitStack() as stack:
        one, many = (Watching(stack.enter_context(started(release)), count)
                     for count in (1, folders))
        seen, own = {one: [], many: []}, {one: [], many: []}
        for turn in range(rounds + 1):
            for watching in ((one, many), (many, one))[turn % 2]:
                time.sleep(reloaders.QUIET_S + random.random() / 10)
                taken = watching.renew(turn)
                if turn > 0:  # the first time, much is slow for once
                    seen[watching].append(taken[0])
                    own[watching].append(taken[1])
        watches = many.postern.status()["watches"]["inotify"]
    print(f"A certificate changes in one of the watched folders, {rounds} rounds, ms less "
          f"{reloaders.SETTLE_S * 1000:.0f} to settle\n")
    table(SPREAD_HEAD, [
        spread("1 folder: seen by a client", seen[one], seen[one]),
        spread(f"{folders:,} folders: seen by a client", seen[many], seen[one]),
        spread("1 folder: applied and verified, by itself", own[one], own[one]),
        spread(f"{folders:,} folders: the same", own[many], own[one]),
    ])
    print(f"  inotify watches: {watches:,}\n")
