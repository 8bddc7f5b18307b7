# SPDX-License-Identifier: MIT
"""Odd names and values by every way in, and what each shall mean; one character a byte.

A case is accepted, and then the files that postern writes hold what is said here and nothing else;
or passed over, as docker-mailserver does, and then they are as without it; or refused.
"""
import re
import typing

from lab import mail_config

LONG = "v" * 60000
BEYOND = "v" * 66000
UTF8 = "caf\xc3\xa9-\xe2\x82\xac"
BROKEN_UTF8 = "\xff\xc3"
NETWORK = 'trusted-networks = "10.42.0.0/16"\n'
OVERRIDES = "/tmp/docker-mailserver"
MASTER = "/etc/postfix/master.cf"
MAIN = "/etc/postfix/main.cf"
TWINS = (("smtp", "smtp", "12525"), ("submission", "submission", "10587"),
         ("submissions", "submissions", "10465"))
TAIL = "inet n - n - - smtpd"
DOVECOT_CONF = """\
protocols = imap
ssl = no
service imap-login {
  inet_listener imap {
    port = 143
  }
}
!include conf.d/*.conf
!include_try local.conf
"""
FILES = {
    MASTER: mail_config.MASTER_CF,
    MAIN: "mynetworks = 127.0.0.0/8\nmyhostname = mail.example.test\n"
          "data_directory = /var/lib/postfix\n",
    "/etc/dovecot/dovecot.conf": DOVECOT_CONF,
    "/etc/dovecot/conf.d/10-empty.conf": "# nothing\n",
    "/etc/services": "smtp 25/tcp\nsubmission 587/tcp\nsubmissions 465/tcp\nodd-port_9 2626/tcp\n",
}


class Case(typing.NamedTuple):
    """How something odd gets in, and what is meant by it."""
    name: str
    conf: str = NETWORK
    environment: dict = {}
    root: str = "root"             # the folder's name
    config: str = "postern.conf"   # the file's name
    options: tuple = ()            # more of the command line
    files: dict = {}               # below the root
    # what is meant
    networks: tuple = ("10.42.0.0/16",)
    twins: tuple = TWINS           # (mark, stock service, twin's), in the file's order
    passes: tuple = (("smtpd", "smtpd_proxied"),)  # (pass service, its twin's)
    cache_map: str = "btree:/var/lib/postfix/postscreen_cache"
    main: dict = {}                # what main.cf has then
    unused: tuple = ()             # of these, what Postfix calls unused
    set_options: dict = {}         # {service/type: {name: value}}
    dovecot: str = None            # what local.conf has then
    dovecot_ports: dict = {}       # {stock: twin's}
    directory: str = "/etc/postfix"
    dovecot_directory: str = "/etc/dovecot"
    # or
    passed_over: str = None        # the place and the text of a warning
    refused: str = None            # the place and the text of the error


def conf(name, text, **meant):
    return Case(f"postern.conf: {name}", conf=text, **meant)


def quoted(path):
    return "'" + path.replace("\\", "\\\\").replace("'", "\\'") + "'"


# -- postern.conf

