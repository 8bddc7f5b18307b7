# SPDX-License-Identifier: MIT
"""Random trees of Dovecot configuration from a seed: {relative path: text}, one character a byte.

What a tree says is made first, as statements in their order; then it is written down over many
files, in every way that Dovecot's reader allows.
"""
import random

HEAD_24 = "dovecot_config_version = 2.4.0\ndovecot_storage_version = 2.4.0\n"
SERVICES = {
    "imap-login": ("imap", "imaps"),
    "pop3-login": ("pop3", "pop3s"),
    "managesieve-login": ("sieve",)
}
PROTOCOLS = ("imap", "pop3", "sieve")
GREETINGS = ("plain words", "it's", "a b  c", 'say "so" now', "with \\ slash", "trailing",
             "caf\xc3\xa9 \xe2\x82\xac", "#hash", "a#b", "$dollar", "{ brace", "}", "=", "x = y",
             "<less", "")
NETWORKS = ("10.0.0.0/8", "192.0.2.1", "fd00::/48", "2001:db8::1", "127.0.0.1/32", "10.42.0.0/16")
COMMENTS = ("#", "# comment", "#port = 99", "# }", "# {", "# it's", "# ends in \\", "#\xff")


class Tree:
    """files is the tree; main is its first file."""
    def __init__(self, seed, is_24, extras=True):
        self._rng = random.Random(("dovecot", seed, is_24).__repr__())
        self._is_24 = is_24
        self._extras = extras
        self._ports = iter(self._rng.sample(range(20000, 30000), 200))
        self.files = {}
        self._write(self._statements())

    def _chance(self, probability):
        return self._rng.random() < probability

    # -- what it says: ("set", key, value) and ("section", words, statements)

    def _statements(self):
        rng = self._rng
        out = [self._protocols()]
        for service, names in SERVICES.items():
            for _ in range(rng.choice((0, 1, 1, 2))):
                out.append(self._service(service, names))
        for _ in range(rng.choice((0, 1, 1, 2))):
            out.append(("set", "ssl", rng.choice(("yes", "no", "required", "yes"))))
        for _ in range(rng.choice((0, 0, 1, 2))):
            words = rng.sample(NETWORKS, rng.randrange(1, 4))
            out.append(("set", "haproxy_trusted_networks", rng.choice(
                (" ", ", ", ",")).join(words)))
        for _ in range(rng.choice((0, 1, 3))):
            out.append(("set", rng.choice(
                ("login_greeting", "instance_name", "login_log_format")), rng.choice(GREETINGS)))
        if self._extras and self._chance(0.4):
            out.append(
                ("section", ("protocol", "imap"), [("set", "mail_max_userip_connections", "7")]))
        if self._extras and self._chance(0.3):
            out.append(("section", ("service", rng.choice(("my-service", "imap-hibernate"))), [
                ("section", ("inet_listener", "extra"), [("set", "port", str(next(self._ports)))])
            ]))
        if self._extras and self._chance(0.2):
            out.append(
                ("set", "listen", rng.choice(("*", "::", "127.0.0.1", "*, ::", "127.0.0.1 ::1"))))
        rng.shuffle(out)
        if self._chance(0.3):
            out.append(self._protocols())
        return out

    def _protocols(self):
        rng = self._rng
        chosen = rng.sample(PROTOCOLS, rng.randrange(0, 4))
        if not self._is_24:
            if self._chance(0.3):
                chosen.insert(rng.randrange(len(chosen) + 1), "$protocols")
            return ("set", "protocols", rng.choice((" ", "  ")).join(chosen) or rng.choice(
                ("", "none")))
        if chosen and self._chance(0.5):
            return ("set", "protocols", rng.choice((" ", ", ")).join(chosen))
        return ("section", ("protocols",), [("set", name, rng.choice(("yes", "yes", "no")))
                                             for name in chosen])

    def _service(self, service, names):
        rng = self._rng
        inside = []
        for name in names + (("extra_" + names[0], "other-one") if self._extras else ()):
            if self._chance(0.6):
                inside.append(("section", ("inet_listener", name), self._listener(name, names)))
        if self._chance(0.3):
            inside.append(("set", "process_min_avail", str(rng.randrange(5))))
        if self._extras and self._chance(0.05):
            inside.append(("set", "executable", rng.choice(("", service))))
        if self._extras and self._chance(0.05):
            inside.append(("set", "protocol", rng.choice(("", "imap", "pop3"))))
        rng.shuffle(inside)
        return ("section", ("service", service), inside)

    def _listener(self, name, names):
        rng = self._rng
        out = []
        if name not in names or self._chance(0.5):
            out.append(
                ("set", "port", rng.choice(("0", str(next(self._ports)), str(next(self._ports))))))
        if self._chance(0.3):
            out.append(("set", "ssl", rng.choice(("yes", "no", "y", "YES", "1"))))
        if self._extras and self._chance(0.15):
            out.append(("set", "listen" if self._is_24 else "address",
                        rng.choice(("127.0.0.1", "*", "::", "::1", "* ::", "127.0.0.1, ::1"))))
        if self._extras and self._chance(0.1):
            out.append(("set", "haproxy", rng.choice(("yes", "no"))))
        rng.shuffle(out)
        return out

    # -- how it is written

    def _end(self):
        return self._rng.choice(("\n",) * 12 + ("\r\n",))

    def _noise(self):
        out = ""
        while self._chance(0.2):
            out += self._rng.choice(
                ("", " ", "\t")) + self._rng.choice(COMMENTS + ("",)) + self._end()
        return out

    def _tail(self):
        """What may follow a line's text."""
        return self._rng.choice(("",) * 6
                                + (" ", "\t ", " # comment", "  # it's", "\t#")) + self._end()

    def _gap(self):
        """A blank between words, or a continued line."""
        if self._chance(0.06):
            return self._rng.choice((" ", "")) + "\\" + self._rng.choice(
                ("", " ", " # comment")) + self._end() + self._rng.choice(("", "  ", "\t"))
        return self._rng.choice((" ", " ", "  ", "\t"))

    def _value(self, value):
        plain = not (set(value)
                     & set("#\"'\\$<")) and not value.endswith("\\") and value.strip() == value
        if plain and self._chance(0.7):
            return value
        # An apostrophe opens a quoted stretch in which '#' is no comment, and no more.
        if value == "it's" and self._chance(0.5):
            return value
        quote = self._rng.choice("\"'")
        escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("'", "\\'")
        return quote + escaped + quote

    def _line(self, statement, depth):
        indent = self._rng.choice(("", " " * depth * 2, "\t" * depth))
        if statement[0] == "set":
            _, key, value = statement
            # A value that is a variable may not be quoted: then it is text.
            text = value if "$protocols" in value else self._value(value)
            before, after = self._rng.choice(
                ((self._gap(), self._gap()), (" ", " "), ("", ""), ("", " ")))
            return indent + key + before + "=" + after + text + self._tail()
        _, words, _ = statement
        out = indent + words[0]
        for word in words[1:]:
            out += self._gap() + (f'"{word}"' if self._chance(0.15) else word)
        return out + self._gap() + "{" + self._tail()

    def _flatten(self, statements, depth=0):
        for statement in statements:
            yield self._line(statement, depth)
            if statement[0] == "section":
                yield from self._flatten(statement[2], depth + 1)
                yield self._rng.choice(("", " " * depth * 2)) + "}" + self._tail()

    def _write(self, statements):
        rng = self._rng
        lines = list(self._flatten(statements))
        main = HEAD_24 if self._is_24 else ""
        if self._chance(0.3):
            main += "!include_try /usr/share/dovecot/protocols.d/*.protocol\n"
        main += self._noise() + self._split(lines, "", 0)
        if self._chance(0.1):
            main = main.rstrip("\r\n")
        self.files["dovecot.conf"] = main
        for name in ("conf.d/none.txt", "conf.d/.hidden.conf"):
            self.files[name] = "this is no configuration {\n"
        if self._chance(0.5):
            self.files["dovecot.conf"] = self.files["dovecot.conf"].rstrip(
                "\r\n") + "\n!include_try local.conf\n"
            if self._chance(0.5):
                self.files["local.conf"] = "login_greeting = local\n"

    def _split(self, lines, folder, depth):
        """Lines as a text; some of them in files of their own, which `folder`'s file includes."""
        rng = self._rng
        out = ""
        at = 0
        while at < len(lines):
            if depth < 3 and self._chance(0.12):
                n = rng.randrange(1, 8)
                out += self._include(lines[at:at + n], folder, depth)
                at += n
            else:
                out += lines[at] + self._noise()
                at += 1
        return out

    def _include(self, lines, folder, depth):
        rng = self._rng
        number = len(self.files) * 10 + depth
        kind = rng.choice(("!include", "!include_try", "!include  ", "\t!include"))
        form = rng.randrange(4)
        sub = rng.choice(("", "conf.d/", "sub dir/"))
        if form == 0:
            name = f"{sub}{number}-one.conf"
            self.files[folder + name] = ""
            self.files[folder + name] = self._split(lines, folder + sub, depth + 1)
            return f"{kind} {name}" + self._tail()
        # Several files by one pattern, read in the order of their names.
        cut = rng.randrange(len(lines) + 1)
        pieces = (lines[:cut], lines[cut:])
        names = [f"{sub}{number}-{letter}.conf" for letter in "ab"]
        for name, piece in zip(names, pieces):
            self.files[folder + name] = ""
            self.files[folder + name] = self._split(piece, folder + sub, 3)
        pattern = {
            1: f"{sub}{number}-*.conf",
            2: f"{sub}{number}-[a-z].conf",
            3: f"{sub}{number}-{{a,b}}.conf"
        }[form]
        return f"{kind} {pattern}" + self._tail()


