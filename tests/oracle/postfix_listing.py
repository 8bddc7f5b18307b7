# SPDX-License-Identifier: MIT
"""What postconf prints, taken apart."""
import re

from cases import rows

# A fatal error costs Postfix's programs a second of sleep.
FATAL_AT_ONCE = 16
MAIN_CF = "mynetworks = 127.0.0.0/8\nmyhostname = mail.example.test\n"


def one_blank(text):
    """postconf -P, -n and -h print values with one blank for any white space, and none before."""
    return [re.sub(r"[ \t\r\n]+", " ", line).strip(" ") for line in rows(text)]


def entry_names(listing):
    """name/type of each entry that postconf -M lists."""
    return ["/".join(line.split()[:2]) for line in rows(listing)]


def split_words(line):
    """Words at blanks outside braces, as Postfix splits arguments."""
    words, word, level = [], "", 0
    for c in line + " ":
        if c in " \t\r\n" and level == 0:
            if word:
                words.append(word)
            word = ""
            continue
        level = max(0, level + {"{": 1, "}": -1}.get(c, 0))
        word += c
    return words


def meaning(listing):
    """The entries as Postfix acts on them: of several -o of one name the last counts."""
    entries = []
    for line in rows(listing):
        words = split_words(line)
        options, rest = {}, []
        arguments = iter(words[8:])
        for word in arguments:
            if word == "-o":
                setting = next(arguments, "")
                options[setting.strip("{").partition("=")[0].strip()] = setting
            elif re.fullmatch(r"-[A-Za-z]+", word):
                rest += [f"-{flag}" for flag in word[1:]]
            else:
                rest.append(word)
        entries.append((tuple(words[:8]), tuple(sorted(options.items())), tuple(rest)))
    return entries