ODD_PORT = {MASTER: mail_config.MASTER_CF + f"odd-port_9 {TAIL}\n"}
ODD_TWIN = (*TWINS, ("odd_port_9", "odd-port_9", "12626"))
# What must not get into a name, and how it is shown.
BAD_NAMES = {
    "dollar": ("su$b", "su$b"),
    "braces": ("{submission}", "{submission}"),
    "double quote": ('su"b', 'su"b'),
    "blank": ("sub mission", "sub mission"),
    "nothing": ("", ""),
    "colon": ("127.0.0.1:587", "127.0.0.1:587"),
    "slash": ("submission/inet", "submission/inet"),
    "equals": ("a=b", "a=b"),
    "hash": ("587#", "587#"),
    "UTF-8": (UTF8, "caf"),
    "broken UTF-8": (BROKEN_UTF8, "listener"),
    "line end": ("587\n587 inet n - n - - pipe", "587"),
    "65 kB": (BEYOND, "listener"),
    "33 bytes": ("9" * 33, "9" * 33),
    "no port": ("65536", "65536"),
    "own mark": ("postern_twin_of=x", "postern_twin_of=x"),
}
ODD_FOLDERS = {
    "blank": "with blank",
    "dollar": "a$HOME$x",
    "quotes": "it's \"so\"",
    "UTF-8": UTF8,
    "broken UTF-8": BROKEN_UTF8,
    "star": "a*b",
    "open brace": "a{",
    "hash": "#hash",
    "equals": "a=b",
    "long": "v" * 200,
}
# Dovecot takes these in a folder's name for a pattern, and finds no file that it includes there.
PATTERNS = {"braces": "{a,b}", "class": "[a]", "backslash": "a\\b",
            "variable": "a${x}"}


def settings_cases():
    yield conf("a port's name with everything that names may have",
               NETWORK + "postfix { listener odd-port_9 { } }\n", files=ODD_PORT, twins=ODD_TWIN)
    yield conf("the same in quotes", NETWORK + "postfix { listener 'odd-port_9' { } }\n",
               files=ODD_PORT, twins=ODD_TWIN)
    yield conf("a port's number", NETWORK + "postfix { listener 2626 { port = 1 } }\n",
               files=ODD_PORT, twins=(*TWINS, ("2626", "odd-port_9", "1")))
    yield conf("the greatest port", NETWORK + "postfix { listener 2626 { port = 65535 } }\n",
               files=ODD_PORT, twins=(*TWINS, ("2626", "odd-port_9", "65535")))
    yield conf("Dovecot's port", NETWORK + "dovecot { listener imap { port = 65535 } }\n",
               dovecot_ports={"imap": 65535})
    yield conf("networks as nobody writes them",
               'trusted-networks = { "10.42.7.9/16", "FD00:0042:0::/48", "192.0.2.1" }\n',
               networks=("10.42.0.0/16", "fd00:42::/48", "192.0.2.1/32"))
    for name, (text, shown) in BAD_NAMES.items():
        line = 2 + text.count("\n")
        yield conf(f"Postfix's listener: {name}",
                   NETWORK + f"postfix {{ listener '{text}' {{ }} }}\n",
                   refused=rf"postern.conf:{line}: .*{re.escape(shown)}")
        yield conf(f"Dovecot's listener: {name}",
                   NETWORK + f"dovecot {{ listener '{text}' {{ }} }}\n",
                   refused=rf"postern.conf:{line}: .*{re.escape(shown)}")
    for value in ("0", "65536", "-1", "'587'\n'", "99999999999999999999", "1;2", "1e3"):
        yield conf(f"a port: {value!r}",
                   NETWORK + f"postfix {{ listener 587 {{ port = {value} }} }}\n",
                   refused=r"postern.conf:[23]: ")
    for value in ("10.0.0.0/8 0.0.0.0/0", "10.0.0.0/8\nyes", "10.0.0.0/33", "${x", "{10.0.0.0/8}",
                  "10.0.0.0/8 #", UTF8, BEYOND, "fd00::%eth0", "fe80::1%lo/64", '10.0.0.0/8"'):
        yield conf(f"a network: {value[:20]!r}", f"trusted-networks = '{value}'\n",
                   refused=r"postern.conf:[12]: trusted-networks: .*" + short(value))


def short(value):
    """A pattern for as much of a text as a message shows for sure."""
    return re.escape(re.match("[ -~]{0,3}", value)[0])


def moved_to(postfix, dovecot, dovecot_conf):
    """The files of a root with both folders elsewhere."""
    files = {**FILES, "/etc/dovecot/dovecot.conf": dovecot_conf}
    moved = {path.replace("/etc/postfix", postfix).replace("/etc/dovecot", dovecot): text
             for path, text in files.items()}
    return {**dict.fromkeys(FILES), **moved}