# Lines whose reading is worth a case of its own; "X" in {braces} is the tree's own folder.
SNIPPETS = (
    "login_greeting = a \\\n# c\n b = c",
    "login_greeting = a \\\n\nlogin_greeting = b",
    "login_greeting = it's a #x",
    "login_greeting = a#b",
    'login_greeting = "a"b',
    'login_greeting = "ab',
    "login_greeting = '",
    'login_greeting = "',
    "login_greeting = \"\"",
    'login_greeting = "a\\"b\\n"',
    "login_greeting = 'a\\'b'",
    'login_greeting = "ab" "cd"',
    "login_greeting = = x",
    "login_greeting =",
    "login_greeting = a \\",
    "login_greeting = a \\\\\n b",
    'login_greeting = "ab \\\n cd #e"',
    "login_greeting",
    "login_greeting x",
    "= x",
    "service imap-login {",
    "}",
    "service imap-login {\n}}",
    "service imap-login {\n} x",
    "service imap-login{\n}",
    "service imap-login { }",
    "service imap-login\n{\n}",
    "service imap-login \\\n{\n}",
    'service "imap-login"{\n}',
    'service "imap-login" {\n}',
    "service 'imap-login' {\n}",
    "service imap-login { # c\n} # d",
    "service {\n}",
    "service imap-login x {\n}",
    "service imap-login {\n inet_listener imap {\n  port = 1 }\n }\n}",
    "!include none.conf",
    "!include_try none.conf",
    "!include",
    "!include_try",
    "!include=none.conf",
    "!include = x",
    "!include \"ok.conf\"",
    "!include ok.conf # c",
    "!include ok.conf\n!include ok.conf",
    "!include o[k].conf",
    "!include sub",
    "!include ok.conf x",
    "!include dovecot.conf",
    "!include {nosuch,ok}.conf",
    "!include ok.con\\\nf",
    "!Include ok.conf",
    "login_greeting = a\0b\nlogin_log_format = x",
    "\0}",
    "login_greeting = a\rb",
    "login_greeting = a\r\r",
    "\x0blogin_greeting = a",
    "login_greeting = \x0ca",
    "login_greeting\t=\ta",
    '"login_greeting" = a',
    "\xef\xbb\xbflogin_greeting = a",
    "!include loop.conf",
    "!include pair/*.conf",
    "!include dangling.conf",
    "!include_try dangling.conf",
    "!include open.conf\n}",
    "login_greeting = x !include y",
    "service imap-login {\n !include port.conf\n}",
    "service imap-login {\n inet_listener imap {\n port = 1\n }\n"
    " inet_listener imap {\n ssl = yes\n }\n}",
    "service imap-login {\n inet_listener/imap/port = 77\n}",
    "service/imap-login/inet_listener/imap/port = 78",
)
SNIPPET_FILES = {
    "ok.conf": "login_greeting = ok\n",
    "sub/x.conf": "",
    "loop.conf": "!include loop.conf\n",
    "open.conf": "service imap-login {\n",
    "pair/a.conf": "!include b.conf\n",
    "pair/b.conf": "",
    "port.conf": "inet_listener imap {\nport = 79\n}\n",
}
