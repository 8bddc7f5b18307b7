# SPDX-License-Identifier: MIT
"""What postern and the tools that it runs may do, by /proc and by attempts; and that CMD may all."""
import errno
import json
import platform

import pytest

import kernel_calls
import supervised
from lab import host, mailhost, postern, processes, wait

POSTCONF = "/usr/sbin/postconf"
REPORT = "/tmp/tool.json"
GIVEN = {*host.ENGINE_CAPABILITIES, "NET_ADMIN"}
KEPT_BY_RUN = {"DAC_OVERRIDE", "CHOWN", "FOWNER", "KILL", "NET_BIND_SERVICE", "NET_ADMIN"}
KEPT_BY_WATCH = {*KEPT_BY_RUN, "SYS_PTRACE", "SYS_CHROOT"}
TOOLS = {"DAC_OVERRIDE"}
NOBODY = 65534

# (x86_64, aarch64), arguments: what root may do, or is refused for its arguments alone.
CALLS = {
    "mount": (165, 40, "1, 1, 1, 0, 0"),
    "umount2": (166, 39, "1, 0"),
    "setns": (308, 268, "-1, 0"),
    "ptrace": (101, 117, "0x4206, getppid(), 0, 0"),
    "process_vm_readv": (310, 270, "getppid(), 0, 0, 0, 0, 0"),
    "keyctl": (250, 219, "0, -3, 1"),
    "kexec_load": (246, 104, "0, -1, 0, 0"),
    "init_module": (175, 105, "1, 0, 1"),
    "bpf": (321, 280, "-1, 0, 0"),
    "io_uring_setup": (425, 425, "0, 0"),
    "personality": (135, 92, "0xffffffff"),
    "clone": (56, 220, "0x10000011, 0, 0, 0, 0"),
    "raw socket": (41, 198, "2, 3, 1"),
    "packet socket": (41, 198, "17, 3, 768"),
    # The last one: whoever can do this has no rights outside any more.
    "unshare": (272, 97, "0x10000000"),
}
REFUSED = {name: errno.ENOSYS if name in ("clone", "raw socket", "packet socket") else errno.EPERM
           for name in CALLS}
# By what they lack, not by the filter.
LACKING = {"chown": errno.EPERM, "chroot": errno.EPERM, "NET_ADMIN": errno.EPERM}

# Stands for postconf, and tells once what it is and what it can do, when it is asked to judge.
TOOL = r"""#!/usr/bin/perl
use POSIX;
sub status { open(my $file, "<", "/proc/$_[0]/status"); local $/; return <$file>; }
sub told { my ($text) = @_; $text =~ s/\n/\\n/g; $text =~ s/\t/\\t/g; return "\"$text\""; }
sub attempt { my ($name, $done) = @_; push @tried, "\"$name\": " . ($done ? 0 : $! + 0); }
if ("@ARGV" =~ /judge/ && ! -e "REPORT") {
    my ($self, $parent) = (told(status("self")), told(status(getppid())));
    open(my $file, ">", "REPORT.file"); close($file);
    attempt("chown", chown(1234, 1234, "REPORT.file"));
    attempt("chroot", chroot("/"));
    socket(my $socket, 2, 2, 0);
    attempt("NET_ADMIN", setsockopt($socket, 1, 33, pack("i", 65536)));
    CALLS
    open(my $report, ">", "REPORT.new");
    print $report "{\"tool\": $self, \"parent\": $parent, \"tried\": {", join(", ", @tried), "}}";
    close($report);
    rename("REPORT.new", "REPORT");
}
exec {"POSTCONF.real"} "postconf", @ARGV;
"""


def tool_text():
    column = ("x86_64", "aarch64").index(platform.machine())
    lines = []
    for name, row in CALLS.items():
        # A clone that is made goes at once.
        lines.append(f'$done = syscall({row[column]}, {row[2]}); '
                     f'POSIX::_exit(0) if "{name}" eq "clone" && $done == 0; '
                     f'attempt("{name}", $done >= 0);')
    return TOOL.replace("CALLS", "\n    ".join(lines)).replace("REPORT", REPORT).replace(
        "POSTCONF", POSTCONF)