def folder_cases():
    for name, odd in ODD_FOLDERS.items():
        postfix, dovecot = f"/etc/{odd}/postfix", f"/etc/{odd}/dovecot"
        yield conf(f"folders: {name}",
                   NETWORK + f"postfix {{ config-directory = {quoted(postfix)} }}\n"
                   f"dovecot {{ config-directory = {quoted(dovecot)} }}\n"
                   f"watch {quoted('/srv/' + odd)} {{ reload = postfix }}\n"
                   f"overrides {quoted('/srv/' + odd)} {{ }}\n",
                   files={**moved_to(postfix, dovecot, DOVECOT_CONF),
                          f"/srv/{odd}/postfix-main.cf": "mail_name = odd\n"},
                   main={"mail_name": "odd"}, directory=postfix, dovecot_directory=dovecot)
    for name, odd in PATTERNS.items():
        moved = NETWORK + f"dovecot {{ config-directory = {quoted('/etc/' + odd)} }}\n"
        place = re.escape(f"/etc/{odd}/dovecot.conf")
        yield conf(f"folders: {name}", moved, files=moved_to("/etc/postfix", "/etc/" + odd,
                                                             DOVECOT_CONF),
                   refused=place + r":\d+: no file matches the include")
        yield conf(f"folders: {name}, no include", moved,
                   files=moved_to("/etc/postfix", "/etc/" + odd, DOVECOT_CONF.split("!")[0]),
                   refused=place + ": the listeners of .* are not read")
    for name, odd in {"line end": "a\nb", "escape": "a\x1b[2Jb", "no root": "etc/postfix",
                      "65 kB": "/" + BEYOND}.items():
        for key in ("postfix { config-directory = %s }", "dovecot { config-directory = %s }",
                    "overrides %s { }", "watch %s { reload = postfix }"):
            path = odd if name in ("no root", "65 kB") else "/" + odd
            yield conf(f"{key % name}", NETWORK + key % quoted(path) + "\n",
                       refused=rf"postern.conf:[23]: .*{re.escape(odd[0])}")


# -- environment

def environment_cases():
    for text, networks in {
            "10.42.0.0/16": ("10.42.0.0/16",),
            " ,10.42.0.0/16,\t\n fd00:42::/48 ,": ("10.42.0.0/16", "fd00:42::/48"),
            " ".join(f"10.{a}.{b}.0/24" for a in range(16) for b in range(64)):
                tuple(f"10.{a}.{b}.0/24" for a in range(16) for b in range(64)),
    }.items():
        yield Case(f"environment: {text[:30]!r}", conf="\n",
                   environment={"POSTERN_TRUSTED_NETWORKS": text}, networks=networks)
    for text in ("10.0.0.0/8;0.0.0.0/0", "$HOME", "${HOME}", "{10.0.0.0/8}", '"10.0.0.0/8"', UTF8,
                 "10.0.0.0/8\r", "10.0.0.0/8\v0.0.0.0/0", "0.0.0.0/0", "x" * 66000, BROKEN_UTF8):
        yield Case(f"environment: {text[:30]!r}", conf="\n",
                   environment={"POSTERN_TRUSTED_NETWORKS": text},
                   refused="POSTERN_TRUSTED_NETWORKS: .*" + short(text))
    # It stands where a quoted text stands, and is one word however it looks.
    yield Case("${} for a port's name", conf=NETWORK + 'postfix { listener "${ODD}" { } }\n',
               environment={"ODD": "odd-port_9"}, files=ODD_PORT, twins=ODD_TWIN)
    for text in ("587\" { } }\nallow-any-network = true\n", "587 { }", "${HOME}", UTF8, BEYOND, ""):
        yield Case(f"${{}} for {text[:20]!r}", conf=NETWORK + 'postfix { listener "${ODD}" { } }\n',
                   environment={"ODD": text}, refused=r"postern.conf:[2345]: .*listener")


# -- command line

