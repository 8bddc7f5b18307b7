# SPDX-License-Identifier: MIT
"""`postern install` as an init container runs it, and its hook as docker-mailserver does."""
import pytest

import patching
from lab import evidence, files, mailhost, postern

# The volume in the mail container, and what docker-mailserver runs.
VOLUME = "/postern"
DMS_HOOK = "/tmp/docker-mailserver/user-patches.sh"
# An init container's root: nothing but the program, /proc, and the volume in another place.
INIT_CONTAINER = f"""
    set -e
    mkdir -p {VOLUME} /init/volume /init/proc /tmp/docker-mailserver
    cp {mailhost.POSTERN} /init/program
    mount --bind {VOLUME} /init/volume
    mount -t proc proc /init/proc
    {mailhost.libraries_in("/init")}
"""
# As a volumeMount with subPath shows it there.
MOUNT_HOOK = f"touch {DMS_HOOK}; mount --bind {VOLUME}/user-patches.sh {DMS_HOOK}"
COUNT_LIMIT = "smtpd_client_connection_count_limit"


@pytest.fixture
def mail(idle_lab):
    idle_lab.mail.shell(INIT_CONTAINER)
    return idle_lab.mail


def install(mail, *options):
    """What an init container does; then the mail container's mounts."""
    done = mail.run(["chroot", "/init", "/program", *options[:options.index("install")],
                     "install", "--at", VOLUME, *options[options.index("install") + 1:],
                     "/volume"])
    mail.shell(MOUNT_HOOK)
    return done


def run_hook(mail, check=True):
    """As docker-mailserver does: at the end of its set-up, when no server runs."""
    assert not mail.listening_ports() & set(mailhost.STOCK_PORTS.values())
    return mail.run(["/bin/bash", DMS_HOOK], check=check)


def seen(service):
    """What the log says of the client that a balancer spoke for."""
    if service == "smtp":
        return evidence.screened(postern.CLIENT_ADDRESS)
    if service in mailhost.POSTFIX_TWINS:
        return evidence.seen_on_twin(service, postern.CLIENT_ADDRESS)
    return rf"{evidence.dovecot_program(service)}: .*\brip={postern.CLIENT_ADDRESS},"


def test_servers_of_docker_mailserver_start_with_their_twins(idle_lab, mail, postern_built):
    install(mail, "--config", mailhost.POSTERN_CONF, "install", "--user-patches", "/config")
    mail.write("/config/user-patches.sh", f"""
        postconf -P submission/inet/{COUNT_LIMIT}=7
        echo the script ran
    """)
    done = run_hook(mail)
    assert done.stdout.count("the script ran") == 1
    # Made once for the services as they were, and once more for what the script did.
    assert mail.option("submission/inet", COUNT_LIMIT) == "7"
    assert mail.option("10587/inet", COUNT_LIMIT) == "7"
    before = mail.snapshot(*mailhost.CONFIGURATION)
    mail.age_main_cf()
    mail.start_servers()
    mail.wait_listening(mailhost.TWIN_PORTS.values())
    for service, port in mailhost.TWIN_PORTS.items():
        mark = mail.log.mark()
        assert postern.is_greeting(postern.greeting(mail, service, port))
        mail.log.wait_for(seen(service), mark)
        patching.log_in(idle_lab, service, idle_lab.client, mail.address(),
                        mailhost.STOCK_PORTS[service])
    assert "nothing to do" in mail.patch().stderr
    assert files.differences(before, mail.snapshot(*mailhost.CONFIGURATION)) == []


def test_twins_come_before_the_script_and_follow_it(mail, postern_built):
    install(mail, "--config", mailhost.POSTERN_CONF, "install", "--user-patches", "/config/my.sh")
    mail.write("/config/my.sh", f"""
        grep -c postern_twin_of=submissions {mailhost.MASTER_CF}
        postconf -MX submissions/inet
    """)
    done = run_hook(mail)
    assert int(done.stdout.split()[0]) > 0
    assert "10465/inet" not in [name for name, _ in mail.services()]
    assert "10587/inet" in [name for name, _ in mail.services()]


def test_second_start_changes_nothing(mail, postern_built):
    install(mail, "--config", mailhost.POSTERN_CONF, "install")
    run_hook(mail)
    before = mail.snapshot(VOLUME, *mailhost.CONFIGURATION)
    done = mail.run(["chroot", "/init", "/program", "--config", mailhost.POSTERN_CONF, "install",
                     "--at", VOLUME, "/volume"])
    assert "nothing to do" in done.stderr
    done = run_hook(mail)
    assert "nothing to do" in done.stderr
    assert files.differences(before, mail.snapshot(VOLUME, *mailhost.CONFIGURATION),
                             strict=True) == []


def test_script_in_the_configuration_folder_is_kept_and_run(mail, postern_built):
    """The volume is docker-mailserver's own configuration folder, with a script in it."""
    own = "echo mine; exit 3\n"
    mail.write(DMS_HOOK, own)
    folder = DMS_HOOK.rpartition("/")[0]
    done = mail.postern("install", folder)
    assert f"{DMS_HOOK}: a script of yours: kept as" in done.stderr
    done = run_hook(mail, check=False)
    assert done.returncode == 1 and done.stdout == "mine\n"
    assert "user-patches.own.sh failed with status 3" in done.stderr
    assert "10587/inet" in [name for name, _ in mail.services()]
    mail.postern("install", "--no-hook", folder)
    assert mail.read(DMS_HOOK) == own


def test_hook_goes_on_to_the_script_when_the_twins_cannot_be_made(mail, postern_built):
    install(mail, "--config", "/nowhere.conf", "install", "--user-patches", "/config")
    mail.write("/config/user-patches.sh", "echo mine\n")
    done = run_hook(mail, check=False)
    assert done.returncode == 1 and done.stdout == "mine\n"
    assert "/nowhere.conf" in done.stderr and "failed with status 2" in done.stderr


def test_volume_that_is_not_mounted_where_the_hook_looks_is_said(mail, postern_built):
    install(mail, "install", "--at", "/elsewhere", "--user-patches", "/config")
    mail.write("/config/user-patches.sh", "echo mine\n")
    done = run_hook(mail, check=False)
    assert done.returncode == 1 and done.stdout == "mine\n"
    assert "/elsewhere/postern is not there" in done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr


def test_another_containers_folder_is_reached_by_its_root(idle_pod):
    idle_pod.mail.shell(f"mkdir {VOLUME}")
    done = idle_pod.sidecar.run([mailhost.POSTERN, "--root", idle_pod.mail_root(), "install",
                                 VOLUME])
    assert done.stderr.count(": written") == 2
    assert idle_pod.mail.run([f"{VOLUME}/postern", "version"]).stdout.startswith("postern ")
    assert not idle_pod.sidecar.exists(VOLUME)
