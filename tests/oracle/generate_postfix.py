# SPDX-License-Identifier: MIT
"""Random master.cf and main.cf files from a seed, with every way of writing that Postfix knows.

Texts hold one character a byte (Latin-1).
"""
import random

PARAMETERS = ("smtpd_tls_security_level", "smtpd_client_restrictions", "mynetworks", "syslog_name",
              "smtpd_sasl_auth_enable", "content_filter", "smtpd_tls_wrappermode",
              "cleanup_service_name", "smtpd_milters", "inet_protocols", "smtpd_helo_restrictions",
              "my_own_setting")
WORDS = ("yes", "no", "encrypt", "permit_mynetworks", "reject", "a,b", "127.0.0.0/8", "[::1]/128",
         "$mua_restrictions", "${x?yes}", "inet:[127.0.0.1]:8891", "#no-comment", "it's", 'say"so"',
         "a\\b", "=", "==x", "x=y", "caf\xc3\xa9", "-v", "-", "100%", "/etc/postfix/x", "a:b;c",
         "\x0b", "z\x0c")
BRACE_WORDS = ("${x?{a b}}", "{in ner}", "${x?{a}:{b c}}", "{}", "${{a}=={b}?{c d}:{e}}")
INET_NAMES = ("smtp", "25", "submission", "587", "submissions", "smtps", "465", "10025", "2525",
              "127.0.0.1:10025", "127.0.0.1:submission", "[::1]:587", "::1:587",
              "192.0.2.1:submission", "[2001:db8::1]:25", "192.0.2.1:465", "mail.example.test:587",
              "localhost:25", "0.0.0.0:25", "[::]:submission", "qmqp", "2001")
UNIX_NAMES = ("cleanup", "qmgr", "rewrite", "smtp", "relay", "lmtp", "smtp-amavis", "tlsmgr", "a.b",
              "private/x", "dnsblog", "maildrop")
COMMANDS = ("smtpd", "cleanup", "qmgr", "smtp", "lmtp", "postscreen", "dnsblog", "tlsproxy",
            "trivial-rewrite", "/usr/lib/postfix/sbin/smtpd", "pipe")
COMMENTS = ("#", "# comment", "#  -o x=y", "# {", "# }", "#587 inet n - n - - smtpd", "#\xff\xfe",
            "# \\")
# Parameters that take any text, and stand in no other parameter's default that we do not know.
MAIN_NAMES = ("mail_name", "syslog_name", "relayhost", "smtpd_banner", "postscreen_cache_map",
              "header_checks", "smtpd_service_name", "mynetworks", "mydestination",
              "local_recipient_maps", "data_directory_x", "body_checks", "alias_maps",
              "smtpd_client_restrictions", "smtpd_helo_restrictions")
LONG_LINE_BYTES = 9000