def command_line_cases():
    for name, odd in ODD_FOLDERS.items():
        yield Case(f"--root: {name}", root=odd)
        yield Case(f"--config: {name}", config=odd[:200])
        yield Case(f"--config: {name}, bad", config=odd[:200], conf=NETWORK + "x = $\n",
                   refused=r":2: .*'x'")
    yield Case("--root: line end", root="a\nb")
    yield Case("--config: line end, bad", config="a\nb", conf="x = $\n", refused=r"a.{1,4}b:1: ")
    for option in (("--pid", "1 2"), ("--pid", "-1"), ("--pid", "0"), ("--pid", "1\n2"),
                   ("--pid", "9" * 66000), ("--pid", "$$"), ("--pid", UTF8), ("--log-level", "{"),
                   ("--log-format", "te xt"), ("--socket", "x"), ("--root", ""),
                   ("--root", "/nowhere/${x}"), ("--config", "/nowhere/{"), ("--config", ""),
                   ("--r\xc3\xa9", "--r")):
        yield Case(f"{option[0]} {option[1][:20]!r}", options=option,
                   refused=".*" + (short(option[1]) or option[0][:3]))


# -- postfix-main.cf

VALUES = {
    "dollar": "$myhostname $$x ${y?a:b} $(z)",
    "braces": "{ a } {{b} c}",
    "open brace": "a { b",
    "quotes": "it's \"so\" `x`",
    "comment's sign": "a #b",
    "equals": "= a == b",
    "backslash": "a \\n \\",
    "UTF-8": UTF8,
    "broken UTF-8": BROKEN_UTF8,
    "nothing": "",
    "option": "-o x=y",
    "mark": "${postern_twin_of}",
    "60 kB": LONG,
}
MAIN_LINE = f"{OVERRIDES}/postfix-main.cf"
MASTER_LINE = f"{OVERRIDES}/postfix-master.cf"


def main_cases():
    for name, value in VALUES.items():
        yield Case(f"postfix-main.cf: {name}", files={MAIN_LINE: f"smtpd_banner = {value}\n"},
                   main={"smtpd_banner": value})
    yield Case("postfix-main.cf: folded", files={MAIN_LINE: "smtpd_banner = a\n# c\n\tb = c\n  d\n"},
               main={"smtpd_banner": "a b = c d"})
    yield Case("postfix-main.cf: carriage returns",
               files={MAIN_LINE: "smtpd_banner = a\r\nmail_name = b\r\n"},
               main={"smtpd_banner": "a", "mail_name": "b"})
    for name in ("my.own:odd-name_9", "9x", "_x"):
        yield Case(f"postfix-main.cf: name {name}", files={MAIN_LINE: f"{name} = a $b\n"},
                   unused=(f"{name}=a $b",), main={name: "a $b"})
    for name, line in {"dollar": "$x = y", "braces": "{ x = y }", "quotes": '"x" = y',
                       "UTF-8": f"{UTF8} = y", "blank": "mail name = y", "none": "= y",
                       "no equals": "mail_name", "own": "postern_twin_of = x", "slash": "a/b = c",
                       "form feed": "mail_name = a\fb", "NUL": "mail_name = a\0b",
                       "carriage return": "mail_name = a\rsmtpd_banner = b",
                       "66 kB": f"mail_name = {BEYOND}", "66 kB's name": f"{BEYOND} = x",
                       "continues nothing": " mail_name = x"}.items():
        yield Case(f"postfix-main.cf: {name}, refused",
                   files={MAIN_LINE: "# comment\n" + line + "\n"},
                   refused=r"postfix-main.cf:2: ")


# -- postfix-master.cf

WORDS = {name: value.replace(" ", "") for name, value in VALUES.items() if name != "open brace"}