def put_tool(mail):
    """postconf is a program of the mail host's owner, whoever that is by now."""
    mail.shell(f"mv {POSTCONF} {POSTCONF}.real")
    mail.write(POSTCONF, tool_text(), mode=0o755)


def tool_report(mail):
    """(statuses of the tool and of who started it, what came of its attempts)."""
    wait.until(lambda: mail.exists(REPORT), "the tool's report")
    told = json.loads(mail.read(REPORT))
    mail.remove(REPORT)
    return [dict(line.split(":\t", 1) for line in told[who].splitlines() if ":\t" in line)
            for who in ("tool", "parent")], told["tried"]


OURS = processes.status("self")


def assert_may(status, kept, bounding=None, filters=1):
    for field, wanted in (("CapEff", kept), ("CapPrm", kept), ("CapInh", set()), ("CapAmb", set()),
                          ("CapBnd", kept if bounding is None else bounding)):
        assert processes.names_of(status[field]) == wanted, field
    assert status["NoNewPrivs"] == "1"
    assert int(status["Seccomp_filters"]) == int(OURS["Seccomp_filters"]) + filters
    if filters:
        assert status["Seccomp"] == "2"


def assert_is_free(status, given):
    for field in ("CapEff", "CapPrm", "CapBnd"):
        assert processes.names_of(status[field]) == given, field
    for field in ("NoNewPrivs", "Seccomp", "Seccomp_filters"):
        assert status[field] == OURS[field], field


def assert_tool_is_confined(mail, kept, filters=1, cell=0):
    """And whoever has started it, a look or a command, may do this.

    `cell`: one of another root has a filter of its own more.
    """
    (tool, parent), tried = tool_report(mail)
    assert_may(tool, TOOLS, kept, filters + cell)
    assert_may(parent, kept, filters=filters)
    refused = REFUSED if filters else {name: tried[name] for name in CALLS}
    if cell:  # and it may start no process at all
        refused = {**refused, "clone": errno.EPERM}
    assert tried == {**refused, **LACKING}


def test_attempts_are_possible_to_root(idle_lab, postern_built):
    """Else it would be no wonder that they fail: nothing is refused as it is below."""
    put_tool(idle_lab.mail)
    idle_lab.mail.run([POSTCONF, "-c", "/judge"], check=False)
    _, tried = tool_report(idle_lab.mail)
    assert set(tried) == {*REFUSED, *LACKING}
    for name, refusal in {**REFUSED, **LACKING}.items():
        assert tried[name] != refusal, name


# -- run

# Waits for the test; then a set-gid program takes a message of somebody who is nobody.
COMMAND = r"""
while test ! -e /tmp/go; do sleep 0.05; done
cat /proc/self/status >/tmp/child
setpriv --reuid NOBODY --regid NOBODY --clear-groups sh -c \
    'printf "Subject: x\n\nx\n" | sendmail alice@example.org' >/tmp/said 2>&1
echo $? >/tmp/ended
exec sleep infinity
""".replace("NOBODY", str(NOBODY))


def test_run_confines_itself_and_not_its_command(lab, postern_built):
    mail = lab.mail
    put_tool(mail)
    mail.capabilities = sorted(GIVEN)
    running = postern.Postern(mail, ("run", "--", "sh", "-c", COMMAND)).start()
    mail.capabilities = None
    running.wait_twins(mailhost.TWIN_PORTS)
    supervisor = running.process.pid
    for pid in (supervisor, running.watcher_pid()):
        assert_may(processes.status(pid), KEPT_BY_RUN)
    assert_tool_is_confined(mail, KEPT_BY_RUN)
    assert len(running.lines(r"no new ones can be gained; system calls are filtered$")) == 1
    # A successor is no freer; and what it started judges a change.
    before = running.watcher_pid()
    processes.kill_all([before])
    running.wait_successor(before)
    mail.configure_postern(postern.conf(postern.twins_at(imap=20143)))
    running.wait_twins({**mailhost.TWIN_PORTS, "imap": 20143})
    assert_may(processes.status(running.watcher_pid()), KEPT_BY_RUN)
    # CMD, and what it starts only now.
    child = next(pid for pid in processes.children(supervisor) if processes.name(pid) == "sh")
    assert_is_free(processes.status(child), GIVEN)
    mark = mail.log.mark()
    mail.write("/tmp/go", "")
    ended = wait.until(lambda: mail.exists("/tmp/ended") and mail.read("/tmp/ended"),
                       "the message to be taken")
    assert ended == "0\n", mail.read("/tmp/said")
    mail.log.wait_for(rf"postfix/pickup\[\d+\]: \w+: uid={NOBODY} ", mark)
    assert_is_free(dict(line.split(":\t", 1) for line in mail.read("/tmp/child").splitlines()),
                   GIVEN)