class Master:
    """A random master.cf; `text` is what the file holds."""
    def __init__(self, seed, twins_possible=False):
        self._rng = random.Random(seed)
        self._line_end = self._rng.choice(("\n", "\n", "\n", "\r\n"))
        # Half of the files are tame, so that what is rare does not hide what is common.
        self._wild = self._rng.random() < 0.5
        self._simple_stock = twins_possible
        self.text = self._file()

    def _chance(self, probability):
        return self._rng.random() < probability

    def _end(self):
        return "\n" if self._chance(0.02) else self._line_end

    def _comment(self):
        indent = self._rng.choice(("", "", "", " ", "\t"))
        return indent + self._rng.choice(COMMENTS) + self._end()

    def _empty(self):
        # postconf's editors take a line of these two alone for the text of an entry.
        odd = () if self._simple_stock else ("\x0c", "\x0b ")
        return self._rng.choice(("", "", "", " ", "\t ") + odd) + self._end()

    def _interlude(self, probability):
        out = ""
        while self._chance(probability):
            out += self._comment() if self._chance(0.6) else self._empty()
        return out

    def _fold(self, inside=False):
        """A line end inside an entry, and the blanks that begin the next line."""
        blanks = self._rng.choice((" ", "  ", "    ", "\t", " \t"))
        # These two begin a continuation line but separate no words.
        if inside and self._wild and not self._simple_stock and self._chance(0.1):
            blanks = self._rng.choice(("\x0b", "\x0c ", " \x0c"))
        before = self._rng.choice(("", "", "", " ", "\t"))
        return before + self._end() + self._interlude(0.15) + blanks

    def _gap(self, fold=0.05):
        if self._chance(fold):
            return self._fold()
        return self._rng.choice((" ", " ", "  ", "\t", "       ", " \t "))

    def _in_braces(self):
        """A gap inside braces: may be empty, and may fold."""
        return self._rng.choice(("", " ", " ", "  ")) if self._chance(0.93) else self._fold(True)

    def _word(self):
        if self._wild and self._chance(0.01):
            return "w" * LONG_LINE_BYTES
        word = self._rng.choice(WORDS)
        return "word" if self._simple_stock and word[0] in "#\x0bz" else word

    def _value(self, blanks_allowed):
        words = [self._word() for _ in range(self._rng.choice((0, 1, 1, 1, 2, 3)))]
        if not blanks_allowed:
            value = ",".join(words[:2])
            if self._chance(0.1):
                value += self._rng.choice(BRACE_WORDS)
            return value
        if self._chance(0.2):
            words.insert(self._rng.randrange(len(words) + 1), self._rng.choice(BRACE_WORDS))
        out = ""
        for word in words:
            out += word + self._gap(0.05)
        return out.rstrip(" \t\r\n\x0b\x0c") if self._chance(0.5) else out

    def _option(self):
        name = self._rng.choice(PARAMETERS)
        if self._chance(0.15):
            # Values use "x": if they are overridden it is unused, and postconf says so.
            name = self._rng.choice(("a1", "B_2") if self._simple_stock else ("a1", "B_2", "x"))
        form = self._rng.random()
        if form < 0.6:
            return "-o" + self._gap(0.05) + f"{name}={self._value(False)}"
        if form < 0.7:
            # postconf looks for another option letter in a word such as "-oinet_protocols=all" and
            # takes it apart ("-o inet_pr -o t ..."); the daemons' getopt(3) does not.
            return "-o" + f"{name}={self._value(False)}".replace("o", "0")
        if form > 0.97:
            return f"-vo{self._gap(0)}{name}={self._value(False)}"
        setting = ("{" + self._in_braces() + name + self._in_braces() + "=" + self._in_braces()
                   + self._value(True) + self._in_braces() + "}")
        if self._wild and self._chance(0.05):
            return "-o" + setting.replace("o", "0")
        return "-o" + self._gap(0.05) + setting

    def _argument(self, command):
        if command == "pipe" and self._chance(0.5):
            return self._rng.choice(("flags=DRhu", "user=vmail:vmail", "argv=/bin/x", "${sender}",
                                     "{ a b }", "a{b c}d", "{}", "{ ${x?{y z}} }", "-f", "}"))
        if self._chance(0.12):
            return self._rng.choice(("-v", "-vv", "-D", "-vD", "-S"))
        return self._option()

    def _fields(self):
        kind = self._rng.choices(("inet", "unix", "pass", "fifo", "unix-dgram"), (6, 4, 1, 1, 1))[0]
        name = self._rng.choice(INET_NAMES if kind == "inet" else UNIX_NAMES)
        if kind == "pass":
            name = self._rng.choice(("smtpd", "smtpd2"))
        private = "n" if kind == "inet" else self._rng.choice("yn-")
        command = self._rng.choice(COMMANDS)
        if kind == "inet" and self._chance(0.7):
            command = "smtpd"
        return [
            name, kind, private,
            self._rng.choice("yn-"),
            self._rng.choice("yn-"),
            self._rng.choice(("-", "0", "300", "1000?", "0?")),
            self._rng.choice(("-", "0", "1", "100")), command
        ]

    def _entry(self, fields=None):
        fields = fields or self._fields()
        out = fields[0]
        for number, field in enumerate(fields[1:]):
            # postconf's editors want a service's name and type on one line.
            out += self._gap(0 if number == 0 and self._simple_stock else 0.02) + field
        for _ in range(self._rng.choice((0, 0, 0, 1, 1, 2, 3, 5, 12))):
            out += self._gap(0.6) + self._argument(fields[7])
        # Where other options cannot follow, a service gets no twin.
        if not self._simple_stock and self._chance(0.03):
            out += self._gap(0.1) + self._rng.choice(("--", "plain words", "# not a comment"))
        return out + self._rng.choice(("", "", "", " ", "\t", "  ")) + self._end()

    def _stock(self):
        """The services that get twins, spelled in some way, each at most once."""
        rng = self._rng
        entries = []
        screened = rng.random() < 0.5
        smtp = rng.choice(("smtp", "25", "192.0.2.1:smtp", "[2001:db8::1]:25"))
        entries.append([
            smtp, "inet", "n", "-",
            rng.choice("yn-"), "-", "1" if screened else "-", "postscreen" if screened else "smtpd"
        ])
        if screened:
            entries.append(["smtpd", "pass", "-", "-", "n", "-", "-", "smtpd"])
        for names in (("submission", "587", "192.0.2.1:587"), ("submissions", "smtps", "465",
                                                               "[::]:465")):
            if rng.random() < 0.9:
                entries.append(
                    [rng.choice(names), "inet", "n", "-",
                     rng.choice("yn-"), "-", "-", "smtpd"])
        entries.append(["127.0.0.1:10025", "inet", "n", "-", "n", "-", "-", "smtpd"])
        # postconf's editors cannot name a service with a slash in its name.
        for name in rng.sample([name for name in UNIX_NAMES if "/" not in name], 3):
            entries.append(
                [name, "unix", "-", "-", "n", "-", "0",
                 rng.choice(("cleanup", "smtp", "pipe"))])
        rng.shuffle(entries)
        return entries

    def _file(self):
        out = ""
        if self._wild and self._chance(0.05):
            out += "  lost line" + self._end()
        out += self._interlude(0.4)
        stock = self._stock() if self._simple_stock else [None] * self._rng.choice(
            (0, 1, 1, 2, 3, 5, 8))
        for fields in stock:
            out += self._entry(fields) + self._interlude(0.3)
        if self._chance(0.25):
            out = out.rstrip("\r\n")
        return out