def master_override_cases():
    for name, value in WORDS.items():
        if name == "mark":
            continue
        yield Case(f"postfix-master.cf: {name}",
                   files={MASTER_LINE: f"submission/inet/smtpd_banner={value}\n"},
                   set_options={"submission/inet": {"smtpd_banner": value}})
    yield Case("postfix-master.cf: every type",
               files={MASTER_LINE: "smtp/*/syslog_name=${x}\n"},
               set_options={"smtp/inet": {"syslog_name": "${x}"},
                            "smtp/unix": {"syslog_name": "${x}"}})
    odd = {MASTER: mail_config.MASTER_CF + 'it\'s"$x unix - - n - - pipe\n'}
    yield Case("postfix-master.cf: an odd service",
               files={**odd, MASTER_LINE: 'it\'s"$x/unix/mail_name={a$b}\n'},
               set_options={'it\'s"$x/unix': {"mail_name": "{a$b}"}})
    for name, line in {"blank": "submission/inet/mail_name=a b", "dollar": "submission/inet/$x=y",
                       "open brace": "submission/inet/mail_name={a", "end": "submission/inet/x=a}b{",
                       "UTF-8": f"submission/inet/{UTF8}=x", "parts": "submission/inet",
                       "mark": "submission/inet/mail_name=${postern_twin_of}",
                       "own": "submission/inet/postern_twin_of=x", "twin": "10587/inet/mynetworks=x",
                       "no service": "nobody/inet/mail_name=x",
                       "blank in service": "sub mission/inet/mail_name=x"}.items():
        yield Case(f"postfix-master.cf: {name}, passed over",
                   files={MASTER_LINE: "# comment\n" + line + "\n"},
                   passed_over=r"postfix-master.cf:2: ")
    for name, line in {"NUL": "submission/inet/mail_name=a\0", "form feed": "smtp/inet/x=a\fb",
                       "carriage return": "smtp/inet/x=a\r587 inet n - n - - pipe",
                       "66 kB": f"submission/inet/mail_name={BEYOND}"}.items():
        yield Case(f"postfix-master.cf: {name}, refused",
                   files={MASTER_LINE: "# comment\n" + line + "\n"},
                   refused=r"postfix-master.cf:2: ")


# -- dovecot.cf

def dovecot_override_cases():
    for name, value in VALUES.items():
        if "mark" in name or "dollar" in name or not value:
            continue
        text = value.replace("\\", "\\\\").replace('"', '\\"').replace("'", "\\'")
        line = f'login_greeting = "{text}"\n'
        yield Case(f"dovecot.cf: {name}", files={f"{OVERRIDES}/dovecot.cf": line}, dovecot=line)
    for name, text in {"NUL": "login_greeting = a\0b\n", "open section": "service imap-login {\n",
                       "end": "}\n", "no equals": "login_greeting\n"}.items():
        yield Case(f"dovecot.cf: {name}, refused", files={f"{OVERRIDES}/dovecot.cf": text},
                   refused=r"dovecot.cf(:[12])?: |local.conf:[12]: ")


# -- master.cf

def stock(line, twin, mark="submission_2"):
    """One more entry of a stock port, and its twin."""
    service = line.split()[0]
    twins = sorted((*TWINS, (mark, service, twin)),
                   key=lambda item: ("smtp", "submission", "submissions").index(
                       item[0].removesuffix("_2")))
    return {"files": {MASTER: mail_config.MASTER_CF + line + "\n"}, "twins": tuple(twins)}


def postscreen(option, pass_name="smtpd", more=""):
    text = mail_config.MASTER_CF.replace("       1       postscreen",
                                         f"       1       postscreen\n  {option}")
    return {MASTER: text.replace("smtpd     pass", f"{pass_name} pass") + more}