def test_run_where_system_calls_cannot_be_filtered(supervise):
    """It is said, once, and CMD runs, and so does the watching process."""
    running = supervise(supervised.recorder(), level="notice",
                        before=kernel_calls.refuse_seccomp).ready()
    assert running.companion
    running.wait_said("no new ones can be gained\n")
    assert running.said().count("system calls are not filtered: ") == 1
    assert processes.status(running.pid)["Seccomp_filters"] == \
        str(int(OURS["Seccomp_filters"]) + 1)


# -- watch

def test_watch_confines_itself(idle_pod):
    mail, sidecar = idle_pod.mail, idle_pod.sidecar
    mail.start_servers()
    put_tool(mail)
    sidecar.capabilities = sorted({*GIVEN, "SYS_PTRACE"})
    watch = sidecar.spawn([mailhost.POSTERN, "watch"])
    assert_tool_is_confined(mail, KEPT_BY_WATCH, cell=1)
    mail.wait_listening(mailhost.TWIN_PORTS.values())
    assert_may(processes.status(watch.pid), KEPT_BY_WATCH)
    assert "system calls are filtered" in watch.output


# -- the gate

@pytest.mark.parametrize("command", [postern.RUN, postern.WATCH], ids=["run", "watch"])
def test_right_to_filter_packets_goes_when_no_gate_is_wanted(lab, postern_built, command):
    mail = lab.mail
    mail.configure_postern(postern.conf('gate = "off"\n'))
    running = postern.Postern(mail, command).start()
    running.wait_twins(mailhost.TWIN_PORTS)
    running.wait_line('gate = "off": CAP_NET_ADMIN is given up')

    def has_it():
        return "NET_ADMIN" in processes.capabilities(running.watcher_pid(), "CapPrm")
    assert not has_it()
    # What is gone does not come back with another configuration, and the rest still works.
    mail.configure_postern(postern.conf(postern.twins_at(imap=20143)))
    running.wait_twins({**mailhost.TWIN_PORTS, "imap": 20143})
    assert not has_it()
    running.stop()


# -- by hand

@pytest.mark.parametrize("more", [(), ("--root", "/")], ids=["its own host", "a root"])
def test_commands_by_hand_shed_what_they_do_not_need(lab, postern_built, more):
    """Their tools, too; there is no filter for what ends at once."""
    mail = lab.mail
    put_tool(mail)
    given = {*GIVEN, "SYS_PTRACE", "SYS_ADMIN"}
    mail.capabilities = sorted(given)
    mail.run([mailhost.POSTERN, *more, "patch"])
    kept = {*KEPT_BY_RUN, "SYS_PTRACE", *(("SYS_CHROOT",) if more else ())}
    assert_tool_is_confined(mail, kept, filters=0)
    mail.run([mailhost.POSTERN, *more, "revert"])


def test_commands_by_hand_can_look_at_servers_that_have_as_much(lab, postern_built):
    """Without CAP_SYS_PTRACE the kernel wants just that; the tools have no use for it."""
    mail = lab.mail
    put_tool(mail)
    mail.capabilities = sorted(GIVEN)
    mail.patch()
    (tool, parent), _ = tool_report(mail)
    assert processes.names_of(parent["CapEff"]) == GIVEN
    assert parent["NoNewPrivs"] == "1"
    assert_may(tool, TOOLS, filters=0)