def master_cf(seed):
    """Any master.cf that postconf and master(8) accept."""
    return Master(("any", seed).__repr__()).text


def mail_master_cf(seed):
    """A master.cf whose stock services can all get twins."""
    return Master(("mail", seed).__repr__(), twins_possible=True).text


BAD_FIELDS = {
    1: ("tcp", "INET", "-", "unixx", "inet,"),
    2: ("yes", "Y", "1", "nn", "y?"),
    3: ("yes", "N", "0", "y,"),
    4: ("no", "x", "--"),
    5: ("x", "-1", "?", "-?", "1.5", "10x", "0x1", "+5", "99999999999", "10??"),
    6: ("x", "-1", "+1", "1x", "?", "1?", "n"),
    7: ("-",),
}


def broken_master_cf(seed):
    """(text, what is wrong with it): one entry with one fault, among good ones."""
    rng = random.Random(("broken", seed).__repr__())
    good = "9001 inet n - n - - smtpd\n"
    fields = ["9002", "inet", "n", "-", "n", "-", "-", "smtpd"]
    kind = rng.choice(("few", "field", "field", "field", "brace", "private", "name"))
    arguments = ""
    if kind == "few":
        fields = fields[:rng.randrange(1, 8)]
    elif kind == "field":
        at = rng.choice(sorted(BAD_FIELDS))
        fields[at] = rng.choice(BAD_FIELDS[at])
        if at == 2:
            fields[:2] = ["some", "unix"]
    elif kind == "private":
        fields[2] = rng.choice("y-")
    elif kind == "name":
        fields[0] = rng.choice(
            ("*:9002", "[]:9002", "a:b:9002", "127.0.0.1:", "[::1]", "[::1]9002", "[127.0.0.1:9002",
             "9002x", "0x10", "9001,9002", "::1", "*", "[a:b]:9002", "127.0.0.1", "a b:9002"))
    else:
        arguments = " " + rng.choice(("-o { a = b", "{a=b}c", "-o { a = { b }", "{", "-o {a}b",
                                      "-o a={ b", "x{y", "-o }", "}", "-o { a = b } }"))
    entry = rng.choice((" ", "\t", "  ")).join(fields) + arguments + rng.choice(("\n", "\r\n", ""))
    if rng.random() < 0.5:
        return good + "# comment\n" + entry, entry
    return entry.rstrip("\r\n") + "\n" + good, entry