def master_cases():
    for host in ("192.0.2.1", "[2001:db8::1]", "[IPv6:2001:db8::1]", "mail.example.test", UTF8,
                 BROKEN_UTF8):
        yield Case(f"master.cf: host {host[:20]!r}",
                   **stock(f"{host}:587 {TAIL}", f"{host}:10587"))
    last = mail_config.MASTER_CF.count("\n") + 1
    for host in ("a{b}", "$x", '"q"', "it's", "a=b", "%s%n", "h" * 4000):
        yield Case(f"master.cf: host {host[:20]!r}",
                   files={MASTER: mail_config.MASTER_CF + f"{host}:587 {TAIL}\n"},
                   refused=rf"master.cf:{last}: bad inet service name.*{short(host)}")
    for name, option in {
            "dollar": "-o smtpd_banner=$x${y?{a}:{b}}$$",
            "braces": "-o { smtpd_banner = {a} {b c} }",
            "quotes": "-o smtpd_banner='a'\"b\"`c`",
            "blanks": "-o { smtpd_banner =   a   \"b   c\" }",
            "comment's sign": "-o smtpd_banner=a#b",
            "UTF-8": f"-o smtpd_banner={UTF8}",
            "broken UTF-8": f"-o smtpd_banner={BROKEN_UTF8}",
            "60 kB": f"-o smtpd_banner={LONG}",
            "60 kB in braces": f"-o {{ smtpd_banner = {LONG} {LONG} }}",
            "odd name": "-o a.b:c-d=e",
            "UTF-8's name": f"-o {UTF8}=x",
            "name in quotes": "-o \"x\"=y",
            "nothing": "-o smtpd_banner=",
            "again": "-o smtpd_banner=a -o smtpd_banner=b",
            "ours": "-o mynetworks=0.0.0.0/0 -o { inet_protocols = ipv4 }",
            "folded": "-o\n # c\n\n  smtpd_banner=a\n\t-o {\n  mail_name\n =\n b c }",
            "format": "-o smtpd_banner=%s%n%1000000d",
    }.items():
        yield Case(f"master.cf: value: {name}",
                   **stock(f"192.0.2.1:587 {TAIL} {option}", "192.0.2.1:10587"))
    for name in (UTF8, "sm{t}pd", "it's", '"q"', "a=b", "%s%n", "p" * 4000):
        yield Case(f"master.cf: private service {name[:20]!r}",
                   files=postscreen(f"-o smtpd_service_name={name}", name),
                   passes=((name, "smtpd_proxied"),))
    for name in (UTF8, "a{b}", "$x", "it's", '"q"', "-o", "-v", "p" * 60000):
        yield Case(f"master.cf: a foreign service {name[:20]!r}",
                   files={MASTER: mail_config.MASTER_CF + f"{name} unix - - n - - pipe\n"})
    for path in (UTF8, "it's", 'a"b', "a=b", "a#b", "%s%n"):
        yield Case(f"master.cf: cache {path!r}",
                   files=postscreen(f"-o postscreen_cache_map=btree:/var/{path}"),
                   cache_map=f"btree:/var/{path}")
    for path in ("$$x", "{a}", "c" * 60000):
        yield Case(f"master.cf: cache {path[:20]!r}, refused",
                   files=postscreen(f"-o postscreen_cache_map=btree:/var/{path}"),
                   refused=r"master.cf:9: postscreen_cache_map")
    yield Case("master.cf: cache with a blank, refused",
               files=postscreen("-o { postscreen_cache_map = btree:/a b }"),
               refused=r"master.cf:9: postscreen_cache_map .*a b")
    for name, line in {"NUL": "a\0b unix - - n - - pipe", "open brace": f"587 {TAIL} -o {{ a = b",
                       "after brace": f"587 {TAIL} -o {{ a = b }}c", "fields": "587 inet n - n",
                       "type": "587 {inet} n - n - - smtpd",
                       "private": "587 inet y - n - - smtpd"}.items():
        yield Case(f"master.cf: {name}, refused",
                   files={MASTER: mail_config.MASTER_CF + line + "\n"},
                   refused=rf"master.cf:{last}: ")


def cases():
    for some in (settings_cases, folder_cases, environment_cases, command_line_cases, main_cases,
                 master_override_cases, dovecot_override_cases, master_cases):
        yield from some()