class Main:
    """A random main.cf: no errors in it, unless it is asked for."""
    def __init__(self, seed):
        self._rng = random.Random(("main", seed).__repr__())
        self.names = self._rng.sample(MAIN_NAMES, self._rng.randrange(1, 8))
        self.text = self._file()

    def _reference(self, depth):
        rng = self._rng
        # Only names that come later in the list: no loops.
        later = self.names[self._at + 1:] + ["nosuch", "data_directory", "queue_directory"]
        name = rng.choice(later)
        form = rng.randrange(9)
        value = self._piece(depth + 1) if depth < 3 else "v"
        other = self._piece(depth + 1) if depth < 3 else "w"
        flat = value.replace("}", "").replace("{", "").replace("$", "")
        gap = rng.choice(("", "", " "))
        if form == 0:
            return "$" + name + rng.choice(("", " ", "/", "."))
        if form == 1:
            return "$(" + name + ")"
        if form == 2:
            return "${" + gap + name + gap + "}"
        if form == 3:
            return "${" + name + gap + "?" + flat + "}"
        if form == 4:
            return "${" + name + ":" + flat + "}"
        if form == 5:
            return "${" + name + gap + "?" + gap + "{" + value + "}" + gap + "}"
        if form == 6:
            return f"${{{name}?{{{value}}}{gap}:{gap}{{{other}}}{gap}}}"
        if form == 7:
            return "${" + name + ":{" + value + "}}"
        operator = rng.choice(("==", "!=", "<", "<=", ">", ">="))
        left, right = (rng.choice(("1", "2", "10", "a", "b", "", "$" + rng.choice(later)))
                       for _ in range(2))
        return ("${{" + left + "}" + gap + operator + gap + "{" + right + "}" + gap + "?{" + value
                + "}:{" + other + "}}")

    def _piece(self, depth=0):
        rng = self._rng
        if rng.random() < 0.5:
            return self._reference(depth)
        return rng.choice(
            ("a", "b c", "x,y", "hash:/etc/x", "1", "$$", "it's", "=", "a=b", "caf\xc3\xa9", ""))

    def _value(self):
        rng = self._rng
        out = ""
        for _ in range(rng.randrange(4)):
            out += self._piece()
            if rng.random() < 0.15:
                out += rng.choice(("\n", "\r\n")) + rng.choice(
                    ("", "", "# inner\n", "\n", "   # inner\n")) + rng.choice((" ", "\t", "    "))
            elif rng.random() < 0.5:
                out += rng.choice((" ", ", "))
        return out

    def _file(self):
        rng = self._rng
        out = rng.choice(("", "", "# head\n", "\n\n", "  ignored = x\n"))
        lines = []
        for self._at, name in enumerate(self.names):
            for _ in range(rng.choice((1, 1, 1, 2))):
                equals = rng.choice(("=", " = ", " =", "= ", "\t=\t", "\n = "))
                lines.append(name + equals + self._value()
                             + rng.choice(("\n", "\n", " \n", "\r\n")))
        rng.shuffle(lines)
        for line in lines:
            out += line + rng.choice(("", "", "# comment\n", "\n", "#x = y\n"))
        return out.rstrip("\n") if rng.random() < 0.2 else out


BROKEN_VALUES = ("$", "a$", "$-", "${}", "${mail_name", "${mail_name?{a}b}", "${a-b}",
                 "$(mail_name", "${mail_name?{a}", "${{a}=={b}", "${{a}==b?{c}}", "${{a}=x{b}?{c}}",
                 "${{a}={b}?{c}}", "$()", "${ }", "${mail_name:{a}b}", "${mail_name?{a}:{b}c}",
                 "${?a}", "${:a}", "${{a} {b}?{c}}", "$mail_name$", "${mail name}")
